/*
 * ranks.h - the processes of one job, which mpirun has started: rank 0 to rank n - 1.
 *
 * NULL stands for a job of one process, in every function here. All are called from the thread that
 * joined. A rank that dies, or MPI where it fails, ends the whole job.
 */
#ifndef OB_BASE_RANKS_H
#define OB_BASE_RANKS_H

#include <stdbool.h>

#include "base/err.h"

#define OB_RANKS_LINE 80

/* What carries the bytes: mpi.c, where the build has it. */
struct ob_ranks_line {
    /* Rank k holds the bytes at[k]..at[k + 1] of `all`; afterwards everybody holds all of it. */
    void (*share)(struct ob_ranks *r, void *all, const size_t *at);
    void (*spread)(struct ob_ranks *r, void *from_root, size_t n, int root);
    /* The floats at[k]..at[k + 1] of `mine` go to rank k. What comes, in the order of ranks, from
     * the first n_with alone, stands one after the other in `theirs`. */
    void (*exchange)(struct ob_ranks *r, float *theirs, const float *mine, const size_t *at,
                     int n_with);
    void (*send)(struct ob_ranks *r, int to, const void *mail, size_t n);
    bool (*receive)(struct ob_ranks *r, int *from, void *mail, size_t n);
    void (*leave)(struct ob_ranks *r);
};

struct ob_ranks {
    const struct ob_ranks_line *line;
    int n, me;
    int n_cores;   /* its share of what the ranks on this machine may use, at least 1 */
    bool has_lost; /* they agreed on a failure: each goes its way out */
    size_t *at;    /* n + 1, and below a line of each rank: room for what is told in tables */
    char (*said)[OB_RANKS_LINE];
};

int ob_ranks_n(const struct ob_ranks *r);

/* ---- together: every rank comes by, in the same order ---- */

/* OB_EFORMAT where a rank's `text` is not that of rank 0: "WHAT is ...; HINT". */
int ob_ranks_same(struct ob_ranks *r, const char *what, const char *text, const char *hint,
                  struct ob_err *err);
void ob_ranks_spread(struct ob_ranks *r, void *of_rank_0, size_t n);
/* As in struct ob_ranks_line; `at` has n + 1 entries. */
void ob_ranks_share(struct ob_ranks *r, void *all, const size_t *at);
/* total = (total + rank 0's `mine`) + rank 1's ..., of the first n_with ranks, in this order whatever
 * the number of ranks. Everybody gets it, and started with the same `total`. `room`: as many floats
 * as ob_ranks_room() says. */
void ob_ranks_add(struct ob_ranks *r, float *total, const float *mine, size_t n, int n_with,
                  float *room);
size_t ob_ranks_room(const struct ob_ranks *r, size_t n);

/* ---- one by one: mail of a fixed size, a few hundred bytes, between rank 0 and another ---- */

void ob_ranks_send(struct ob_ranks *r, int to, const void *mail, size_t n);
/* False: there is none now. */
bool ob_ranks_receive(struct ob_ranks *r, int *from, void *mail, size_t n);

/* mpi.c, or nompi.c. *out is NULL where no launcher is at work. */
int obi_mpi_join(struct ob_ranks **out, struct ob_err *err);
/* ranks.c. Has a launcher started this process? All of them tell in the environment. */
bool obi_was_launched(void);

#endif
