/* ranks.c - what the ranks of a job do together, over whatever carries the bytes. */
#include "base/ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool obi_was_launched(void)
{
    /* Open MPI; MPICH and its kin, Slurm's pmi2; Slurm's pmix */
    static const char *const names[] = { "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMIX_RANK" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (getenv(names[i]))
            return true;
    return false;
}

int ob_ranks_join(struct ob_ranks **out, struct ob_err *err)
{
    *out = NULL;
    return obi_mpi_join(out, err);
}

void ob_ranks_leave(struct ob_ranks *r)
{
    if (r)
        r->line->leave(r);
}

int ob_ranks_n(const struct ob_ranks *r)
{
    return r ? r->n : 1;
}

int ob_ranks_me(const struct ob_ranks *r)
{
    return r ? r->me : 0;
}

/* ---- together ---- */

/* Everybody's line of text into r->said. */
static void tell(struct ob_ranks *r, const char *text)
{
    for (int k = 0; k <= r->n; k++)
        r->at[k] = (size_t)k * OB_RANKS_LINE;
    memset(r->said[r->me], 0, OB_RANKS_LINE);
    snprintf(r->said[r->me], OB_RANKS_LINE, "%s", text);
    r->line->share(r, r->said, r->at);
}

int ob_ranks_agree(struct ob_ranks *r, int rc, struct ob_err *err)
{
    struct ob_err said = { 0 };
    int first = 0;

    if (!r || r->has_lost)
        return rc;
    tell(r, rc ? "failed" : "");
    while (first < r->n && !r->said[first][0])
        first++;
    if (first == r->n)
        return OB_OK;
    r->has_lost = true;
    if (err)
        said = *err;
    said.code = rc;
    r->line->spread(r, &said, sizeof(said), first);
    if (first)
        ob_err_prefix(&said, "rank %d: ", first);
    if (err)
        *err = said;
    return said.code;
}

int ob_ranks_same(struct ob_ranks *r, const char *what, const char *text, const char *hint,
                  struct ob_err *err)
{
    if (!r)
        return OB_OK;
    tell(r, text);
    for (int k = 1; k < r->n; k++)
        if (strcmp(r->said[k], r->said[0]))
            return ob_fail(err, OB_EFORMAT, "%s is '%.40s' on rank 0 and '%.40s' on rank %d; %s",
                           what, r->said[0], r->said[k], k, hint);
    return OB_OK;
}

void ob_ranks_spread(struct ob_ranks *r, void *of_rank_0, size_t n)
{
    if (r)
        r->line->spread(r, of_rank_0, n, 0);
}

void ob_ranks_share(struct ob_ranks *r, void *all, const size_t *at)
{
    if (r)
        r->line->share(r, all, at);
}

/* ---- sums: each rank adds up a slice of everybody's, then they share the slices ---- */

static size_t slice_of(const struct ob_ranks *r, size_t n)
{
    size_t one = (n + (size_t)r->n - 1) / (size_t)r->n;

    return (one + 15) / 16 * 16;
}

size_t ob_ranks_room(const struct ob_ranks *r, size_t n)
{
    return r ? slice_of(r, n) * (size_t)r->n : 0;
}

static void cut(struct ob_ranks *r, size_t n, size_t unit)
{
    size_t slice = slice_of(r, n);

    for (int k = 0; k <= r->n; k++)
        r->at[k] = unit * (slice * (size_t)k < n ? slice * (size_t)k : n);
}

static void add(float *restrict to, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += x[i];
}

void ob_ranks_add(struct ob_ranks *r, float *total, const float *mine, size_t n, int n_with,
                  float *room)
{
    size_t first, own;

    if (!r) {
        add(total, mine, n);
        return;
    }
    cut(r, n, 1);
    first = r->at[r->me];
    own = r->at[r->me + 1] - first;
    r->line->exchange(r, room, mine, r->at, n_with);
    for (int k = 0; k < n_with; k++)
        add(total + first, room + (size_t)k * own, own);
    cut(r, n, sizeof(float));
    r->line->share(r, total, r->at);
}

/* ---- one by one ---- */

void ob_ranks_send(struct ob_ranks *r, int to, const void *mail, size_t n)
{
    r->line->send(r, to, mail, n);
}

bool ob_ranks_receive(struct ob_ranks *r, int *from, void *mail, size_t n)
{
    return r && r->line->receive(r, from, mail, n);
}
