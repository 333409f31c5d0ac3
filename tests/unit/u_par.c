/* u_par.c - every element once, whatever the number of threads; loops in loops; ended threads. */
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/par.h"

#define N 1000

struct counts {
    atomic_int n[N];
    int n_threads;
    atomic_int bad_worker;
};

static void count(void *arg, size_t i, int worker)
{
    struct counts *c = arg;

    atomic_fetch_add(&c->n[i], 1);
    if (worker < 0 || worker >= c->n_threads)
        atomic_store(&c->bad_worker, 1);
}

static void each_once(void **state)
{
    static const int threads[] = { 1, 2, 3, 7, 2, 40, 1, 300 };

    (void)state;
    for (int t = 0; t < 8; t++)
        for (size_t n = 0; n <= N; n = n * 3 + 1) {
            static struct counts c;

            memset(&c, 0, sizeof(c));
            c.n_threads = threads[t];
            ob_par_for(threads[t], n, count, &c);
            for (size_t i = 0; i < N; i++)
                assert_int_equal(atomic_load(&c.n[i]), i < n);
            assert_false(atomic_load(&c.bad_worker));
        }
}

static void many_short_loops(void **state)
{
    static struct counts c;

    (void)state;
    c.n_threads = 3;
    for (int i = 0; i < 300; i++)
        ob_par_for(3, 3, count, &c);
    for (int i = 0; i < 3; i++)
        assert_int_equal(atomic_load(&c.n[i]), 300);
}

static void inner(void *arg, size_t i, int worker)
{
    (void)worker;
    (void)i;
    ob_par_for(4, N, count, arg);
}

static void loop_in_loop(void **state)
{
    static struct counts c;

    (void)state;
    c.n_threads = 4;
    ob_par_for(4, 5, inner, &c);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(atomic_load(&c.n[i]), 5);
}

static void *caller(void *arg)
{
    for (int i = 0; i < 10; i++)
        ob_par_for(3, N, count, arg);
    return NULL;
}

/* Threads of the caller have teams of their own, which end with them. */
static void callers_threads(void **state)
{
    static struct counts c;

    (void)state;
    c.n_threads = 3;
    for (int round = 0; round < 5; round++) {
        pthread_t thread[4];

        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&thread[i], NULL, caller, &c), 0);
        for (int i = 0; i < 4; i++)
            pthread_join(thread[i], NULL);
    }
    for (size_t i = 0; i < N; i++)
        assert_int_equal(atomic_load(&c.n[i]), 5 * 4 * 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_once),
        cmocka_unit_test(many_short_loops),
        cmocka_unit_test(loop_in_loop),
        cmocka_unit_test(callers_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
