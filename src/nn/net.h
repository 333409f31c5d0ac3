/*
 * net.h - a network is data: a list of nodes and a table of named views of flat blocks.
 *
 * Node 0 is the input (N-C-H-W, 0..1, before normalisation); every node reads earlier ones; the
 * last node gives the logits. Three flat blocks belong to a network: parameters and buffers
 * (float), and counts (int64), each in PyTorch's state_dict order and layout.
 */
#ifndef OB_NN_NET_H
#define OB_NN_NET_H

#include "base/err.h"

enum ob_op {
    OB_OP_INPUT,
    OB_OP_NORMALIZE, /* (x - mean[c]) / std[c] */
    OB_OP_CONV,      /* kernel x kernel, stride, pad zeros; weight O-I-KH-KW; bias may be absent */
    OB_OP_BATCHNORM, /* eps 1e-5, momentum 0.1 */
    OB_OP_RELU,
    OB_OP_ADD,      /* in[0] + in[1] */
    OB_OP_MAXPOOL,  /* kernel, stride, pad: what lies outside never wins; floor. Ties: the first in
                       row-major order */
    OB_OP_AVGPOOL,  /* to h x w whatever the input: window i of n over a length of m runs from
                       floor(i m / n) to ceil((i + 1) m / n) */
    OB_OP_SHORTCUT, /* option A: every stride-th pixel from 0, `front` zero channels before, the
                        rest after */
    OB_OP_FLATTEN,  /* C, H, W order: (C*H*W) x 1 x 1 */
    OB_OP_LINEAR    /* weight O-I, bias may be absent */
};

struct ob_node {
    enum ob_op op;
    int in[2];               /* nodes that it reads; -1: none */
    int c, h, w;             /* output of one example */
    int kernel, stride, pad; /* conv, pools, shortcut */
    int front;               /* shortcut */
    int weight, bias;        /* views in params (batch-norm: gamma, beta); -1: none */
    int mean, var, count;    /* views in buffers / counts (normalize: mean, std); -1: none */
};

enum ob_block { OB_PARAM, OB_BUFFER, OB_COUNT };

enum ob_init {
    OB_INIT_ZERO,
    OB_INIT_ONE,
    OB_INIT_KAIMING, /* normal, std = sqrt(2 / fan) */
    OB_INIT_UNIFORM, /* U(-1/sqrt(fan), 1/sqrt(fan)): PyTorch's default of linear layers */
    OB_INIT_SMALL    /* normal, std = 0.01 */
};

struct ob_view {
    char name[64]; /* "layer1.0.bn2.weight" */
    enum ob_block block;
    int rank; /* 0: a single number */
    int64_t shape[4];
    size_t offset, size; /* elements, within its block */
    enum ob_init init;
    int fan;
};

struct ob_net {
    char arch[64]; /* canonical: "cnn", "cnn,width=0.5" */
    int n_nodes, n_views;
    struct ob_node *node;
    struct ob_view *view; /* in state_dict order, all three blocks mixed */
    size_t n_params, n_buffers, n_counts;
    int channels, height, width, n_classes;
    int features; /* node whose output is the embedding: pooled, unless somebody chose hidden */
    int pooled;   /* what the classifier reads */
    int hidden;   /* what its last layer reads: the same where it has one layer */
    int failed;   /* a builder call ran out of memory or met a wrong shape */
};

/* ---- building; used by the architectures. Each returns the number of the new node. ---- */

int ob_net_begin(struct ob_net **out, const char *arch, int channels, int height, int width,
                 int n_classes, struct ob_err *err); /* makes input and normalize: node 1 */
/* `bias`: whether there is one; it starts at 0. `fan_out`: the fan of `init` is that one. */
int ob_net_conv(struct ob_net *n, const char *name, int in, int out_channels, int kernel,
                int stride, int pad, int bias, enum ob_init init, int fan_out);
int ob_net_batchnorm(struct ob_net *n, const char *name, int in);
int ob_net_relu(struct ob_net *n, int in);
int ob_net_add(struct ob_net *n, int a, int b);
int ob_net_maxpool(struct ob_net *n, int in, int kernel, int stride, int pad); /* 2 pad <= kernel */
int ob_net_avgpool(struct ob_net *n, int in, int side);                        /* to side x side */
int ob_net_shortcut(struct ob_net *n, int in, int out_channels, int stride);
int ob_net_flatten(struct ob_net *n, int in);
/* The bias starts as PyTorch's default, with OB_INIT_SMALL at 0. */
int ob_net_linear(struct ob_net *n, const char *name, int in, int out, enum ob_init init);
/* Checks that all went well; `features` is what the classifier reads. Frees *n on failure. */
int ob_net_end(struct ob_net **n, int features, struct ob_err *err);
void ob_net_free(struct ob_net *n);

double ob_net_macs(const struct ob_net *n); /* multiply-adds of conv and linear, per image */
int ob_net_n_features(const struct ob_net *n);
int ob_net_find(const struct ob_net *n, const char *name); /* view number, or -1 */
static inline size_t ob_node_size(const struct ob_node *d)
{
    return (size_t)d->c * (size_t)d->h * (size_t)d->w;
}

/* Where a window lies along one axis of the input: first..end-1, only what is inside. */
struct ob_window {
    int first, end;
};
static inline struct ob_window ob_max_window(const struct ob_node *d, int i, int length)
{
    int first = i * d->stride - d->pad, end = first + d->kernel;

    return (struct ob_window){ first < 0 ? 0 : first, end < length ? end : length };
}
static inline struct ob_window ob_avg_window(int i, int n, int length)
{
    return (struct ob_window){ i * length / n, ((i + 1) * length + n - 1) / n };
}

/* ---- architectures: archs.c has the one list ---- */

/* What stands behind a name, "resnet18,stem=imagenet,width=0.5", and for which images. */
struct ob_arch_args {
    const char *text; /* canonical */
    double width;     /* factor on every hidden width, through ob_arch_width() */
    int choice;       /* place of the chosen value in the architecture's list */
    int channels, height, image_width, n_classes;
};

struct ob_arch {
    const char *name;
    const char *option, *value[2]; /* of one option; the first value is meant where none is given.
                                      NULL: only width= */
    const char *about[2];          /* with each value */
    int (*build)(struct ob_net **out, const struct ob_arch_args *a, struct ob_err *err);
};
extern const struct ob_arch ob_arch_resnet18, ob_arch_resnet50, ob_arch_vgg16, ob_arch_resnet20,
    ob_arch_cnn, ob_arch_mlp;
int ob_arch_width(int w, double factor); /* factor 1: w; else max(8, 8 floor(w factor / 8 + 1/2)) */
/* ob_net_begin() with what the architecture was given. */
int ob_arch_begin(struct ob_net **out, const struct ob_arch_args *a, struct ob_err *err);
/* "cnn,width=0.5" -> network. OB_EINVAL: unknown name (all are named) or option. */
int ob_net_new(struct ob_net **out, const char *arch, int channels, int height, int width,
               int n_classes, struct ob_err *err);

#endif
