/*
 * sisa.h - the files of a model in shards and slices, and what is read from them.
 *
 * DIR/sisa.json                 settings; the numbers of the examples that are left out
 * DIR/parts.npz                 id, shard, slice: where each example of the training part belongs
 * DIR/shard-002-slice-001.npz   weights, optimiser and place in the training where the slice ends
 *                               (a checkpoint, see checkpoint.h; its settings name all that led there)
 * DIR/model-002.safetensors     what shard 2 came to
 *
 * A slice's file depends on the settings and on the examples of its shard up to the slice, and on
 * nothing else: forgetting keeps every file that a training without the examples would make as well.
 */
#ifndef OB_RUN_SISA_H
#define OB_RUN_SISA_H

#include "run/train.h"

#define OB_SISA_SHARDS 1000
#define OB_SISA_SLICES 1000

struct ob_sisa {
    struct ob_ctx *ctx;
    char *dir, *arch, *normalize; /* normalize may be NULL */
    char *identity;               /* settings: a flat JSON object, compact, keys sorted */
    struct ob_sisa_opts o;        /* borrows arch and normalize from here */
    struct ob_ids *excluded;      /* may hold none */
    uint32_t *order;              /* the training part in the order of shards and slices */
    size_t n;
};

/* sisa.c */
int ob_sisa_path(char **out, const char *dir, const char *name, struct ob_err *err);
int ob_sisa_slice_path(char **out, const char *dir, int shard, int slice, const char *ending,
                       struct ob_err *err);
int ob_sisa_model_path(char **out, const struct ob_sisa *s, int shard, struct ob_err *err);
/* From settings; takes a copy of `exclude` (NULL: none). */
int ob_sisa_new(struct ob_sisa **out, struct ob_ctx *ctx, const char *dir, const struct ob_data *d,
                const struct ob_split *split, const struct ob_ids *exclude,
                const struct ob_sisa_opts *o, struct ob_err *err);
/* What DIR/sisa.json says. OB_ENOTFOUND, OB_EFORMAT, OB_EVERSION. */
int ob_sisa_open(struct ob_sisa **out, struct ob_ctx *ctx, const char *dir, struct ob_err *err);
void ob_sisa_free(struct ob_sisa *s);
int ob_sisa_write(const struct ob_sisa *s, struct ob_err *err); /* sisa.json */
/* OB_EFORMAT names the setting that differs; with `excluded` the left out examples count too. */
int ob_sisa_same(const struct ob_sisa *there, const struct ob_sisa *here, bool excluded,
                 struct ob_err *err);

/* sisa_parts.c */
int ob_sisa_deal(struct ob_sisa *s, const struct ob_split *split, struct ob_err *err);
/* The examples of a shard's slices 0 ... slice that are not left out; may be none. */
int ob_sisa_examples(struct ob_ids **out, const struct ob_sisa *s, int shard, int slice,
                     struct ob_err *err);
int ob_sisa_write_parts(const struct ob_sisa *s, struct ob_err *err); /* parts.npz */
int ob_sisa_read_parts(struct ob_sisa *s, struct ob_err *err);        /* OB_EFORMAT: damaged */
/* Epochs of all slices, and of those before `slice`: slice j trains on j + 1 of `slices` parts, so
 * that 2 E / (slices + 1) epochs for each are about E passes over a shard. */
int ob_sisa_epochs(const struct ob_sisa *s, int slice);
uint64_t ob_sisa_seed(const struct ob_sisa *s, int shard);
/* What slice `slice` of a shard rests on, from what the one before it does (`before`: its key, or
 * ""): compact JSON for the caller to free(), and its digest. */
int ob_sisa_key(char **text, char key[65], const char *before, const struct ob_sisa *s, int shard,
                int slice, const struct ob_ids *examples, struct ob_err *err);

/* sisa_train.c: the model that a shard starts from; and OB_ENOMEM where there is no room to train one. */
int ob_sisa_fresh(struct ob_model **out, const struct ob_sisa *s, int shard,
                  const struct ob_data *d, struct ob_err *err);
int ob_sisa_check_room(const struct ob_sisa *s, const struct ob_data *d, struct ob_err *err);

#endif
