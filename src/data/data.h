/* data.h - examples in memory: whole files, decoded once, never written. */
#ifndef OB_DATA_DATA_H
#define OB_DATA_DATA_H

#include "base/ctx.h"
#include "base/io.h"

struct ob_ids {
    uint32_t *id; /* ascending, no duplicates */
    size_t n, limit;
    uint32_t *line;    /* where each stood in the file that it was read from, or NULL */
    const char *place; /* what `line` counts: "line", or "entry" of an array */
};

/* Where `id` stands in the set, or would stand. */
size_t ob_ids_rank(const struct ob_ids *s, uint32_t id);

struct ob_examples { /* one file's worth: training or test */
    size_t n;
    uint8_t *u8; /* n x C x H x W, or NULL */
    float *f32;  /* n x C x H x W, 0..1, or NULL */
    int32_t *label;
};

struct ob_data {
    struct ob_ctx *ctx;
    struct ob_data_info info;
    struct ob_examples ex[2]; /* by enum ob_part */
    struct ob_ids *use[2];    /* after train=, test= */
    char (*class_name)[32];   /* n_classes names */
};

/* ---- sources: data.c has the one list. A source fills ex, sizes, n_classes, name, class_name. ---- */

struct ob_data_arg { /* "idx:DIR,train=6000" taken apart */
    char kind[16], where[512];
    char key[8][16], value[8][64];
    int n;                  /* options other than train= and test=; those are in data.c */
    size_t n_train, n_test; /* 0: all. A source may use them (synth) */
};
struct ob_source {
    const char *kind, *options; /* options it knows beside train and test: "labels" */
    int (*open)(struct ob_data *d, const struct ob_data_arg *a, struct ob_err *err);
};
extern const struct ob_source ob_source_idx, ob_source_cifar10, ob_source_cifar100, ob_source_npy,
    ob_source_images, ob_source_synth;

/* n images of the size in d->info, which is checked, zeroed, into d->ex[part]; frees nothing that was
 * there. OB_EFORMAT: not a size that is possible; OB_ENOMEM: also where less is free. */
int ob_examples_alloc(struct ob_data *d, int part, size_t n, int is_float, struct ob_err *err);
/* A whole file, plain, .gz or .xz; OB_ENOMEM in one line: more than there is room for. */
int ob_data_read_file(struct ob_file *f, const struct ob_data *d, const char *path, size_t max,
                      struct ob_err *err);
int ob_data_check_room(const struct ob_data *d, size_t bytes, const char *path, struct ob_err *err);
/* For sources that do not say: n_classes is the largest training label plus one, and each of them
 * occurs. `path`: for messages. */
int ob_data_count_classes(struct ob_data *d, const char *path, struct ob_err *err);

/* ---- batches ---- */

struct ob_batch {
    const float *x; /* n x C x H x W, 0..1 */
    const int32_t *y;
    const uint32_t *id;
    int n;
};

enum ob_augment { OB_AUG_NONE, OB_AUG_CROP_FLIP };
int ob_augment_parse(const char *text, enum ob_augment *out, struct ob_err *err);

/* Deals the examples of a set in batches; the last partial batch is used. Order of epoch e: a
 * permutation drawn from (seed, OB_RNG_SHUFFLE, stream, e), or ascending when not shuffled. Crop and flip of an
 * example: from (seed, OB_RNG_AUGMENT, epoch * 16 + stream, id): pad 4 with zeros, crop, flip p = 1/2. */
struct ob_loader;
struct ob_loader_opts {
    int batch, shuffle;
    enum ob_augment augment;
    uint64_t seed;
    uint32_t stream; /* 0..15: loaders of one job differ */
};
int ob_loader_new(struct ob_loader **out, const struct ob_data *d, enum ob_part part,
                  const struct ob_ids *ids, const struct ob_loader_opts *o, struct ob_err *err);
void ob_loader_free(struct ob_loader *l);
void ob_loader_start(struct ob_loader *l, uint32_t epoch);
/* False at the end of the epoch. *out points into the loader until the next call. */
int ob_loader_next(struct ob_loader *l, struct ob_batch *out);
size_t ob_loader_n(const struct ob_loader *l);
size_t ob_loader_n_batches(const struct ob_loader *l);

#endif
