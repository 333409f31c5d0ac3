/* data.c - opens data sets: the one list of sources, options, balanced subsets, content hash. */
#include "data/data.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/room.h"
#include "base/str.h"

static const struct ob_source *const all[] = {
    &ob_source_idx, &ob_source_cifar10, &ob_source_cifar100,
    &ob_source_npy, &ob_source_images,  &ob_source_synth,
};
#define N_ALL (sizeof(all) / sizeof(all[0]))
#define MIN_SIDE 8
#define MAX_SIDE 256
#define MAX_EXAMPLES ((size_t)1 << 31)

/* ---- "KIND:WHERE,key=value,..." ---- */

static int find_source(const struct ob_source **out, const char *kind, struct ob_err *err)
{
    struct ob_str kinds = { 0 };

    for (size_t i = 0; i < N_ALL; i++)
        if (!strcmp(all[i]->kind, kind)) {
            *out = all[i];
            return OB_OK;
        }
    for (size_t i = 0; i < N_ALL; i++)
        ob_str_addf(&kinds, "%s%s", i ? ", " : "", all[i]->kind);
    ob_fail(err, OB_EINVAL, "no kind of data set '%s'; there are %s", kind, ob_str_text(&kinds));
    ob_str_release(&kinds);
    return OB_EINVAL;
}

/* Is `key` a word of `words` ("seed classes")? */
static bool knows(const char *words, const char *key)
{
    while (*words) {
        size_t n = strcspn(words, " ");

        if (n == strlen(key) && !strncmp(words, key, n))
            return true;
        words += n + (words[n] == ' ');
    }
    return false;
}

static int check_key(const struct ob_source *s, const char *key, struct ob_err *err)
{
    if (knows("train test", key) || knows(s->options, key))
        return OB_OK;
    return ob_fail(err, OB_EINVAL, "'%s' data has no option '%s'; there are: train test%s%s",
                   s->kind, key, s->options[0] ? " " : "", s->options);
}

static int take_count(size_t *out, const char *key, const char *value, struct ob_err *err)
{
    int64_t n;

    if (!ob_str_int(value, &n) || n < 1 || n > INT32_MAX)
        return ob_fail(err, OB_EINVAL, "'%s=%s': a number of examples above 0 is needed", key,
                       value);
    *out = (size_t)n;
    return OB_OK;
}

/* One option, text[0..n). */
static int take_option(struct ob_data_arg *a, const struct ob_source *s, const char *text, size_t n,
                       struct ob_err *err)
{
    const char *equal = memchr(text, '=', n);
    char key[16] = { 0 }, value[64] = { 0 };
    size_t n_key = equal ? (size_t)(equal - text) : n, n_value = n - n_key - 1;

    if (!equal || !n_key || n_key >= sizeof(key) || n_value >= sizeof(value))
        return ob_fail(err, OB_EINVAL, "'%.*s' is not an option of the form key=value",
                       (int)(n < 60 ? n : 60), text);
    memcpy(key, text, n_key);
    memcpy(value, equal + 1, n_value);
    OB_TRY(check_key(s, key, err));
    for (int i = 0; i < a->n; i++)
        if (!strcmp(a->key[i], key))
            return ob_fail(err, OB_EINVAL, "option '%s' of the data stands there twice", key);
    if (!strcmp(key, "train") || !strcmp(key, "test")) {
        size_t *count = key[1] == 'r' ? &a->n_train : &a->n_test;

        if (*count)
            return ob_fail(err, OB_EINVAL, "option '%s' of the data stands there twice", key);
        return take_count(count, key, value, err);
    }
    if (a->n == 8)
        return ob_fail(err, OB_EINVAL, "too many options of the data");
    memcpy(a->key[a->n], key, sizeof(key));
    memcpy(a->value[a->n++], value, sizeof(value));
    return OB_OK;
}

static int parse(struct ob_data_arg *a, const struct ob_source **source, const char *spec,
                 struct ob_err *err)
{
    const char *colon = strchr(spec, ':'), *p;
    size_t n = colon ? (size_t)(colon - spec) : 0;

    if (!colon || !n || n >= sizeof(a->kind))
        return ob_fail(err, OB_EINVAL,
                       "'%.60s' is not a data set: KIND:FOLDER is needed, for example "
                       "idx:/usr/share/datasets/fashion-mnist",
                       spec);
    memcpy(a->kind, spec, n);
    OB_TRY(find_source(source, a->kind, err));
    p = colon + 1;
    n = strcspn(p, ",");
    if (n >= sizeof(a->where))
        return ob_fail(err, OB_EINVAL, "path too long: '%.60s...'", p);
    memcpy(a->where, p, n);
    for (p += n; *p; p += n) {
        n = strcspn(++p, ",");
        OB_TRY(take_option(a, *source, p, n, err));
    }
    return OB_OK;
}

/* The spec without its folder; own options by name, then train and test. */
static int canonical_spec(char out[256], const struct ob_data_arg *a, struct ob_err *err)
{
    bool used[8] = { false };
    size_t n = (size_t)snprintf(out, 256, "%s:%s", a->kind,
                                strcmp(a->kind, ob_source_synth.kind) ? "" : a->where);

    for (int k = 0; k < a->n && n < 256; k++) {
        int first = -1;

        for (int i = 0; i < a->n; i++)
            if (!used[i] && (first < 0 || strcmp(a->key[i], a->key[first]) < 0))
                first = i;
        used[first] = true;
        n += (size_t)snprintf(out + n, 256 - n, ",%s=%s", a->key[first], a->value[first]);
    }
    if (a->n_train && n < 256)
        n += (size_t)snprintf(out + n, 256 - n, ",train=%zu", a->n_train);
    if (a->n_test && n < 256)
        n += (size_t)snprintf(out + n, 256 - n, ",test=%zu", a->n_test);
    return n < 256 ? OB_OK : ob_fail(err, OB_EINVAL, "too many options of the data");
}

/* ---- files ---- */

#define SMALLER "a smaller data set needs less; OB_MEMORY=off tries it all the same"

int ob_data_check_room(const struct ob_data *d, size_t bytes, const char *path, struct ob_err *err)
{
    char what[240];

    snprintf(what, sizeof(what), "reading '%.200s'", path);
    return ob_room_check(d->ctx, bytes, what, NULL, SMALLER, err);
}

int ob_data_read_file(struct ob_file *f, const struct ob_data *d, const char *path, size_t max,
                      struct ob_err *err)
{
    struct ob_err why = { 0 };
    char text[24];
    size_t room;
    bool bounded = ob_room_of(d->ctx, &room) && room < max;
    int rc = ob_file_read_any(f, path, bounded ? room : max, &why);

    if (!rc)
        return OB_OK;
    if (!bounded || !f->beyond)
        return ob_fail(err, rc, "%s", why.msg);
    OB_TRY(ob_data_check_room(d, ob_file_size(f->path), f->path, err));
    /* unpacked: nobody knows how much it would have been */
    return ob_fail(err, OB_ENOMEM,
                   "reading '%.200s' needs more than the %s that are free; " SMALLER, f->path,
                   ob_room_text(text, room));
}

/* ---- what every source must have delivered ---- */

int ob_examples_alloc(struct ob_data *d, int part, size_t n, int is_float, struct ob_err *err)
{
    int c = d->info.channels, h = d->info.height, w = d->info.width;
    struct ob_examples *e = &d->ex[part];
    char what[40];
    size_t total, bytes;

    *e = (struct ob_examples){ 0 };
    if (c != 1 && c != 3)
        return ob_fail(err, OB_EFORMAT, "images of %d channels; 1 or 3 are possible", c);
    if (h < MIN_SIDE || h > MAX_SIDE || w < MIN_SIDE || w > MAX_SIDE)
        return ob_fail(err, OB_EFORMAT, "images of %d x %d; %d to %d are possible", h, w, MIN_SIDE,
                       MAX_SIDE);
    if (!n || n >= MAX_EXAMPLES)
        return ob_fail(err, OB_EFORMAT, "%zu examples; 1 to %zu are possible", n, MAX_EXAMPLES - 1);
    if (!ob_mul(&total, n, (size_t)(c * h * w)) ||
        !ob_mul(&bytes, total, is_float ? sizeof(float) : 1))
        return ob_fail(err, OB_ENOMEM, "out of memory");
    snprintf(what, sizeof(what), "the %s part", part == OB_TRAIN ? "training" : "test");
    OB_TRY(ob_room_check(d->ctx, bytes, what, NULL, SMALLER, err));
    e->n = n;
    if (is_float)
        OB_TRY(ob_alloc(e->f32, total, err));
    else
        OB_TRY(ob_alloc(e->u8, total, err));
    return ob_alloc(e->label, n, err);
}

int ob_data_count_classes(struct ob_data *d, const char *path, struct ob_err *err)
{
    const struct ob_examples *e = &d->ex[OB_TRAIN];
    unsigned char *seen;
    int rc = OB_OK;

    d->info.n_classes = 0;
    for (size_t i = 0; i < e->n; i++)
        if (e->label[i] >= d->info.n_classes)
            d->info.n_classes = e->label[i] + 1;
    OB_TRY(ob_alloc(seen, (size_t)d->info.n_classes, err));
    for (size_t i = 0; i < e->n; i++)
        if (e->label[i] >= 0)
            seen[e->label[i]] = 1;
    for (int c = 0; c < d->info.n_classes && !rc; c++)
        if (!seen[c])
            rc = ob_fail(err, OB_EFORMAT, "'%s': labels go up to %d, but no example has label %d",
                         path, d->info.n_classes - 1, c);
    ob_free(seen);
    return rc;
}

static int check_labels(const struct ob_data *d, const char *where, struct ob_err *err)
{
    static const char *const part_name[] = { "training", "test" };

    if (d->info.n_classes < 2)
        return ob_fail(err, OB_EFORMAT, "'%s': the labels name one class only", where);
    for (int p = 0; p < 2; p++)
        for (size_t i = 0; i < d->ex[p].n; i++)
            if (d->ex[p].label[i] < 0 || d->ex[p].label[i] >= d->info.n_classes)
                return ob_fail(err, OB_EFORMAT, "'%s': %s example %zu has label %d, of %d classes",
                               where, part_name[p], i, d->ex[p].label[i], d->info.n_classes);
    return OB_OK;
}

static void hash_content(struct ob_data *d)
{
    size_t pixels = (size_t)(d->info.channels * d->info.height * d->info.width);
    struct ob_hash h;

    ob_hash_init(&h);
    ob_hash_str(&h, "oubli data 1");
    ob_hash_u64(&h, (uint64_t)d->info.channels);
    ob_hash_u64(&h, (uint64_t)d->info.height);
    ob_hash_u64(&h, (uint64_t)d->info.width);
    ob_hash_u64(&h, (uint64_t)d->info.n_classes);
    for (int p = 0; p < 2; p++) {
        const struct ob_examples *e = &d->ex[p];

        ob_hash_u64(&h, e->n);
        ob_hash_str(&h, e->u8 ? "u8" : "f32");
        if (e->u8)
            ob_hash_add(&h, e->u8, e->n * pixels);
        else
            ob_hash_add(&h, e->f32, e->n * pixels * sizeof(float));
        ob_hash_add(&h, e->label, e->n * sizeof(*e->label));
    }
    ob_hash_hex(&h, d->info.hash);
}

/* ---- data sets that are known by their content ---- */

#define FASHION_HASH "565c45347b45d47812585b66381404e6d40d94ac3d14e93c66f3b5ad909a36a1"

static const char *const fashion_class[] = { "T-shirt/top", "Trouser",   "Pullover", "Dress",
                                             "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                             "Bag",         "Ankle boot" };

/* MNIST by its sizes and the number of examples of each class (LeCun et al. 1998). */
static bool is_mnist(const struct ob_data *d)
{
    static const size_t want[2][10] = {
        { 5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949 },
        { 980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009 },
    };
    size_t count[2][10] = { { 0 } };

    if (d->info.n_classes != 10 || d->info.channels != 1 || d->info.height != 28 ||
        d->info.width != 28)
        return false;
    for (int p = 0; p < 2; p++)
        for (size_t i = 0; i < d->ex[p].n; i++)
            count[p][d->ex[p].label[i]]++;
    return !memcmp(count, want, sizeof(want));
}

/* A source may have said both already. */
static int name_things(struct ob_data *d, struct ob_err *err)
{
    bool fashion = !strcmp(d->info.hash, FASHION_HASH);

    if (!d->info.name)
        d->info.name = fashion ? "fashion-mnist" : is_mnist(d) ? "mnist" : "";
    if (d->class_name)
        return OB_OK;
    OB_TRY(ob_alloc(d->class_name, (size_t)d->info.n_classes, err));
    for (int c = 0; c < d->info.n_classes; c++) {
        if (fashion)
            snprintf(d->class_name[c], sizeof(d->class_name[c]), "%s", fashion_class[c]);
        else
            snprintf(d->class_name[c], sizeof(d->class_name[c]), "%d", c);
    }
    return OB_OK;
}

/* ---- balanced subsets ---- */

static int everything(struct ob_ids *s, const struct ob_examples *e, struct ob_err *err)
{
    OB_TRY(ob_alloc(s->id, e->n, err));
    for (size_t i = 0; i < e->n; i++)
        s->id[i] = (uint32_t)i;
    s->n = e->n;
    return OB_OK;
}

/* The first n / C examples of each class, in file order. */
static int balanced(struct ob_ids *s, const struct ob_examples *e, size_t n, int n_classes,
                    const char *option, struct ob_err *err)
{
    size_t *have, each = n / (size_t)n_classes;
    int rc;

    if (n % (size_t)n_classes)
        return ob_fail(err, OB_EINVAL, "%s=%zu is not a multiple of the %d classes", option, n,
                       n_classes);
    if (n > e->n)
        return ob_fail(err, OB_EFORMAT, "%s=%zu: there are only %zu examples", option, n, e->n);
    OB_TRY(ob_alloc(have, (size_t)n_classes, err));
    OB_GO(ob_alloc(s->id, n, err));
    for (size_t i = 0; i < e->n; i++)
        if (have[e->label[i]] < each) {
            have[e->label[i]]++;
            s->id[s->n++] = (uint32_t)i;
        }
    for (int c = 0; c < n_classes; c++)
        if (have[c] < each) {
            rc = ob_fail(err, OB_EFORMAT, "%s=%zu takes %zu of each class; class %d has %zu",
                         option, n, each, c, have[c]);
            goto out;
        }
out:
    ob_free(have);
    return rc;
}

static int choose(struct ob_data *d, const struct ob_data_arg *a, struct ob_err *err)
{
    const size_t n[2] = { a->n_train, a->n_test };

    for (int p = 0; p < 2; p++) {
        OB_TRY(ob_alloc(d->use[p], 1, err));
        d->use[p]->limit = d->ex[p].n;
        if (n[p])
            OB_TRY(
                balanced(d->use[p], &d->ex[p], n[p], d->info.n_classes, p ? "test" : "train", err));
        else
            OB_TRY(everything(d->use[p], &d->ex[p], err));
        d->info.n_file[p] = d->ex[p].n;
        d->info.n[p] = d->use[p]->n;
    }
    return OB_OK;
}

/* ---- the public side ---- */

static int open_data(struct ob_data *d, const char *spec, struct ob_err *err)
{
    const struct ob_source *source = NULL;
    struct ob_data_arg a = { .n = 0 };

    OB_TRY(parse(&a, &source, spec, err));
    OB_TRY(canonical_spec(d->info.spec, &a, err));
    OB_TRY((source->open)(d, &a, err));
    OB_TRY(check_labels(d, a.where, err));
    hash_content(d);
    OB_TRY(name_things(d, err));
    return choose(d, &a, err);
}

int ob_data_open(struct ob_data **out, struct ob_ctx *ctx, const char *spec, struct ob_err *err)
{
    struct ob_data *d;
    int rc;

    *out = NULL;
    OB_TRY(ob_alloc(d, 1, err));
    d->ctx = ctx;
    rc = open_data(d, spec, err);
    if (rc)
        ob_data_free(d);
    else
        *out = d;
    return rc;
}

void ob_data_free(struct ob_data *d)
{
    if (!d)
        return;
    for (int p = 0; p < 2; p++) {
        ob_free(d->ex[p].u8);
        ob_free(d->ex[p].f32);
        ob_free(d->ex[p].label);
        ob_ids_free(d->use[p]);
    }
    ob_free(d->class_name);
    ob_free(d);
}

const struct ob_data_info *ob_data_info(const struct ob_data *d)
{
    return &d->info;
}

const struct ob_ids *ob_data_ids(const struct ob_data *d, enum ob_part part)
{
    return d->use[part];
}

int ob_data_label(const struct ob_data *d, enum ob_part part, uint32_t id)
{
    return d->ex[part].label[id];
}

const char *ob_data_class_name(const struct ob_data *d, int label)
{
    return label >= 0 && label < d->info.n_classes ? d->class_name[label] : "?";
}

void ob_data_image(const struct ob_data *d, enum ob_part part, uint32_t id, float *out)
{
    size_t pixels = (size_t)(d->info.channels * d->info.height * d->info.width);
    const struct ob_examples *e = &d->ex[part];

    if (e->f32)
        memcpy(out, e->f32 + id * pixels, pixels * sizeof(float));
    else
        for (size_t i = 0; i < pixels; i++)
            out[i] = (float)e->u8[id * pixels + i] / 255.0f;
}
