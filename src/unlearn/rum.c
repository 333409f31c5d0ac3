/*
 * rum.c - runs a plan: one step after the other, each from where the one before it ended.
 *
 *     theta_i = U_i(theta_{i-1}, S_i, R_i),   R_i = R and all parts whose turn is yet to come
 *
 * (Zhao et al. 2024, algorithm RUM). Steps work on a copy; the caller's model changes only when a
 * step is whole.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "run/provenance.h"
#include "unlearn/keep.h"

struct rum {
    struct ob_ctx *ctx;
    struct ob_model *m, *work, *first, *teacher;
    const struct ob_data *d;
    const struct ob_split *split;
    const struct ob_plan *p;
    struct ob_rum_opts o;
    struct ob_step_result *result;
    struct ob_keep keep;
};

/* ---- before anything is done ---- */

static int check_shapes(const struct ob_model *m, const struct ob_data *d, struct ob_err *err)
{
    const struct ob_data_info *i = ob_data_info(d);
    int c, h, w;

    ob_model_input(m, &c, &h, &w);
    if (c == i->channels && h == i->height && w == i->width &&
        ob_model_n_classes(m) == i->n_classes)
        return OB_OK;
    return ob_fail(err, OB_EFORMAT,
                   "the model takes images of %dx%dx%d in %d classes, the data has %dx%dx%d in %d",
                   c, h, w, ob_model_n_classes(m), i->channels, i->height, i->width, i->n_classes);
}

static int check_plan(struct rum *r, struct ob_err *err)
{
    const struct ob_ids *train = r->split ? ob_split_train(r->split) : ob_data_ids(r->d, OB_TRAIN);
    const struct ob_ids *last = r->p->step[r->p->n - 1].retain;
    struct ob_ids *all;
    int rc, same;

    if (*r->p->model && !r->o.any_model && strcmp(r->p->model, r->keep.start))
        return ob_fail(err, OB_EFORMAT,
                       "the plan was made for another model (digest %.12s..., here %.12s...)",
                       r->p->model, r->keep.start);
    rc = ob_ids_union(&all, last, r->p->forget, err);
    if (rc)
        return rc;
    same = ob_ids_equal(all, train);
    ob_ids_free(all);
    if (!same)
        return ob_fail(err, OB_EFORMAT, "the plan was made for another training part (split)");
    return OB_OK;
}

/* The state of step i's method and its settings. */
static int read_settings(const struct rum *r, size_t i, struct ob_common *common, void **state,
                         struct ob_err *err)
{
    const struct ob_plan_step *s = &r->p->step[i];
    char *room;
    int rc;

    *state = NULL;
    OB_TRY(ob_alloc(room, s->method->state_size, err));
    OB_GO(ob_settings_parse(s->method, s->settings, common, room, err));
    *state = room;
out:
    if (rc)
        ob_free(room);
    return rc;
}

static int check_step(struct rum *r, size_t i, struct ob_err *err)
{
    const struct ob_plan_step *s = &r->p->step[i];
    struct ob_step_result *out = &r->result[i];
    struct ob_common common = { 0 };
    void *state;
    int rc;

    *out = (struct ob_step_result){ .method = s->method,
                                    .n_forget = s->forget->n,
                                    .n_retain = s->retain->n,
                                    .cost = { .loss = NAN, .accuracy = NAN } };
    snprintf(out->name, sizeof(out->name), "%s", s->name);
    OB_TRY(read_settings(r, i, &common, &state, err));
    OB_GO(ob_settings_text(out->settings, s->method, &common, state, err));
    if (s->method->check)
        rc = s->method->check(state, r->m, err);
out:
    ob_free(state);
    return rc;
}

/* The job of step i before it is opened, and the state of its method. */
static int unopened(const struct rum *r, size_t i, struct ob_job *job, void **state,
                    struct ob_err *err)
{
    const struct ob_plan_step *s = &r->p->step[i];

    *job = (struct ob_job){ .method = s->method,
                            .ctx = r->ctx,
                            .model = r->m,
                            .data = r->d,
                            .split = r->split,
                            .forget = s->forget,
                            .retain = s->retain };
    return read_settings(r, i, &job->common, state, err);
}

/* What a method says of the step's sets. The steps come one after the other, so each of them must fit,
 * beside copies of the model. */
static int check_jobs(struct rum *r, size_t n_models, struct ob_err *err)
{
    for (size_t i = 0; i < r->p->n; i++) {
        struct ob_job job;
        void *state;
        int rc = OB_OK;

        OB_TRY(unopened(r, i, &job, &state, err));
        if (job.method->check_job)
            rc = job.method->check_job(state, &job, err);
        if (!rc)
            rc = ob_job_check_room(&job, state, n_models, err);
        ob_free(state);
        if (rc)
            ob_err_prefix(err, "step %zu ('%s'): ", i + 1, r->p->step[i].name);
        OB_TRY(rc);
    }
    return OB_OK;
}

/* Of the examples that the step has. */
static int measure_rate(struct ob_rate *out, const struct ob_job *job, struct ob_err *err)
{
    size_t n = job->retain->n + job->forget->n;
    int batch = n < 65536 ? (int)n : 65536;

    if (job->common.batch > 0 && job->common.batch < batch)
        batch = job->common.batch;
    return ob_rate_measure(
        out, job->model, job->data,
        job->split ? ob_split_train(job->split) : ob_data_ids(job->data, OB_TRAIN), batch, err);
}

/* What each step would take; those that do not say are left out. */
static int predict(struct rum *r, struct ob_err *err)
{
    struct ob_rate rate = { 0 };

    for (size_t i = 0; i < r->p->n; i++) {
        struct ob_cost *c = &r->result[i].cost;
        struct ob_job job;
        void *state;
        int rc = OB_OK;

        if (!r->p->step[i].method->cost)
            continue;
        OB_TRY(unopened(r, i, &job, &state, err));
        job.method->cost(state, &job, c);
        if (c->images + c->images_forward && !rate.gradient)
            rc = measure_rate(&rate, &job, err);
        ob_free(state);
        OB_TRY(rc);
        c->seconds = ob_rate_seconds(&rate, c);
        r->result[i].predicted = 1;
    }
    return OB_OK;
}

static int prepare(struct rum *r, struct ob_err *err)
{
    bool first = false;

    OB_TRY(ob_model_check_single(r->m, err));
    r->keep.folder = r->o.keep_steps;
    r->keep.plan = r->p;
    r->keep.data = r->d;
    r->keep.seed = r->o.seed;
    r->keep.recipe = ob_model_meta(r->m, "recipe");
    r->keep.train_seed = ob_model_meta(r->m, "seed");
    OB_TRY(ob_model_digest(r->m, r->keep.start, err));
    OB_TRY(check_shapes(r->m, r->d, err));
    OB_TRY(check_plan(r, err));
    for (size_t i = 0; i < r->p->n; i++) {
        int rc = check_step(r, i, err);

        if (rc) {
            ob_err_prefix(err, "step %zu ('%s'): ", i + 1, r->p->step[i].name);
            return rc;
        }
        first = first || r->p->step[i].method->needs & OB_NEED_FIRST;
    }
    OB_TRY(obi_plan_digest(r->p, r->keep.content, err));
    OB_TRY(check_jobs(r, first ? 2 : 1, err));
    if (first)
        OB_TRY(ob_model_clone(&r->first, r->m, err));
    return ob_model_clone(&r->work, r->m, err);
}

/* ---- one step ---- */

static int run_epochs(const struct ob_method *m, void *state, struct ob_job *job,
                      struct ob_err *err)
{
    int n = m->common ? job->common.epochs : 1;

    for (int e = 0; e < n; e++) {
        int rc = OB_OK;

        ob_job_start_epoch(job, e);
        if (m->epoch)
            rc = m->epoch(state, job, e, err);
        if (!rc)
            rc = ob_job_end_epoch(job, err);
        if (rc == OB_EDIVERGED && m->common)
            ob_err_prefix(err, "epoch %d (a smaller lr may help): ", e + 1);
        OB_TRY(rc);
    }
    return OB_OK;
}

/* begin, epochs, end; the job is open. */
static int run_method(struct rum *r, size_t i, struct ob_job *job, void *state, struct ob_err *err)
{
    const struct ob_method *m = job->method;
    int rc = m->begin ? m->begin(state, job, err) : OB_OK;

    if (!rc)
        rc = ob_settings_text(r->result[i].settings, m, &job->common, state, err);
    if (!rc)
        rc = run_epochs(m, state, job, err);
    if (m->end)
        m->end(state, job);
    return rc;
}

static uint64_t step_seed(uint64_t seed, size_t i)
{
    struct ob_rng rng = ob_rng(seed, OB_RNG_STEP, (uint32_t)i, 0);
    uint64_t high = ob_rng_u32(&rng);

    return high << 32 | ob_rng_u32(&rng);
}

static int make_teacher(struct rum *r, size_t i, struct ob_err *err)
{
    ob_model_free(r->teacher);
    r->teacher = NULL;
    if (r->p->step[i].method->needs & OB_NEED_TEACHER)
        return ob_model_clone(&r->teacher, r->work, err);
    return OB_OK;
}

static int run_step(struct rum *r, size_t i, struct ob_err *err)
{
    const struct ob_plan_step *s = &r->p->step[i];
    struct ob_job job = { .method = s->method,
                          .ctx = r->ctx,
                          .model = r->work,
                          .first = r->first,
                          .data = r->d,
                          .split = r->split,
                          .forget = s->forget,
                          .retain = s->retain,
                          .seed = step_seed(r->o.seed, i) };
    double start = ob_now();
    char task[96];
    void *state;
    int rc;

    if (r->p->n > 1)
        snprintf(task, sizeof(task), "step %zu of %zu: %s", i + 1, r->p->n, s->method->name);
    else
        snprintf(task, sizeof(task), "%s", s->method->name);
    job.progress.task = task;
    OB_TRY(ob_ctx_stop(r->ctx, err));
    OB_TRY(make_teacher(r, i, err));
    job.teacher = r->teacher;
    OB_TRY(read_settings(r, i, &job.common, &state, err));
    OB_GO(ob_job_open(&job, err));
    rc = run_method(r, i, &job, state, err);
    ob_job_close(&job);
    memcpy(r->result[i].report, job.report, sizeof(job.report));
    memcpy(r->result[i].notes, job.notes, sizeof(job.notes));
    r->result[i].cost = job.cost;
    r->result[i].cost.seconds = ob_now() - start;
out:
    ob_free(state);
    return rc;
}

/* ---- all steps ---- */

/* Step i is whole: the caller's model becomes it. */
static int finish_step(struct rum *r, size_t i, struct ob_err *err)
{
    ob_model_copy_weights(r->m, r->work);
    if (r->keep.folder && !r->result[i].resumed)
        OB_TRY(ob_keep_write(&r->keep, i, r->work, &r->result[i], err));
    if (r->o.on_step && r->o.on_step(r->o.arg, i, r->m))
        return ob_fail(err, OB_ECANCELLED, "interrupted after step %zu", i + 1);
    return OB_OK;
}

/* Takes over the steps that an earlier run kept; *next is the first to be run. */
static int take_over(struct rum *r, size_t *next, struct ob_err *err)
{
    size_t n = r->p->n;

    *next = 0;
    if (!r->keep.folder)
        return OB_OK;
    OB_TRY(ob_mkdir(r->keep.folder, err));
    for (size_t i = 0; i < n; i++) { /* look at all of them before the model changes */
        if (!ob_keep_exists(&r->keep, i))
            continue;
        OB_TRY(ob_keep_read(&r->keep, i, r->work, &r->result[i], err));
        *next = i + 1;
    }
    for (size_t i = 0; i < *next; i++) {
        r->result[i].resumed = 1;
        if (!ob_keep_exists(&r->keep, i)) {
            ob_log(r->ctx, OB_LOG_WARN,
                   "step %zu is no longer in '%s', a later one is: what it cost is not counted",
                   i + 1, r->keep.folder);
            continue;
        }
        OB_TRY(ob_keep_read(&r->keep, i, r->work, &r->result[i], err));
        OB_TRY(finish_step(r, i, err));
    }
    if (*next)
        ob_log(r->ctx, OB_LOG_INFO, "going on after step %zu of %zu ('%s')", *next, n,
               r->keep.folder);
    return OB_OK;
}

static int run_steps(struct rum *r, struct ob_err *err)
{
    size_t next;

    OB_TRY(take_over(r, &next, err));
    for (size_t i = next; i < r->p->n; i++) {
        int rc = run_step(r, i, err);

        if (rc && rc != OB_ECANCELLED)
            ob_err_prefix(err, "step %zu ('%s', %s): ", i + 1, r->p->step[i].name,
                          r->p->step[i].method->name);
        OB_TRY(rc);
        OB_TRY(finish_step(r, i, err));
    }
    return OB_OK;
}

/* The model says where it came from and what was done. */
static int record(struct rum *r, struct ob_err *err)
{
    struct ob_str methods = { 0 }, settings = { 0 };
    bool secret = false; /* the file is not to tell what a promise rests on */
    char seed[24];
    int rc;

    for (size_t i = 0; i < r->p->n; i++) {
        secret = secret || r->p->step[i].method->needs & OB_SECRET_SEED;
        ob_str_addf(&methods, "%s%s", i ? "," : "", r->p->step[i].method->name);
        ob_str_addf(&settings, "%s%s", i ? " | " : "", r->result[i].settings);
    }
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)r->o.seed);
    OB_GO(ob_str_check(&methods, err));
    OB_GO(ob_str_check(&settings, err));
    OB_GO(ob_keep_copy_records(r->m, r->work, err));
    if (!ob_model_meta(r->m, "data")) /* trained elsewhere: from here on it is known */
        OB_GO(ob_model_record_data(r->m, r->d, r->split, err));
    OB_GO(ob_model_set_meta(r->m, "parent", secret ? NULL : r->keep.start, err));
    OB_GO(ob_model_set_meta(r->m, "method", ob_str_text(&methods), err));
    OB_GO(ob_model_set_meta(r->m, "settings", ob_str_text(&settings), err));
    OB_GO(ob_model_set_meta(r->m, "plan", secret ? NULL : r->keep.content, err));
    OB_GO(ob_model_set_meta(r->m, "unlearn_seed", secret ? NULL : seed, err));
out:
    ob_str_release(&methods);
    ob_str_release(&settings);
    return rc;
}

static void add_up(struct ob_cost *total, const struct ob_step_result *result, size_t n)
{
    *total = (struct ob_cost){ .loss = NAN, .accuracy = NAN };
    for (size_t i = 0; i < n; i++) {
        const struct ob_cost *c = &result[i].cost;

        total->images += c->images;
        total->images_forward += c->images_forward;
        total->images_resumed += c->images_resumed;
        total->seconds += c->seconds;
        if (isfinite(c->loss)) {
            total->loss = c->loss;
            total->accuracy = c->accuracy;
        }
    }
}

int ob_rum(struct ob_step_result *result, struct ob_cost *total, struct ob_model *m,
           const struct ob_data *d, const struct ob_split *split, const struct ob_plan *p,
           const struct ob_rum_opts *o, struct ob_err *err)
{
    struct rum r = { .ctx = m->ctx, .m = m, .d = d, .split = split, .p = p };
    struct ob_step_result *own;
    int rc;

    if (o)
        r.o = *o;
    OB_TRY(ob_alloc(own, p->n, err));
    r.result = result ? result : own;
    memset(r.result, 0, p->n * sizeof(*r.result));
    OB_GO(prepare(&r, err));
    if (r.o.dry_run) {
        rc = predict(&r, err);
        goto out;
    }
    OB_GO(run_steps(&r, err));
    OB_GO(record(&r, err));
out:
    if (total)
        add_up(total, r.result, p->n);
    ob_model_free(r.work);
    ob_model_free(r.first);
    ob_model_free(r.teacher);
    ob_free(own);
    return rc;
}
