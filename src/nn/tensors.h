/*
 * tensors.h - a file of tensors taken apart, before anybody believes what it says.
 *
 * The layout of safetensors: 8 bytes, length of the header, little-endian; the header, one JSON object
 *   {"__metadata__": {"key": "text", ...},
 *    "fc.bias": {"dtype": "F32", "shape": [10], "data_offsets": [0, 40]}, ...}
 * padded with spaces; then the data, little-endian, row-major. Offsets count from the end of the
 * header, and the ranges cover all of the data, none of it twice. PyTorch's own files are in
 * torchfile.h.
 */
#ifndef OB_NN_TENSORS_H
#define OB_NN_TENSORS_H

#include "base/ctx.h"
#include "base/zip.h"

#define OB_TENSOR_RANK 4
#define OB_TENSORS_MAX 4096         /* tensors in a file; entries of metadata */
#define OB_TENSORS_HEADER (1 << 24) /* bytes of a header, written or read */
#define OB_TENSORS_FILE ((size_t)1 << 32)

struct ob_tensor {
    const char *name; /* belongs to the file */
    char label[64];   /* the name for messages: no odd characters, shortened */
    char dtype[8];
    int rank;
    int64_t shape[OB_TENSOR_RANK];
    const unsigned char *data;      /* its first element */
    int64_t stride[OB_TENSOR_RANK]; /* elements */
    size_t begin, end; /* safetensors: bytes within the data; end - begin fits shape and dtype */
    int used;          /* for the reader: somebody asked for it */
};

struct json_t;
struct ob_tensors {
    struct ob_file file;
    struct json_t *header; /* of safetensors; NULL: no metadata */
    struct ob_zip zip;     /* of PyTorch */
    char *names;           /* of PyTorch: one after another, each with its zero */
    struct ob_tensor *t;   /* ordered by place in the file */
    size_t n;
};

/* A safetensors file, or with `foreign` what PyTorch saved. OB_EFORMAT names the file, and the
 * tensor where there is one; OB_ENOMEM where the file is larger than the room there is. Release in every case. */
int obi_tensors_read(struct ob_tensors *out, const struct ob_ctx *ctx, const char *path,
                     bool foreign, struct ob_err *err);
void obi_tensors_release(struct ob_tensors *t);
struct ob_tensor *obi_tensors_find(const struct ob_tensors *t, const char *name); /* or NULL */
const char *obi_tensors_meta(const struct ob_tensors *t, const char *key);        /* or NULL */
/* Takes away what wrappers of PyTorch put before every name: "module." (DataParallel), "_orig_mod."
 * (compile). Makes the labels anew. */
void obi_tensors_strip(struct ob_tensors *t);
size_t obi_tensor_item(const char *dtype); /* bytes of an element; 0: unknown */
/* The name for messages: printable, no quotes, "..." where it is long. */
void obi_tensor_label(char out[64], const char *name);
/* All elements, row by row: as float (from F32, F16, BF16, F64, the last rounded) or as int64 (from
 * I64, I32). False: not a dtype that can be read so. */
bool obi_tensor_floats(float *out, const struct ob_tensor *x);
bool obi_tensor_ints(int64_t *out, const struct ob_tensor *x);
/* "'model.safetensors': tensor 'fc.bias': " and the rest; OB_EFORMAT. */
int obi_tensor_fail(struct ob_err *err, const struct ob_tensors *t, const char *label,
                    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
