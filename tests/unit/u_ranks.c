/* u_ranks.c - what ranks do together and how models are dealt out, with threads in the place of processes. */
#include "common.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/ranks.h"
#include "score/bank_pool.h"

enum { RANKS = 3, MAIL_ROOM = 4096, MODELS = 40 };

/* ---- a line between threads: everybody's pointers on a table, and a barrier around their use ---- */

struct letter {
    int from;
    size_t n;
    char text[512];
};

static struct {
    pthread_barrier_t barrier;
    pthread_mutex_t lock;
    char *all[RANKS];
    const float *mine[RANKS];
    struct letter *mail[RANKS]; /* of each receiver, in the order of sending */
    size_t n_sent[RANKS], n_read[RANKS];
} table;

static void meet(void)
{
    pthread_barrier_wait(&table.barrier);
}

static void share(struct ob_ranks *r, void *all, const size_t *at)
{
    table.all[r->me] = all;
    meet();
    for (int k = 0; k < r->n; k++)
        if (k != r->me)
            memcpy((char *)all + at[k], table.all[k] + at[k], at[k + 1] - at[k]);
    meet();
}

static void spread(struct ob_ranks *r, void *from_root, size_t n, int root)
{
    table.all[r->me] = from_root;
    meet();
    if (r->me != root)
        memcpy(from_root, table.all[root], n);
    meet();
}

static void exchange(struct ob_ranks *r, float *theirs, const float *mine, const size_t *at,
                     int n_with)
{
    size_t own = at[r->me + 1] - at[r->me];

    table.mine[r->me] = mine;
    meet();
    for (int k = 0; k < n_with; k++)
        memcpy(theirs + (size_t)k * own, table.mine[k] + at[r->me], own * sizeof(float));
    meet();
}

static void send(struct ob_ranks *r, int to, const void *mail, size_t n)
{
    pthread_mutex_lock(&table.lock);
    assert_true(n <= sizeof(table.mail[to]->text) && table.n_sent[to] < MAIL_ROOM);
    table.mail[to][table.n_sent[to]].from = r->me;
    memcpy(table.mail[to][table.n_sent[to]++].text, mail, n);
    pthread_mutex_unlock(&table.lock);
}

static bool receive(struct ob_ranks *r, int *from, void *mail, size_t n)
{
    bool there;

    pthread_mutex_lock(&table.lock);
    there = table.n_read[r->me] < table.n_sent[r->me];
    if (there) {
        const struct letter *l = &table.mail[r->me][table.n_read[r->me]++];

        *from = l->from;
        memcpy(mail, l->text, n);
    }
    pthread_mutex_unlock(&table.lock);
    return there;
}

static void leave(struct ob_ranks *r)
{
    (void)r;
}

static const struct ob_ranks_line line = { share, spread, exchange, send, receive, leave };

static void run_ranks(void *(*fn)(void *r))
{
    struct ob_ranks r[RANKS];
    pthread_t thread[RANKS];
    size_t at[RANKS][RANKS + 1];
    char said[RANKS][RANKS][OB_RANKS_LINE];

    memset(&table, 0, sizeof(table));
    pthread_barrier_init(&table.barrier, NULL, RANKS);
    pthread_mutex_init(&table.lock, NULL);
    for (int k = 0; k < RANKS; k++) {
        table.mail[k] = calloc(MAIL_ROOM, sizeof(struct letter));
        r[k] = (struct ob_ranks){ &line, RANKS, k, 2, false, at[k], said[k] };
        assert_int_equal(pthread_create(&thread[k], NULL, fn, &r[k]), 0);
    }
    for (int k = 0; k < RANKS; k++) {
        pthread_join(thread[k], NULL);
        assert_true(table.n_read[k] == table.n_sent[k]); /* no mail is left lying about */
    }
    for (int k = 0; k < RANKS; k++)
        free(table.mail[k]);
    pthread_mutex_destroy(&table.lock);
    pthread_barrier_destroy(&table.barrier);
}

/* ---- together ---- */

/* Of such unequal numbers a sum in another order is another sum. */
static float number(int rank, size_t i)
{
    return (float)(i % 7 + 1) * (rank == 0 ? 1e8f : rank == 1 ? 3.3f : -1e8f);
}

static void *adds(void *arg)
{
    static const size_t sizes[] = { 1, 15, 16, 17, 100, 1000 };
    struct ob_ranks *r = arg;

    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
        for (int n_with = 1; n_with <= RANKS; n_with++) {
            float total[1000], mine[1000], room[1200];

            assert_true(ob_ranks_room(r, sizes[s]) <= 1200);
            for (size_t i = 0; i < sizes[s]; i++) {
                total[i] = 0.1f;
                mine[i] = number(r->me, i);
            }
            ob_ranks_add(r, total, mine, sizes[s], n_with, room);
            for (size_t i = 0; i < sizes[s]; i++) {
                float want = 0.1f;

                for (int k = 0; k < n_with; k++)
                    want += number(k, i);
                assert_true(total[i] == want);
            }
        }
    return NULL;
}

static void *agrees(void *arg)
{
    struct ob_ranks *r = arg;
    struct ob_err err = { 0 };

    assert_int_equal(ob_ranks_agree(r, OB_OK, &err), OB_OK);
    assert_int_equal(ob_ranks_same(r, "the word", "yes", "say yes", &err), OB_OK);
    assert_int_equal(ob_ranks_same(r, "the word", r->me ? "yes" : "no", "say no", &err),
                     OB_EFORMAT);
    assert_string_equal(err.msg, "the word is 'no' on rank 0 and 'yes' on rank 1; say no");
    err = (struct ob_err){ 0 };
    if (r->me > 0)
        ob_fail(&err, r->me == 1 ? OB_EIO : OB_ENOMEM, "no such luck of %d", r->me);
    assert_int_equal(ob_ranks_agree(r, err.code, &err), OB_EIO);
    assert_string_equal(err.msg, "rank 1: no such luck of 1");
    assert_int_equal(ob_ranks_agree(r, r->me, &err), r->me); /* each goes its way */
    return NULL;
}

/* ---- dealing ---- */

static atomic_int trained[MODELS], failing_model, n_begun;
static uint64_t reported; /* by rank 0 */

struct dealt {
    struct ob_pool pool;
    int is_first;
};

/* Two models share two threads, one each; the last one to be dealt has both as soon as it is alone. */
static void check_threads(struct ob_pool *p, int k)
{
    double start = ob_now();
    int n = ob_pool_threads(p), begun;

    if (failing_model >= 0)
        return;
    begun = ++n_begun;
    if (begun + 2 * RANKS <
        MODELS) /* further ones wait, even if all hands hold one that has not begun */
        assert_int_equal(n, 1);
    if (k > 0)
        return;
    while (ob_pool_threads(p) < 2 && ob_now() < start + 20)
        sched_yield();
    assert_int_equal(ob_pool_threads(p), 2);
}

static int train(void *arg, int k, struct ob_err *err)
{
    struct dealt *d = arg;

    check_threads(&d->pool, k);
    if (k == failing_model)
        return ob_fail(err, OB_EDIVERGED, "model %d went wrong", k);
    for (int i = 0; i < 3; i++)
        ob_pool_count(&d->pool, 10, 0);
    ob_pool_count(&d->pool, 0, 7);
    trained[k]++;
    return OB_OK;
}

static void report(void *arg, uint64_t images)
{
    struct dealt *d = arg;

    assert_true(d->is_first);
    assert_true(images > reported);
    reported = images;
}

static void *deals(void *arg)
{
    struct ob_ranks *r = arg;
    struct ob_ctx ctx = { .opts = { .ranks = r }, .n_threads = 2 };
    int todo[MODELS], n = ob_ranks_me(r) ? 0 : MODELS, rc;
    struct dealt d = { .is_first = !ob_ranks_me(r) };
    struct ob_err err = { 0 };

    for (int k = 0; k < n; k++)
        todo[k] = MODELS - 1 - k;
    d.pool = (struct ob_pool){ .ctx = &ctx,
                               .n_jobs = 2,
                               .todo = todo,
                               .n_todo = (size_t)n,
                               .work = train,
                               .report = report,
                               .arg = &d };
    rc = ob_pool_run(&d.pool, &err);
    if (failing_model < 0) {
        assert_int_equal(rc, OB_OK);
        if (d.is_first) {
            assert_int_equal(d.pool.images, 30 * MODELS);
            assert_int_equal(d.pool.images_forward, 7 * MODELS);
        }
    } else {
        assert_int_equal(rc, OB_EDIVERGED);
        assert_non_null(strstr(err.msg, "model 9 went wrong"));
    }
    return NULL;
}

static void together(void **state)
{
    (void)state;
    run_ranks(adds);
    run_ranks(agrees);
}

static void dealing(void **state)
{
    (void)state;
    failing_model = -1;
    for (int ranks = 0; ranks < 2; ranks++) { /* alone, and as one of three */
        struct ob_ranks *none = NULL;

        n_begun = reported = 0;
        memset(trained, 0, sizeof(trained));
        if (ranks)
            run_ranks(deals);
        else
            deals(none);
        for (int k = 0; k < MODELS; k++)
            assert_int_equal(trained[k], 1);
        assert_int_equal(reported, 30 * MODELS);
    }
}

static void failure(void **state)
{
    (void)state;
    failing_model = 9;
    reported = 0;
    run_ranks(deals);
    reported = 0;
    deals(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(together),
        cmocka_unit_test(dealing),
        cmocka_unit_test(failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
