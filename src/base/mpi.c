/* mpi.c - ranks over MPI: the only file that knows of it. Built where 'make MPI=1' asks for it. */
#define _GNU_SOURCE
#include <mpi.h>
#include <sched.h>

#include "base/mem.h"
#include "base/ranks.h"

/* MPI counts with ints: as many bytes at once. */
#define MOST ((size_t)1 << 30)

enum { MAIL_TAG = 7 };

struct mpi_ranks {
    struct ob_ranks base;
    int *count, *place, *count_in, *place_in; /* n each */
};

/* ---- together ---- */

static void spread(struct ob_ranks *r, void *from_root, size_t n, int root)
{
    char *p = from_root;

    (void)r;
    for (size_t done = 0; done < n; done += MOST)
        MPI_Bcast(p + done, (int)(n - done < MOST ? n - done : MOST), MPI_BYTE, root,
                  MPI_COMM_WORLD);
}

static void share(struct ob_ranks *r, void *all, const size_t *at)
{
    struct mpi_ranks *m = (struct mpi_ranks *)r;

    if (at[r->n] > MOST) { /* too much for one call */
        for (int k = 0; k < r->n; k++)
            spread(r, (char *)all + at[k], at[k + 1] - at[k], k);
        return;
    }
    for (int k = 0; k < r->n; k++) {
        m->count[k] = (int)(at[k + 1] - at[k]);
        m->place[k] = (int)at[k];
    }
    MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_BYTE, all, m->count, m->place, MPI_BYTE, MPI_COMM_WORLD);
}

static void exchange(struct ob_ranks *r, float *theirs, const float *mine, const size_t *at,
                     int n_with)
{
    struct mpi_ranks *m = (struct mpi_ranks *)r;
    int own = (int)(at[r->me + 1] - at[r->me]);

    for (int k = 0; k < r->n; k++) {
        m->count[k] = r->me < n_with ? (int)(at[k + 1] - at[k]) : 0;
        m->place[k] = (int)at[k];
        m->count_in[k] = k < n_with ? own : 0;
        m->place_in[k] = k < n_with ? k * own : 0;
    }
    MPI_Alltoallv(mine, m->count, m->place, MPI_FLOAT, theirs, m->count_in, m->place_in, MPI_FLOAT,
                  MPI_COMM_WORLD);
}

/* ---- one by one ---- */

static void send(struct ob_ranks *r, int to, const void *mail, size_t n)
{
    (void)r;
    MPI_Send(mail, (int)n, MPI_BYTE, to, MAIL_TAG, MPI_COMM_WORLD);
}

static bool receive(struct ob_ranks *r, int *from, void *mail, size_t n)
{
    MPI_Status status;
    int there = 0;

    (void)r;
    MPI_Iprobe(MPI_ANY_SOURCE, MAIL_TAG, MPI_COMM_WORLD, &there, &status);
    if (!there)
        return false;
    MPI_Recv(mail, (int)n, MPI_BYTE, status.MPI_SOURCE, MAIL_TAG, MPI_COMM_WORLD,
             MPI_STATUS_IGNORE);
    *from = status.MPI_SOURCE;
    return true;
}

/* ---- from the first to the last ---- */

static void leave(struct ob_ranks *r)
{
    struct mpi_ranks *m = (struct mpi_ranks *)r;

    MPI_Finalize();
    ob_free(m->count);
    ob_free(r->said);
    ob_free(r->at);
    ob_free(m);
}

static const struct ob_ranks_line line = { share, spread, exchange, send, receive, leave };

static int make_tables(struct mpi_ranks *m, struct ob_err *err)
{
    size_t n = (size_t)m->base.n;

    OB_TRY(ob_alloc(m->base.at, n + 1, err));
    OB_TRY(ob_alloc(m->base.said, n, err));
    OB_TRY(ob_alloc(m->count, 4 * n, err));
    m->place = m->count + n;
    m->count_in = m->place + n;
    m->place_in = m->count_in + n;
    return OB_OK;
}

/* Of a core that k ranks of this machine may use, each has 1/k. */
static int share_of_cores(int *out, struct ob_err *err)
{
    MPI_Comm here;
    cpu_set_t *sets, mine;
    double cores = 0;
    int n;

    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &here);
    MPI_Comm_size(here, &n);
    CPU_ZERO(&mine);
    sched_getaffinity(0, sizeof(mine), &mine);
    OB_TRY(ob_alloc(sets, (size_t)n, err));
    MPI_Allgather(&mine, sizeof(mine), MPI_BYTE, sets, sizeof(mine), MPI_BYTE, here);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        int users = 0;

        for (int k = 0; k < n; k++)
            users += CPU_ISSET(cpu, &sets[k]) != 0;
        if (CPU_ISSET(cpu, &mine))
            cores += 1.0 / users;
    }
    ob_free(sets);
    MPI_Comm_free(&here);
    *out = cores + 1e-9 < 1 ? 1 : (int)(cores + 1e-9);
    return OB_OK;
}

int obi_mpi_join(struct ob_ranks **out, struct ob_err *err)
{
    struct mpi_ranks *m;
    int level;

    *out = NULL;
    if (!obi_was_launched())
        return OB_OK;
    OB_TRY(ob_alloc(m, 1, err));
    m->base.line = &line;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
    MPI_Comm_size(MPI_COMM_WORLD, &m->base.n);
    MPI_Comm_rank(MPI_COMM_WORLD, &m->base.me);
    *out = &m->base;
    if (make_tables(m, err) || share_of_cores(&m->base.n_cores, err))
        MPI_Abort(MPI_COMM_WORLD, 1); /* nobody could be told of it */
    return OB_OK;
}
