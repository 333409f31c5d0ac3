/* u_proxy.c - scores of a finished model: each value by hand, holes where nobody asked. */
#include "common.h"

#include <math.h>

#include "score/score.h"

#define C 3

struct room {
    struct ob_ctx *ctx;
    struct ob_data *d;
    struct ob_split *split;
    struct ob_model *m;
};

static int room_open(void **state)
{
    struct room *r = calloc(1, sizeof(*r));
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    const struct ob_data_info *i;

    must(ob_ctx_new(&r->ctx, &o, err));
    must(ob_data_open(&r->d, r->ctx, "synth:longtail,train=60,test=30,classes=3", err));
    must(ob_split_new(&r->split, r->d, 0.2, 1, err));
    i = ob_data_info(r->d);
    must(ob_model_new(&r->m, r->ctx, "mlp,width=0.1", i->channels, i->height, i->width, C, 3, err));
    *state = r;
    return 0;
}

static int room_close(void **state)
{
    struct room *r = *state;

    ob_model_free(r->m);
    ob_split_free(r->split);
    ob_data_free(r->d);
    ob_ctx_free(r->ctx);
    free(r);
    return 0;
}

/* v as the literature has it, from probabilities summed the long way. */
static double by_hand(const char *kind, const float *z, int y)
{
    double sum = 0, p[C], best = 0, entropy = 0;

    for (int c = 0; c < C; c++)
        sum += exp((double)z[c]);
    for (int c = 0; c < C; c++) {
        p[c] = exp((double)z[c]) / sum;
        entropy += p[c] * log(p[c]);
        if (c != y)
            best = fmax(best, p[c]);
    }
    return !strcmp(kind, "confidence") ? p[y] : !strcmp(kind, "margin") ? p[y] - best : entropy;
}

static void one_kind(struct room *r, const char *kind, int raw, const float *z)
{
    const struct ob_ids *train = ob_split_train(r->split);
    const struct ob_scores_info *i;
    struct ob_scores *s;
    char digest[65];

    must(ob_scores_from_model(&s, r->m, r->d, train, kind, raw, err));
    must(ob_model_digest(r->m, digest, err));
    i = ob_scores_info(s);
    assert_string_equal(i->kind, kind);
    assert_string_equal(i->source, "model");
    assert_int_equal(i->n, 60);
    assert_int_equal(i->n_scored, 48);
    assert_int_equal(i->raw, raw);
    assert_true(i->images == 48);
    assert_non_null(strstr(s->origin, digest));
    assert_non_null(strstr(s->origin, ob_data_info(r->d)->hash));
    assert_true(ob_scores_of_data(s, ob_data_info(r->d)->hash));
    assert_false(ob_scores_of_data(s, digest));
    for (size_t k = 0; k < ob_ids_n(train); k++) {
        uint32_t id = ob_ids_list(train)[k];
        double v = by_hand(kind, z + C * k, ob_data_label(r->d, OB_TRAIN, id));
        double expect = raw ? v : strcmp(kind, "confidence") ? -v : 1 - v;

        if (!(fabs(ob_scores_value(s)[id] - expect) <= 1e-6))
            fail_msg("%s of %u: %g, not %g", kind, (unsigned)id, ob_scores_value(s)[id], expect);
    }
    for (size_t k = 0; k < ob_ids_n(ob_split_val(r->split)); k++)
        assert_true(isnan(ob_scores_value(s)[ob_ids_list(ob_split_val(r->split))[k]]));
    ob_scores_free(s);
}

static void every_kind(void **state)
{
    static const char *const kind[] = { "confidence", "entropy", "margin" };
    struct room *r = *state;
    const struct ob_ids *train = ob_split_train(r->split);
    float *z = calloc(ob_ids_n(train) * C, sizeof(*z));

    must(ob_predict(z, NULL, r->m, r->d, OB_TRAIN, train, err));
    for (int k = 0; k < 3; k++)
        for (int raw = 0; raw < 2; raw++)
            one_kind(r, kind[k], raw, z);
    free(z);
}

static void unknown_kind(void **state)
{
    struct room *r = *state;
    struct ob_scores *s;
    struct ob_err err = { 0 };

    assert_int_equal(
        ob_scores_from_model(&s, r->m, r->d, ob_split_train(r->split), "accuracy", 0, &err),
        OB_EINVAL);
    assert_null(s);
    assert_non_null(strstr(err.msg, "'accuracy'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind, room_open, room_close),
        cmocka_unit_test_setup_teardown(unknown_kind, room_open, room_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
