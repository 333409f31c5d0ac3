/* magnitude.c - which numbers of an array are the largest or the smallest without their sign. */
#include "unlearn/magnitude.h"

#include <string.h>

#include "base/mem.h"

#define ALL 0x7fffffffu

/* Bits of |x|, which order as the numbers do; turned round where the smallest are wanted. */
static uint32_t rank_of(float x, enum ob_magnitude which)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return which == OB_SMALLEST ? ~bits & ALL : bits & ALL;
}

struct look {
    const float *x;
    size_t n;
    enum ob_magnitude which;
    size_t *count; /* of each half-word */
};

/* The largest half-word h with at least `k` numbers whose half-word is h or more, among those
 * that have `prefix` before it; *above: how many have more than h. */
static uint32_t find_half(size_t *above, const struct look *l, int shift, uint32_t prefix, size_t k)
{
    uint32_t h = 0xffff;

    memset(l->count, 0, 65536 * sizeof(*l->count));
    for (size_t i = 0; i < l->n; i++) {
        uint32_t r = rank_of(l->x[i], l->which);

        if (shift || r >> 16 == prefix)
            l->count[r >> shift & 0xffff]++;
    }
    *above = 0;
    while (h && *above + l->count[h] < k)
        *above += l->count[h--];
    return h;
}

/* Rank of the k-th number, and how many come before it. */
static int find(uint32_t *threshold, size_t *above, struct look *l, size_t k, struct ob_err *err)
{
    uint32_t high;
    size_t more;

    OB_TRY(ob_alloc(l->count, 65536, err));
    high = find_half(above, l, 16, 0, k);
    *threshold = high << 16 | find_half(&more, l, 0, high, k - *above);
    *above += more;
    ob_free(l->count);
    return OB_OK;
}

int ob_magnitude_kth(float *out, const float *x, size_t n, size_t k, struct ob_err *err)
{
    struct look l = { .x = x, .n = n, .which = OB_LARGEST };
    uint32_t threshold;
    size_t above;

    OB_TRY(find(&threshold, &above, &l, k, err));
    memcpy(out, &threshold, sizeof(threshold));
    return OB_OK;
}

int ob_magnitude_mark(uint8_t *mask, const float *x, size_t n, size_t k, enum ob_magnitude which,
                      struct ob_err *err)
{
    struct look l = { .x = x, .n = n, .which = which };
    uint32_t threshold;
    size_t above;

    memset(mask, 0, n);
    if (!k)
        return OB_OK;
    OB_TRY(find(&threshold, &above, &l, k, err));
    k -= above; /* so many that equal the threshold */
    for (size_t i = 0; i < n; i++) {
        uint32_t r = rank_of(x[i], which);

        mask[i] = r > threshold || (r == threshold && k > 0);
        k -= r == threshold && k > 0;
    }
    return OB_OK;
}
