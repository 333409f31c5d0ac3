/* schedule.c - how the learning rate falls. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "run/train.h"

/* "step:60,120,x0.2": at epochs 60 and 120 the rate is multiplied by 0.2. */
static int parse_steps(struct ob_schedule *s, const char *text, struct ob_err *err)
{
    char copy[64], *save = NULL;
    int64_t last = 0;

    snprintf(copy, sizeof(copy), "%s", text);
    s->kind = OB_SCHED_STEP;
    for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        int64_t epoch;

        if (*word == 'x') {
            if (!ob_str_double(word + 1, &s->factor) || s->factor <= 0)
                return ob_fail(err, OB_EINVAL, "schedule: '%s' is not a positive factor", word);
        } else if (!ob_str_int(word, &epoch) || epoch <= last || epoch > INT32_MAX ||
                   s->n_steps == 16) {
            return ob_fail(err, OB_EINVAL,
                           "schedule: '%s' is not a later epoch (at most 16, ascending, from 1)",
                           word);
        } else {
            s->step[s->n_steps++] = (int)epoch;
            last = epoch;
        }
    }
    if (!s->n_steps || s->factor <= 0)
        return ob_fail(err, OB_EINVAL,
                       "schedule 'step:%s' needs epochs and a factor, "
                       "as in step:60,120,x0.2",
                       text);
    return OB_OK;
}

int ob_schedule_parse(struct ob_schedule *s, const char *text, struct ob_err *err)
{
    static const struct {
        const char *name;
        enum ob_schedule_kind kind;
    } plain[] = { { "constant", OB_SCHED_CONSTANT },
                  { "cosine", OB_SCHED_COSINE },
                  { "linear", OB_SCHED_LINEAR } };

    *s = (struct ob_schedule){ 0 };
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (!strcmp(text, plain[i].name)) {
            s->kind = plain[i].kind;
            return OB_OK;
        }
    }
    if (!strncmp(text, "step:", 5))
        return parse_steps(s, text + 5, err);
    return ob_fail(err, OB_EINVAL,
                   "no schedule '%s'; there are constant, cosine, linear and step:60,120,x0.2",
                   text);
}

double ob_schedule_at(const struct ob_schedule *s, double lr, int64_t t, int64_t total)
{
    double part = total > 0 ? (double)t / (double)total : 0;

    switch (s->kind) {
    case OB_SCHED_COSINE:
        return lr * (1 + cos(3.14159265358979323846 * part)) / 2;
    case OB_SCHED_LINEAR:
        return lr * (1 - part);
    case OB_SCHED_STEP:
        for (int i = 0; i < s->n_steps && t >= s->step[i]; i++)
            lr *= s->factor;
        return lr;
    default:
        return lr;
    }
}
