/*
 * bank_pool.h - deals the models of a bank out to the threads of this process and the ranks of this job.
 *
 * Whoever is done takes the next one; rank 0 knows which that is. Each thread trains a model of its
 * own; when no further model waits, those that still train share all threads.
 */
#ifndef OB_SCORE_BANK_POOL_H
#define OB_SCORE_BANK_POOL_H

#include <pthread.h>

#include "base/ctx.h"

struct ob_pool {
    struct ob_ctx *ctx;
    int n_jobs;      /* of this process: models side by side */
    const int *todo; /* rank 0: the models, in the order of their turn */
    size_t n_todo;
    int (*work)(void *arg, int k, struct ob_err *err); /* one model, on the thread that calls it */
    /* rank 0: what all of them have done. Never on two threads at once; may be NULL */
    void (*report)(void *arg, uint64_t images);
    void *arg;
    /* of all ranks, on rank 0; of its own, elsewhere */
    uint64_t images, images_forward;

    /* private, under the lock */
    pthread_mutex_t lock;
    pthread_cond_t news, dealt; /* for the thread that deals; for those that want a model */
    struct ob_err err;          /* the first failure: everybody stops */
    size_t next;                /* of todo */
    int *hand, n_hand;          /* dealt, not taken yet */
    int n_wanted, n_asked;      /* threads without a model; of these, rank 0 was asked for */
    int n_alive, n_busy;        /* threads; with a model */
    int n_away;                 /* rank 0: other ranks that still work */
    int is_over, has_told;      /* no further model comes; the failure was passed on */
    uint64_t told_images, told_forward;
};

/* Every rank calls it, and gets the first failure of any. */
int ob_pool_run(struct ob_pool *p, struct ob_err *err);

/* ---- within work() ---- */
int ob_pool_has_failed(struct ob_pool *p); /* this model is of no use any more */
void ob_pool_count(struct ob_pool *p, uint64_t images, uint64_t images_forward);
int ob_pool_threads(struct ob_pool *p); /* as many as a model may use just now */

#endif
