/* cmd_score.c - oubli score: how memorized each example is; oubli score compare: two such files. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "setup.h"

struct score {
    struct inputs_opts in;
    const char *events, *bank, *variant, *output;
    int raw, top, resamples;
    double step;
};

static json_t *comparison_json(const struct ob_compare *r, int resamples)
{
    json_t *j = json_object();

    put_count(j, "n", r->n);
    put_count(j, "resamples", (uint64_t)resamples);
    put_number(j, "spearman", r->spearman);
    put_number(j, "spearman_low", r->spearman_low);
    put_number(j, "spearman_high", r->spearman_high);
    put_number(j, "pearson", r->pearson);
    put_number(j, "pearson_low", r->pearson_low);
    put_number(j, "pearson_high", r->pearson_high);
    put_number(j, "reliability_a", r->reliability[0]);
    put_number(j, "reliability_b", r->reliability[1]);
    put_number(j, "spearman_corrected", r->spearman_corrected);
    put_number(j, "spearman_corrected_low", r->spearman_corrected_low);
    put_number(j, "spearman_corrected_high", r->spearman_corrected_high);
    put_number(j, "pearson_corrected", r->pearson_corrected);
    put_number(j, "pearson_corrected_low", r->pearson_corrected_low);
    put_number(j, "pearson_corrected_high", r->pearson_corrected_high);
    return j;
}

static void comparison_row(struct table *t, const char *name, double r, double low, double high)
{
    if (strstr(name, "corrected") && !isfinite(r))
        return;
    table_cell(t, "%s", name);
    table_number(t, r);
    table_cell(t, "%.3f to %.3f", low, high);
}

static void print_comparison(const struct ob_compare *r, int resamples)
{
    struct table *t = table_new("lrl");
    const double *is = r->reliability;

    comparison_row(t, "spearman", r->spearman, r->spearman_low, r->spearman_high);
    comparison_row(t, "pearson", r->pearson, r->pearson_low, r->pearson_high);
    comparison_row(t, "spearman, corrected", r->spearman_corrected, r->spearman_corrected_low,
                   r->spearman_corrected_high);
    comparison_row(t, "pearson, corrected", r->pearson_corrected, r->pearson_corrected_low,
                   r->pearson_corrected_high);
    table_print(t, stdout);
    printf("over the %zu examples that have both; 95 %% intervals ", r->n);
    if (resamples)
        printf("from %d resamples of the examples\n", resamples);
    else
        printf("by Fisher's z\n");
    if (isfinite(r->spearman_corrected))
        printf("corrected for reliability: %.3f and %.3f\n", isnan(is[0]) ? 1 : is[0],
               isnan(is[1]) ? 1 : is[1]);
}

static int compare(struct cmd *c, const struct score *s)
{
    struct ob_scores *a = NULL, *b = NULL;
    struct ob_compare r;
    int status;

    if (c->n_args != 3)
        return cmd_fail(c, OB_EINVAL, "compare takes two score files");
    GO(input_check(c, c->args[1]));
    GO(input_check(c, c->args[2]));
    GO(cmd_start(c));
    GO(ob_scores_read(&a, c->args[1], &c->err));
    GO(ob_scores_read(&b, c->args[2], &c->err));
    GO(s->resamples ? ob_scores_bootstrap(&r, c->ctx, a, b, s->resamples, c->seed, &c->err)
                    : ob_scores_compare(&r, a, b, &c->err));
    if (c->json)
        status = print_json(c, comparison_json(&r, s->resamples));
    else
        print_comparison(&r, s->resamples);
out:
    ob_scores_free(b);
    ob_scores_free(a);
    return status;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* `r`: how reliable they are, or NULL where nobody knows. */
static int print_scores(struct cmd *c, const struct ob_scores *s, const struct ob_reliability *r,
                        const char *path)
{
    const struct ob_scores_info *i = ob_scores_info(s);
    float *v = cmd_alloc(c, i->n + 1, sizeof(*v));
    size_t n = 0;

    for (size_t k = 0; k < i->n; k++)
        if (!isnan(ob_scores_value(s)[k]))
            v[n++] = ob_scores_value(s)[k];
    qsort(v, n, sizeof(*v), by_value);
    if (c->json) {
        json_t *j = json_pack("{s:s,s:s,s:s,s:I,s:I}", "output", path, "kind", i->kind, "source",
                              i->source, "n", (json_int_t)i->n, "n_scored", (json_int_t)n);

        put_number(j, "images", i->images);
        if (n) {
            put_number(j, "min", v[0]);
            put_number(j, "median", v[n / 2]);
            put_number(j, "max", v[n - 1]);
        }
        if (r) {
            put_number(j, "reliability", r->whole);
            put_number(j, "half_reliability", r->half);
        }
        return print_json(c, j);
    }
    printf("%s from %s for %zu of %zu examples in '%s'\n", i->kind, i->source, n, i->n, path);
    if (n)
        printf("smallest %.4f, middle %.4f, largest %.4f\n", v[0], v[n / 2], v[n - 1]);
    if (i->images > 0)
        printf("cost: %.0f images\n", i->images);
    else if (!strcmp(i->source, "events"))
        puts("cost: nothing beyond the training");
    if (r && isfinite(r->whole))
        printf(
            "reliability %.3f: two halves of the %d models agree with r = %.3f (Spearman-Brown)\n",
            r->whole, r->n_models, r->half);
    return OB_OK;
}

static int unknown_kind(struct cmd *c, const char *kind)
{
    static const char *const kinds[] = {
        "confidence",        "max-confidence", "entropy",     "accuracy",  "margin",
        "compare",           "memorization",   "consistency", "influence", "cumulative-loss",
        "centroid-distance", "holdout",        "curvature"
    };
    const char *near = NULL;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!strcmp(kind, kinds[i]))
            return OB_OK;
        if (!near && word_is_near(kind, kinds[i]))
            near = kinds[i];
    }
    if (near)
        return cmd_fail(c, OB_EINVAL, "there is no score '%s'; did you mean '%s'?", kind, near);
    return cmd_fail(c, OB_EINVAL, "there is no score '%s'; 'oubli help score' lists them", kind);
}

static int from_events(struct cmd *c, const struct score *s, struct ob_scores **out)
{
    struct ob_events *e = NULL;
    int status;

    TRY(input_check(c, s->events));
    TRY(ob_events_read(&e, s->events, &c->err));
    status = ob_scores_from_events(out, e, c->args[0], s->raw, &c->err);
    ob_events_free(e);
    return status;
}

static int holdout(struct cmd *c, const struct score *s, const struct inputs *in,
                   struct ob_scores **out)
{
    struct ob_holdout_opts o = OB_HOLDOUT_OPTS_INIT;

    o.seed = c->seed;
    o.released = s->variant && !strcmp(s->variant, "released");
    if (s->variant && !o.released && strcmp(s->variant, "paper"))
        return cmd_fail(c, OB_EINVAL, "--variant is paper or released, not '%s'", s->variant);
    if (o.released)
        cmd_warn(c, "the released variant trains on the test set: judge nothing by it afterwards");
    return ob_scores_holdout(out, in->model, in->data, in->split, &o, &c->err);
}

static int from_model(struct cmd *c, const struct score *s, struct ob_scores **out)
{
    struct inputs in;
    int status;

    TRY(cmd_start(c));
    TRY(inputs_open(c, &in, &s->in, OTHER_DATA_REFUSED));
    status = !strcmp(c->args[0], "holdout") ? holdout(c, s, &in, out)
             : !strcmp(c->args[0], "curvature")
                 ? ob_scores_curvature(out, in.model, in.data, ob_split_train(in.split), s->step,
                                       &c->err)
                 : ob_scores_from_model(out, in.model, in.data, ob_split_train(in.split),
                                        c->args[0], s->raw, &c->err);
    inputs_release(&in);
    return status;
}

/* "a/s.npy" -> "a/s.error.npy" */
static const char *error_beside(struct cmd *c, const char *path)
{
    size_t n = strlen(path);

    n -= n > 4 && !strcmp(path + n - 4, ".npy") ? 4 : 0;
    return cmd_textf(c, "%.*s.error.npy", (int)n, path);
}

static int print_influence(struct cmd *c, const struct score *s, const struct ob_bank_info *i)
{
    if (c->json)
        return print_json(c, json_pack("{s:s,s:s,s:s,s:I,s:I,s:i}", "output", s->output, "kind",
                                       "influence", "source", "bank", "n_train",
                                       (json_int_t)i->n_train, "n_test", (json_int_t)i->n_test,
                                       "top", s->top));
    printf("influence from bank in '%s': the %d strongest of %zu examples on each of %zu\n",
           s->output, s->top, i->n_train, i->n_test);
    return OB_OK;
}

/* The scores, and the standard error of each in a file of its own. */
static int from_bank(struct cmd *c, const struct score *s)
{
    const char *kind = c->args[0], *error_path = error_beside(c, s->output);
    struct ob_bank *b = NULL;
    struct ob_scores *scores = NULL;
    struct ob_reliability r;
    float *error = NULL;
    int status;

    TRY(output_check(c, s->output));
    TRY(cmd_start(c));
    GO(ob_bank_open(&b, c->ctx, s->bank, &c->err));
    if (!strcmp(kind, "influence")) {
        GO(ob_bank_influence(b, s->top, s->output, &c->err));
        status = print_influence(c, s, ob_bank_info(b));
        goto out;
    }
    GO(output_check(c, json_beside(c, s->output)));
    GO(output_check(c, error_path));
    GO(ob_bank_scores(&scores, &error, &r, b, kind, s->raw, &c->err));
    GO(ob_npy_write_f32(error_path, error, &ob_bank_info(b)->n_file, 1, &c->err));
    GO(ob_scores_write(scores, s->output, &c->err));
    status = print_scores(c, scores, &r, s->output);
out:
    ob_free(error);
    ob_scores_free(scores);
    ob_bank_free(b);
    return status;
}

static int is_of_bank(const char *kind)
{
    return !strcmp(kind, "memorization") || !strcmp(kind, "consistency") ||
           !strcmp(kind, "influence");
}

static int run(struct cmd *c, const struct score *s)
{
    struct ob_scores *scores = NULL;
    int status;

    if (c->n_args != 1)
        return cmd_fail(c, OB_EINVAL, "'%s' is one too many", c->args[1]);
    TRY(unknown_kind(c, c->args[0]));
    TRY(cmd_need(c, "output", s->output));
    if (is_of_bank(c->args[0]) != (s->bank != NULL))
        return s->bank ? cmd_fail(c, OB_EINVAL, "'%s' is not read from a bank", c->args[0])
                       : cmd_fail(c, OB_EINVAL, "--bank is needed for '%s'", c->args[0]);
    if (s->bank && (s->events || s->in.data || s->in.model))
        return cmd_fail(c, OB_EINVAL, "--bank alone: it knows its data");
    if (s->bank)
        return from_bank(c, s);
    if (s->events && (s->in.data || s->in.model))
        return cmd_fail(c, OB_EINVAL, "either --events, or --data and --model");
    if (!s->events && !(s->in.data && s->in.model))
        return cmd_fail(c, OB_EINVAL, "--events is needed, or --data and --model");
    TRY(output_check(c, s->output));
    TRY(output_check(c, json_beside(c, s->output)));
    GO(s->events ? from_events(c, s, &scores) : from_model(c, s, &scores));
    GO(ob_scores_write(scores, s->output, &c->err));
    progress_clear(c->progress);
    if (c->force) /* the scores that were there may have been a bank's */
        unlink(error_beside(c, s->output));
    status = print_scores(c, scores, NULL, s->output);
out:
    ob_scores_free(scores);
    return status;
}

int cmd_score(struct cmd *c, int argc, const char **argv)
{
    struct score s = { .in = INPUTS_OPTS_INIT, .top = 10, .resamples = 1000, .step = 0.01 };
    const struct opt options[] = {
        { "events", 'e', OPT_TEXT, &s.events, "learning events of 'oubli train --events'", "FILE" },
        { "bank", 'b', OPT_TEXT, &s.bank, "models of 'oubli bank train'", "DIR" },
        { "top", 0, OPT_INT, &s.top,
          "influence: training examples for each test example (default 10)", "N" },
        { "variant", 0, OPT_TEXT, &s.variant,
          "holdout: paper (the validation part) or released (the test set)", "V" },
        { "step", 0, OPT_FLOAT, &s.step, "curvature: length of the way (default 0.01)", "H" },
        { "resamples", 0, OPT_INT, &s.resamples,
          "compare: for the intervals (default 1000; 0: Fisher's z)", "N" },
        INPUTS_OPTIONS(&s.in),
        EMBEDDING_OPTION(&s.in),
        ANY_DATA_OPTION(&s.in),
        { "raw", 0, OPT_FLAG, &s.raw, "as the papers define it, whatever its direction", NULL },
        { "output", 'o', OPT_TEXT, &s.output,
          "the scores to write (.npy; how they were made goes "
          "to .json)",
          "FILE" },
        { 0 },
    };

    TRY(cmd_parse(c, options, argc, argv));
    return !strcmp(c->args[0], "compare") ? compare(c, &s) : run(c, &s);
}
