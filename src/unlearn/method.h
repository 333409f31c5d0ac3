/*
 * method.h - what every unlearning method promises.
 *
 * The driver (rum.c) owns the loop, the model, the loaders, the optimiser, progress, cancelling
 * and the check for finite weights. A method owns only its own state and one epoch of arithmetic.
 * It must not open files, print, or read the clock.
 */
#ifndef OB_UNLEARN_METHOD_H
#define OB_UNLEARN_METHOD_H

#include "base/err.h"

enum ob_need {
    OB_NEED_RETAIN = 1 << 0,  /* reads the retain set */
    OB_NEED_FORGET = 1 << 1,  /* reads the forget set */
    OB_NEED_TEACHER = 1 << 2, /* wants a frozen copy of the step's starting model */
    OB_NEED_MASK = 1 << 3,    /* wants one byte per parameter, all 1 at first */
    OB_NEED_FIRST = 1 << 4,   /* wants the plan's first model as well */
    OB_FROM_SCRATCH = 1 << 5, /* starts from fresh weights (retrain) */
    OB_ONE_SHOT = 1 << 6,     /* changes weights outside the epochs too */
    OB_NEED_IMAGES = 1 << 7,  /* asks for gradients with respect to images */
    OB_EXTRA_CLASS = 1 << 8,  /* trains with one class more, which goes again at the end */
    OB_NEED_SHARDS = 1 << 9,  /* wants a folder of shards; not run by a plan (run/sisa.h) */
    OB_NEED_VALIDATION =
        1 << 10, /* reads the validation part; the method refuses where there is none */
    OB_NEED_CLASSES = 1 << 11, /* the forget set is of whole classes, as the method checks */
    OB_NEED_CONV = 1 << 12,    /* the network has convolutions, as the method checks */
    OB_SECRET_SEED = 1 << 13   /* its promise needs a seed that nobody else knows */
};

struct ob_job;    /* see job.h */
struct ob_memory; /* see run/memory.h */

struct ob_method {
    const char *name; /* in files and on the command line; never changes */
    const char *title, *cite;
    const char *formula;     /* plain text, a few lines */
    const char *differs;     /* where paper and released code differ, and what we do; may be NULL */
    const char *limits;      /* what it cannot do, in a sentence or two; may be NULL */
    const char *constraints; /* limits across settings, one a line; may be NULL */
    const char *elsewhere;   /* what another command sets, and how; may be NULL */
    unsigned needs;          /* enum ob_need */
    /* More needs, each with its condition, "validation (unless aim=zero), ...", no other comma in them; may
     * be NULL. */
    const char *needs_if;
    size_t state_size;               /* zeroed, then filled from `options` */
    const struct ob_option *options; /* own settings, ends with { 0 }; NULL: none */
    /* OB_COMMON() of job.h: the settings that every iterative method has, with this one's
     * defaults. NULL: the method has no epochs; epoch() runs once, without loaders or optimiser. */
    const struct ob_option *common;
    /* Each may be NULL. check() runs before any step of the plan does; OB_EINVAL: these settings
     * do not do for this model. end() runs exactly once if begin() was called, on every path. */
    int (*check)(const void *state, const struct ob_model *m, struct ob_err *err);
    /* As check(), and for these sets: the job is not open, but has what the driver knows. */
    int (*check_job)(const void *state, const struct ob_job *job, struct ob_err *err);
    /* Adds the memory that begin() and epoch() take beyond what the job does by itself; of an unopened job. */
    int (*room)(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err);
    /* Without `common`: examples of the batches that epoch() trains on, as far as memory is concerned;
     * NULL: it trains on none. */
    int (*batch)(const void *state, const struct ob_model *m);
    /* The images (gradients taken) and images_forward that it will count; of an unopened job. NULL: not
     * known. May be too many where the method ends by itself. */
    void (*cost)(const void *state, const struct ob_job *job, struct ob_cost *out);
    int (*begin)(void *state, struct ob_job *job, struct ob_err *err);
    int (*epoch)(void *state, struct ob_job *job, int e, struct ob_err *err);
    void (*end)(void *state, struct ob_job *job);
};

extern const struct ob_method ob_method_none, ob_method_retrain, ob_method_finetune,
    ob_method_l1_sparse, ob_method_neggrad, ob_method_neggrad_plus, ob_method_scrub,
    ob_method_random_label, ob_method_salun;
/* with teachers, other labels, other images */
extern const struct ob_method ob_method_delete, ob_method_bad_teacher, ob_method_scrub_r,
    ob_method_boundary_shrink, ob_method_boundary_expand, ob_method_lotus, ob_method_unsir;
/* on gradients at fixed weights, and on how two gradients meet */
extern const struct ob_method ob_method_ssd, ob_method_lfssd, ob_method_assd, ob_method_influence,
    ob_method_fisher, ob_method_sfr_on, ob_method_munba;
/* in the space of weights */
extern const struct ob_method ob_method_weight_distance, ob_method_weight_distortion,
    ob_method_mode_connectivity;
/* on layers: the challenge of NeurIPS 2023 and its like */
extern const struct ob_method ob_method_ct, ob_method_not, ob_method_cf_k, ob_method_eu_k,
    ob_method_msg, ob_method_cfw, ob_method_prmq, ob_method_kde, ob_method_rni, ob_method_fcs;
/* with a guarantee */
extern const struct ob_method ob_method_certified, ob_method_sisa;

#endif
