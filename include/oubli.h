/*
 * oubli.h - the whole public interface.
 *
 * Ownership: a function that fills `struct ob_x **out` gives the caller an
 * object to free with ob_x_free(); ob_x_free(NULL) is fine. Every `const`
 * argument is borrowed for the length of the call, and what a getter returns
 * belongs to its parent. On failure *out is NULL.
 * Errors: 0 or a negative enum ob_status; `err` may be NULL. The first failure
 * wins, with one sentence in err->msg.
 * Threads: one ob_ctx per thread of the caller; objects made from one ctx are
 * not shared between threads. The library starts its own workers inside a
 * call, never after it. Results do not depend on how many there are.
 * The library never prints, exits, aborts, or installs a signal handler.
 *
 * Words: forget set S, retain set R, test set T; original model, unlearned
 * model, retrained model (trained from scratch without S); memorization,
 * entanglement; a plan is a list of steps, each with its forget and retain set.
 */
#ifndef OUBLI_H
#define OUBLI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OB_VERSION "0.1.0"

enum ob_status {
    OB_OK = 0,
    OB_EINVAL = -1, /* the request makes no sense */
    OB_ENOMEM = -2,
    OB_EIO = -3,      /* the system said no; see os_errno */
    OB_EFORMAT = -4,  /* a file is damaged, or not what it claims to be, or does not fit */
    OB_EVERSION = -5, /* a file from a newer release */
    OB_ENOTFOUND = -6,
    OB_EEXIST = -7,
    OB_EDIVERGED = -8,  /* a loss or a weight stopped being finite */
    OB_ECANCELLED = -9, /* the stop callback said so */
    OB_ENOTSUP = -10,   /* this build or backend cannot do that */
    OB_EBUG = -11       /* a promise inside the library was broken */
};

struct ob_err {
    int code; /* enum ob_status; the first failure wins */
    int os_errno;
    char where[40]; /* "io.c:212", where it was noticed */
    char msg[400];  /* one sentence, no full stop, subject in '' */
};

/* ---- context: threads, backend, log, progress, stop flag. No globals. ---- */

struct ob_progress {
    const char *task;      /* "train", "step 2 of 3, salun" ...; valid during the call */
    const char *unit;      /* what `epoch` counts: NULL for "epoch", "model" in a bank */
    int epoch, n_epochs;   /* 0-based epoch that is running */
    size_t done, total;    /* images of this epoch */
    double loss, accuracy; /* running means over this epoch; NaN where unknown */
};

enum ob_log_level { OB_LOG_DEBUG, OB_LOG_INFO, OB_LOG_WARN };

/* ---- ranks: the processes of one job that mpirun started, on one machine or many ---- */

/* ob_bank_train() deals its models out to them, ob_train() shares each batch out; every other
 * function is one process's own. Each rank makes the same calls with the same settings and sees the
 * same files. One rank's failure is everybody's, with its words. */
struct ob_ranks;
/* *out is NULL, which is one process alone, where no mpirun is at work. From the main thread, once.
 * OB_ENOTSUP: started by mpirun, but this build has no MPI. */
int ob_ranks_join(struct ob_ranks **out, struct ob_err *err);
int ob_ranks_me(const struct ob_ranks *r); /* 0 ...; rank 0 tells the user, and writes files */
/* All ranks meet here; the failure of the first rank that has one becomes everybody's: returned,
 * and in `err`, with "rank 3: " in front unless it was rank 0's. After that it returns `rc` as it is. */
int ob_ranks_agree(struct ob_ranks *r, int rc, struct ob_err *err);
void ob_ranks_leave(struct ob_ranks *r); /* the last call of all; NULL is fine */

struct ob_ctx;
struct ob_ctx_opts {
    size_t size;         /* sizeof(struct ob_ctx_opts): lets it grow */
    const char *backend; /* "ref", "cpu"; NULL means "cpu" */
    const char *isa;     /* "baseline", "avx2", "avx512"; NULL: the best that the machine has */
    int general_conv;    /* 1: 3 x 3 convolutions without Winograd's algorithm; for comparison */
    int n_threads;       /* 1 to 1024; 0: as many as the machine has */
    void (*log)(void *arg, int level, const char *line);
    void (*progress)(void *arg, const struct ob_progress *p);
    int (*stop)(
        void *arg); /* asked between batches; non-zero stops. A bank asks from all threads */
    void *arg;
    /* A folder for decoded images, made when needed; NULL: every opening decodes. Borrowed. */
    const char *cache;
    /* Bytes that this process may take in all: what needs more is refused before it starts
     * (OB_ENOMEM). 0: what the system has free; SIZE_MAX: nothing is refused. */
    size_t memory;
    struct ob_ranks *ranks; /* borrowed; NULL: one process */
};
#define OB_CTX_OPTS_INIT                                                                           \
    {                                                                                              \
        .size = sizeof(struct ob_ctx_opts)                                                         \
    }
/* OB_EINVAL: no such backend or instruction set; OB_ENOTSUP: known, but not on this machine. */
int ob_ctx_new(struct ob_ctx **out, const struct ob_ctx_opts *o, struct ob_err *err);
void ob_ctx_free(struct ob_ctx *ctx);
const char *ob_ctx_isa(const struct ob_ctx *ctx);
int ob_ctx_n_threads(const struct ob_ctx *ctx);

/* ---- data: examples, and sets of example numbers ---- */

struct ob_ids; /* sorted, no duplicates, all below a known limit */
int ob_ids_new(struct ob_ids **out, const uint32_t *id, size_t n, size_t limit,
               struct ob_err *err); /* sorts a copy; OB_EFORMAT: out of range or twice */
/* A text file (a number a line, '#' starts a comment) or a 1-d integer .npy. OB_EFORMAT names
 * the line: not a number, out of range, twice, or an empty set. */
int ob_ids_read(struct ob_ids **out, const char *path, size_t limit, struct ob_err *err);
/* `note`: lines for the head of the file, each without '#'; may be NULL. Writes whole or not. */
int ob_ids_write(const struct ob_ids *s, const char *path, const char *note, struct ob_err *err);
void ob_ids_free(struct ob_ids *s);
size_t ob_ids_n(const struct ob_ids *s);
const uint32_t *ob_ids_list(const struct ob_ids *s); /* ascending */
int ob_ids_has(const struct ob_ids *s, uint32_t id);
int ob_ids_minus(struct ob_ids **out, const struct ob_ids *a, const struct ob_ids *b,
                 struct ob_err *err);
int ob_ids_union(struct ob_ids **out, const struct ob_ids *a, const struct ob_ids *b,
                 struct ob_err *err);
int ob_ids_equal(const struct ob_ids *a, const struct ob_ids *b);
/* Checks that `s` lies inside `whole` and leaves something of it: OB_EFORMAT names the first id
 * that does not, `path` (may be NULL) is where the set came from. */
int ob_ids_check_forget(const struct ob_ids *s, const struct ob_ids *whole, const char *path,
                        struct ob_err *err);

/* Which of the n examples of the training file belong together: a user's photos. A text file with a line
 * for each example, the name of its group (empty: none), or integers, FILE.npy or FILE.npz:NAME (below
 * 0: none). OB_EFORMAT names the line. */
struct ob_groups;
int ob_groups_read(struct ob_groups **out, const char *path, size_t n, struct ob_err *err);
void ob_groups_free(struct ob_groups *g);
size_t ob_groups_n(const struct ob_groups *g);
size_t ob_groups_size(const struct ob_groups *g);                /* examples in the training file */
const char *ob_groups_name(const struct ob_groups *g, size_t i); /* in the order of their bytes */
int ob_groups_find(const struct ob_groups *g, const char *name); /* -1: no such group */
int ob_groups_of(const struct ob_groups *g, uint32_t id);        /* -1: none */
/* A second label for each of the n examples, in files of the same kinds: 0..n_classes-1, or -1 where it is
 * not known. The caller frees *out with ob_free(). */
int ob_labels_read(int32_t **out, const char *path, size_t n, int n_classes, struct ob_err *err);

enum ob_part { OB_TRAIN, OB_TEST };

struct ob_data; /* read-only; knows its own content hash */
struct ob_data_info {
    char spec[256]; /* without the folder: "idx:,train=6000,test=2000" */
    char hash[65];  /* of decoded images and labels of the whole files, 64 hex digits */
    int channels, height, width, n_classes;
    size_t n_file[2]; /* examples in the whole files, by enum ob_part */
    size_t n[2];      /* examples in use (after train=, test=) */
    const char *name; /* "cifar10", "fashion-mnist", ...; "" where unknown */
};
/* SPEC as the command line takes it: "idx:DIR,train=6000,test=2000", "cifar10:DIR",
 * "cifar100:DIR,labels=coarse", "npy:DIR", "npy:FILE.npz", "images:DIR",
 * "synth:longtail,train=600,classes=3". */
int ob_data_open(struct ob_data **out, struct ob_ctx *ctx, const char *spec, struct ob_err *err);
void ob_data_free(struct ob_data *d);
const struct ob_data_info *ob_data_info(const struct ob_data *d);
const struct ob_ids *ob_data_ids(const struct ob_data *d, enum ob_part part); /* those in use */
int ob_data_label(const struct ob_data *d, enum ob_part part, uint32_t id);
const char *ob_data_class_name(const struct ob_data *d, int label); /* never NULL */
/* One image as float, channels x height x width, 0..1. */
void ob_data_image(const struct ob_data *d, enum ob_part part, uint32_t id, float *out);

/* Copies: two images that are equal, or nearly: encoded again, shifted by up to two pixels (of 32 to 63 a side; larger
 * images by as much in proportion), mirrored. How they are found: src/data/copies.c. */
struct ob_copies;
struct ob_copy {
    uint32_t id[2];
    double
        likeness; /* correlation of the pixels where both overlap, in the best position; 1: equal */
    int is_exact; /* every pixel is the same */
    int dx, dy,
        is_mirrored; /* what makes the second of the first: a shift, then mirrored left to right */
};
#define OB_COPY_LIKENESS 0.95
/* Pairs of an example in `a` and one in `b`, by numbers. Where both are the same set, each pair once, the
 * lower number first. likeness: the least that counts; OB_ENOTSUP: more than a million pairs. */
int ob_copies_find(struct ob_copies **out, const struct ob_data *d, enum ob_part part_a,
                   const struct ob_ids *a, enum ob_part part_b, const struct ob_ids *b,
                   double likeness, struct ob_err *err);
void ob_copies_free(struct ob_copies *c);
size_t ob_copies_n(const struct ob_copies *c);
const struct ob_copy *ob_copies_list(const struct ob_copies *c);

/* A class-balanced validation part: floor(fraction * n_c + 0.5) of class c, drawn with numpy's
 * legacy generator RandomState(seed).choice as the published code does. fraction 0: none. */
struct ob_split;
int ob_split_new(struct ob_split **out, const struct ob_data *d, double fraction, uint32_t seed,
                 struct ob_err *err);
void ob_split_free(struct ob_split *s);
const struct ob_ids *ob_split_train(const struct ob_split *s); /* the training part */
const struct ob_ids *ob_split_val(const struct ob_split *s);   /* may hold 0 ids */
double ob_split_fraction(const struct ob_split *s);
uint32_t ob_split_seed(const struct ob_split *s);
const char *ob_split_hash(const struct ob_split *s); /* of the ids of both parts */

/* ---- models ---- */

struct ob_arch_info {
    char name[64];
    const char *about;
    size_t n_params;
    int n_features; /* width of the embedding: what feeds the classifier */
    double macs;    /* multiply-adds of one forward pass of one image */
};
const char *ob_arch_at(size_t i); /* names, in the order of reports; NULL past the last */
/* `arch` with options: "cnn,width=0.5". OB_EINVAL names the nearest architecture. */
int ob_arch_describe(struct ob_arch_info *out, const char *arch, int channels, int height,
                     int width, int n_classes, struct ob_err *err);

struct ob_model;
int ob_model_new(struct ob_model **out, struct ob_ctx *ctx, const char *arch, int channels,
                 int height, int width, int n_classes, uint64_t seed, struct ob_err *err);
/* `arch` NULL: from the file's metadata, else inferred from names and shapes. `normalize` NULL:
 * the file's own ("normalize.mean", "normalize.std"); OB_EINVAL where it has none.
 * `n_classes`, `height`, `width`: what the data has, 0 for unknown. */
struct ob_load_opts {
    size_t size;
    const char *arch, *normalize;
    int channels, height, width, n_classes;
};
#define OB_LOAD_OPTS_INIT                                                                          \
    {                                                                                              \
        .size = sizeof(struct ob_load_opts)                                                        \
    }
int ob_model_load(struct ob_model **out, struct ob_ctx *ctx, const char *path,
                  const struct ob_load_opts *o, struct ob_err *err);
int ob_model_save(const struct ob_model *m, const char *path, struct ob_err *err);
/* As ob_model_load(), and what PyTorch 1.6 or later saved (.pt, .pth: a zip archive): a state dict, or
 * a dict that holds one under "state_dict", "model", "net" or "model_state_dict". Nothing in it is
 * executed; whatever is not a tensor, dict, text or number is refused by its name (OB_EFORMAT).
 * float16, bfloat16 and float64 become float32. */
int ob_model_import(struct ob_model **out, struct ob_ctx *ctx, const char *path,
                    const struct ob_load_opts *o, struct ob_err *err);
/* The ending of `path` says what is written: .safetensors, .pt or .pth (an OrderedDict of tensors that
 * load_state_dict takes), .onnx (opset 13, any batch). OB_EINVAL: another ending. */
struct ob_export_opts {
    size_t size;
    int no_normalize; /* leave "normalize.mean" and "normalize.std" out: the plain network */
};
#define OB_EXPORT_OPTS_INIT                                                                        \
    {                                                                                              \
        .size = sizeof(struct ob_export_opts)                                                      \
    }
int ob_model_export(const struct ob_model *m, const char *path, const struct ob_export_opts *o,
                    struct ob_err *err);
int ob_model_export_check(const char *path, struct ob_err *err); /* its ending alone */
int ob_model_clone(struct ob_model **out, const struct ob_model *m, struct ob_err *err);
void ob_model_free(struct ob_model *m);
const char *ob_model_arch(const struct ob_model *m);
int ob_model_n_classes(const struct ob_model *m);
int ob_model_n_features(const struct ob_model *m);
/* Which layer is the embedding of this object (the file does not say): "pooled", what the classifier reads
 * (2048 numbers of vgg16), as when it is made; or "hidden", what its last layer reads (256 of vgg16). They differ
 * where the classifier has several layers; where they are one, it is called "pooled". */
int ob_model_set_embedding(struct ob_model *m, const char *which, struct ob_err *err);
const char *ob_model_embedding(const struct ob_model *m);
size_t ob_model_n_params(const struct ob_model *m);
const float *ob_model_params(const struct ob_model *m);  /* PyTorch's layout and order */
const float *ob_model_buffers(const struct ob_model *m); /* normalisation, batch-norm statistics */
size_t ob_model_n_buffers(const struct ob_model *m);
void ob_model_input(const struct ob_model *m, int *channels, int *height, int *width);
/* BLAKE2b of names, parameters and buffers (not of metadata), 64 hex digits. */
int ob_model_digest(const struct ob_model *m, char hex[65], struct ob_err *err);
/* Metadata strings: arch classes data split recipe seed parent oubli, and method settings. */
const char *ob_model_meta(const struct ob_model *m, const char *key); /* NULL: not there */
int ob_model_set_meta(struct ob_model *m, const char *key, const char *value, struct ob_err *err);
/* "cifar10", "none", ... or "M1,M2,M3/S1,S2,S3"; NULL: what suits the data set `d`. */
int ob_model_set_normalize(struct ob_model *m, const char *text, const struct ob_data *d,
                           struct ob_err *err);
/* Is this the data that the model knows (hash, classes, image size)? OB_EFORMAT says what not. */
int ob_model_check_data(const struct ob_model *m, const struct ob_data *d, struct ob_err *err);
/* The split that stands in the model's metadata; `fraction` and `seed` where it has none. On other
 * data than the model's, one drawn by the same rule; on another subset of its data OB_EFORMAT. */
int ob_model_split(struct ob_split **out, const struct ob_model *m, const struct ob_data *d,
                   double fraction, uint32_t seed, struct ob_err *err);
int ob_model_has_split(const struct ob_model *m);

/* ---- training ---- */

struct ob_recipe {
    int epochs, batch;
    double lr, momentum, weight_decay;
    char schedule[64];  /* "cosine" (to 0, per epoch), "constant", "step:60,120,x0.2" */
    char augment[16];   /* "none", "crop-flip" */
    char optimizer[16]; /* "sgd", "adam", "adamw" */
    /* 0, or: batch-norm normalises over so many examples of a batch at a time, and the gradient is the sum.
     * The unit in which a batch is shared out among ranks: their number changes no byte */
    int sub_batch;
};
/* The paper's recipe for that data set and architecture, else our default (README). */
void ob_recipe_default(struct ob_recipe *r, const struct ob_data *d, const char *arch);
/* For ranks, and without a sub_batch: a sub-batch for each. */
void ob_recipe_share(struct ob_recipe *r, const struct ob_ranks *ranks);
int ob_recipe_check(const struct ob_recipe *r, struct ob_err *err);
/* The recipe in the model's metadata. OB_ENOTFOUND: it has none. */
int ob_recipe_of_model(struct ob_recipe *r, const struct ob_model *m, struct ob_err *err);

/* What work cost. `images`: training examples whose gradient was taken; of these, `images_resumed`
 * by an earlier run that this one went on from, whose seconds are not known. */
struct ob_cost {
    uint64_t images, images_forward, images_resumed;
    double seconds;
    double loss, accuracy; /* running means over the last epoch's training batches; NaN if none */
};
size_t ob_peak_bytes(void); /* largest resident memory of this process so far */

struct ob_events; /* per-example learning events, recorded while training */
int ob_events_read(struct ob_events **out, const char *path, struct ob_err *err);
int ob_events_write(const struct ob_events *e, const char *path, struct ob_err *err);
void ob_events_free(struct ob_events *e);

struct ob_train_opts {
    size_t size;
    struct ob_recipe recipe;
    uint64_t seed;
    const char *checkpoint; /* path, or NULL: none. Holds model, optimiser, events, epoch */
    int checkpoint_every;   /* epochs; 0 means 1 */
    int resume; /* go on from the checkpoint if it is there; OB_EFORMAT: other settings */
    struct ob_events **events; /* not NULL: record, and give the caller the object */
    int patience; /* stop after so many epochs without a lower loss; 0: never. No checkpoint then */
    enum ob_part part; /* whose examples; OB_TEST only to repeat what published code did */
    /* called after each epoch, for curves; may be NULL */
    void (*on_epoch)(void *arg, int epoch, double loss, double accuracy);
    void *arg;
};
#define OB_TRAIN_OPTS_INIT                                                                         \
    {                                                                                              \
        .size = sizeof(struct ob_train_opts)                                                       \
    }
/* Trains `m` on the examples `use` of the training file, and writes data, split, recipe and seed
 * into its metadata (`split` may be NULL). OB_EDIVERGED leaves `m` unusable. The checkpoint is
 * kept at OB_ECANCELLED and removed by ob_train_done(), after the caller saved the model. Ranks share each batch, as
 * ob_recipe_share() says, and all end with the model; rank 0 writes the checkpoint. */
int ob_train(struct ob_cost *cost, struct ob_model *m, const struct ob_data *d,
             const struct ob_split *split, const struct ob_ids *use, const struct ob_train_opts *o,
             struct ob_err *err);
int ob_train_done(const struct ob_train_opts *o, struct ob_err *err);

/* logits: n x classes; features: n x n_features; either may be NULL. Eval mode, no augmentation. */
int ob_predict(float *logits, float *features, const struct ob_model *m, const struct ob_data *d,
               enum ob_part part, const struct ob_ids *ids, struct ob_err *err);

/* ---- SISA: a model in shards and slices, of which a deletion retrains what it touches ---- */

/* The training part is dealt out to shards, a model each; a shard is cut into slices, and its model's
 * state is kept where each slice ends (Bourtoule et al. 2021). The folder: docs/formats.md. */
struct ob_sisa_opts {
    size_t size;
    const char *arch, *normalize; /* normalize NULL: what suits the data */
    struct ob_recipe recipe;      /* of a shard; its epochs in passes over the shard, roughly */
    int shards, slices;           /* 1 to 1000 of each; slices of a shard */
    uint64_t seed;
};
#define OB_SISA_OPTS_INIT                                                                          \
    {                                                                                              \
        .size = sizeof(struct ob_sisa_opts)                                                        \
    }
struct ob_sisa_done {
    int shards, slices;                              /* of the folder; slices of a shard */
    int shards_trained, slices_trained, slices_kept; /* in this run; of all shards */
    size_t n_left_out;                               /* examples that the folder then leaves out */
};
/* Trains what is not there yet, into `dir`. `exclude`: examples of the training part to leave out, or
 * NULL; where the others belong does not depend on them. Every finished slice survives a kill, and the
 * same call goes on. OB_EFORMAT: the folder holds shards of other settings or examples (`err` says
 * which), or nothing would be left of a shard; OB_EEXIST: it holds something else. */
int ob_sisa_train(struct ob_cost *cost, struct ob_sisa_done *done, struct ob_ctx *ctx,
                  const char *dir, const struct ob_data *d, const struct ob_split *split,
                  const struct ob_ids *exclude, const struct ob_sisa_opts *o, struct ob_err *err);
/* As ob_sisa_train() with the settings of the folder `from` and without `forget` (and what `from`
 * leaves out already), file for file; slices of `from` that are the same are taken over. */
int ob_sisa_forget(struct ob_cost *cost, struct ob_sisa_done *done, struct ob_ctx *ctx,
                   const char *from, const char *dir, const struct ob_data *d,
                   const struct ob_split *split, const struct ob_ids *forget, struct ob_err *err);
/* What it would train, changing nothing: images, slices, and seconds, from one batch timed here.
 * `from` counts as whole. OB_ENOMEM: there would be no room for it. */
int ob_sisa_forget_cost(struct ob_cost *cost, struct ob_sisa_done *done, struct ob_ctx *ctx,
                        const char *from, const struct ob_data *d, const struct ob_split *split,
                        const struct ob_ids *forget, struct ob_err *err);
int ob_sisa_is(const char *path); /* a folder of shards, finished or not */
/* All shards as a model for ob_predict() and ob_evaluate(); whatever asks for weights refuses it
 * (OB_EINVAL). OB_VOTE: the share of the shards that choose a class, ties to the lower class;
 * OB_MEAN: the mean of their probabilities. "Logits" are the logarithms of these, at least 1e-30.
 * OB_EFORMAT: a shard is missing, damaged, or of another folder. */
enum ob_aggregate { OB_VOTE, OB_MEAN };
int ob_sisa_load(struct ob_model **out, struct ob_ctx *ctx, const char *dir, enum ob_aggregate how,
                 struct ob_err *err);

/* ---- scores: one float per example of the training file; higher = more memorized ---- */

struct ob_scores;
struct ob_scores_info {
    const char *kind;   /* "confidence", "entropy", "margin", "accuracy", "memorization", ... */
    const char *source; /* "events", "model", "bank", "file" */
    size_t n;           /* examples in the training file */
    size_t n_scored;    /* not NaN */
    double images;      /* what it cost, in images of a forward pass */
    int raw;            /* as the papers define it: higher may mean less memorized */
};
/* kind: confidence, max-confidence, entropy, accuracy, cumulative-loss (the sum over epochs). raw: as
 * the papers define it. */
int ob_scores_from_events(struct ob_scores **out, const struct ob_events *e, const char *kind,
                          int raw, struct ob_err *err);
/* kind: confidence, entropy, margin, centroid-distance (to the mean embedding of `ids`; near is high), of
 * a finished model on `ids` of the training file. */
int ob_scores_from_model(struct ob_scores **out, const struct ob_model *m, const struct ob_data *d,
                         const struct ob_ids *ids, const char *kind, int raw, struct ob_err *err);
/* Holdout retraining: how far predictions move when a copy of the model is trained on the held-out part until
 * its loss stops falling (src/score/holdout.c). OB_EINVAL: the split has no validation part. */
struct ob_holdout_opts {
    size_t size;
    double lr;
    int epochs, batch, patience; /* at most so many epochs; patience of them without a lower loss */
    int released;                /* held out is the test set, as in the published code */
    uint64_t seed;
};
#define OB_HOLDOUT_OPTS_INIT                                                                       \
    {                                                                                              \
        .size = sizeof(struct ob_holdout_opts), .lr = 0.1, .epochs = 30, .batch = 128,             \
        .patience = 4                                                                              \
    }
int ob_scores_holdout(struct ob_scores **out, const struct ob_model *m, const struct ob_data *d,
                      const struct ob_split *split, const struct ob_holdout_opts *o,
                      struct ob_err *err);
/* Loss curvature: how far the gradient with respect to the pixels turns on a way of length `h` along its
 * own sign (src/score/curvature.c; h = 0.01 there). */
int ob_scores_curvature(struct ob_scores **out, const struct ob_model *m, const struct ob_data *d,
                        const struct ob_ids *ids, double h, struct ob_err *err);
int ob_scores_read(struct ob_scores **out, const char *path, struct ob_err *err);
int ob_scores_write(const struct ob_scores *s, const char *path, struct ob_err *err); /* + .json */
void ob_scores_free(struct ob_scores *s);
const float *ob_scores_value(const struct ob_scores *s);
const struct ob_scores_info *ob_scores_info(const struct ob_scores *s);

/* Before choosing by scores. OB_EFORMAT: not one per training example of `d`. Warns in the log
 * where they were made for other data, or are raw. */
int ob_scores_check(const struct ob_scores *s, const struct ob_data *d, struct ob_err *err);

struct ob_compare {
    size_t n;                                     /* examples with a score in both */
    double spearman, spearman_low, spearman_high; /* 95 % interval */
    double pearson, pearson_low, pearson_high;
    /* How reliable the files say they are (memorization: Spearman-Brown); NaN: not said, taken as 1. */
    double reliability[2];
    /* Each of the above over sqrt(reliability[0] reliability[1]) (Spearman 1904): between what the scores
     * estimate. May exceed 1. NaN where neither file says how reliable it is. */
    double spearman_corrected, spearman_corrected_low, spearman_corrected_high;
    double pearson_corrected, pearson_corrected_low, pearson_corrected_high;
};
/* Intervals by Fisher's z. */
int ob_scores_compare(struct ob_compare *out, const struct ob_scores *a, const struct ob_scores *b,
                      struct ob_err *err);
/* The same with percentile intervals from so many resamples of the examples (Efron 1979), drawn by `seed`. */
int ob_scores_bootstrap(struct ob_compare *out, struct ob_ctx *ctx, const struct ob_scores *a,
                        const struct ob_scores *b, int resamples, uint64_t seed,
                        struct ob_err *err);

/* ---- entanglement: how much two sets overlap in a model's embedding ---- */

struct ob_entangle_set {
    const struct ob_ids *forget, *retain; /* both inside the training part */
};
struct ob_entangle_opts {
    size_t size;
    size_t sample; /* examples of each set for the discrepancy; 0: all (cost: their square) */
    uint64_t seed; /* of the sample */
};
#define OB_ENTANGLE_OPTS_INIT                                                                      \
    {                                                                                              \
        .size = sizeof(struct ob_entangle_opts), .sample = 2000                                    \
    }
struct ob_entanglement {
    size_t n_forget, n_retain, n_sample[2]; /* n_sample: forget, retain */
    double es;          /* entanglement score (Zhao et al. 2024, eq. 2); high: hard to tell apart */
    double es_released; /* with the middle of both means instead of the mean of all examples */
    double mmd2, gamma; /* squared discrepancy (Gretton et al. 2012), gamma = 1 / (2 median^2) */
    double mmd2_gamma1; /* with gamma 1 */
};
/* One forward pass over `ids` (the training part), then every set. out: n entries. */
int ob_entangle(struct ob_entanglement *out, const struct ob_model *m, const struct ob_data *d,
                const struct ob_ids *ids, const struct ob_entangle_set *set, size_t n,
                const struct ob_entangle_opts *o, struct ob_err *err);

/* ---- banks: many models, each trained on a random subset of the training part ---- */

/* A folder (docs/formats.md): what all models share, and a file for each model with the bits of its
 * subset and the logits of every example in use, in float16. Model k depends on the seed and k alone. */
struct ob_bank_opts {
    size_t size;
    const char *arch, *normalize; /* normalize NULL: what suits the data */
    struct ob_recipe recipe;
    double subset; /* share of the training part that a model is trained on, rounded to examples */
    uint64_t seed;
    int first, end; /* models first..end-1 */
    int n_jobs;     /* models side by side, a thread each; 0: as many as the context has threads */
    int keep_weights; /* model-00042.safetensors beside each file */
};
#define OB_BANK_OPTS_INIT                                                                          \
    {                                                                                              \
        .size = sizeof(struct ob_bank_opts), .subset = 0.7                                         \
    }
/* Trains what is not there yet; what is damaged is named in the log and trained again. Every finished
 * model survives a kill. OB_EFORMAT: the folder holds a bank with other settings, `err` says which;
 * OB_EDIVERGED names the model. `cost`: of this call, seconds of the clock. */
int ob_bank_train(struct ob_cost *cost, struct ob_ctx *ctx, const char *dir,
                  const struct ob_data *d, const struct ob_split *split,
                  const struct ob_bank_opts *o, struct ob_err *err);

struct ob_bank;
struct ob_bank_info {
    const char *arch;
    size_t n_train, n_test; /* examples in use, in the order of ob_data_ids(): rows of the logits */
    size_t n_file;          /* examples in the training file */
    int n_classes;
    int n_models;   /* models have numbers 0..n_models-1 */
    double seconds; /* that a model took on one thread, in the middle; NaN: not known */
    int n_wanted;   /* models that were asked for, of these */
};
int ob_bank_open(struct ob_bank **out, struct ob_ctx *ctx, const char *dir, struct ob_err *err);
void ob_bank_free(struct ob_bank *b);
const struct ob_bank_info *ob_bank_info(const struct ob_bank *b);
int ob_bank_wants(const struct ob_bank *b, int k); /* was model k asked for? */
/* Reads all of model k's file, and of its weights where they were kept. OB_ENOTFOUND: not there;
 * OB_EFORMAT: damaged, of another model, or of another bank. */
int ob_bank_check(const struct ob_bank *b, int k, struct ob_err *err);
/* Puts the models of banks that share all settings into `dir`, which may hold some already, with the
 * weights that were kept. `n_new` (may be NULL): of how many models something came in. OB_EFORMAT: a
 * damaged model, or other settings. */
int ob_bank_merge(size_t *n_new, struct ob_ctx *ctx, const char *dir, const char *const *from,
                  size_t n_from, struct ob_err *err);

/* How well two halves of the bank agree: mean over random halvings of Pearson's r, and what that
 * says of the whole (Spearman 1910, Brown 1910: 2r / (1 + r)). NaN with fewer than four models. */
struct ob_reliability {
    int n_models;
    double half, whole;
};
/* memorization: right when the example was in the subset minus right when it was not (Feldman and
 * Zhang, NeurIPS 2020, eq. 2); raw or not, the same. consistency: right when it was not (at
 * one share of the consistency profile; the C-score of Jiang et al., ICML 2021, is the mean over many),
 * written as one minus that unless raw. `error` (may be NULL): standard
 * error of each score, n_file floats for the caller to ob_free(). */
int ob_bank_scores(struct ob_scores **out, float **error, struct ob_reliability *r,
                   const struct ob_bank *b, const char *kind, int raw, struct ob_err *err);
/* The `top` training examples of largest influence on each test example (eq. 3 of the same paper):
 * an .npz with arrays train, test (example numbers) and value, most influential first. */
int ob_bank_influence(const struct ob_bank *b, int top, const char *path, struct ob_err *err);

/* A forget set out of `pool` (the training part). Rules:
 *   low, medium, high, mix   by scores. center: NaN for the rule of the kind (0.5 for memorization, else the
 *                            middle of the range)
 *   low-entanglement, medium-, high-, mix-   from scores centroid-distance; of n in all, by distance: the
 *                            farthest, those from rank floor(0.8 n) and floor(0.2 n) on (Zhao et al. 2024,
 *                            appendix A.3); `released`: the groups of the published code
 *   random                   n of them
 *   class                    of the given classes; the first n by number, or all
 *   group, random-groups     all of the given groups; of n_groups groups that have examples in the pool
 *   mislabeled               whose label is another than in other_label: all, a share of them or n, drawn */
struct ob_select_opts {
    size_t size;
    const char *rule;
    size_t n; /* how many; 0 with class, mislabeled, and `released`: all that there are */
    const struct ob_scores *scores;
    double center;
    int released;
    const int *label; /* n_labels classes */
    size_t n_labels;
    const struct ob_groups *groups;
    const int *group; /* n_groups of them */
    size_t n_groups;
    const int32_t *other_label; /* one for each example of the training file; -1: not known */
    double share;               /* 0: all */
    uint64_t seed;              /* of what is drawn */
};
int ob_select(struct ob_ids **out, const struct ob_data *d, const struct ob_ids *pool,
              const struct ob_select_opts *o, struct ob_err *err);

/* ---- methods and plans ---- */

enum ob_option_type { OB_OPT_INT, OB_OPT_FLOAT, OB_OPT_CHOICE, OB_OPT_TEXT };
struct ob_option {
    const char *name, *help;
    enum ob_option_type type;
    size_t offset;        /* private */
    double def, min, max; /* of OB_OPT_CHOICE: def is an index into choices. NaN: the model says */
    const char *choices;  /* "paper,released"; of OB_OPT_TEXT: NULL */
    const char *range;    /* the range of the paper, for the help; may be NULL */
    const char *format;   /* of OB_OPT_TEXT: what it looks like; else NULL */
    /* "variant=correct,solver=gram|cg": it counts only while each of these choices is one of those; NULL:
     * always. */
    const char *when;
};

struct ob_method;
struct ob_method_info {
    const char *name, *title, *cite, *formula, *differs; /* differs: where paper and code differ */
    const char *limits;                                  /* what it cannot do; may be NULL */
    const char *constraints; /* limits across settings, one a line; may be NULL */
    const char *elsewhere;   /* what is set by another command, and how; may be NULL */
    /* "retain, forget, validation (unless aim=zero)": what it reads or asks for, in brackets when alone */
    char needs[160];
    int exact;        /* the result is that of a training without the forget set */
    int secret_seed;  /* its promise holds only for a seed that nobody else knows */
    size_t n_options; /* own settings and those of every iterative method */
    size_t n_own;     /* the former come first */
};
const struct ob_method *ob_method_at(size_t i); /* NULL past the last */
const struct ob_method *ob_method_find(const char *name);
const char *ob_method_nearest(const char *name); /* for "did you mean" */
void ob_method_info(const struct ob_method *m, struct ob_method_info *out);
const struct ob_option *ob_method_option(const struct ob_method *m, size_t i);

struct ob_plan; /* ordered steps */
struct ob_step {
    const char *name;
    const struct ob_method *method;
    const char *settings; /* "lr=0.05:epochs=5", "" for the defaults */
    const struct ob_ids *forget, *retain;
};
struct ob_refine_opts {
    size_t size;
    /* "scores" (NULL is that, too); "class"; "clusters": n_parts of them by k-means of the model's embedding,
     * the farthest from the others first; "random": the control */
    const char *by;
    int n_parts;        /* 0: 3, or as many as the cuts make */
    const double *cuts; /* NULL: equal parts by rank */
    size_t n_cuts;
    /* A second score, cut by itself: the parts are cells, those of the lowest first scores first. NULL: none */
    const struct ob_scores *scores_2;
    int n_parts_2;
    const double *cuts_2;
    size_t n_cuts_2;
    int high_to_low; /* order of execution */
    int random;      /* as by "random" */
    uint64_t seed;
    const char *methods; /* "none,finetune:lr=0.05,salun", from the lowest-scored part up */
};
/* `scores` is NULL where they do not divide. `model` has the embedding, and gives the digest that stands in
 * the plan. */
int ob_refine(struct ob_plan **out, const struct ob_data *d, const struct ob_model *model,
              const struct ob_ids *train, const struct ob_ids *forget,
              const struct ob_scores *scores, const struct ob_refine_opts *o, struct ob_err *err);
int ob_plan_single(struct ob_plan **out, const struct ob_data *d, const struct ob_model *model,
                   const struct ob_ids *train, const struct ob_ids *forget, const char *method,
                   struct ob_err *err); /* method: "salun:share=0.3" */
int ob_plan_read(struct ob_plan **out, const char *path, const struct ob_data *d,
                 const struct ob_ids *train, struct ob_err *err);
int ob_plan_write(const struct ob_plan *p, const char *path, struct ob_err *err);
void ob_plan_free(struct ob_plan *p);
size_t ob_plan_n(const struct ob_plan *p);
void ob_plan_step(const struct ob_plan *p, size_t i, struct ob_step *out);
const struct ob_ids *ob_plan_forget(const struct ob_plan *p); /* the union */
const char *ob_plan_model(const struct ob_plan *p); /* digest of the model it was made for, or "" */
const char *ob_plan_data(const struct ob_plan *p);  /* hash of the data, or "" */

#define OB_REPORT_ROOM 2048
#define OB_NOTES_ROOM 1536
struct ob_step_result {
    char name[32];
    const struct ob_method *method;
    char settings[512]; /* every setting that was in force */
    size_t n_forget, n_retain;
    struct ob_cost cost;
    int resumed;                 /* read from keep_steps, not run again */
    char report[OB_REPORT_ROOM]; /* what the method says of its run, a JSON object; "": nothing */
    int predicted; /* of a dry run: images and seconds in `cost` are what the step would take */
    char notes[OB_NOTES_ROOM]; /* lines: what the method found out, what its promise rests on */
};
struct ob_rum_opts {
    size_t size;
    uint64_t seed;
    const char *keep_steps; /* folder for step-1.safetensors ..., or NULL */
    int any_model;          /* do not ask that the plan was made for this model */
    /* called after each step with the model as it then is; may be NULL. Non-zero stops. */
    int (*on_step)(void *arg, size_t step, const struct ob_model *m);
    void *arg;
    int dry_run; /* check everything, predict what each step costs (one batch is timed), change nothing */
};
#define OB_RUM_OPTS_INIT                                                                           \
    {                                                                                              \
        .size = sizeof(struct ob_rum_opts)                                                         \
    }
/* Runs the plan on `m` in place. `result`: ob_plan_n() entries, or NULL. On failure `m` is as it
 * was after the last whole step. */
int ob_rum(struct ob_step_result *result, struct ob_cost *total, struct ob_model *m,
           const struct ob_data *d, const struct ob_split *split, const struct ob_plan *p,
           const struct ob_rum_opts *o, struct ob_err *err);

/* ---- judging. Fractions in [0,1]; NaN: not computed. ---- */

struct ob_eval_part {
    char name[32];
    size_t n;
    double accuracy; /* of the judged model */
};
struct ob_eval_against { /* one retrained model R */
    double accuracy_forget, accuracy_retain, accuracy_val, accuracy_test, mia;
    double gap_forget, gap_retain, gap_test, gap_mia; /* absolute differences */
    double tow, tow_mia;         /* NeurIPS 2024, eq. for ToW: product of one minus each gap */
    double tow_parts, tow_worst; /* forget factor: mean, largest of the parts' gaps */
    double disagree_forget, disagree_retain, disagree_test; /* share predicted differently */
    double *part_accuracy, *part_gap;                       /* one per part, or NULL */
};
struct ob_eval {
    size_t n_forget, n_retain, n_val, n_test;
    double accuracy_forget, accuracy_retain, accuracy_val, accuracy_test;
    double mia; /* share of the forget set that the attack calls non-member */
    size_t n_parts;
    struct ob_eval_part *parts;
    size_t n_against;
    struct ob_eval_against *against;
    double tow, tow_mia, tow_parts, tow_worst; /* means over `against` */
    double floor_tow, floor_tow_mia, floor_gap_forget, floor_gap_retain, floor_gap_test,
        floor_gap_mia; /* means over pairs of retrained models; NaN with fewer than two */
};
struct ob_eval_set { /* a named part of the forget set */
    const char *name;
    const struct ob_ids *ids;
};
/* `forget` may be NULL (accuracies only). Retain = training part minus forget. */
int ob_evaluate(struct ob_eval **out, const struct ob_model *m,
                const struct ob_model *const *against, size_t n_against, const struct ob_data *d,
                const struct ob_split *split, const struct ob_ids *forget,
                const struct ob_eval_set *parts, size_t n_parts, struct ob_err *err);
void ob_eval_free(struct ob_eval *e);

/* ---- statistics of repetitions ---- */

struct ob_interval {
    size_t n;
    double mean, sd, half; /* half: half the width of the 95 % t-interval; NaN with n < 2 */
};
void ob_interval(struct ob_interval *out, const double *x, size_t n);

/* ---- reports: one self-contained HTML page from a JSON record (docs/formats.md) ---- */

int ob_report_html(const char *json_path, const char *html_path, struct ob_err *err);
/* An image as PNG in base64, for the record. pixels: height x width x channels (1 or 3). The
 * caller frees *out with ob_free(). */
int ob_png_base64(char **out, const uint8_t *pixels, int height, int width, int channels,
                  struct ob_err *err);
void ob_free(void *p);

/* ---- files that other programs read ---- */

/* Writes a float32 array of `rank` dimensions as .npy, whole or not at all. */
int ob_npy_write_f32(const char *path, const float *x, const size_t *shape, int rank,
                     struct ob_err *err);
/* Writes text whole or not at all. */
int ob_file_write(const char *path, const void *data, size_t n, struct ob_err *err);

#ifdef __cplusplus
}
#endif
#endif
