/* u_bank.c - banks: subsets, files, and estimates of a learner whose memorization is known. */
#include "common.h"

#include <math.h>

#include "base/rng.h"
#include "score/bank.h"

enum { N = 3000, N_TEST = 30, CLASSES = 3 };

/* A bank over made-up data, without any training. */
static struct ob_bank *new_bank(const char *name, int n_models, double val, struct ob_ctx **ctx)
{
    struct ob_ctx_opts co = OB_CTX_OPTS_INIT;
    struct ob_bank_opts o = OB_BANK_OPTS_INIT;
    struct ob_data *d;
    struct ob_split *split;
    struct ob_bank *b;
    char dir[200], spec[80];

    co.n_threads = 2;
    must(ob_ctx_new(ctx, &co, err));
    snprintf(spec, sizeof(spec), "synth:longtail,train=%d,test=%d,classes=%d", N, N_TEST, CLASSES);
    must(ob_data_open(&d, *ctx, spec, err));
    must(ob_split_new(&split, d, val, 1, err));
    o.arch = "mlp";
    o.end = n_models;
    ob_recipe_default(&o.recipe, d, o.arch);
    must(ob_bank_make(&b, *ctx, scratch_file(dir, sizeof(dir), name), d, split, &o, err));
    ob_split_free(split);
    ob_data_free(d);
    return b;
}

static void subsets(void **state)
{
    struct ob_ctx *ctx;
    struct ob_bank *b = new_bank("subsets", 40, 0.1, &ctx);
    uint8_t *in = malloc(N);
    int *times = calloc(N, sizeof(*times));
    double square = 0;

    (void)state;
    assert_int_equal(b->n_part, 2700);
    for (int k = 0; k < 400; k++) {
        int n = 0;

        must(ob_bank_subset(in, b, k, err));
        for (int i = 0; i < N; i++) {
            assert_true(b->in_part[i] || !in[i]);
            n += in[i];
            times[i] += in[i];
        }
        assert_int_equal(n, 1890); /* 0.7 of 2700 */
    }
    for (int i = 0; i < N; i++) /* each one drawn as often as chance has it: binomial, 400 x 0.7 */
        if (b->in_part[i])
            square += (times[i] - 280.0) * (times[i] - 280.0) / (400 * 0.7 * 0.3) / 2700;
    assert_true(square > 0.85 && square < 1.15);
    free(times);
    free(in);
    ob_bank_free(b);
    ob_ctx_free(ctx);
}

/* P(right) of example i with and without it in the subset: four kinds of examples. */
static double p_right(int i, int in)
{
    static const double p[4][2] = { { 0.95, 1 }, { 0.1, 0.9 }, { 0.5, 0.5 }, { 0.3, 0.7 } };

    return p[i % 4][in];
}

/* Answers drawn independently, as logits; what a test row says depends on row 0 alone. */
static void write_model(const struct ob_bank *b, int k)
{
    float *logits[2] = { calloc(N * CLASSES, sizeof(float)),
                         calloc(N_TEST * CLASSES, sizeof(float)) };
    struct ob_rng r = ob_rng(99, OB_RNG_TEST, (uint32_t)k, 0);
    uint8_t *in = malloc(N);

    must(ob_bank_subset(in, b, k, err));
    for (int i = 0; i < N; i++) {
        int right = ob_rng_uniform(&r) < (float)p_right(i, in[i]), y = b->label[0][i];

        logits[0][i * CLASSES + (right ? y : (y + 1) % CLASSES)] = 3.1f;
    }
    for (int i = 0; i < N_TEST; i++)
        logits[1][i * CLASSES + (in[0] ? b->label[1][i] : (b->label[1][i] + 1) % CLASSES)] = 1;
    must(ob_bank_model_write(b, k, in, (const float *const *)logits, err));
    free(in);
    free(logits[0]);
    free(logits[1]);
}

static struct ob_bank *learner(const char *name, int n_models, struct ob_ctx **ctx)
{
    struct ob_bank *b = new_bank(name, n_models, 0, ctx);

    for (int k = 0; k < n_models; k++)
        write_model(b, k);
    return b;
}

/* Mean error against four standard errors of it; the share of examples inside 1.96 standard errors against
 * what summing over all outcomes of 80 models gives (binomial in the subset or not, right or not). */
static void known_learner(void **state)
{
    struct ob_ctx *ctx;
    static const double cover[4] = { 0.9958, 0.9552, 0.9411, 0.9418 };
    struct ob_bank *b = learner("learner", 80, &ctx);
    struct ob_scores *s;
    struct ob_reliability r;
    float *error;

    (void)state;
    must(ob_bank_scores(&s, &error, &r, b, "memorization", 0, err));
    assert_int_equal(ob_scores_info(s)->n_scored, N);
    for (int kind = 0; kind < 4; kind++) {
        double truth = p_right(kind, 1) - p_right(kind, 0), bias = 0, var = 0, inside = 0;

        for (int i = kind; i < N; i += 4) {
            double d = (double)ob_scores_value(s)[i] - truth;

            bias += d / (N / 4);
            var += d * d / (N / 4);
            inside += fabs(d) <= 1.96 * (double)error[i];
        }
        assert_true(fabs(bias) < 4 * sqrt(var / (N / 4)));
        inside /= N / 4;
        if (fabs(inside - cover[kind]) > 0.025) /* three standard errors of 750 examples */
            fail_msg("kind %d: %.3f inside", kind, inside);
    }
    assert_true(r.whole > r.half && r.whole < 1);
    free(error);
    ob_scores_free(s);

    must(ob_bank_scores(&s, NULL, NULL, b, "consistency", 1, err));
    for (int kind = 0; kind < 4; kind++) {
        double mean = 0;

        for (int i = kind; i < N; i += 4)
            mean += (double)ob_scores_value(s)[i] / (N / 4);
        assert_true(fabs(mean - p_right(kind, 0)) < 0.02);
    }
    ob_scores_free(s);
    ob_bank_free(b);
    ob_ctx_free(ctx);
}

/* Reliability of half the models, carried to the whole, is that of the whole: the variance of what
 * is true over that of what is estimated, known here. */
static void known_reliability(void **state)
{
    struct ob_ctx *ctx;
    struct ob_bank *b = learner("reliability", 200, &ctx);
    struct ob_scores *s;
    struct ob_reliability r;
    double truth[4], mean = 0, var_true = 0, var = 0, m = 0;

    (void)state;
    must(ob_bank_scores(&s, NULL, &r, b, "memorization", 0, err));
    for (int kind = 0; kind < 4; kind++) {
        truth[kind] = p_right(kind, 1) - p_right(kind, 0);
        mean += truth[kind] / 4;
    }
    for (int kind = 0; kind < 4; kind++)
        var_true += (truth[kind] - mean) * (truth[kind] - mean) / 4;
    for (int i = 0; i < N; i++)
        m += (double)ob_scores_value(s)[i] / N;
    for (int i = 0; i < N; i++)
        var += ((double)ob_scores_value(s)[i] - m) * ((double)ob_scores_value(s)[i] - m) / N;
    if (fabs(r.whole - var_true / var) > 0.005)
        fail_msg("%.4f, and %.4f is known", r.whole, var_true / var);
    assert_int_equal(r.n_models, 200);
    ob_scores_free(s);
    ob_bank_free(b);
    ob_ctx_free(ctx);
}

/* All test answers hang on row 0: its influence is 1, everyone else's is chance. */
static void influence(void **state)
{
    struct ob_ctx *ctx;
    struct ob_bank *b = learner("influence", 30, &ctx);
    char path[200];
    struct ob_npz z;

    (void)state;
    scratch_file(path, sizeof(path), "i.npz");
    must(ob_bank_influence(b, 2, path, err));
    must(ob_npz_read(&z, path, 1 << 20, err));
    for (size_t j = 0; j < N_TEST; j++) {
        assert_int_equal(ob_npy_int(ob_npz_find(&z, "train"), 2 * j), 0);
        assert_true(ob_npy_double(ob_npz_find(&z, "value"), 2 * j) == 1);
        assert_true(ob_npy_double(ob_npz_find(&z, "value"), 2 * j + 1) < 1);
    }
    ob_npz_release(&z);
    must_fail(ob_bank_influence(b, 0, path, err), OB_EINVAL, "at least 1");
    must_fail(ob_bank_influence(b, N + 1, path, err), OB_EINVAL, "there are fewer");
    ob_bank_free(b);
    ob_ctx_free(ctx);
}

static void models_that_do_not_belong(void **state)
{
    struct ob_ctx *ctx, *ctx2;
    struct ob_bank *b = learner("own", 2, &ctx), *other = new_bank("other", 2, 0.2, &ctx2);
    struct ob_bank_model m;

    (void)state;
    must(ob_bank_model_read(&m, b, 1, err));
    for (size_t i = 0; i < N; i += 97) {
        int y = b->label[0][i], best = ob_bank_argmax(&m, b, 0, i);

        assert_true(best == y || best == (y + 1) % CLASSES);
    }
    assert_memory_equal(ob_npz_find(&m.file, "seed")->data, &(uint64_t){ ob_bank_seed(b, 1) }, 8);
    ob_bank_model_release(&m);
    must_fail(ob_bank_check(other, 0, err), OB_ENOTFOUND, "model-00000.npz");
    must(ob_bank_check(b, 0, err));
    b->seed++;
    must_fail(ob_bank_check(b, 0, err), OB_EFORMAT, "its seed is not that of this model");
    b->seed--;
    memcpy(b->key, other->key, sizeof(b->key));
    must_fail(ob_bank_check(b, 0, err), OB_EFORMAT, "another bank");
    ob_bank_free(other);
    ob_bank_free(b);
    ob_ctx_free(ctx2);
    ob_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subsets),
        cmocka_unit_test(known_learner),
        cmocka_unit_test(known_reliability),
        cmocka_unit_test(influence),
        cmocka_unit_test(models_that_do_not_belong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
