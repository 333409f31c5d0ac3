/* none.c - do nothing: the part is left out of what later steps retain, and that is all. */
#include "unlearn/method.h"

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    (void)state;
    (void)job;
    (void)out;
}

const struct ob_method ob_method_none = {
    .name = "none",
    .title = "do nothing",
    .cite = "Zhao et al. 2024",
    .formula = "theta' = theta",
    .limits = "It forgets nothing. What it leaves out of the retain set, a later step may forget "
              "in passing.",
    .cost = cost,
};
