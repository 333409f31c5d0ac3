/* par.c - parallel loops on a team of threads that sleeps when it has to wait for long. */
#define _GNU_SOURCE
#include "base/par.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

/*
 * Not OpenMP: its threads wait for each other by spinning for milliseconds, which on a machine
 * that somebody else uses too takes the processor from the very thread that is waited for. Here
 * a thread spins for some microseconds, then sleeps.
 *
 * Each calling thread has a team of its own, made when first needed; it ends with the thread.
 */
#define MOST_WORKERS 255
#define SPINS 3000

struct team;

struct worker {
    struct team *team;
    unsigned index; /* 1, 2, ...; 0 is the caller */
    pthread_t thread;
};

struct team {
    atomic_ullong job;    /* number of the job * 256 + threads that take part; 0: go home */
    atomic_size_t next;   /* element of the loop that nobody has taken yet */
    atomic_uint working;  /* workers that are not done */
    atomic_uint n_asleep; /* workers in wait_job() under the lock */
    atomic_bool asleep;   /* the caller in wait_done() */
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    size_t n;
    void (*fn)(void *arg, size_t i, int worker);
    void *arg;
    unsigned n_workers;
    unsigned long long count;
    bool busy;     /* a loop inside of a loop runs on the thread that meets it */
    pid_t process; /* a child after fork() has no workers yet */
    struct worker worker[MOST_WORKERS];
};

/* OpenMP keeps its threads the same way, only hidden from view. */
static _Thread_local struct team mine;
static _Thread_local bool is_worker;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

int ob_par_cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return CPU_COUNT(&set);
    return 1;
}

static void pause_a_bit(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void take_elements(struct team *t, int worker)
{
    size_t i;

    while ((i = atomic_fetch_add(&t->next, 1)) < t->n)
        t->fn(t->arg, i, worker);
}

static unsigned long long wait_job(struct team *t, unsigned long long seen)
{
    unsigned long long job;

    for (int i = 0; i < SPINS; i++) {
        job = atomic_load(&t->job);
        if (job != seen)
            return job;
        pause_a_bit();
    }
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->n_asleep, 1);
    while ((job = atomic_load(&t->job)) == seen)
        pthread_cond_wait(&t->start, &t->lock);
    atomic_fetch_sub(&t->n_asleep, 1);
    pthread_mutex_unlock(&t->lock);
    return job;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct team *t = w->team;
    unsigned long long job = 1;

    is_worker = true;
    for (;;) {
        job = wait_job(t, job);
        if (!job)
            return NULL;
        if (w->index >= job % 256)
            continue;
        take_elements(t, (int)w->index);
        if (atomic_fetch_sub(&t->working, 1) == 1 && atomic_load(&t->asleep)) {
            pthread_mutex_lock(&t->lock);
            pthread_cond_signal(&t->done);
            pthread_mutex_unlock(&t->lock);
        }
    }
}

static void wait_done(struct team *t)
{
    for (int i = 0; i < SPINS; i++) {
        if (!atomic_load(&t->working))
            return;
        pause_a_bit();
    }
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->asleep, true);
    while (atomic_load(&t->working))
        pthread_cond_wait(&t->done, &t->lock);
    atomic_store(&t->asleep, false);
    pthread_mutex_unlock(&t->lock);
}

static void post(struct team *t, unsigned long long job)
{
    atomic_store(&t->job, job);
    if (atomic_load(&t->n_asleep)) {
        pthread_mutex_lock(&t->lock);
        pthread_cond_broadcast(&t->start);
        pthread_mutex_unlock(&t->lock);
    }
}

/* The calling thread ends: so do its workers. */
static void dismiss(void *arg)
{
    struct team *t = arg;

    if (t->process != getpid())
        return;
    post(t, 0);
    for (unsigned i = 0; i < t->n_workers; i++)
        pthread_join(t->worker[i].thread, NULL);
    t->n_workers = 0;
}

static void make_key(void)
{
    pthread_key_create(&key, dismiss);
}

static void begin_team(struct team *t)
{
    t->process = getpid();
    t->n_workers = 0;
    t->count = 1;
    atomic_store(&t->job, 1);
    atomic_store(&t->n_asleep, 0);
    atomic_store(&t->asleep, false);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->start, NULL);
    pthread_cond_init(&t->done, NULL);
    pthread_once(&key_once, make_key);
    pthread_setspecific(key, t);
}

/* As many workers as there can be, up to `n`: fewer give the same results. */
static unsigned grow_team(struct team *t, unsigned n)
{
    while (t->n_workers < n) {
        struct worker *w = &t->worker[t->n_workers];

        w->team = t;
        w->index = t->n_workers + 1;
        if (pthread_create(&w->thread, NULL, work, w))
            break;
        t->n_workers++;
    }
    return t->n_workers < n ? t->n_workers : n;
}

void ob_par_for(int n_threads, size_t n, void (*fn)(void *arg, size_t i, int worker), void *arg)
{
    struct team *t = &mine;
    unsigned workers = n_threads > 1 ? (unsigned)n_threads - 1 : 0;

    if (!workers || n <= 1 || is_worker || t->busy) {
        for (size_t i = 0; i < n; i++)
            fn(arg, i, 0);
        return;
    }
    if (t->process != getpid())
        begin_team(t);
    workers = workers < n ? workers : (unsigned)(n - 1);
    workers = grow_team(t, workers < MOST_WORKERS ? workers : MOST_WORKERS - 1);
    t->fn = fn;
    t->arg = arg;
    t->n = n;
    t->busy = true;
    atomic_store(&t->next, 0);
    atomic_store(&t->working, workers);
    t->count++;
    post(t, t->count * 256 + workers + 1);
    take_elements(t, 0);
    wait_done(t);
    t->busy = false;
}
