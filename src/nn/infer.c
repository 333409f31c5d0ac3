/* infer.c - architecture, width, image size and classes from metadata, names and shapes. */
#include "nn/infer.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define N_HINTS 4

/* How a network shows itself in its tensors. Of those that fit, the first is meant. */
struct family {
    const char *name; /* with its option, without a width */
    const char *has[2], *has_not[2];
    const char *first; /* its second dimension: channels; NULL: it does not say */
    int kernel;        /* its third dimension; 0: any */
    /* The first dimension of each is a scaled hidden width; `width` is that at factor 1. */
    struct {
        const char *tensor;
        int width;
    } hint[N_HINTS];  /* the largest first */
    const char *last; /* its first dimension: classes */
    int side;         /* of the images, where nothing says it; 0: the tensors do */
};

#define RESNET18                                                                                   \
    .has = { "layer4.1.conv2.weight" },                                                            \
    .has_not = { "layer1.2.conv1.weight", "layer1.0.conv3.weight" }, .first = "conv1.weight",      \
    .hint = { { "layer4.1.conv2.weight", 512 },                                                    \
              { "layer3.1.conv2.weight", 256 },                                                    \
              { "layer2.1.conv2.weight", 128 },                                                    \
              { "conv1.weight", 64 } },                                                            \
    .last = "fc.weight"
#define RESNET50                                                                                   \
    .has = { "layer3.5.conv3.weight", "layer4.2.conv3.weight" },                                   \
    .has_not = { "layer2.4.conv1.weight", "layer3.6.conv1.weight" }, .first = "conv1.weight",      \
    .hint = { { "layer4.2.conv2.weight", 512 },                                                    \
              { "layer3.5.conv2.weight", 256 },                                                    \
              { "layer2.3.conv2.weight", 128 },                                                    \
              { "conv1.weight", 64 } },                                                            \
    .last = "fc.weight"
#define VGG16                                                                                      \
    .first = "features.0.weight",                                                                  \
    .hint = { { "features.24.weight", 512 },                                                       \
              { "features.14.weight", 256 },                                                       \
              { "features.7.weight", 128 },                                                        \
              { "features.0.weight", 64 } },                                                       \
    .side = 32

static const struct family families[] = {
    { .name = "resnet18", .kernel = 3, RESNET18, .side = 32 },
    { .name = "resnet18,stem=imagenet", .kernel = 7, RESNET18, .side = 224 },
    { .name = "resnet50", .kernel = 3, RESNET50, .side = 32 },
    { .name = "resnet50,stem=imagenet", .kernel = 7, RESNET50, .side = 224 },
    { .name = "vgg16",
      .has = { "features.40.weight", "classifier.4.weight" },
      .has_not = { "classifier.5.weight", "classifier.6.weight" },
      VGG16,
      .last = "classifier.4.weight" },
    { .name = "vgg16,head=lth",
      .has = { "features.40.weight", "classifier.weight" },
      VGG16,
      .last = "classifier.weight" },
    { .name = "resnet20",
      .has = { "layer3.2.conv2.weight" },
      .has_not = { "layer3.3.conv1.weight", "layer4.0.conv1.weight" },
      .first = "conv1.weight",
      .hint = { { "layer3.2.conv2.weight", 64 },
                { "layer2.2.conv2.weight", 32 },
                { "conv1.weight", 16 } },
      .last = "fc.weight",
      .side = 32 },
    { .name = "cnn",
      .has = { "conv3.weight" },
      .has_not = { "layer1.0.conv1.weight", "conv4.weight" },
      .first = "conv1.weight",
      .hint = { { "conv3.weight", 128 }, { "conv2.weight", 64 }, { "conv1.weight", 32 } },
      .last = "fc.weight" },
    { .name = "mlp",
      .has = { "fc3.weight" },
      .has_not = { "conv1.weight", "fc4.weight" },
      .hint = { { "fc1.weight", 256 } },
      .last = "fc3.weight" },
};
#define N_FAMILIES (sizeof(families) / sizeof(families[0]))

struct sizes {
    int c, h, w, classes; /* 0: not known yet */
};

/* Dimension `i` of a tensor, 0 where it has none or one that no network has. */
static int dim(const struct ob_tensors *t, const char *name, int i)
{
    const struct ob_tensor *x = name ? obi_tensors_find(t, name) : NULL;

    return x && i < x->rank && x->shape[i] <= 1 << 24 ? (int)x->shape[i] : 0;
}

static bool fits(const struct family *f, const struct ob_tensors *t)
{
    for (int i = 0; i < 2; i++)
        if ((f->has[i] && !obi_tensors_find(t, f->has[i])) ||
            (f->has_not[i] && obi_tensors_find(t, f->has_not[i])))
            return false;
    return !f->kernel || dim(t, f->first, 2) == f->kernel;
}

static const struct family *family_of_tensors(const struct ob_tensors *t)
{
    for (size_t i = 0; i < N_FAMILIES; i++)
        if (fits(&families[i], t))
            return &families[i];
    return NULL;
}

/* `arch` is canonical: a width stands at its end. */
static const struct family *family_of_arch(const char *arch)
{
    const char *width = strstr(arch, ",width=");
    size_t n = width ? (size_t)(width - arch) : strlen(arch);

    for (size_t i = 0; i < N_FAMILIES; i++)
        if (strlen(families[i].name) == n && !strncmp(families[i].name, arch, n))
            return &families[i];
    return NULL;
}

/* The canonical text of an architecture: OB_EINVAL where there is no such one. */
static int canonical(char out[64], const char *arch, struct ob_err *err)
{
    struct ob_net *n;

    OB_TRY(ob_net_new(&n, arch, 3, 32, 32, 10, err));
    snprintf(out, 64, "%s", n->arch);
    ob_net_free(n);
    return OB_OK;
}

/* A factor that gives every hidden width that the tensors have: 8 n = max(8, 8 floor(w F / 8 + 1/2))
 * says (8 n - 4) / w <= F < (8 n + 4) / w. 0: there is none. */
static double infer_factor(const struct family *f, const struct ob_tensors *t)
{
    double low = 0, high = INFINITY, simple;

    for (int i = 0; i < N_HINTS && f->hint[i].tensor; i++) {
        int width = dim(t, f->hint[i].tensor, 0);

        if (width < 8 || width % 8)
            return 0;
        if (width > 8)
            low = fmax(low, (double)(width - 4) / f->hint[i].width);
        high = fmin(high, (double)(width + 4) / f->hint[i].width);
    }
    if (low <= 1 && 1 < high)
        return 1;
    simple = (double)dim(t, f->hint[0].tensor, 0) / f->hint[0].width;
    if (low <= simple && simple < high)
        return simple;
    return low < high ? (low + high) / 2 : 0;
}

static int infer_arch(char out[64], const struct ob_tensors *t, struct ob_err *err)
{
    const struct family *f = family_of_tensors(t);
    struct ob_err e = { 0 };
    char text[64];
    double factor;

    if (!f)
        return ob_fail(err, OB_EFORMAT,
                       "'%s': its tensors ('%s' ...) are not those of a known architecture",
                       t->file.path, t->t[0].label);
    factor = infer_factor(f, t);
    if (factor == 1)
        snprintf(text, sizeof(text), "%s", f->name);
    else
        snprintf(text, sizeof(text), "%s,width=%g", f->name, factor);
    if (factor != 0 && !canonical(out, text, &e))
        return OB_OK;
    if (e.code == OB_ENOMEM)
        return ob_fail(err, OB_ENOMEM, "%s", e.msg);
    return obi_tensor_fail(err, t, f->hint[0].tensor,
                           "no width of '%s' gives a first dimension of %d here and those of "
                           "the other tensors",
                           f->name, dim(t, f->hint[0].tensor, 0));
}

static int choose_arch(char out[64], const struct ob_tensors *t, const char *asked,
                       struct ob_err *err)
{
    const char *said = obi_tensors_meta(t, "arch");
    struct ob_err e = { 0 };
    char wanted[64];

    if (asked)
        OB_TRY(canonical(wanted, asked, err));
    if (said && canonical(out, said, &e))
        return ob_fail(err, e.code == OB_ENOMEM ? OB_ENOMEM : OB_EFORMAT, "'%s': metadata: %s",
                       t->file.path, e.msg);
    if (said && asked && strcmp(out, wanted))
        return ob_fail(err, OB_EFORMAT, "'%s' holds the architecture '%s', not '%s'", t->file.path,
                       out, wanted);
    if (said)
        return OB_OK;
    if (!asked)
        return infer_arch(out, t, err);
    snprintf(out, 64, "%s", wanted);
    return OB_OK;
}

static int read_number(int *out, const char *text, int64_t top)
{
    int64_t x;

    if (!ob_str_int(text, &x) || x < 1 || x > top)
        return 0;
    *out = (int)x;
    return 1;
}

static int read_meta(struct sizes *s, const struct ob_tensors *t, struct ob_err *err)
{
    const char *input = obi_tensors_meta(t, "input"), *classes = obi_tensors_meta(t, "classes");
    char text[64] = "", *second, *third = NULL;

    if (classes && !read_number(&s->classes, classes, 1 << 24))
        return ob_fail(err, OB_EFORMAT, "'%s': metadata 'classes' is not a number of classes",
                       t->file.path);
    if (!input)
        return OB_OK;
    if (strlen(input) < sizeof(text))
        snprintf(text, sizeof(text), "%s", input);
    second = strchr(text, ',');
    if (second) {
        *second++ = 0;
        third = strchr(second, ',');
    }
    if (third)
        *third++ = 0;
    if (!third || !read_number(&s->c, text, 256) || !read_number(&s->h, second, 256) ||
        !read_number(&s->w, third, 256))
        return ob_fail(err, OB_EFORMAT, "'%s': metadata 'input' is not CHANNELS,HEIGHT,WIDTH",
                       t->file.path);
    return OB_OK;
}

static int square_root(int n)
{
    int r = (int)floor(sqrt((double)n) + 0.5);

    return n > 0 && r * r == n ? r : 0;
}

static void infer_channels(struct sizes *s, const struct family *f, const struct ob_tensors *t,
                           const struct ob_load_opts *o)
{
    int inputs = dim(t, f->hint[0].tensor, 1);

    if (!s->c && f->first)
        s->c = dim(t, f->first, 1);
    if (!s->c)
        s->c = dim(t, "normalize.mean", 0);
    if (!s->c)
        s->c = o->channels;
    if (!s->c && o->height && o->width)
        s->c = inputs == o->height * o->width ? 1 : 3;
    if (!s->c) /* one channel or three: n and n / 3 are never both squares */
        s->c = square_root(inputs) ? 1 : 3;
}

/* Square images, where nothing says otherwise. floor(28 / 8) is that of 24 to 31 as well, but 28 is the
 * size that people have. */
static void infer_side(struct sizes *s, const struct family *f, const struct ob_tensors *t)
{
    int side = f->side, inputs = 0;

    if (!strcmp(f->name, "cnn")) { /* fc reads width x floor(h / 8) x floor(w / 8) */
        int width = dim(t, f->hint[0].tensor, 0);

        inputs = dim(t, f->last, 1);
        side = width && inputs % width == 0 ? 8 * square_root(inputs / width) : 0;
        side = side == 24 ? 28 : side;
    } else if (!strcmp(f->name, "mlp")) {
        inputs = dim(t, f->hint[0].tensor, 1);
        side = inputs % s->c == 0 ? square_root(inputs / s->c) : 0;
    }
    s->h = s->w = side;
}

/* Does the model fit what the caller has? */
static int check_asked(const struct sizes *s, const struct ob_tensors *t,
                       const struct ob_load_opts *o, struct ob_err *err)
{
    if (o->n_classes && o->n_classes != s->classes)
        return ob_fail(err, OB_EFORMAT, "'%s': the model has %d classes, the data %d", t->file.path,
                       s->classes, o->n_classes);
    if (!o->channels && ((o->height && o->height != s->h) || (o->width && o->width != s->w)))
        return ob_fail(err, OB_EFORMAT, "'%s': the model is for images of %d x %d, not %d x %d",
                       t->file.path, s->h, s->w, o->height, o->width);
    if ((o->channels && o->channels != s->c) || (o->height && o->height != s->h) ||
        (o->width && o->width != s->w))
        return ob_fail(err, OB_EFORMAT,
                       "'%s': the model is for images of %d x %d x %d, the data has %d x %d x %d",
                       t->file.path, s->c, s->h, s->w, o->channels, o->height, o->width);
    return OB_OK;
}

int obi_infer_net(struct ob_net **out, const struct ob_tensors *t, const struct ob_load_opts *o,
                  struct ob_err *err)
{
    const struct family *f;
    struct sizes s = { 0 };
    struct ob_err e = { 0 };
    char arch[64];

    *out = NULL;
    OB_TRY(choose_arch(arch, t, o->arch, err));
    f = family_of_arch(arch);
    OB_ASSERT(err, f);
    if (!dim(t, f->hint[0].tensor, 0) || !dim(t, f->last, 0))
        return obi_tensor_fail(err, t, dim(t, f->hint[0].tensor, 0) ? f->last : f->hint[0].tensor,
                               "missing or empty, '%s' needs it", arch);
    OB_TRY(read_meta(&s, t, err));
    infer_channels(&s, f, t, o);
    if (!s.h && o->height && o->width) {
        s.h = o->height;
        s.w = o->width;
    } else if (!s.h) {
        infer_side(&s, f, t);
    }
    if (!s.h)
        return ob_fail(err, OB_EINVAL,
                       "'%s' does not say for which images it is, and they are not square: height "
                       "and width are needed (convert --size HxW)",
                       t->file.path);
    if (!s.classes)
        s.classes = dim(t, f->last, 0);
    OB_TRY(check_asked(&s, t, o, err));
    if (ob_net_new(out, arch, s.c, s.h, s.w, s.classes, &e))
        return ob_fail(err, e.code == OB_ENOMEM ? OB_ENOMEM : OB_EFORMAT, "'%s': %s", t->file.path,
                       e.msg);
    return OB_OK;
}
