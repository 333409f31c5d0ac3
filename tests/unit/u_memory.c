/* u_memory.c - the memory that work will take: counted as it is then taken, refused before it starts. */
#include "unlearn.h"

#include <malloc.h>
#include <zlib.h>

#include "base/io.h"
#include "base/npy.h"
#include "base/room.h"
#include "run/memory.h"

static const char *const archs[] = { "mlp", "cnn", "resnet20", "resnet18,width=0.25" };

static size_t taken(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

static struct ob_ctx *make_ctx(const char *name)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_ctx *ctx;

    o.backend = name;
    o.n_threads = 3;
    must(ob_ctx_new(&ctx, &o, err));
    return ctx;
}

static void compare(struct ob_ctx *ctx, const char *arch, int batch, unsigned flags)
{
    struct ob_exec *e;
    struct ob_net *net;
    size_t want, before, real;

    must(ob_net_new(&net, arch, 3, 32, 32, 10, err));
    must(ob_exec_measure(&want, ctx, net, batch, flags, err));
    before = taken();
    must(ob_exec_new(&e, ctx, net, batch, flags, err));
    real = taken() - before;
    /* beside it: small tables, and what lies before the next 2 MiB */
    if (before && (real < want || real > want + want / 20 + ((size_t)6 << 20)))
        fail_msg("%s, %s, batch %d, flags %u: %zu bytes counted, %zu taken", ctx->backend->name,
                 arch, batch, flags, want, real);
    ob_exec_free(e);
    ob_net_free(net);
}

static void counted_as_taken(void **state)
{
    static const char *const name[] = { "cpu", "ref" };

    (void)state;
    for (int b = 0; b < 2; b++) {
        struct ob_ctx *ctx = make_ctx(name[b]);

        for (size_t a = 0; a < sizeof(archs) / sizeof(archs[0]); a++) {
            compare(ctx, archs[a], 1, OB_EXEC_TRAIN);
            compare(ctx, archs[a], 33, OB_EXEC_TRAIN);
            compare(ctx, archs[a], 33, OB_EXEC_TRAIN | OB_EXEC_INPUT_GRAD);
            compare(ctx, archs[a], 64, 0);
        }
        ob_ctx_free(ctx);
    }
}

/* What is free from now on: halfway between two needs, since memory of this process comes and goes. */
static void leave(struct ob_ctx *ctx, size_t too_little, size_t too_much)
{
    size_t room;

    if (too_much < too_little + ((size_t)1 << 20))
        fail_msg("%zu and %zu bytes: too alike to tell", too_little, too_much);
    ctx->opts.memory = (size_t)1 << 40;
    assert_true(ob_room_of(ctx, &room));
    ctx->opts.memory = ((size_t)1 << 40) - room + too_little / 2 + too_much / 2;
}

static size_t need(const struct world *w, const struct ob_net *net, int batch, unsigned flags)
{
    size_t bytes;

    must(ob_exec_measure(&bytes, w->ctx, net, batch, flags, err));
    return bytes;
}

static void training(void **state)
{
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;
    char before[65], after[65], path[200];
    struct ob_model *m;
    struct world w;

    (void)state;
    begin(&w, 1);
    m = copy(&w);
    must(ob_model_digest(m, before, err));
    ob_recipe_default(&o.recipe, w.data, "cnn");
    o.recipe.epochs = 1;
    o.recipe.batch = 64;
    o.checkpoint = scratch_file(path, sizeof(path), "m.ckpt");
    leave(w.ctx, need(&w, m->net, 1, OB_EXEC_TRAIN), need(&w, m->net, 64, OB_EXEC_TRAIN));
    must_fail(ob_train(NULL, m, w.data, w.split, ob_split_train(w.split), &o, err), OB_ENOMEM,
              "training needs about ");
    must(ob_model_digest(m, after, err));
    assert_string_equal(before, after);
    assert_false(ob_file_exists(path));
    o.recipe.batch = 1;
    must(ob_train(NULL, m, w.data, w.split, ob_split_train(w.split), &o, err));
    ob_model_free(m);
    end(&w);
}

/* ---- going on from a checkpoint ---- */

static struct ob_train_opts of_two(const struct world *w, const char *optimizer, char path[200])
{
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;

    ob_recipe_default(&o.recipe, w->data, w->start->net->arch);
    o.recipe.epochs = 2;
    o.recipe.batch = 2;
    snprintf(o.recipe.optimizer, sizeof(o.recipe.optimizer), "%s", optimizer);
    o.checkpoint = scratch_file(path, 200, optimizer);
    o.resume = 1;
    return o;
}

static void begin_two(struct world *w, const char *arch)
{
    *w = (struct world){ .ctx = make_ctx("cpu") };
    must(ob_data_open(&w->data, w->ctx,
                      "synth:longtail,train=10,test=10,classes=5,size=32,channels=3", err));
    must(ob_model_new(&w->start, w->ctx, arch, 3, 32, 32, 5, 7, err));
}

/* The most memory of a training, its weights and data with it. */
static size_t peak(const struct world *w, const struct ob_train_opts *o)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");

    if (!f || fputs("5", f) < 0 || fclose(f))
        skip(); /* no Linux, or a locked one */
    must(ob_train(NULL, w->start, w->data, NULL, ob_data_ids(w->data, OB_TRAIN), o, err));
    return ob_peak_bytes();
}

/* A checkpoint twice the weights is read before activations and gradients are there. */
static void resumed(void **state)
{
    struct ob_train_opts o;
    char path[200];
    size_t first, then;
    struct world w;

    (void)state;
    begin_two(&w, "resnet18,width=0.5");
    o = of_two(&w, "sgd", path);
    first = peak(&w, &o);
    assert_true(ob_file_size(path) > (size_t)20 << 20);
    ob_model_init(w.start, 7);
    then = peak(&w, &o);
    if (then > first + ((size_t)4 << 20))
        fail_msg("%zu bytes at most, %zu when resumed", first, then);
    must(ob_train_done(&o, err));
    end(&w);
}

/* Where activations are small, the checkpoint is what takes most. */
static void large_checkpoint(void **state)
{
    struct ob_train_opts o;
    size_t fresh, file, after;
    char path[200];
    struct world w;

    (void)state;
    begin_two(&w, "mlp,width=4");
    o = of_two(&w, "adam", path);
    must(ob_train(NULL, w.start, w.data, NULL, ob_data_ids(w.data, OB_TRAIN), &o, err));
    file = ob_file_size(path);
    after = need(&w, w.start->net, 2, OB_EXEC_TRAIN) + w.start->net->n_params * sizeof(float);
    fresh = after + 2 * w.start->net->n_params * sizeof(float);
    ob_model_init(w.start, 7);
    leave(w.ctx, fresh, fresh + file - after);
    must_fail(ob_train(NULL, w.start, w.data, NULL, ob_data_ids(w.data, OB_TRAIN), &o, err),
              OB_ENOMEM, "training needs about ");
    o.resume = 0;
    must(ob_train(NULL, w.start, w.data, NULL, ob_data_ids(w.data, OB_TRAIN), &o, err));
    must(ob_train_done(&o, err));
    end(&w);
}

/* ---- models ---- */

/* No byte of weights is drawn that there is no room for. */
static void weights(void **state)
{
    struct ob_ctx *ctx = make_ctx("cpu");
    struct ob_model *m, *again;
    char path[200], word[240];
    size_t before, bytes;

    (void)state;
    ctx->opts.memory = (size_t)1 << 30;
    before = taken();
    must_fail(ob_model_new(&m, ctx, "resnet18,width=16", 3, 32, 32, 10, 1, err), OB_ENOMEM,
              "'resnet18,width=16' needs about 10.6 GiB of memory (its weights alone), ");
    assert_null(m);
    assert_true(taken() < before + (1 << 20));
    must(ob_model_new(&m, ctx, "resnet18,width=0.5", 3, 32, 32, 10, 1, err));
    must(ob_model_save(m, scratch_file(path, sizeof(path), "m.safetensors"), err));
    bytes = ob_file_size(path);
    leave(ctx, 0, bytes);
    must_fail(ob_model_clone(&again, m, err), OB_ENOMEM, "(its weights alone)");
    snprintf(word, sizeof(word), "reading '%s' needs about ", path);
    must_fail(ob_model_load(&again, ctx, path, NULL, err), OB_ENOMEM, word);
    must_fail(ob_model_import(&again, ctx, path, NULL, err), OB_ENOMEM, word);
    leave(ctx, bytes, 2 * bytes); /* the file, but not what is read from it */
    must_fail(ob_model_load(&again, ctx, path, NULL, err), OB_ENOMEM, "(its weights alone)");
    leave(ctx, 2 * bytes, 3 * bytes);
    must(ob_model_load(&again, ctx, path, NULL, err));
    ob_model_free(again);
    ob_model_free(m);
    ob_ctx_free(ctx);
}

static int count_step(void *arg, size_t step, const struct ob_model *m)
{
    (void)step;
    (void)m;
    ++*(int *)arg;
    return 0;
}

/* The second step is too large: the first is not begun. */
static void whole_plan(void **state)
{
    struct ob_refine_opts how = { .size = sizeof(how), .n_parts = 3, .random = 1 };
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_plan *p;
    struct ob_model *m;
    struct world w;
    int n_steps = 0;

    (void)state;
    begin(&w, 1);
    m = copy(&w);
    how.methods = "finetune:batch=1:epochs=1,scrub:batch=64:epochs=1,none";
    must(ob_refine(&p, w.data, m, ob_split_train(w.split), w.forget, NULL, &how, err));
    o.on_step = count_step;
    o.arg = &n_steps;
    leave(w.ctx, need(&w, m->net, 1, OB_EXEC_TRAIN),
          need(&w, m->net, 64, OB_EXEC_TRAIN) + need(&w, m->net, 64, 0));
    must_fail(ob_rum(NULL, NULL, m, w.data, w.split, p, &o, err), OB_ENOMEM,
              "step 2 ('random2'): scrub needs about ");
    assert_int_equal(n_steps, 0);
    ob_plan_free(p);
    how.methods = "finetune:batch=1:epochs=1,none,retrain:batch=64:epochs=1";
    must(ob_refine(&p, w.data, m, ob_split_train(w.split), w.forget, NULL, &how, err));
    must_fail(ob_rum(NULL, NULL, m, w.data, w.split, p, &o, err), OB_ENOMEM,
              "step 3 ('random3'): retrain needs about ");
    assert_int_equal(n_steps, 0);
    w.ctx->opts.memory = SIZE_MAX;
    must(ob_rum(NULL, NULL, m, w.data, w.split, p, &o, err));
    assert_int_equal(n_steps, 3);
    ob_plan_free(p);
    ob_model_free(m);
    end(&w);
}

/* Little memory makes it slow, not impossible, and nothing else of it. */
static void prediction(void **state)
{
    float logits[2][90 * 3];
    struct world w = { .ctx = make_ctx("cpu") };
    const struct ob_ids *ids;

    (void)state;
    must(ob_data_open(&w.data, w.ctx, "synth:longtail,train=90,test=30,classes=3,size=32", err));
    must(ob_model_new(&w.start, w.ctx, "cnn,width=0.25", 1, 32, 32, 3, 7, err));
    ids = ob_data_ids(w.data, OB_TRAIN);
    for (int i = 0; i < 2; i++) {
        memset(logits[i], 0, sizeof(logits[i]));
        must(ob_predict(logits[i], NULL, w.start, w.data, OB_TRAIN, ids, err));
        leave(w.ctx, need(&w, w.start->net, 1, 0), need(&w, w.start->net, 90, 0));
    }
    assert_memory_equal(logits[0], logits[1], sizeof(logits[0]));
    w.ctx->opts.memory = 1;
    must_fail(ob_predict(logits[0], NULL, w.start, w.data, OB_TRAIN, ids, err), OB_ENOMEM,
              "evaluating needs about ");
    end(&w);
}

static void data(void **state)
{
    struct ob_ctx *ctx = make_ctx("cpu");
    struct ob_data *d;

    (void)state;
    leave(ctx, 0, 4 << 20);
    must_fail(ob_data_open(&d, ctx, "synth:longtail,train=20000", err), OB_ENOMEM,
              "the training part needs about 4.9 MiB of memory, ");
    ob_ctx_free(ctx);
}

static void file(void **state)
{
    static const uint8_t x[200 * 64 * 64];
    struct ob_ctx *ctx = make_ctx("cpu");
    const size_t shape[4] = { 200, 64, 64 };
    char path[300], spec[300];
    struct ob_data *d;

    (void)state;
    must(ob_npy_write(scratch_file(path, sizeof(path), "x_train.npy"), "|u1", shape, 3, x, err));
    snprintf(spec, sizeof(spec), "npy:%s", scratch());
    must_fail(ob_data_open(&d, ctx, spec, err), OB_ENOTFOUND, "y_train.npy");
    ctx->opts.memory = 1;
    must_fail(ob_data_open(&d, ctx, spec, err), OB_ENOMEM,
              "/x_train.npy' needs about 800.1 KiB of ");
    ob_ctx_free(ctx);
}

/* A few bytes that unpack to many. */
static void packed_file(void **state)
{
    static const unsigned char x[1 << 20];
    struct ob_ctx *ctx = make_ctx("cpu");
    char path[300], spec[300], folder[200];
    char status[4096];
    size_t taken;
    gzFile gz;
    struct ob_data *d;

    (void)state;
    scratch_file(folder, sizeof(folder), "packed");
    must(ob_mkdir(folder, err));
    snprintf(path, sizeof(path), "%s/x_train.npy.gz", folder);
    gz = gzopen(path, "wb9");
    assert_non_null(gz);
    assert_int_equal(gzwrite(gz, x, sizeof(x)), sizeof(x));
    gzclose(gz);
    snprintf(spec, sizeof(spec), "npy:%s", folder);
    assert_true(ob_text_read("/proc/self/status", status, sizeof(status)));
    assert_int_equal(sscanf(strstr(status, "VmRSS:"), "VmRSS: %zu", &taken), 1);
    ctx->opts.memory = (taken << 10) + (1 << 18); /* more than the file, less than what is in it */
    must_fail(ob_data_open(&d, ctx, spec, err), OB_ENOMEM, "x_train.npy.gz' needs more than the ");
    ob_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counted_as_taken),
        cmocka_unit_test(training),
        cmocka_unit_test(resumed),
        cmocka_unit_test(large_checkpoint),
        cmocka_unit_test(weights),
        cmocka_unit_test(whole_plan),
        cmocka_unit_test(prediction),
        cmocka_unit_test(data),
        cmocka_unit_test(file),
        cmocka_unit_test(packed_file),
    };

    mallopt(M_MMAP_THRESHOLD, 1 << 18); /* a block that is let go of is gone at once */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
