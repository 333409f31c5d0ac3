/* u_sisa.c - shards and slices: forgetting is training without, byte for byte. */
#include "unlearn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/io.h"
#include "run/sisa.h"

static char room[] = "/tmp/oubli-sisa-XXXXXX";

static const char *at(const char *name)
{
    static char path[4][200];
    static int k;

    k = (k + 1) % 4;
    snprintf(path[k], sizeof(path[k]), "%s/%s", room, name);
    return path[k];
}

static struct ob_sisa_opts settings(const struct world *w)
{
    struct ob_sisa_opts o = OB_SISA_OPTS_INIT;

    o.arch = "cnn,width=0.25";
    o.shards = 3;
    o.slices = 2;
    o.seed = 9;
    ob_recipe_default(&o.recipe, w->data, "cnn");
    o.recipe.epochs = 3;
    o.recipe.batch = 8;
    o.recipe.lr = 0.02;
    return o;
}

static int train_to(struct world *w, const char *dir, const struct ob_ids *exclude,
                    struct ob_sisa_done *done, struct ob_err *why)
{
    struct ob_sisa_opts o = settings(w);

    return ob_sisa_train(NULL, done, w->ctx, at(dir), w->data, w->split, exclude, &o, why);
}

static int forget_to(struct world *w, const char *from, const char *dir, const struct ob_ids *ids,
                     struct ob_sisa_done *done, struct ob_err *why)
{
    return ob_sisa_forget(NULL, done, w->ctx, at(from), at(dir), w->data, w->split, ids, why);
}

static void remove_folder(const char *dir)
{
    struct ob_dir d = { 0 };
    char path[400];

    if (!ob_dir_read(&d, at(dir), NULL))
        for (size_t i = 0; i < d.n; i++) {
            snprintf(path, sizeof(path), "%s/%s", at(dir), d.entry[i].name);
            remove(path);
        }
    ob_dir_release(&d);
    rmdir(at(dir));
}

static int same_file(const char *a, const char *b)
{
    struct ob_file x = { 0 }, y = { 0 };
    int same;

    must(ob_file_read(&x, a, 1 << 24, false, err));
    same = !ob_file_read(&y, b, 1 << 24, false, NULL) && x.n == y.n && !memcmp(x.data, y.data, x.n);
    ob_file_release(&x);
    ob_file_release(&y);
    return same;
}

/* Every file of the one folder is in the other, the same bytes, and nothing else is. */
static void same_folder(const char *a, const char *b)
{
    struct ob_dir x = { 0 }, y = { 0 };

    must(ob_dir_read(&x, at(a), err));
    must(ob_dir_read(&y, at(b), err));
    assert_int_equal(x.n, y.n);
    for (size_t i = 0; i < x.n; i++) {
        char p[400], q[400];

        snprintf(p, sizeof(p), "%s/%s", at(a), x.entry[i].name);
        snprintf(q, sizeof(q), "%s/%s", at(b), x.entry[i].name);
        if (!same_file(p, q))
            fail_msg("'%s' is another one in '%s'", x.entry[i].name, b);
    }
    ob_dir_release(&x);
    ob_dir_release(&y);
}

/* `n` examples of a slice. */
static struct ob_ids *some_of(struct world *w, int shard, int slice, size_t n)
{
    struct ob_sisa_opts o = settings(w);
    struct ob_ids *all, *part = NULL, *out;
    struct ob_sisa *s;

    must(ob_sisa_new(&s, w->ctx, at("x"), w->data, w->split, NULL, &o, err));
    must(ob_sisa_examples(&all, s, shard, slice, err));
    if (slice)
        must(ob_sisa_examples(&part, s, shard, slice - 1, err));
    if (part)
        must(ob_ids_minus(&out, all, part, err));
    else
        must(ob_ids_new(&out, all->id, all->n, all->limit, err));
    ob_ids_free(all);
    ob_ids_free(part);
    must(ob_ids_new(&all, out->id, n, out->limit, err));
    ob_ids_free(out);
    ob_sisa_free(s);
    return all;
}

static void test_exact(void **state)
{
    static const struct {
        int shard, slice;
        int shards_trained, slices_trained;
    } cases[] = { { 1, 1, 1, 1 }, { 2, 0, 1, 2 } };
    struct ob_sisa_done done;
    struct world w;

    (void)state;
    begin(&w, 2);
    must(train_to(&w, "all", NULL, &done, err));
    assert_int_equal(done.slices_trained, 6);
    for (size_t i = 0; i < 2; i++) {
        struct ob_ids *ids = some_of(&w, cases[i].shard, cases[i].slice, 3);

        must(forget_to(&w, "all", "forgot", ids, &done, err));
        assert_int_equal(done.shards_trained, cases[i].shards_trained);
        assert_int_equal(done.slices_trained, cases[i].slices_trained);
        assert_int_equal(done.slices_kept, 6 - cases[i].slices_trained);
        must(train_to(&w, "without", ids, &done, err));
        same_folder("forgot", "without");
        must(forget_to(&w, "all", "forgot", ids, &done, err)); /* again: it is done */
        assert_int_equal(done.slices_trained, 0);
        remove_folder("forgot");
        remove_folder("without");
        ob_ids_free(ids);
    }
    must(forget_to(&w, "all", "forgot", w.forget, &done, err)); /* all shards */
    must(train_to(&w, "without", w.forget, &done, err));
    same_folder("forgot", "without");
    end(&w);
}

/* Forgetting twice is forgetting both. */
static void test_twice(void **state)
{
    struct ob_ids *a, *b, *both;
    struct ob_sisa_done done;
    struct world w;

    (void)state;
    begin(&w, 1);
    a = some_of(&w, 0, 1, 2);
    b = some_of(&w, 1, 0, 2);
    must(ob_ids_union(&both, a, b, err));
    must(forget_to(&w, "all", "first", a, &done, err));
    must(forget_to(&w, "first", "second", b, &done, err));
    assert_int_equal(done.slices_trained, 2);
    must(forget_to(&w, "all", "at-once", both, &done, err));
    same_folder("second", "at-once");
    must_fail(forget_to(&w, "all", "at-once", a, &done, err), OB_EFORMAT,
              "leave other examples out");
    must_fail(forget_to(&w, "all", "all", a, &done, err), OB_EFORMAT, "leave other examples out");
    ob_ids_free(a);
    ob_ids_free(b);
    ob_ids_free(both);
    end(&w);
}

/* Stopped anywhere, the same call ends with the same bytes. */
static void test_goes_on(void **state)
{
    struct ob_sisa_done done;
    struct world w;
    int runs = 0, rc = 1;

    (void)state;
    begin(&w, 2);
    while (rc) {
        w.asked = 0;
        w.stop_at = 7 + runs; /* slices that are whole are asked about too */
        rc = train_to(&w, "pieces", NULL, &done, NULL);
        assert_true(!rc || rc == OB_ECANCELLED);
        assert_true(++runs < 200);
    }
    w.stop_at = 0;
    assert_true(runs > 5);
    same_folder("pieces", "all");
    /* a slice lost, another damaged: made again */
    remove(at("pieces/shard-001-slice-000.npz"));
    must(ob_file_write(at("pieces/shard-002-slice-001.npz"), "x", 1, err));
    must(ob_file_write(at("pieces/model-000.safetensors.tmp.1"), "x", 1, err));
    must(train_to(&w, "pieces", NULL, &done, err));
    assert_int_equal(done.slices_trained, 2);
    same_folder("pieces", "all");
    end(&w);
}

static struct ob_model *fresh(struct world *w, uint64_t seed)
{
    const struct ob_data_info *i = ob_data_info(w->data);
    struct ob_model *m;

    must(ob_model_new(&m, w->ctx, "cnn,width=0.25", i->channels, i->height, i->width, i->n_classes,
                      seed, err));
    must(ob_model_set_normalize(m, NULL, w->data, err));
    return m;
}

/* Two parts of a training, the optimiser handed on, are the training; without it they are not. */
static void test_parts(void **state)
{
    static const char *const kinds[] = { "sgd", "adam" };
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;
    const struct ob_ids *use;
    struct world w;

    (void)state;
    begin(&w, 1);
    use = ob_split_train(w.split);
    o.recipe = settings(&w).recipe;
    o.seed = 4;
    for (int k = 0; k < 2; k++) {
        struct ob_train_part first = { .end = 1 }, rest = { .first = 1, .end = 3 };
        struct ob_model *whole = fresh(&w, 4), *parts = fresh(&w, 4);
        struct ob_optim optim = { 0 };
        char a[65], b[65];

        snprintf(o.recipe.optimizer, sizeof(o.recipe.optimizer), "%s", kinds[k]);
        must(ob_optim_init(&optim, w.ctx, kinds[k], whole->net->n_params, 0.9, 5e-4, err));
        first.optim = rest.optim = &optim;
        must(ob_train(NULL, whole, w.data, w.split, use, &o, err));
        must(ob_train_part(NULL, parts, w.data, w.split, use, &o, &first, err));
        must(ob_train_part(NULL, parts, w.data, w.split, use, &o, &rest, err));
        must(ob_model_digest(whole, a, err));
        must(ob_model_digest(parts, b, err));
        assert_string_equal(a, b);
        ob_optim_release(&optim);
        ob_model_free(whole);
        ob_model_free(parts);
    }
    end(&w);
}

/* One shard of one slice is an ordinary training by the shard's seed. */
static void test_one_shard(void **state)
{
    struct ob_train_opts t = OB_TRAIN_OPTS_INIT;
    struct ob_load_opts l = OB_LOAD_OPTS_INIT;
    struct ob_model *m, *shard;
    struct ob_sisa_opts o;
    char a[65], b[65];
    struct world w;

    (void)state;
    begin(&w, 1);
    o = settings(&w);
    o.shards = o.slices = 1;
    must(ob_sisa_train(NULL, NULL, w.ctx, at("single"), w.data, w.split, NULL, &o, err));
    must(ob_model_load(&shard, w.ctx, at("single/model-000.safetensors"), &l, err));
    t.recipe = o.recipe;
    t.seed = strtoull(ob_model_meta(shard, "seed"), NULL, 10);
    m = fresh(&w, t.seed);
    must(ob_train(NULL, m, w.data, w.split, ob_split_train(w.split), &t, err));
    must(ob_model_digest(m, a, err));
    must(ob_model_digest(shard, b, err));
    assert_string_equal(a, b);
    ob_model_free(shard);
    ob_model_free(m);
    end(&w);
}

/* Whatever fails, memory or files: nothing half made stays, and the same call goes on. */
static void test_faults(void **state)
{
    struct ob_sisa_done done;
    struct world w;
    int n_failed = 0;

    (void)state;
    begin(&w, 1);
    for (size_t n = 1; n < 400; n += 57) {
        obi_mem_fail_at(n);
        n_failed += forget_to(&w, "all", "faults", w.forget, &done, NULL) != OB_OK;
        obi_mem_fail_at(0);
        obi_io_fail_at(n / 8 + 1);
        n_failed += forget_to(&w, "all", "faults", w.forget, &done, NULL) != OB_OK;
        obi_io_fail_at(0);
    }
    assert_true(n_failed > 4);
    must(forget_to(&w, "all", "faults", w.forget, &done, err));
    same_folder("faults", "without");
    end(&w);
}

/* As a model: votes, means, and refusals. */
static void test_answers(void **state)
{
    struct ob_load_opts l = OB_LOAD_OPTS_INIT;
    float *logits[3], *got;
    struct ob_model *m, *shard, *other;
    const struct ob_ids *ids;
    struct ob_step_result r;
    struct ob_plan *p;
    struct world w;
    size_t n, c;

    (void)state;
    begin(&w, 1);
    ids = ob_data_ids(w.data, OB_TEST);
    c = (size_t)w.data->info.n_classes;
    n = ids->n;
    must(ob_alloc(got, n * c, err));
    for (int k = 0; k < 3; k++) {
        char name[40];

        snprintf(name, sizeof(name), "all/model-00%d.safetensors", k);
        must(ob_alloc(logits[k], n * c, err));
        must(ob_model_load(&shard, w.ctx, at(name), &l, err));
        must(ob_predict(logits[k], NULL, shard, w.data, OB_TEST, ids, err));
        ob_model_free(shard);
    }
    for (int how = OB_VOTE; how <= OB_MEAN; how++) {
        must(ob_sisa_load(&m, w.ctx, at("all"), (enum ob_aggregate)how, err));
        must(ob_predict(got, NULL, m, w.data, OB_TEST, ids, err));
        for (size_t i = 0; i < n; i++) {
            double want[3] = { 0 }, own[3];

            for (int k = 0; k < 3; k++) {
                ob_softmax(own, logits[k] + i * c, (int)c);
                for (size_t j = 0; j < c; j++)
                    want[j] += how == OB_MEAN
                                   ? own[j] / 3
                                   : (ob_argmax(logits[k] + i * c, (int)c) == (int)j) / 3.0;
            }
            for (size_t j = 0; j < c; j++)
                assert_true(fabs(exp((double)got[i * c + j]) - want[j]) < 1e-5);
        }
        ob_model_free(m);
    }
    must(ob_sisa_load(&m, w.ctx, at("all"), OB_VOTE, err));
    must_fail(ob_model_save(m, at("one.safetensors"), err), OB_EINVAL, "folder of shards");
    must_fail(ob_model_clone(&other, m, err), OB_EINVAL, "folder of shards");
    must_fail(ob_predict(NULL, got, m, w.data, OB_TEST, ids, err), OB_EINVAL, "folder of shards");
    must(ob_plan_single(&p, w.data, m, ob_split_train(w.split), w.forget, "finetune", err));
    must_fail(ob_rum(&r, NULL, m, w.data, w.split, p, NULL, err), OB_EINVAL, "folder of shards");
    ob_plan_free(p);
    ob_model_free(m);
    m = copy(&w);
    must(ob_plan_single(&p, w.data, m, ob_split_train(w.split), w.forget, "sisa", err));
    must_fail(ob_rum(&r, NULL, m, w.data, w.split, p, NULL, err), OB_EINVAL, "original in shards");
    ob_plan_free(p);
    ob_model_free(m);
    for (int k = 0; k < 3; k++)
        ob_free(logits[k]);
    ob_free(got);
    end(&w);
}

static void test_refused(void **state)
{
    struct ob_sisa_opts o;
    struct ob_sisa_done done;
    struct ob_model *m;
    struct ob_ids *ids;
    struct world w;

    (void)state;
    begin(&w, 1);
    o = settings(&w);
    o.recipe.lr = 0.5;
    must_fail(ob_sisa_train(NULL, &done, w.ctx, at("all"), w.data, w.split, NULL, &o, err),
              OB_EFORMAT, "lr is 0.02 there and 0.5 here");
    o.slices = 1000;
    must_fail(ob_sisa_train(NULL, &done, w.ctx, at("many"), w.data, w.split, NULL, &o, err),
              OB_EINVAL, "too few");
    ids = some_of(&w, 0, 0, 13);
    {
        struct ob_ids *rest = some_of(&w, 0, 1, 14), *shard;

        must(ob_ids_union(&shard, ids, rest, err));
        must_fail(forget_to(&w, "all", "none", shard, &done, err), OB_EFORMAT,
                  "nothing would be left");
        ob_ids_free(shard);
        ob_ids_free(rest);
    }
    /* a model of another folder, one that is missing, a folder of something else */
    must(forget_to(&w, "all", "mixed", ids, &done, err));
    rename(at("mixed/model-000.safetensors"), at("mixed/model-001.safetensors"));
    must_fail(ob_sisa_load(&m, w.ctx, at("mixed"), OB_VOTE, err), OB_EFORMAT, "not finished");
    rename(at("mixed/model-001.safetensors"), at("mixed/model-000.safetensors"));
    must_fail(ob_sisa_load(&m, w.ctx, at("mixed"), OB_VOTE, err), OB_EFORMAT, "not finished");
    must(ob_mkdir(at("other"), err));
    must(ob_file_write(at("other/file"), "x", 1, err));
    must_fail(forget_to(&w, "all", "other", ids, &done, err), OB_EEXIST, "not empty");
    ob_ids_free(ids);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),     cmocka_unit_test(test_twice),
        cmocka_unit_test(test_goes_on),   cmocka_unit_test(test_parts),
        cmocka_unit_test(test_one_shard), cmocka_unit_test(test_faults),
        cmocka_unit_test(test_answers),   cmocka_unit_test(test_refused),
    };
    static const char *const folders[] = { "all",    "forgot",  "without", "first",
                                           "second", "at-once", "pieces",  "mixed",
                                           "other",  "faults",  "single" };
    int failed;

    backend = "cpu";
    if (!mkdtemp(room))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        remove_folder(folders[i]);
    rmdir(room);
    return failed;
}
