/* u_embedding.c - the two embeddings of a network whose classifier has several layers, by its own formula. */
#include "common.h"

#include <math.h>

#include "data/data.h"
#include "nn/model.h"

#define N 6

struct room {
    struct ob_ctx *ctx;
    struct ob_data *d;
    struct ob_model *m;
    struct ob_ids *ids;
};

static void room_open(struct room *r, const char *backend, const char *arch)
{
    static const uint32_t id[N] = { 0, 3, 4, 10, 20, 29 };
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;

    o.backend = backend;
    o.n_threads = 2;
    must(ob_ctx_new(&r->ctx, &o, err));
    must(ob_data_open(&r->d, r->ctx, "synth:longtail,train=30,test=6,classes=3,size=32", err));
    must(ob_model_new(&r->m, r->ctx, arch, 1, 32, 32, 3, 5, err));
    must(ob_ids_new(&r->ids, id, N, 30, err));
}

static void room_close(struct room *r)
{
    ob_ids_free(r->ids);
    ob_model_free(r->m);
    ob_data_free(r->d);
    ob_ctx_free(r->ctx);
}

/* n rows of the embedding, and of the logits. */
static float *embed(struct room *r, const char *which, int width, float *logits)
{
    float *x = malloc((size_t)(N * width) * sizeof(*x));

    must(ob_model_set_embedding(r->m, which, err));
    assert_int_equal(ob_model_n_features(r->m), width);
    must(ob_predict(logits, x, r->m, r->d, OB_TRAIN, r->ids, err));
    return x;
}

/* out = W x + b of a layer, in double. */
static void linear(double *out, const struct room *r, const char *layer, const double *x, int n_in,
                   int n_out)
{
    char weight[80], bias[80];
    const float *w, *b;

    snprintf(weight, sizeof(weight), "%s.weight", layer);
    snprintf(bias, sizeof(bias), "%s.bias", layer);
    w = r->m->w.params + r->m->net->view[ob_net_find(r->m->net, weight)].offset;
    b = r->m->w.params + r->m->net->view[ob_net_find(r->m->net, bias)].offset;
    for (int i = 0; i < n_out; i++) {
        out[i] = b[i];
        for (int k = 0; k < n_in; k++)
            out[i] += (double)w[i * n_in + k] * x[k];
    }
}

static void relu(double *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

static void near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-5 * fmax(1e-3, fabs(b)) + 1e-7))
        fail_msg("%.9g is not %.9g", a, b);
}

/* vgg16: hidden = ReLU(W2 ReLU(W0 pooled + b0) + b2), logits = W4 hidden + b4. */
static void vgg16(void **state)
{
    static const char *const backend[] = { "cpu", "ref" };
    enum { POOLED = 256, HIDDEN = 32 }; /* 2048 and 256, an eighth of their width */

    (void)state;
    for (int k = 0; k < 2; k++) {
        float logits[2][N * 3], *pooled, *hidden;
        struct room r;

        room_open(&r, backend[k], "vgg16,width=0.125");
        assert_string_equal(ob_model_embedding(r.m), "pooled");
        hidden = embed(&r, "hidden", HIDDEN, logits[0]);
        assert_string_equal(ob_model_embedding(r.m), "hidden");
        pooled = embed(&r, "pooled", POOLED, logits[1]);
        assert_memory_equal(logits[0], logits[1], sizeof(logits[0]));
        for (int i = 0; i < N; i++) {
            double x[POOLED], first[HIDDEN], second[HIDDEN], out[3];

            for (int j = 0; j < POOLED; j++)
                x[j] = pooled[i * POOLED + j];
            linear(first, &r, "classifier.0", x, POOLED, HIDDEN);
            relu(first, HIDDEN);
            linear(second, &r, "classifier.2", first, HIDDEN, HIDDEN);
            relu(second, HIDDEN);
            linear(out, &r, "classifier.4", second, HIDDEN, 3);
            for (int j = 0; j < HIDDEN; j++)
                near((double)hidden[i * HIDDEN + j], second[j]);
            for (int j = 0; j < 3; j++)
                near((double)logits[0][i * 3 + j], out[j]);
        }
        must_fail(ob_model_set_embedding(r.m, "last", err), OB_EINVAL, "no embedding 'last'");
        free(pooled);
        free(hidden);
        room_close(&r);
    }
}

/* Where the classifier is one layer both are the same. */
static void one_layer(void **state)
{
    static const char *const arch[] = { "resnet20", "vgg16,head=lth,width=0.125", "cnn", "mlp" };

    (void)state;
    for (int k = 0; k < 4; k++) {
        struct room r;
        int n;

        room_open(&r, "cpu", arch[k]);
        n = ob_model_n_features(r.m);
        must(ob_model_set_embedding(r.m, "hidden", err));
        assert_int_equal(ob_model_n_features(r.m), n);
        assert_string_equal(ob_model_embedding(r.m), "pooled");
        room_close(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vgg16),
        cmocka_unit_test(one_layer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
