/* u_divide.c - a batch in sub-batches: its gradient, loss and running statistics are those of its parts. */
#include "common.h"

#include <math.h>

#include "base/mem.h"
#include "nn/model.h"
#include "run/divide.h"

enum { BATCH = 10, SIZE = 4, N_SUB = 3, CLASSES = 4 };

struct world {
    struct ob_ctx *ctx;
    struct ob_data *data;
    struct ob_model *m;
    struct ob_loader *loader;
    struct ob_batch b;
    struct ob_exec *exec;
    float *grads;
};

static void begin(struct world *w)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_loader_opts lo = { .batch = BATCH, .shuffle = 1, .seed = 3 };
    const struct ob_data_info *i;

    o.n_threads = 2;
    must(ob_ctx_new(&w->ctx, &o, err));
    must(ob_data_open(&w->data, w->ctx, "synth:longtail,train=200,test=100,classes=4", err));
    i = ob_data_info(w->data);
    must(ob_model_new(&w->m, w->ctx, "cnn,width=0.25", i->channels, i->height, i->width, CLASSES, 5,
                      err));
    must(ob_loader_new(&w->loader, w->data, OB_TRAIN, ob_data_ids(w->data, OB_TRAIN), &lo, err));
    ob_loader_start(w->loader, 0);
    assert_true(ob_loader_next(w->loader, &w->b));
    must(ob_exec_new(&w->exec, w->ctx, w->m->net, SIZE, OB_EXEC_TRAIN, err));
    must(ob_block_new(&w->grads, w->m->net->n_params, err));
}

static void end(struct world *w)
{
    ob_free(w->grads);
    ob_exec_free(w->exec);
    ob_loader_free(w->loader);
    ob_model_free(w->m);
    ob_data_free(w->data);
    ob_ctx_free(w->ctx);
}

/* Part i of the batch by itself: adds its share to gradient, loss and mean of what it leaves as
 * running statistics. */
static void alone(struct world *w, int i, double *grads, double *buffers, double *loss, int *right)
{
    const struct ob_net *net = w->m->net;
    int n = i == N_SUB - 1 ? BATCH - SIZE * i : SIZE, n_right;
    double share = (double)n / BATCH;
    float dlogits[SIZE * CLASSES] = { 0 }, *one = calloc(net->n_params, sizeof(float));
    struct ob_model *m;

    must(ob_model_clone(&m, w->m, err));
    must(ob_exec_forward(w->exec, &m->w,
                         w->b.x + (size_t)(i * SIZE * net->channels * net->height * net->width), n,
                         OB_MODE_TRAIN, err));
    *loss += share *
             ob_loss_ce(dlogits, w->exec->logits, w->b.y + i * SIZE, n, CLASSES, 1, &n_right);
    *right += n_right;
    ob_exec_backward(w->exec, &m->w, dlogits, one, NULL);
    for (size_t k = 0; k < net->n_params; k++)
        grads[k] += share * (double)one[k];
    for (size_t k = 0; k < net->n_buffers; k++)
        buffers[k] += share * (double)m->w.buffers[k];
    ob_model_free(m);
    free(one);
}

static void sums(void **state)
{
    struct ob_divided v = { 0 };
    struct world w;
    double *grads, *buffers, loss = 0, found, most = 0, off = 0;
    size_t n_params, n_buffers;
    int right = 0, n_right;

    (void)state;
    begin(&w);
    n_params = w.m->net->n_params;
    n_buffers = w.m->net->n_buffers;
    grads = calloc(n_params, sizeof(*grads));
    buffers = calloc(n_buffers, sizeof(*buffers));
    for (int i = 0; i < N_SUB; i++)
        alone(&w, i, grads, buffers, &loss, &right);
    must(ob_divided_init(&v, w.exec, NULL, SIZE, err));
    must(ob_divided_step(&v, w.m, &w.b, w.grads, NULL, &found, &n_right, err));
    assert_true(fabs(found - loss) < 1e-12);
    assert_int_equal(n_right, right);
    for (size_t k = 0; k < n_params; k++)
        most = fmax(most, fabs(grads[k]));
    assert_true(most > 0.01);
    for (size_t k = 0; k < n_params; k++)
        off = fmax(off, fabs((double)w.grads[k] - grads[k]));
    if (off > 1e-5 * most)
        fail_msg("a gradient is off by %g of the largest", off / most);
    for (size_t k = 0; k < n_buffers; k++)
        assert_true(fabs(w.m->w.buffers[k] - buffers[k]) < 1e-6);
    assert_true(w.m->w.buffers[0] == 0.5f && w.m->net->n_counts > 0); /* normalisation stays */
    for (size_t k = 0; k < w.m->net->n_counts; k++)
        assert_int_equal(w.m->w.counts[k], 1);
    ob_divided_release(&v);
    free(grads);
    free(buffers);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sums) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
