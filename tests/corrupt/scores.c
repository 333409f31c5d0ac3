/* scores.c - a score file and its description, cut at every length and flipped at every byte. */
#include "common.h"

#include <math.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "score/score.h"

struct pair {
    char path[2][160];
    unsigned char *data[2]; /* the array, its description */
    size_t n[2];
    struct ob_scores *s;
};

/* Test files are put there plainly: thousands of them, and no disk needs to be sure of one. */
static void put(const char *path, const unsigned char *data, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int make(void **state)
{
    struct pair *p = calloc(1, sizeof(*p));

    scratch_file(p->path[0], sizeof(p->path[0]), "s.npy");
    scratch_file(p->path[1], sizeof(p->path[1]), "s.json");
    if (ob_scores_new(&p->s, "confidence", "model", 6, NULL))
        return -1;
    for (int i = 0; i < 5; i++)
        p->s->value[i] = (float)i / 7;
    ob_scores_count(p->s);
    p->s->info.images = 5;
    if (ob_strdup(&p->s->origin, "{\"model\":\"m\"}", NULL) ||
        ob_scores_write(p->s, p->path[0], NULL))
        return -1;
    for (int k = 0; k < 2; k++) {
        struct ob_file f;

        if (ob_file_read(&f, p->path[k], 4096, false, NULL))
            return -1;
        p->data[k] = malloc(f.n);
        p->n[k] = f.n;
        memcpy(p->data[k], f.data, f.n);
        ob_file_release(&f);
    }
    *state = p;
    return 0;
}

static int drop(void **state)
{
    struct pair *p = *state;

    for (int k = 0; k < 2; k++) {
        unlink(p->path[k]);
        free(p->data[k]);
    }
    ob_scores_free(p->s);
    free(p);
    return 0;
}

/* Reads; a success must have the content that was written. Returns whether it was one. */
static int attempt(const struct pair *p, const char *what, size_t at)
{
    struct ob_scores *t;
    struct ob_err err = { 0 };
    int rc = ob_scores_read(&t, p->path[0], &err);

    if (rc) {
        assert_null(t);
        assert_int_equal(err.code, rc);
        if (rc != OB_EFORMAT && rc != OB_EVERSION)
            fail_msg("%s at %zu: status %d: %s", what, at, rc, err.msg);
        return 0;
    }
    if (strcmp(t->info.kind, p->s->info.kind) || t->info.n != p->s->info.n)
        fail_msg("%s at %zu was taken, with other content", what, at);
    for (size_t i = 0; i < t->info.n; i++)
        if (!(t->value[i] == p->s->value[i] || (isnan(t->value[i]) && isnan(p->s->value[i]))))
            fail_msg("%s at %zu was taken, with other scores", what, at);
    ob_scores_free(t);
    return 1;
}

static void cut(struct pair *p, int k)
{
    for (size_t n = 0; n < p->n[k]; n++) {
        put(p->path[k], p->data[k], n);
        if (attempt(p, "a cut", n) && n + 2 < p->n[k])
            fail_msg("cut at %zu of %zu was taken", n, p->n[k]);
    }
}

static void flip(struct pair *p, int k)
{
    size_t taken = 0;

    for (size_t at = 0; at < p->n[k]; at++)
        for (int bit = 0; bit < 8; bit++) {
            p->data[k][at] ^= (unsigned char)(1 << bit);
            put(p->path[k], p->data[k], p->n[k]);
            p->data[k][at] ^= (unsigned char)(1 << bit);
            taken += attempt(p, "a flip", at);
        }
    print_message("%zu of %zu flips changed nothing\n", taken, 8 * p->n[k]);
    assert_true(taken < p->n[k]);
}

static void array_cut(void **state)
{
    cut(*state, 0);
}

static void array_flipped(void **state)
{
    flip(*state, 0);
}

static void description_cut(void **state)
{
    cut(*state, 1);
}

static void description_flipped(void **state)
{
    flip(*state, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(array_cut, make, drop),
        cmocka_unit_test_setup_teardown(array_flipped, make, drop),
        cmocka_unit_test_setup_teardown(description_cut, make, drop),
        cmocka_unit_test_setup_teardown(description_flipped, make, drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
