/* report_read.c - a demo record from JSON, every value checked before the page is begun. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "work/report.h"

enum { RECORD_BYTES = 64 << 20 };

/* Where we are, for messages: "seeds[2].ways[1].accuracy". */
struct at {
    const char *path;
    char place[200];
    struct ob_err *err;
};

static struct at within(const struct at *a, const char *key, long i)
{
    struct at b = *a;
    size_t n = strlen(b.place);

    if (i >= 0)
        snprintf(b.place + n, sizeof(b.place) - n, "%s%s[%ld]", n ? "." : "", key, i);
    else
        snprintf(b.place + n, sizeof(b.place) - n, "%s%s", n ? "." : "", key);
    return b;
}

static int bad(const struct at *a, const char *key, const char *what)
{
    return ob_fail(a->err, OB_EFORMAT, "record '%s': '%s%s%s' %s", a->path, a->place,
                   *a->place ? "." : "", key, what);
}

static int get_object(const json_t **out, const json_t *o, const char *key, const struct at *a)
{
    *out = json_object_get(o, key);
    return json_is_object(*out) ? OB_OK : bad(a, key, *out ? "is no object" : "is missing");
}

/* An array of lo..hi entries. */
static int get_array(const json_t **out, size_t *n, const json_t *o, const char *key, size_t lo,
                     size_t hi, const struct at *a)
{
    char what[80];

    *out = json_object_get(o, key);
    if (!json_is_array(*out))
        return bad(a, key, *out ? "is no list" : "is missing");
    *n = json_array_size(*out);
    if (*n >= lo && *n <= hi)
        return OB_OK;
    snprintf(what, sizeof(what), "has %zu entries, not %zu to %zu", *n, lo, hi);
    return bad(a, key, lo == hi ? "has another number of entries than it must" : what);
}

static int get_text(const char **out, const json_t *o, const char *key, const struct at *a)
{
    const json_t *v = json_object_get(o, key);

    *out = json_string_value(v);
    return *out ? OB_OK : bad(a, key, v ? "is no text" : "is missing");
}

static int check_number(double *out, const json_t *v, const char *key, double lo, double hi,
                        const struct at *a)
{
    char what[80];

    if (!json_is_number(v))
        return bad(a, key, v ? "is no number" : "is missing");
    *out = json_number_value(v);
    if (*out >= lo && *out <= hi)
        return OB_OK;
    snprintf(what, sizeof(what), "is %g, not within %g to %g", *out, lo, hi);
    return bad(a, key, what);
}

static int get_number(double *out, const json_t *o, const char *key, double lo, double hi,
                      const struct at *a)
{
    return check_number(out, json_object_get(o, key), key, lo, hi, a);
}

/* A list of exactly n numbers. */
static int get_numbers(double *out, const json_t *o, const char *key, size_t n, double lo,
                       double hi, const struct at *a)
{
    const json_t *list;
    size_t got;

    OB_TRY(get_array(&list, &got, o, key, n, n, a));
    for (size_t i = 0; i < n; i++)
        OB_TRY(check_number(&out[i], json_array_get(list, i), key, lo, hi, a));
    return OB_OK;
}

static int get_entry(const json_t **out, const json_t *list, const char *key, size_t i,
                     const struct at *a)
{
    *out = json_array_get(list, i);
    return json_is_object(*out) ? OB_OK : bad(a, key, "holds something that is no object");
}

/* ---- head ---- */

static int read_settings(struct ob_record *r, const struct at *a)
{
    const json_t *all, *o;
    struct at s = within(a, "settings", -1), b;

    OB_TRY(get_object(&all, r->root, "settings", a));
    b = within(&s, "data", -1);
    OB_TRY(get_object(&o, all, "data", &s));
    OB_TRY(get_text(&r->data_spec, o, "spec", &b));
    OB_TRY(get_text(&r->data_name, o, "name", &b));
    OB_TRY(get_text(&r->data_hash, o, "hash", &b));
    OB_TRY(get_number(&r->n_train, o, "train", 1, 1e9, &b));
    OB_TRY(get_number(&r->n_test, o, "test", 1, 1e9, &b));
    OB_TRY(get_number(&r->width, o, "width", 1, 4096, &b));
    OB_TRY(get_number(&r->height, o, "height", 1, 4096, &b));
    b = within(&s, "model", -1);
    OB_TRY(get_object(&o, all, "model", &s));
    OB_TRY(get_text(&r->arch, o, "arch", &b));
    OB_TRY(get_number(&r->n_params, o, "params", 1, 1e12, &b));
    b = within(&s, "recipe", -1);
    OB_TRY(get_object(&o, all, "recipe", &s));
    OB_TRY(get_number(&r->epochs, o, "epochs", 1, 1e6, &b));
    OB_TRY(get_number(&r->batch, o, "batch", 1, 1e6, &b));
    OB_TRY(get_number(&r->lr, o, "lr", 0, 1e6, &b));
    OB_TRY(get_number(&r->momentum, o, "momentum", 0, 1, &b));
    OB_TRY(get_number(&r->weight_decay, o, "weight_decay", 0, 1e6, &b));
    OB_TRY(get_text(&r->schedule, o, "schedule", &b));
    b = within(&s, "unlearn", -1);
    OB_TRY(get_object(&o, all, "unlearn", &s));
    OB_TRY(get_number(&r->unlearn_epochs, o, "epochs", 0, 1e6, &b));
    OB_TRY(get_number(&r->unlearn_batch, o, "batch", 1, 1e6, &b));
    OB_TRY(get_number(&r->unlearn_lr, o, "lr", 0, 1e6, &b));
    return get_text(&r->unlearn_schedule, o, "schedule", &b);
}

static int read_parts(struct ob_record *r, const struct at *a)
{
    const json_t *list, *o;

    OB_TRY(get_array(&list, &r->n_parts, r->root, "parts", 1, OB_REC_PARTS, a));
    for (size_t i = 0; i < r->n_parts; i++) {
        struct at b = within(a, "parts", (long)i);

        OB_TRY(get_entry(&o, list, "parts", i, a));
        OB_TRY(get_text(&r->part_name[i], o, "name", &b));
        OB_TRY(get_number(&r->part_n[i], o, "n", 1, 1e9, &b));
        r->n_forget += r->part_n[i];
    }
    return OB_OK;
}

static int read_ways(struct ob_record *r, const struct at *a)
{
    const json_t *list, *o;

    OB_TRY(get_array(&list, &r->n_ways, r->root, "ways", 1, OB_REC_WAYS, a));
    for (size_t i = 0; i < r->n_ways; i++) {
        struct at b = within(a, "ways", (long)i);

        OB_TRY(get_entry(&o, list, "ways", i, a));
        OB_TRY(get_text(&r->way[i].id, o, "id", &b));
        OB_TRY(get_text(&r->way[i].role, o, "role", &b));
        OB_TRY(get_text(&r->way[i].title, o, "title", &b));
        OB_TRY(get_text(&r->way[i].about, o, "about", &b));
    }
    return OB_OK;
}

static int check_png(const char *s)
{
    size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

    return n > 0 && strspn(s + n, "=") == strlen(s + n) && strlen(s + n) < 3;
}

static int read_examples(struct ob_record *r, const struct at *a)
{
    const json_t *list, *items, *o, *e;
    size_t n;

    OB_TRY(get_array(&list, &n, r->root, "examples", 0, OB_REC_PARTS, a));
    if (n && n != r->n_parts)
        return bad(a, "examples", "does not have one entry per part");
    for (size_t i = 0; i < n; i++) {
        struct at b = within(a, "examples", (long)i);

        OB_TRY(get_entry(&o, list, "examples", i, a));
        OB_TRY(get_array(&items, &r->n_examples[i], o, "items", 0, OB_REC_EXAMPLES, &b));
        for (size_t j = 0; j < r->n_examples[i]; j++) {
            struct ob_rec_example *x = &r->example[i][j];
            struct at c = within(&b, "items", (long)j);
            double id;

            OB_TRY(get_entry(&e, items, "items", j, &b));
            OB_TRY(get_text(&x->class_name, e, "class", &c));
            OB_TRY(get_text(&x->png, e, "png", &c));
            OB_TRY(get_number(&x->score, e, "score", -1e9, 1e9, &c));
            OB_TRY(get_number(&id, e, "id", 0, 4294967295.0, &c));
            x->id = (long long)id;
            if (!check_png(x->png))
                return bad(&c, "png", "is not base64");
        }
    }
    return OB_OK;
}

/* ---- one seed ---- */

static int read_judged(struct ob_record *r, struct ob_rec_result *x, const json_t *o,
                       const struct at *a)
{
    struct at b = within(a, "accuracy", -1);
    const json_t *acc;

    OB_TRY(get_object(&acc, o, "accuracy", a));
    OB_TRY(get_number(&x->forget, acc, "forget", 0, 1, &b));
    OB_TRY(get_number(&x->retain, acc, "retain", 0, 1, &b));
    OB_TRY(get_number(&x->test, acc, "test", 0, 1, &b));
    OB_TRY(get_numbers(x->part, o, "parts", r->n_parts, 0, 1, a));
    OB_TRY(get_number(&x->mia, o, "mia", 0, 1, a));
    OB_TRY(get_number(&x->images, o, "images", 0, 1e15, a));
    x->tow = x->tow_mia = x->tow_parts = x->tow_worst = NAN;
    return OB_OK;
}

static int read_way(struct ob_record *r, struct ob_rec_result *x, const json_t *o, const char *id,
                    const struct at *a)
{
    const json_t *steps, *s;
    const char *got;

    OB_TRY(get_text(&got, o, "id", a));
    if (strcmp(got, id))
        return bad(a, "id", "is another way than the list 'ways' has at this place");
    OB_TRY(read_judged(r, x, o, a));
    OB_TRY(get_number(&x->tow, o, "tow", 0, 1, a));
    OB_TRY(get_number(&x->tow_mia, o, "tow_mia", 0, 1, a));
    OB_TRY(get_number(&x->tow_parts, o, "tow_parts", 0, 1, a));
    OB_TRY(get_number(&x->tow_worst, o, "tow_worst", 0, 1, a));
    OB_TRY(get_array(&steps, &x->n_steps, o, "steps", 0, OB_REC_STEPS, a));
    for (size_t i = 0; i < x->n_steps; i++) {
        struct at b = within(a, "steps", (long)i);

        OB_TRY(get_entry(&s, steps, "steps", i, a));
        OB_TRY(get_text(&x->step[i].name, s, "name", &b));
        OB_TRY(get_text(&x->step[i].method, s, "method", &b));
        OB_TRY(get_numbers(x->step[i].part, s, "parts", r->n_parts, 0, 1, &b));
    }
    return OB_OK;
}

static int read_curve(struct ob_rec_seed *s, const json_t *o, const struct at *a)
{
    const json_t *list, *e;

    OB_TRY(get_array(&list, &s->n_epochs, o, "curve", 1, OB_REC_EPOCHS, a));
    OB_TRY(ob_alloc(s->curve_accuracy, s->n_epochs, a->err));
    OB_TRY(ob_alloc(s->curve_loss, s->n_epochs, a->err));
    for (size_t i = 0; i < s->n_epochs; i++) {
        struct at b = within(a, "curve", (long)i);

        OB_TRY(get_entry(&e, list, "curve", i, a));
        OB_TRY(get_number(&s->curve_accuracy[i], e, "accuracy", 0, 1, &b));
        OB_TRY(get_number(&s->curve_loss[i], e, "loss", 0, 1e9, &b));
    }
    return OB_OK;
}

static int read_scores(struct ob_record *r, struct ob_rec_seed *s, const json_t *o,
                       const struct at *a)
{
    const json_t *scores, *bins, *parts, *p;
    struct at b = within(a, "scores", -1);
    size_t n;

    OB_TRY(get_object(&scores, o, "scores", a));
    OB_TRY(get_number(&s->bin_lo, scores, "lo", -1e9, 1e9, &b));
    OB_TRY(get_number(&s->bin_hi, scores, "hi", s->bin_lo, 1e9, &b));
    OB_TRY(get_array(&bins, &s->n_bins, scores, "count", 1, OB_REC_BINS, &b));
    OB_TRY(ob_alloc(s->bin, s->n_bins, a->err));
    OB_TRY(get_numbers(s->bin, scores, "count", s->n_bins, 0, 1e9, &b));
    OB_TRY(get_array(&parts, &n, scores, "parts", r->n_parts, r->n_parts, &b));
    for (size_t i = 0; i < n; i++) {
        struct at c = within(&b, "parts", (long)i);

        OB_TRY(get_entry(&p, parts, "parts", i, &b));
        OB_TRY(get_number(&s->part_lo[i], p, "lo", -1e9, 1e9, &c));
        OB_TRY(get_number(&s->part_hi[i], p, "hi", s->part_lo[i], 1e9, &c));
        OB_TRY(ob_alloc(s->part_bin[i], s->n_bins, a->err));
        OB_TRY(get_numbers(s->part_bin[i], p, "count", s->n_bins, 0, 1e9, &c));
    }
    return OB_OK;
}

static int read_seed(struct ob_record *r, struct ob_rec_seed *s, const json_t *o,
                     const struct at *a)
{
    const json_t *list, *e;
    size_t n;
    double seed;

    OB_TRY(get_number(&seed, o, "seed", 0, 9e15, a));
    s->seed = (long long)seed;
    OB_TRY(get_object(&e, o, "original", a));
    {
        struct at b = within(a, "original", -1);

        OB_TRY(get_number(&s->train, e, "train", 0, 1, &b));
        OB_TRY(read_judged(r, &s->original, e, &b));
    }
    OB_TRY(read_curve(s, o, a));
    OB_TRY(read_scores(r, s, o, a));
    OB_TRY(get_array(&list, &s->n_retrained, o, "retrained", 1, OB_REC_RETRAINED, a));
    for (size_t i = 0; i < s->n_retrained; i++) {
        struct at b = within(a, "retrained", (long)i);

        OB_TRY(get_entry(&e, list, "retrained", i, a));
        OB_TRY(read_judged(r, &s->retrained[i], e, &b));
        if (s->retrained[i].images < 1)
            return bad(&b, "images", "is zero, though costs are told as a share of it");
    }
    OB_TRY(get_array(&list, &n, o, "ways", r->n_ways, r->n_ways, a));
    for (size_t i = 0; i < n; i++) {
        struct at b = within(a, "ways", (long)i);

        OB_TRY(get_entry(&e, list, "ways", i, a));
        OB_TRY(read_way(r, &s->way[i], e, r->way[i].id, &b));
    }
    return OB_OK;
}

static int read_seeds(struct ob_record *r, const struct at *a)
{
    const json_t *list, *o;
    size_t n;

    OB_TRY(get_array(&list, &n, r->root, "seeds", 1, OB_REC_SEEDS, a));
    OB_TRY(ob_alloc(r->seed, n, a->err));
    r->n_seeds = n;
    for (size_t i = 0; i < n; i++) {
        struct at b = within(a, "seeds", (long)i);

        OB_TRY(get_entry(&o, list, "seeds", i, a));
        OB_TRY(read_seed(r, &r->seed[i], o, &b));
    }
    return OB_OK;
}

/* ---- the whole ---- */

static int read_head(struct ob_record *r, const struct at *a)
{
    const char *kind;
    double version;

    if (!json_is_object(r->root) || !json_object_get(r->root, "oubli_report"))
        return ob_fail(a->err, OB_EFORMAT, "'%s' is no record of oubli: it has no 'oubli_report'",
                       a->path);
    OB_TRY(get_number(&version, r->root, "oubli_report", 1, 1e9, a));
    if (version > 1)
        return ob_fail(a->err, OB_EVERSION, "record '%s' is of version %g; this program reads 1",
                       a->path, version);
    OB_TRY(get_text(&kind, r->root, "kind", a));
    if (strcmp(kind, "demo"))
        return bad(a, "kind", "is not 'demo'");
    return get_text(&r->version, r->root, "oubli", a);
}

int obi_record_read(struct ob_record *r, const char *path, struct ob_err *err)
{
    struct at a = { .path = path, .err = err };
    struct ob_file file = { 0 };
    json_error_t je;
    int rc;

    memset(r, 0, sizeof(*r));
    OB_GO(ob_file_read(&file, path, RECORD_BYTES, false, err));
    r->root = json_loadb((const char *)file.data, file.n, JSON_REJECT_DUPLICATES, &je);
    if (!r->root)
        OB_GO(ob_fail(err, OB_EFORMAT, "record '%s', line %d: %s", path, je.line, je.text));
    OB_GO(read_head(r, &a));
    OB_GO(read_settings(r, &a));
    OB_GO(read_parts(r, &a));
    OB_GO(read_ways(r, &a));
    OB_GO(read_examples(r, &a));
    OB_GO(read_seeds(r, &a));
out:
    ob_file_release(&file);
    return rc;
}

void obi_record_release(struct ob_record *r)
{
    for (size_t i = 0; r->seed && i < r->n_seeds; i++) {
        struct ob_rec_seed *s = &r->seed[i];

        ob_free(s->curve_accuracy);
        ob_free(s->curve_loss);
        ob_free(s->bin);
        for (size_t k = 0; k < OB_REC_PARTS; k++)
            ob_free(s->part_bin[k]);
    }
    ob_free(r->seed);
    json_decref(r->root);
    memset(r, 0, sizeof(*r));
}
