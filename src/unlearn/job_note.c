/* job_note.c - what a method has to say beside its numbers. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "unlearn/job.h"

void ob_job_note(struct ob_job *job, const char *fmt, ...)
{
    size_t n = strlen(job->notes);
    va_list args;

    if (n && n + 1 < sizeof(job->notes))
        job->notes[n++] = '\n';
    va_start(args, fmt);
    vsnprintf(job->notes + n, sizeof(job->notes) - n, fmt, args);
    va_end(args);
}
