/*
 * copies.c - pairs of images that are equal, or nearly: encoded again, shifted a little, mirrored.
 *
 * Every image of one set is hashed as it would be if it were shifted by up to two pixels to each side, mirrored or
 * not; images of the other set whose own hash differs in at most ten of 64 bits are compared pixel by pixel (in fewer, where
 * the data set's images are much alike).
 * The hashes are found by multi-index hashing (Norouzi, Punjani, Fleet, CVPR 2012): where up to seven bits
 * differ, one of four pieces of 16 bits does in one bit at most, so looking up each piece and its 16
 * neighbours misses nothing; beyond, most.
 */
#include "data/copies.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/par.h"

enum { PIECES = 4, KEYS = 1 << 16, MOST_BITS = 10, NONE = 255 };
#define MOST_ALIKE 100 /* images that the hash may find like one, on average */
#define AT_ONCE 1024   /* images between two questions whether to stop */
#define SAMPLE 1000    /* images that say how many those would be */
#define MOST_PAIRS ((size_t)1000000)
#define WORTH_A_LOOK                                                                               \
    0.7 /* correlation in the way of the hash from which its neighbours are tried */

struct ob_copies {
    struct ob_copy *copy;
    size_t n, room;
};

struct table { /* hashes of a set, by each of their pieces */
    uint64_t *hash;
    uint32_t *start[PIECES], *entry[PIECES];
};

struct worker {
    struct ob_copy_image image, other;
    float *scratch;
    size_t first;  /* image of the table from which on pairs are searched */
    uint8_t *bits; /* by image of the table: fewest bits that differ, or NONE */
    uint8_t *way;
    uint32_t *found; /* those that are not NONE */
    size_t n_found;
    struct ob_copies copies;
    int rc;
};

struct search {
    struct ob_copy_lens lens;
    enum ob_part part[2];
    const struct ob_ids *ids[2]; /* who is changed; who is in the table */
    double likeness;
    bool is_one_set;
    size_t from;   /* the first of the images that are searched side by side */
    int most_bits; /* that may differ */
    struct table table;
    struct worker *worker;
};

static uint32_t piece(uint64_t hash, int i)
{
    return (uint32_t)(hash >> (16 * i)) & (KEYS - 1);
}

/* ---- the table ---- */

static void hash_image(void *arg, size_t i, int worker)
{
    struct search *s = arg;
    struct worker *w = &s->worker[worker];

    ob_copy_look(&w->image, &s->lens, s->part[1], s->ids[1]->id[i]);
    s->table.hash[i] = ob_copy_hash(&s->lens, w->image.pixels, w->scratch);
}

static int fill_table(struct search *s, struct ob_err *err)
{
    size_t n = s->ids[1]->n;
    struct table *t = &s->table;

    OB_TRY(ob_alloc(t->hash, n, err));
    ob_par_for(s->lens.d->ctx->n_threads, n, hash_image, s);
    for (int p = 0; p < PIECES; p++) {
        uint32_t *start;

        OB_TRY(ob_alloc(t->start[p], KEYS + 1, err));
        OB_TRY(ob_alloc(t->entry[p], n, err));
        start = t->start[p];
        for (size_t i = 0; i < n; i++)
            start[piece(t->hash[i], p) + 1]++;
        for (size_t k = 0; k < KEYS; k++)
            start[k + 1] += start[k];
        for (size_t i = n; i-- > 0;) /* from the back, so that start[] ends where it should begin */
            t->entry[p][--start[piece(t->hash[i], p) + 1]] = (uint32_t)i;
        memmove(start, start + 1, KEYS * sizeof(*start));
        start[KEYS] = (uint32_t)n;
    }
    return OB_OK;
}

static int count_bits(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int)(x * 0x0101010101010101u >> 56);
}

/* Where many images look alike, as clothes before black do, the hash tells fewer of them apart; fewer of its
 * bits may differ then, so that there is an end to comparing. */
static void choose_bits(struct search *s)
{
    const struct table *t = &s->table;
    size_t n = s->ids[1]->n, step = n / SAMPLE + 1, seen = 0, found[MOST_BITS + 1] = { 0 };
    double sum = 0;

    for (size_t i = 0; i < n; i += step, seen++)
        for (size_t k = 0; k < n; k++) {
            int bits = count_bits(t->hash[i] ^ t->hash[k]);

            if (bits <= MOST_BITS && k != i)
                found[bits]++;
        }
    for (s->most_bits = 0; s->most_bits < MOST_BITS; s->most_bits++) {
        sum += (double)found[s->most_bits];
        if (sum * OB_COPY_WAYS > MOST_ALIKE * (double)seen)
            break;
    }
}

/* ---- looking up ---- */

static void look_up_key(struct worker *w, const struct search *s, int p, uint32_t key,
                        uint64_t hash, int way)
{
    const struct table *t = &s->table;

    for (uint32_t e = t->start[p][key + 1]; e-- > t->start[p][key];) {
        uint32_t i = t->entry[p][e];
        int bits;

        if (i < w->first) /* they stand in ascending order */
            break;
        bits = count_bits(t->hash[i] ^ hash);
        if (bits > s->most_bits || bits >= w->bits[i])
            continue;
        if (w->bits[i] == NONE)
            w->found[w->n_found++] = i;
        w->bits[i] = (uint8_t)bits;
        w->way[i] = (uint8_t)way;
    }
}

static void look_up(struct worker *w, const struct search *s, uint64_t hash, int way)
{
    for (int p = 0; p < PIECES; p++) {
        uint32_t key = piece(hash, p);

        look_up_key(w, s, p, key, hash, way);
        for (int b = 0; b < 16 && s->most_bits >= PIECES; b++) /* below, a piece is the same */
            look_up_key(w, s, p, key ^ (uint32_t)1 << b, hash, way);
    }
}

/* ---- comparing pixels ---- */

static bool is_exact(const struct search *s, uint32_t a, uint32_t b)
{
    const struct ob_data_info *i = &s->lens.d->info;
    const struct ob_examples *x = &s->lens.d->ex[s->part[0]], *y = &s->lens.d->ex[s->part[1]];
    size_t n = (size_t)i->channels * (size_t)i->height * (size_t)i->width;

    if (!x->f32 != !y->f32)
        return false;
    return x->f32 ? !memcmp(x->f32 + a * n, y->f32 + b * n, n * sizeof(float))
                  : !memcmp(x->u8 + a * n, y->u8 + b * n, n);
}

/* The way of the hash may be a pixel off. */
static double best_likeness(const struct search *s, const struct worker *w, struct ob_copy_way *way)
{
    const struct ob_copy_way middle = *way;
    double best = ob_copy_likeness(&s->lens, &w->image, &w->other, middle, s->likeness);

    if (best < WORTH_A_LOOK)
        return best;
    for (int i = middle.is_mirrored; i < OB_COPY_WAYS; i += 2) {
        struct ob_copy_way other = ob_copy_way(i);
        double likeness;

        if (abs(other.dx - middle.dx) > 1 || abs(other.dy - middle.dy) > 1)
            continue;
        likeness = ob_copy_likeness(&s->lens, &w->image, &w->other, other, s->likeness);
        if (likeness > best) {
            best = likeness;
            *way = other;
        }
    }
    return best;
}

static int add_copy(struct ob_copies *c, const struct ob_copy *copy)
{
    if (c->n == c->room) {
        size_t more = c->room ? c->room * 2 : 64;

        if (ob_grow(c->copy, c->room, more, NULL))
            return OB_ENOMEM;
        c->room = more;
    }
    c->copy[c->n++] = *copy;
    return c->n > MOST_PAIRS ? OB_ENOTSUP : OB_OK;
}

static int compare(struct search *s, struct worker *w, uint32_t id, size_t at)
{
    struct ob_copy_way way = ob_copy_way(w->way[at]);
    uint32_t other = s->ids[1]->id[at];
    struct ob_copy c = { .id = { id, other } };

    c.is_exact = is_exact(s, id, other);
    c.likeness = 1;
    if (!c.is_exact) {
        ob_copy_look(&w->other, &s->lens, s->part[1], other);
        c.likeness = best_likeness(s, w, &way);
    } else {
        way = (struct ob_copy_way){ 0 };
    }
    if (c.likeness < s->likeness)
        return OB_OK;
    c.dx = way.dx * s->lens.k;
    c.dy = way.dy * s->lens.k;
    c.is_mirrored = way.is_mirrored;
    return add_copy(&w->copies, &c);
}

static void search_image(void *arg, size_t i, int worker)
{
    struct search *s = arg;
    struct worker *w = &s->worker[worker];
    uint64_t hash[OB_COPY_WAYS];
    uint32_t id;

    if (w->rc)
        return;
    i += s->from;
    id = s->ids[0]->id[i];
    ob_copy_look(&w->image, &s->lens, s->part[0], id);
    ob_copy_mirror(&w->image, &s->lens);
    ob_copy_hashes(hash, &s->lens, w->image.pixels, w->scratch);
    w->n_found = 0;
    w->first = s->is_one_set ? i + 1 : 0; /* each pair in one order */
    for (int way = 0; way < OB_COPY_WAYS; way++)
        look_up(w, s, hash[way], way);
    for (size_t k = 0; k < w->n_found; k++) {
        uint32_t at = w->found[k];

        if (!w->rc)
            w->rc = compare(s, w, id, at);
        w->bits[at] = NONE;
    }
}

/* ---- one list ---- */

static int by_ids(const void *a, const void *b)
{
    const struct ob_copy *p = a, *q = b;

    for (int k = 0; k < 2; k++)
        if (p->id[k] != q->id[k])
            return p->id[k] < q->id[k] ? -1 : 1;
    return 0;
}

static int too_many(struct ob_err *err)
{
    return ob_fail(err, OB_ENOTSUP, "more than %zu pairs of images are alike: these are no copies",
                   MOST_PAIRS);
}

static int collect(struct ob_copies *out, const struct search *s, int n_workers, struct ob_err *err)
{
    for (int t = 0; t < n_workers; t++) {
        const struct worker *w = &s->worker[t];

        if (w->rc == OB_ENOTSUP)
            return too_many(err);
        if (w->rc)
            return ob_fail(err, w->rc, "out of memory (copies)");
        if (!w->copies.n)
            continue;
        OB_TRY(ob_grow(out->copy, out->n, out->n + w->copies.n, err));
        memcpy(out->copy + out->n, w->copies.copy, w->copies.n * sizeof(*out->copy));
        out->n += w->copies.n;
    }
    if (out->n > MOST_PAIRS)
        return too_many(err);
    if (out->n)
        qsort(out->copy, out->n, sizeof(*out->copy), by_ids);
    return OB_OK;
}

/* ---- all of it ---- */

static int alloc_worker(struct worker *w, const struct search *s, struct ob_err *err)
{
    size_t n = s->ids[1]->n;

    OB_TRY(ob_alloc(w->image.pixels, ob_copy_pixels(&s->lens), err));
    OB_TRY(ob_alloc(w->image.mirrored, ob_copy_pixels(&s->lens), err));
    OB_TRY(ob_alloc(w->other.pixels, ob_copy_pixels(&s->lens), err));
    OB_TRY(ob_alloc(w->scratch, ob_copy_scratch(&s->lens), err));
    OB_TRY(ob_alloc(w->bits, n, err));
    OB_TRY(ob_alloc(w->way, n, err));
    OB_TRY(ob_alloc(w->found, n, err));
    memset(w->bits, NONE, n);
    return OB_OK;
}

static void release(struct search *s, int n_workers)
{
    for (int t = 0; s->worker && t < n_workers; t++) {
        struct worker *w = &s->worker[t];

        ob_free(w->image.pixels);
        ob_free(w->image.mirrored);
        ob_free(w->other.pixels);
        ob_free(w->scratch);
        ob_free(w->bits);
        ob_free(w->way);
        ob_free(w->found);
        ob_free(w->copies.copy);
    }
    ob_free(s->worker);
    ob_free(s->table.hash);
    for (int p = 0; p < PIECES; p++) {
        ob_free(s->table.start[p]);
        ob_free(s->table.entry[p]);
    }
    ob_copy_lens_release(&s->lens);
}

int ob_copies_find(struct ob_copies **out, const struct ob_data *d, enum ob_part part_a,
                   const struct ob_ids *a, enum ob_part part_b, const struct ob_ids *b,
                   double likeness, struct ob_err *err)
{
    struct search s = { .part = { part_a, part_b }, .ids = { a, b }, .likeness = likeness };
    int n_workers = d->ctx->n_threads, rc;

    *out = NULL;
    if (!(likeness > 0 && likeness <= 1))
        return ob_fail(err, OB_EINVAL, "a likeness of %g; it lies above 0 and is 1 at most",
                       likeness);
    s.is_one_set = part_a == part_b && ob_ids_equal(a, b);
    OB_GO(ob_copy_lens_new(&s.lens, d, part_b, b, err));
    OB_GO(ob_alloc(s.worker, (size_t)n_workers, err));
    for (int t = 0; t < n_workers; t++)
        OB_GO(alloc_worker(&s.worker[t], &s, err));
    OB_GO(fill_table(&s, err));
    choose_bits(&s);
    OB_GO(ob_ctx_stop(d->ctx, err));
    for (; s.from < a->n; s.from += AT_ONCE) {
        size_t left = a->n - s.from;

        ob_par_for(n_workers, left < AT_ONCE ? left : AT_ONCE, search_image, &s);
        OB_GO(ob_ctx_stop(d->ctx, err));
    }
    OB_GO(ob_alloc(*out, 1, err));
    rc = collect(*out, &s, n_workers, err);
    if (rc) {
        ob_copies_free(*out);
        *out = NULL;
    }
out:
    release(&s, n_workers);
    return rc;
}

void ob_copies_free(struct ob_copies *c)
{
    if (!c)
        return;
    ob_free(c->copy);
    ob_free(c);
}

size_t ob_copies_n(const struct ob_copies *c)
{
    return c->n;
}

const struct ob_copy *ob_copies_list(const struct ob_copies *c)
{
    return c->copy;
}
