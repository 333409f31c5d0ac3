/* u_train.c - training learns, records events as defined, and goes on after an interruption. */
#include "common.h"

#include <math.h>

#include "base/io.h"
#include "base/npy.h"
#include "nn/model.h"
#include "run/train.h"

static const char *const spec = "synth:longtail,train=200,test=100,classes=4";

struct world {
    struct ob_ctx *ctx;
    struct ob_data *data;
    int asked, stop_at; /* the stop callback says yes at the stop_at-th question */
};

static int stop(void *arg)
{
    struct world *w = arg;

    return ++w->asked == w->stop_at;
}

static void begin(struct world *w, int n_threads)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;

    o.n_threads = n_threads;
    o.stop = stop;
    o.arg = w;
    *w = (struct world){ 0 };
    must(ob_ctx_new(&w->ctx, &o, err));
    must(ob_data_open(&w->data, w->ctx, spec, err));
}

static void end(struct world *w)
{
    ob_data_free(w->data);
    ob_ctx_free(w->ctx);
}

static struct ob_model *fresh(struct world *w)
{
    const struct ob_data_info *i = ob_data_info(w->data);
    struct ob_model *m;

    must(ob_model_new(&m, w->ctx, "cnn,width=0.25", i->channels, i->height, i->width, i->n_classes,
                      5, err));
    return m;
}

static struct ob_train_opts options(void)
{
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;

    ob_recipe_default(&o.recipe, NULL, "cnn");
    o.recipe.epochs = 6;
    o.recipe.batch = 32;
    o.recipe.lr = 0.05;
    snprintf(o.recipe.augment, sizeof(o.recipe.augment), "crop-flip");
    o.seed = 9;
    return o;
}

static void digest(const struct ob_model *m, char hex[65])
{
    must(ob_model_digest(m, hex, err));
}

static void learns(void **state)
{
    struct ob_train_opts o = options();
    struct ob_events *e;
    struct ob_model *m;
    struct ob_cost cost;
    struct world w;

    (void)state;
    begin(&w, 2);
    m = fresh(&w);
    snprintf(o.recipe.augment, sizeof(o.recipe.augment), "none");
    o.recipe.epochs = 25;
    o.events = &e;
    must(ob_train(&cost, m, w.data, NULL, ob_data_ids(w.data, OB_TRAIN), &o, err));
    assert_int_equal(cost.images, 25 * 200);
    assert_true(cost.accuracy > 0.9);
    assert_non_null(ob_model_meta(m, "recipe"));
    assert_int_equal(e->epochs, 25);
    for (size_t i = 0; i < e->ids->n; i++) {
        assert_true(e->confidence[i] <= e->max_confidence[i] + 1e-9);
        assert_true(e->neg_entropy[i] <= 0 && e->neg_entropy[i] >= -25 * log(4) - 1e-9);
        assert_true(e->accuracy[i] >= 0 && e->accuracy[i] <= 25);
    }
    ob_events_free(e);
    ob_model_free(m);
    end(&w);
}

struct losses {
    double loss[100];
    int n;
};

static void note_loss(void *arg, int epoch, double loss, double accuracy)
{
    struct losses *l = arg;

    (void)accuracy;
    l->loss[epoch] = loss;
    l->n = epoch + 1;
}

/* Ends after exactly so many epochs since the lowest loss, and not before. */
static void patience(void **state)
{
    struct ob_train_opts o = options();
    struct losses l = { .n = 0 };
    struct ob_model *m;
    struct world w;
    int best = 0;

    (void)state;
    begin(&w, 1);
    m = fresh(&w);
    o.recipe.epochs = 100;
    o.recipe.lr = 0.2; /* so high that the loss wavers */
    snprintf(o.recipe.schedule, sizeof(o.recipe.schedule), "constant");
    o.patience = 2;
    o.on_epoch = note_loss;
    o.arg = &l;
    must(ob_train(NULL, m, w.data, NULL, ob_data_ids(w.data, OB_TRAIN), &o, err));
    for (int i = 1; i < l.n; i++) {
        assert_true(i - best <= 2);
        best = l.loss[i] < l.loss[best] ? i : best;
    }
    if (l.n == 100)
        fail_msg("%d epochs", l.n);
    assert_int_equal(l.n - 1 - best, 2);
    o.checkpoint = "never";
    must_fail(ob_train(NULL, m, w.data, NULL, ob_data_ids(w.data, OB_TRAIN), &o, err), OB_EINVAL,
              "no checkpoint");
    ob_model_free(m);
    end(&w);
}

/* Interrupted in the middle of an epoch, resumed by another process: the same bytes. */
static void goes_on(void **state)
{
    struct ob_train_opts o = options();
    char checkpoint[200], whole[65], parts[65];
    struct ob_events *e, *e2;
    struct ob_model *m;
    struct world w;

    (void)state;
    scratch_file(checkpoint, sizeof(checkpoint), "m.ckpt");
    o.events = &e;
    begin(&w, 1);
    m = fresh(&w);
    must(ob_train(NULL, m, w.data, NULL, ob_data_ids(w.data, OB_TRAIN), &o, err));
    digest(m, whole);
    ob_model_free(m);

    o.checkpoint = checkpoint;
    o.resume = 1;
    o.events = &e2;
    w.stop_at = w.asked + 17; /* 7 batches an epoch: in the third */
    m = fresh(&w);
    must_fail(ob_train(NULL, m, w.data, NULL, ob_data_ids(w.data, OB_TRAIN), &o, err),
              OB_ECANCELLED, "interrupted");
    assert_null(e2);
    ob_model_free(m);
    end(&w);

    begin(&w, 2);
    m = fresh(&w);
    must(ob_train(NULL, m, w.data, NULL, ob_data_ids(w.data, OB_TRAIN), &o, err));
    digest(m, parts);
    assert_string_equal(whole, parts);
    assert_memory_equal(e->confidence, e2->confidence, e->ids->n * sizeof(double));
    assert_memory_equal(e->loss, e2->loss, e->ids->n * sizeof(double));
    ob_model_free(m);

    o.recipe.lr = 0.06;
    m = fresh(&w);
    ob_events_free(e2);
    must_fail(ob_train(NULL, m, w.data, NULL, ob_data_ids(w.data, OB_TRAIN), &o, err), OB_EFORMAT,
              "lr is 0.05 there and 0.06 here");
    must(ob_train_done(&o, err));
    assert_false(ob_file_exists(checkpoint));
    ob_model_free(m);
    ob_events_free(e);
    end(&w);
}

/* Writes the checkpoint again with another position. */
static void forge(const char *path, int64_t epoch, int64_t batch)
{
    struct ob_npz z;
    struct ob_npz_item item[16];
    int64_t position[5] = { epoch, batch, 0, 0, 0 };

    must(ob_npz_read(&z, path, 1 << 24, err));
    assert_true(z.n <= 16);
    for (size_t i = 0; i < z.n; i++) {
        const struct ob_npy *a = &z.entry[i].array;

        item[i] = (struct ob_npz_item){ z.entry[i].name, a->type, { a->shape[0] }, 1, a->data };
        if (!strcmp(item[i].name, "state"))
            item[i].data = position;
    }
    must(ob_npz_write(path, item, z.n, err));
    ob_npz_release(&z);
}

/* A position beyond the training is damage, not a loop of years. */
static void impossible_position(void **state)
{
    static const int64_t bad[][2] = { { -1, 0 }, { 7, 0 }, { 2, 1000 }, { 2, -1 }, { 6, 1 } };
    struct ob_train_opts o = options();
    char checkpoint[200];
    struct ob_model *m;
    struct world w;

    (void)state;
    begin(&w, 2);
    o.checkpoint = scratch_file(checkpoint, sizeof(checkpoint), "forged.ckpt");
    o.resume = 1;
    m = fresh(&w);
    must(ob_train(NULL, m, w.data, NULL, ob_data_ids(w.data, OB_TRAIN), &o, err));
    ob_model_free(m);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        forge(checkpoint, bad[i][0], bad[i][1]);
        m = fresh(&w);
        must_fail(ob_train(NULL, m, w.data, NULL, ob_data_ids(w.data, OB_TRAIN), &o, err),
                  OB_EFORMAT, "is damaged");
        ob_model_free(m);
    }
    end(&w);
}

static void events_file(void **state)
{
    struct ob_train_opts o = options();
    struct ob_events *e, *r;
    struct ob_model *m;
    struct world w;
    char path[200];

    (void)state;
    begin(&w, 2);
    m = fresh(&w);
    o.recipe.epochs = 2;
    o.events = &e;
    must(ob_train(NULL, m, w.data, NULL, ob_data_ids(w.data, OB_TRAIN), &o, err));
    scratch_file(path, sizeof(path), "e.npz");
    must(ob_events_write(e, path, err));
    must(ob_events_read(&r, path, err));
    assert_int_equal(r->epochs, 2);
    assert_int_equal(r->n_file, 200);
    assert_string_equal(r->data, ob_data_info(w.data)->hash);
    assert_true(ob_ids_equal(r->own_ids, e->ids));
    for (size_t i = 0; i < e->ids->n; i++)
        assert_true(fabs(r->loss[i] - e->loss[i]) < 1e-5 * (1 + fabs(e->loss[i])));
    ob_events_free(r);
    must_fail(ob_events_read(&r, scratch_file(path, sizeof(path), "none"), err), OB_ENOTFOUND,
              "none");
    e->n_file = 4000000000u; /* would become 16 GB of scores */
    scratch_file(path, sizeof(path), "large.npz");
    must(ob_events_write(e, path, err));
    must_fail(ob_events_read(&r, path, err), OB_EFORMAT, "'n' is 4000000000");
    assert_null(r);
    ob_events_free(e);
    ob_model_free(m);
    end(&w);
}

static void diverges(void **state)
{
    struct ob_train_opts o = options();
    struct ob_model *m;
    struct world w;

    (void)state;
    begin(&w, 2);
    m = fresh(&w);
    o.recipe.lr = 1e6;
    o.recipe.weight_decay = 1e6;
    must_fail(ob_train(NULL, m, w.data, NULL, ob_data_ids(w.data, OB_TRAIN), &o, err), OB_EDIVERGED,
              "finite");
    ob_model_free(m);
    end(&w);
}

/* What a model was not made for is refused before it can be read or written out of bounds. */
static void wrong_shape(void **state)
{
    struct ob_train_opts o = options();
    const struct ob_ids *all;
    struct ob_model *m;
    struct world w;
    float z[4];

    (void)state;
    begin(&w, 1);
    all = ob_data_ids(w.data, OB_TRAIN);
    must(ob_model_new(&m, w.ctx, "mlp,width=0.1", 1, 16, 16, 3, 1, err)); /* of 4 classes */
    must_fail(ob_train(NULL, m, w.data, NULL, all, &o, err), OB_EFORMAT, "3 classes");
    must_fail(ob_predict(z, NULL, m, w.data, OB_TRAIN, all, err), OB_EFORMAT, "3 classes");
    ob_model_free(m);
    must(ob_model_new(&m, w.ctx, "mlp,width=0.1", 3, 32, 32, 4, 1, err)); /* not 1x16x16 */
    must_fail(ob_train(NULL, m, w.data, NULL, all, &o, err), OB_EFORMAT, "3x32x32");
    must_fail(ob_predict(z, NULL, m, w.data, OB_TRAIN, all, err), OB_EFORMAT, "3x32x32");
    ob_model_free(m);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns),      cmocka_unit_test(patience),
        cmocka_unit_test(goes_on),     cmocka_unit_test(impossible_position),
        cmocka_unit_test(events_file), cmocka_unit_test(diverges),
        cmocka_unit_test(wrong_shape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
