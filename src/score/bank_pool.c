/* bank_pool.c - deals the models of a bank out to the threads of this process and the ranks of this job. */
#define _POSIX_C_SOURCE 200809L
#include "score/bank_pool.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/ranks.h"

/* Mail between rank 0 and another rank; everything below but the first thread waits for nothing else. */
enum mail_kind {
    MAIL_ASK,    /* to rank 0: a thread wants a model */
    MAIL_COUNT,  /* to rank 0: images since the last time */
    MAIL_FAILED, /* to rank 0 with the reason; from rank 0: stop */
    MAIL_DONE,   /* to rank 0: all threads are done; the images since the last time */
    MAIL_MODEL,  /* from rank 0: train this one, or none is left (-1) */
    MAIL_BYE     /* from rank 0: nothing more will come */
};
struct mail {
    int kind, model;
    uint64_t images, images_forward;
    struct ob_err err;
};

#define LOOK_SECONDS 0.002 /* between looks for mail; a model takes seconds at least */
#define COUNT_SECONDS 0.2  /* between reports to rank 0 */

/* ---- the threads that train ---- */

static void fail(struct ob_pool *p, const struct ob_err *err)
{
    if (!p->err.code)
        p->err = *err;
    p->is_over = 1;
    pthread_cond_broadcast(&p->dealt);
    pthread_cond_signal(&p->news);
}

/* -1: there is none. */
static int take(struct ob_pool *p)
{
    int k = -1;

    pthread_mutex_lock(&p->lock);
    p->n_wanted++;
    pthread_cond_signal(&p->news);
    while (!p->n_hand && !p->is_over)
        pthread_cond_wait(&p->dealt, &p->lock);
    if (p->n_hand && !p->err.code) {
        k = p->hand[--p->n_hand];
        p->n_busy++;
    }
    pthread_mutex_unlock(&p->lock);
    return k;
}

static void *train_models(void *arg)
{
    struct ob_pool *p = arg;

    for (int k; (k = take(p)) >= 0;) {
        struct ob_err err = { 0 };
        int rc = p->work(p->arg, k, &err);

        pthread_mutex_lock(&p->lock);
        p->n_busy--;
        if (rc)
            fail(p, &err);
        pthread_mutex_unlock(&p->lock);
    }
    pthread_mutex_lock(&p->lock);
    p->n_alive--;
    pthread_cond_signal(&p->news);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int ob_pool_has_failed(struct ob_pool *p)
{
    int code;

    pthread_mutex_lock(&p->lock);
    code = p->err.code;
    pthread_mutex_unlock(&p->lock);
    return code;
}

/* Only rank 0 reports, what it hears from others too. */
static void count(struct ob_pool *p, uint64_t images, uint64_t images_forward)
{
    p->images += images;
    p->images_forward += images_forward;
    if (images && p->report && !ob_ranks_me(p->ctx->opts.ranks))
        p->report(p->arg, p->images);
}

void ob_pool_count(struct ob_pool *p, uint64_t images, uint64_t images_forward)
{
    pthread_mutex_lock(&p->lock);
    count(p, images, images_forward);
    pthread_mutex_unlock(&p->lock);
}

int ob_pool_threads(struct ob_pool *p)
{
    int n, all = p->ctx->n_threads;

    pthread_mutex_lock(&p->lock);
    n = p->is_over && p->n_busy ? all / p->n_busy : all / p->n_jobs;
    pthread_mutex_unlock(&p->lock);
    return n < 1 ? 1 : n;
}

/* ---- dealing; the lock is held ---- */

static void hand_out(struct ob_pool *p, int k)
{
    p->n_wanted--;
    p->hand[p->n_hand++] = k;
    pthread_cond_signal(&p->dealt);
}

static void none_is_left(struct ob_pool *p)
{
    p->is_over = 1;
    pthread_cond_broadcast(&p->dealt);
}

static int next_model(struct ob_pool *p)
{
    return !p->err.code && p->next < p->n_todo ? p->todo[p->next++] : -1;
}

static void post(struct ob_pool *p, int to, struct mail m)
{
    ob_ranks_send(p->ctx->opts.ranks, to, &m, sizeof(m));
}

static void wait_for_news(struct ob_pool *p, int is_alone)
{
    struct timespec t;

    if (is_alone) {
        pthread_cond_wait(&p->news, &p->lock);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += (long)(LOOK_SECONDS * 1e9);
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&p->news, &p->lock, &t);
}

/* ---- rank 0 ---- */

static void answer(struct ob_pool *p, int from, const struct mail *m)
{
    struct ob_err err = m->err;

    count(p, m->images, m->images_forward);
    if (m->kind == MAIL_ASK) {
        post(p, from, (struct mail){ .kind = MAIL_MODEL, .model = next_model(p) });
    } else if (m->kind == MAIL_FAILED) {
        ob_err_prefix(&err, "rank %d: ", from);
        fail(p, &err);
    } else if (m->kind == MAIL_DONE) {
        post(p, from, (struct mail){ .kind = MAIL_BYE });
        p->n_away--;
    }
}

static void tell_failure(struct ob_pool *p)
{
    for (int k = 1; k < ob_ranks_n(p->ctx->opts.ranks) && !p->has_told; k++)
        post(p, k, (struct mail){ .kind = MAIL_FAILED, .err = p->err });
    p->has_told = 1;
}

static void lead(struct ob_pool *p)
{
    struct mail m;
    int from;

    p->n_away = ob_ranks_n(p->ctx->opts.ranks) - 1;
    for (;;) {
        while (p->n_wanted && p->next < p->n_todo && !p->err.code)
            hand_out(p, next_model(p));
        if (p->next == p->n_todo)
            none_is_left(p);
        while (ob_ranks_receive(p->ctx->opts.ranks, &from, &m, sizeof(m)))
            answer(p, from, &m);
        if (p->err.code)
            tell_failure(p);
        if (!p->n_alive && !p->n_away)
            return;
        wait_for_news(p, !p->n_away);
    }
}

/* ---- every other rank ---- */

/* False: it was the last. */
static int obey(struct ob_pool *p, const struct mail *m)
{
    if (m->kind == MAIL_MODEL) {
        p->n_asked--;
        if (m->model < 0)
            none_is_left(p);
        else
            hand_out(p, m->model);
    } else if (m->kind == MAIL_FAILED) {
        p->has_told = 1;
        fail(p, &m->err);
    }
    return m->kind != MAIL_BYE;
}

static void post_count(struct ob_pool *p, enum mail_kind kind)
{
    post(p, 0,
         (struct mail){ .kind = (int)kind,
                        .images = p->images - p->told_images,
                        .images_forward = p->images_forward - p->told_forward });
    p->told_images = p->images;
    p->told_forward = p->images_forward;
}

static void follow(struct ob_pool *p)
{
    double told = ob_now();
    int from, goes_on = 1, is_done = 0;
    struct mail m;

    while (goes_on) {
        for (; p->n_wanted > p->n_asked && !p->is_over; p->n_asked++)
            post(p, 0, (struct mail){ .kind = MAIL_ASK });
        if (p->err.code && !p->has_told) {
            post(p, 0, (struct mail){ .kind = MAIL_FAILED, .err = p->err });
            p->has_told = 1;
        }
        if (!p->n_alive && !is_done) {
            post_count(p, MAIL_DONE);
            is_done = 1;
        } else if (p->images != p->told_images && ob_now() > told + COUNT_SECONDS) {
            post_count(p, MAIL_COUNT);
            told = ob_now();
        }
        while (goes_on && ob_ranks_receive(p->ctx->opts.ranks, &from, &m, sizeof(m)))
            goes_on = obey(p, &m);
        if (goes_on)
            wait_for_news(p, 0);
    }
}

/* ---- all of it ---- */

static int start(struct ob_pool *p, pthread_t *thread, struct ob_err *err)
{
    pthread_mutex_lock(&p->lock);
    while (p->n_alive < p->n_jobs && !pthread_create(&thread[p->n_alive], NULL, train_models, p))
        p->n_alive++;
    p->n_jobs = p->n_alive;
    pthread_mutex_unlock(&p->lock);
    return p->n_jobs ? OB_OK : ob_fail(err, OB_EIO, "the system gives no further thread");
}

int ob_pool_run(struct ob_pool *p, struct ob_err *err)
{
    struct ob_ranks *r = p->ctx->opts.ranks;
    pthread_t *thread = NULL;
    int rc, n;

    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->news, NULL);
    pthread_cond_init(&p->dealt, NULL);
    rc = ob_alloc(thread, (size_t)p->n_jobs, err);
    if (!rc)
        rc = ob_alloc(p->hand, (size_t)p->n_jobs, err);
    rc = ob_ranks_agree(r, rc ? rc : start(p, thread, err), err);
    n = rc ? p->n_alive : p->n_jobs;
    pthread_mutex_lock(&p->lock);
    if (rc)
        fail(p, &(struct ob_err){ .code = rc });
    else if (ob_ranks_me(r))
        follow(p);
    else
        lead(p);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
    if (!rc && p->err.code) {
        if (err && !err->code)
            *err = p->err;
        rc = p->err.code;
    }
    ob_free(thread);
    ob_free(p->hand);
    pthread_cond_destroy(&p->dealt);
    pthread_cond_destroy(&p->news);
    pthread_mutex_destroy(&p->lock);
    return ob_ranks_agree(r, rc, err);
}
