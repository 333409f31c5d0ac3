/* progress.c - how far the work is: a bar on a terminal, a plain line an epoch otherwise. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd.h"

enum { BAR = 20 };

struct progress {
    FILE *to;
    int quiet, is_terminal, is_drawn;
    char task[80];
    int epoch;
    double task_start, last_draw;
    double seen;   /* images of the task before this epoch */
    int line_done; /* the plain line of this epoch was written */
};

struct progress *progress_new(FILE *to, int quiet)
{
    struct progress *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->to = to;
    p->quiet = quiet;
    p->is_terminal = isatty(fileno(to));
    p->epoch = -1;
    return p;
}

void progress_free(struct progress *p)
{
    free(p);
}

void progress_clear(struct progress *p)
{
    if (!p || !p->is_drawn)
        return;
    fputs("\r\033[K", p->to);
    fflush(p->to);
    p->is_drawn = 0;
}

static int columns(const struct progress *p)
{
    struct winsize w;

    if (!ioctl(fileno(p->to), TIOCGWINSZ, &w) && w.ws_col > 0)
        return w.ws_col;
    return 80;
}

static void time_text(char *text, size_t room, double seconds)
{
    long s = seconds < 0 ? 0 : (long)(seconds + 0.5);

    if (s >= 3600)
        snprintf(text, room, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, room, "%ld:%02ld", s / 60, s % 60);
}

/* "epoch 3/15  0:42 left  loss 0.412  86.2 %  1240 images/s"; `left` may be NULL. The last words
 * are those that a narrow terminal can do without. */
static void numbers(char *text, size_t room, const struct ob_progress *now, double rate,
                    const char *left)
{
    size_t n = 0;

    text[0] = 0;
    if (now->n_epochs > 0)
        n += (size_t)snprintf(text, room, "%s %d/%d", now->unit ? now->unit : "epoch",
                              now->epoch + 1, now->n_epochs);
    if (left && n < room)
        n += (size_t)snprintf(text + n, room - n, "%s%s left", n ? "  " : "", left);
    if (n < room && isfinite(now->loss))
        n += (size_t)snprintf(text + n, room - n, "  loss %.4f", now->loss);
    if (n < room && isfinite(now->accuracy))
        n += (size_t)snprintf(text + n, room - n, "  %.1f %%", 100 * now->accuracy);
    if (n < room && rate > 0)
        snprintf(text + n, room - n, "  %.0f images/s", rate);
}

/* The bar takes what the words leave, or gives way to them. */
static void draw(struct progress *p, const struct ob_progress *now, double rate, double left)
{
    char bar[BAR + 4] = "", words[160], line[320], time[32];
    double part = now->total ? (double)now->done / (double)now->total : 0;
    int width = columns(p), space;

    time_text(time, sizeof(time), left);
    numbers(words, sizeof(words), now, rate, rate > 0 ? time : NULL);
    space = width - 1 - (int)strlen(p->task) - (int)strlen(words) - 4;
    space = space > BAR ? BAR : space;
    if (space >= 4) {
        bar[0] = '[';
        for (int i = 0; i < space; i++)
            bar[1 + i] = i < (int)(part * space) ? '#' : '.';
        memcpy(bar + 1 + space, "] ", 3);
    }
    snprintf(line, sizeof(line), "%s %s%s", p->task, bar, words);
    if (width - 1 < (int)strlen(line))
        line[width > 1 ? width - 1 : 0] = 0;
    fprintf(p->to, "\r%s\033[K", line);
    fflush(p->to);
    p->is_drawn = 1;
}

/* A new task, or the same one from the start; a new epoch of the one that runs. */
static void turn_page(struct progress *p, const struct ob_progress *now, double t)
{
    const char *task = now->task ? now->task : "";

    if (p->epoch < 0 || now->epoch < p->epoch || strncmp(p->task, task, sizeof(p->task) - 1)) {
        snprintf(p->task, sizeof(p->task), "%s", task);
        p->task_start = t;
        p->seen = -(double)now->done; /* what was done before the clock started */
        p->last_draw = 0;
    } else if (now->epoch != p->epoch) {
        p->seen += (double)now->total * (now->epoch - p->epoch);
    } else {
        return;
    }
    p->epoch = now->epoch;
    p->line_done = 0;
}

void progress_update(struct progress *p, const struct ob_progress *now)
{
    double t = cmd_now(), spent, rate, left;
    int over = now->total && now->done >= now->total;
    char words[160];

    if (!p || p->quiet)
        return;
    turn_page(p, now, t);
    spent = t - p->task_start;
    rate = spent > 0 ? (p->seen + (double)now->done) / spent : 0;
    if (p->is_terminal && (over || t - p->last_draw >= 0.1)) {
        left = (double)(now->total - now->done);
        if (now->n_epochs > 0)
            left += (double)now->total * (now->n_epochs - 1 - now->epoch);
        p->last_draw = t;
        draw(p, now, rate, rate > 0 ? left / rate : 0);
        if (over && now->epoch + 1 >= now->n_epochs)
            progress_clear(p); /* results come next, on the same screen */
    }
    if (!p->is_terminal && over && now->n_epochs > 0 && !p->line_done) {
        numbers(words, sizeof(words), now, rate, NULL);
        fprintf(p->to, "%s  %s\n", p->task, words);
        fflush(p->to);
        p->line_done = 1;
    }
}
