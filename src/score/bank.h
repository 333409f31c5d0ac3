/*
 * bank.h - the files of a bank of models, and what is read from all of them.
 *
 * DIR/bank.json          what all models share; their largest number
 * DIR/examples.npz       which examples are rows, with their labels
 * DIR/model-00042.npz    a model: the bits of its subset, logits in float16; .safetensors: its weights
 * DIR/wanted.txt         a line for each range of models that was asked for
 * DIR/times.txt          a line for each training: model, seconds, images
 */
#ifndef OB_SCORE_BANK_H
#define OB_SCORE_BANK_H

#include "base/npy.h"
#include "data/data.h"
#include "score/score.h"

struct ob_bank {
    struct ob_ctx *ctx;
    struct ob_bank_info info;
    char *dir, *arch;
    char *identity;        /* a flat JSON object of settings, compact, keys sorted */
    char key[65];          /* its digest, in every model's file */
    struct ob_ids *row[2]; /* by enum ob_part: the example of each row */
    int32_t *label[2];     /* by row */
    uint8_t *in_part;      /* by row: of the training part, not set aside for validation */
    size_t n_part;
    uint8_t *wanted; /* by number, OB_BANK_MODELS: was it asked for? */
    uint64_t seed;
    double subset;
};

#define OB_BANK_VERSION 1
#define OB_BANK_MODELS 100000            /* at most */
#define OB_BANK_TIMES ((size_t)1 << 26)  /* bytes of times.txt, at most */
#define OB_BANK_WANTED ((size_t)1 << 20) /* bytes of wanted.txt, at most */

/* bank.c */
int ob_bank_new(struct ob_bank **out, struct ob_ctx *ctx, const char *dir, struct ob_err *err);
void ob_bank_take_key(struct ob_bank *b); /* from its identity */
int ob_bank_path(char **out, const struct ob_bank *b, const char *name, struct ob_err *err);
int ob_bank_model_path(char **out, const struct ob_bank *b, int k, const char *ending,
                       struct ob_err *err);

/* bank_make.c. Makes the folder or finds it with the same settings; notes that models o->first to
 * o->end - 1 are wanted. */
int ob_bank_make(struct ob_bank **out, struct ob_ctx *ctx, const char *dir, const struct ob_data *d,
                 const struct ob_split *split, const struct ob_bank_opts *o, struct ob_err *err);
/* examples.npz, wanted.txt, bank.json */
int ob_bank_write(const struct ob_bank *b, struct ob_err *err);
int ob_bank_write_settings(const struct ob_bank *b, struct ob_err *err); /* bank.json alone */
/* OB_EFORMAT names the setting that differs. */
int ob_bank_same(const struct ob_bank *there, const struct ob_bank *here, struct ob_err *err);
int ob_bank_check_empty(const char *dir, struct ob_err *err); /* OB_EEXIST */

/* bank_wanted.c */
void ob_bank_mark_wanted(struct ob_bank *b, int first, int end); /* in memory alone */
int ob_bank_read_wanted(struct ob_bank *b, struct ob_err *err);
int ob_bank_write_wanted(const struct ob_bank *b, struct ob_err *err); /* adds all of them */
/* Marks and notes what is not wanted yet. */
int ob_bank_want(struct ob_bank *b, int first, int end, struct ob_err *err);
int ob_bank_want_all(struct ob_bank *b, const struct ob_bank *of, struct ob_err *err);

/* bank_model.c */
struct ob_bank_model {
    struct ob_npz file;
    const unsigned char *included; /* bits by row, the first is the highest of its byte */
    const struct ob_npy *logits[2];
};
/* in: a byte for each row; logits: rows x classes */
int ob_bank_model_write(const struct ob_bank *b, int k, const uint8_t *in,
                        const float *const logits[2], struct ob_err *err);
/* OB_ENOTFOUND, OB_EFORMAT: damaged, or of another bank. `out` is to be released in every case. */
int ob_bank_model_read(struct ob_bank_model *out, const struct ob_bank *b, int k,
                       struct ob_err *err);
void ob_bank_model_release(struct ob_bank_model *m);
int ob_bank_included(const struct ob_bank_model *m, size_t row);
int ob_bank_argmax(const struct ob_bank_model *m, const struct ob_bank *b, int part, size_t row);

/* bank_weights.c. OB_ENOTFOUND: not kept; OB_EFORMAT: damaged, of another model or another bank. */
int ob_bank_check_weights(const struct ob_bank *b, int k, struct ob_err *err);
int ob_bank_weights_path(char **out, int *there, const struct ob_bank *b, int k,
                         struct ob_err *err);

/* bank_train.c */
uint64_t ob_bank_seed(const struct ob_bank *b, int k); /* of the weights and the order of model k */
/* One byte for each row: is it in the subset of model k? */
int ob_bank_subset(uint8_t *in, const struct ob_bank *b, int k, struct ob_err *err);

/* bank_bits.c: of all models that are there, by example: was it in the subset, was the answer right?
 * Bit m of a row is the m-th model that is there. */
struct ob_bank_bits {
    int n;                         /* models */
    size_t words;                  /* of a row */
    uint64_t *included, *right[2]; /* rows x words */
};
int ob_bank_bits_read(struct ob_bank_bits *out, const struct ob_bank *b, struct ob_err *err);
void ob_bank_bits_release(struct ob_bank_bits *bits);

#endif
