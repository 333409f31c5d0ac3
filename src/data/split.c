/* split.c - the validation part, drawn as numpy's legacy generator draws it. */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "data/data.h"

struct ob_split {
    struct ob_ids *train, *val;
    double fraction;
    uint32_t seed;
    char hash[65];
};

/* ---- MT19937 (Matsumoto and Nishimura 1998), seeded by init_genrand ---- */

#define N_STATE 624

struct twister {
    uint32_t s[N_STATE];
    int next;
};

static void twister_seed(struct twister *t, uint32_t seed)
{
    for (uint32_t i = 0; i < N_STATE; i++) {
        t->s[i] = seed;
        seed = 1812433253u * (seed ^ seed >> 30) + i + 1;
    }
    t->next = N_STATE;
}

static void twist(struct twister *t)
{
    for (int i = 0; i < N_STATE; i++) {
        uint32_t y = (t->s[i] & 0x80000000u) | (t->s[(i + 1) % N_STATE] & 0x7fffffffu);

        t->s[i] = t->s[(i + 397) % N_STATE] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    t->next = 0;
}

static uint32_t twister_u32(struct twister *t)
{
    uint32_t y;

    if (t->next == N_STATE)
        twist(t);
    y = t->s[t->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

/* numpy's random_interval: 0..most, by throwing away what is too large under the mask. */
static uint32_t twister_to(struct twister *t, uint32_t most)
{
    uint32_t mask = most, x;

    for (int shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    do
        x = twister_u32(t) & mask;
    while (x > most);
    return x;
}

/* RandomState.permutation() of id[0..n). */
static void permute(struct twister *t, uint32_t *id, size_t n)
{
    for (size_t i = n; i-- > 1;) {
        uint32_t j = twister_to(t, (uint32_t)i), x = id[i];

        id[i] = id[j];
        id[j] = x;
    }
}

/* ---- the split ---- */

/* Appends choice(ids of class c, k, replace=False) to val[]. */
static void draw_class(struct twister *t, uint32_t *val, size_t *n_val, uint32_t *scratch,
                       const struct ob_data *d, int c, double fraction)
{
    const struct ob_ids *use = d->use[OB_TRAIN];
    size_t n = 0, k;

    for (size_t i = 0; i < use->n; i++)
        if (d->ex[OB_TRAIN].label[use->id[i]] == c)
            scratch[n++] = use->id[i];
    k = (size_t)floor(fraction * (double)n + 0.5);
    permute(t, scratch, n);
    memcpy(val + *n_val, scratch, k * sizeof(*val));
    *n_val += k;
}

static int draw(struct ob_split *s, const struct ob_data *d, struct ob_err *err)
{
    const struct ob_ids *use = d->use[OB_TRAIN];
    uint32_t *val = NULL, *scratch = NULL;
    struct twister t;
    size_t n = 0;
    int rc;

    twister_seed(&t, s->seed);
    OB_GO(ob_alloc(val, use->n, err));
    OB_GO(ob_alloc(scratch, use->n, err));
    if (s->fraction > 0)
        for (int c = 0; c < d->info.n_classes; c++)
            draw_class(&t, val, &n, scratch, d, c, s->fraction);
    if (n == use->n) {
        rc = ob_fail(err, OB_EINVAL, "a validation part of %g leaves no training example",
                     s->fraction);
        goto out;
    }
    OB_GO(ob_ids_new(&s->val, val, n, use->limit, err));
    rc = ob_ids_minus(&s->train, use, s->val, err);
out:
    ob_free(val);
    ob_free(scratch);
    return rc;
}

static void hash_ids(struct ob_hash *h, const struct ob_ids *s)
{
    ob_hash_u64(h, s->n);
    ob_hash_add(h, s->id, s->n * sizeof(*s->id));
}

int ob_split_new(struct ob_split **out, const struct ob_data *d, double fraction, uint32_t seed,
                 struct ob_err *err)
{
    struct ob_split *s;
    struct ob_hash h;
    int rc;

    *out = NULL;
    if (!(fraction >= 0 && fraction < 1))
        return ob_fail(err, OB_EINVAL, "a validation part of %g; 0 to below 1 is possible",
                       fraction);
    OB_TRY(ob_alloc(s, 1, err));
    s->fraction = fraction;
    s->seed = seed;
    rc = draw(s, d, err);
    if (rc) {
        ob_split_free(s);
        return rc;
    }
    ob_hash_init(&h);
    ob_hash_str(&h, "oubli split 1");
    hash_ids(&h, s->train);
    hash_ids(&h, s->val);
    ob_hash_hex(&h, s->hash);
    *out = s;
    return OB_OK;
}

void ob_split_free(struct ob_split *s)
{
    if (!s)
        return;
    ob_ids_free(s->train);
    ob_ids_free(s->val);
    ob_free(s);
}

const struct ob_ids *ob_split_train(const struct ob_split *s)
{
    return s->train;
}

const struct ob_ids *ob_split_val(const struct ob_split *s)
{
    return s->val;
}

double ob_split_fraction(const struct ob_split *s)
{
    return s->fraction;
}

uint32_t ob_split_seed(const struct ob_split *s)
{
    return s->seed;
}

const char *ob_split_hash(const struct ob_split *s)
{
    return s->hash;
}
