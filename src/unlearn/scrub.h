/* scrub.h - what SCRUB and SCRUB with rewinding share. */
#ifndef OB_UNLEARN_SCRUB_H
#define OB_UNLEARN_SCRUB_H

#include "unlearn/job.h"

enum { OB_SCRUB_PAPER, OB_SCRUB_RELEASED };

struct ob_scrub { /* a method's state begins with it */
    int msteps, variant;
    double temperature, beta, gamma;
};

#define OB_SCRUB_OPTIONS                                                                           \
    { .name = "msteps",                                                                            \
      .help = "epochs that start with a pass over the forget set",                                 \
      .type = OB_OPT_INT,                                                                          \
      .offset = offsetof(struct ob_scrub, msteps),                                                 \
      .def = 4,                                                                                    \
      .max = 100000 },                                                                             \
        { .name = "temperature",                                                                   \
          .help = "softens both distributions",                                                    \
          .type = OB_OPT_FLOAT,                                                                    \
          .offset = offsetof(struct ob_scrub, temperature),                                        \
          .def = 4,                                                                                \
          .min = 0.001,                                                                            \
          .max = 1000 },                                                                           \
        { .name = "beta",                                                                          \
          .help = "weight of KL on the retain set",                                                \
          .type = OB_OPT_FLOAT,                                                                    \
          .offset = offsetof(struct ob_scrub, beta),                                               \
          .def = 0.5,                                                                              \
          .max = 1e6 },                                                                            \
        { .name = "gamma",                                                                         \
          .help = "weight of CE on the retain set",                                                \
          .type = OB_OPT_FLOAT,                                                                    \
          .offset = offsetof(struct ob_scrub, gamma),                                              \
          .def = 1,                                                                                \
          .max = 1e6 },                                                                            \
    {                                                                                              \
        .name = "variant", .help = "released: one epoch of ascent more, as in the code of 2024",   \
        .type = OB_OPT_CHOICE, .offset = offsetof(struct ob_scrub, variant),                       \
        .def = OB_SCRUB_PAPER, .choices = "paper,released"                                         \
    }

int ob_scrub_begin(void *state, struct ob_job *job, struct ob_err *err);
int ob_scrub_epoch(void *state, struct ob_job *job, int e, struct ob_err *err);
void ob_scrub_cost(const void *state, const struct ob_job *job, struct ob_cost *out);

#endif
