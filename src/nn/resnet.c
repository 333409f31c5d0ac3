/*
 * resnet.c - residual networks: He, Zhang, Ren, Sun, "Deep Residual Learning for Image
 * Recognition", CVPR 2016.
 *
 * resnet20 is that of section 4.2: n = 3, option-A shortcuts (no parameters: subsampled, zero
 * channels around). resnet18 and resnet50 are those of table 1 with projection shortcuts and, as
 * torchvision has it, the stride of a bottleneck in its 3 x 3 convolution. Their stem `imagenet` is
 * the paper's, a 7 x 7 convolution and a max-pool; `cifar` a 3 x 3 one that keeps the image's size.
 */
#include "nn/net.h"

#include <stdio.h>

/* ---- resnet20 ---- */

static int conv3(struct ob_net *n, const char *name, int in, int channels, int stride)
{
    return ob_net_conv(n, name, in, channels, 3, stride, 1, 0, OB_INIT_KAIMING, 0);
}

static int small_block(struct ob_net *n, int layer, int index, int in, int channels, int stride)
{
    static const char *const part[] = { "conv1", "bn1", "conv2", "bn2" };
    char name[4][32];
    int x, shortcut = in;

    for (int i = 0; i < 4; i++)
        snprintf(name[i], sizeof(name[i]), "layer%d.%d.%s", layer, index, part[i]);
    x = conv3(n, name[0], in, channels, stride);
    x = ob_net_relu(n, ob_net_batchnorm(n, name[1], x));
    x = conv3(n, name[2], x, channels, 1);
    x = ob_net_batchnorm(n, name[3], x);
    if (stride != 1)
        shortcut = ob_net_shortcut(n, in, channels, stride);
    return ob_net_relu(n, ob_net_add(n, x, shortcut));
}

static int build_resnet20(struct ob_net **out, const struct ob_arch_args *a, struct ob_err *err)
{
    struct ob_net *n;
    int x;

    OB_TRY(ob_arch_begin(out, a, err));
    n = *out;
    x = conv3(n, "conv1", 1, ob_arch_width(16, a->width), 1);
    x = ob_net_relu(n, ob_net_batchnorm(n, "bn1", x));
    for (int layer = 1; layer <= 3; layer++)
        for (int i = 0; i < 3; i++)
            x = small_block(n, layer, i, x, ob_arch_width(8 << layer, a->width),
                            layer > 1 && !i ? 2 : 1);
    x = ob_net_flatten(n, ob_net_avgpool(n, x, 1));
    ob_net_linear(n, "fc", x, a->n_classes, OB_INIT_KAIMING);
    return ob_net_end(out, x, err);
}

/* ---- resnet18, resnet50: names and order of torchvision's ---- */

#define IMAGENET 1 /* place among the values of `stem` */

static int conv_norm(struct ob_net *n, const char *block, const char *conv, const char *bn, int in,
                     int channels, int kernel, int stride)
{
    char name[2][64];

    snprintf(name[0], sizeof(name[0]), "%s%s", block, conv);
    snprintf(name[1], sizeof(name[1]), "%s%s", block, bn);
    in = ob_net_conv(n, name[0], in, channels, kernel, stride, kernel / 2, 0, OB_INIT_KAIMING, 1);
    return ob_net_batchnorm(n, name[1], in);
}

/* Two convolutions 3 x 3, or 1 x 1, 3 x 3, 1 x 1 with `expansion` times the channels; the stride
 * is that of the first 3 x 3. Where the shape changes, the shortcut is a 1 x 1 convolution. */
static int block(struct ob_net *n, const char *name, int in, int channels, int expansion,
                 int stride, int changes)
{
    int x = in, shortcut = in, out = channels * expansion;

    if (expansion == 1) {
        x = ob_net_relu(n, conv_norm(n, name, "conv1", "bn1", x, channels, 3, stride));
        x = conv_norm(n, name, "conv2", "bn2", x, channels, 3, 1);
    } else {
        x = ob_net_relu(n, conv_norm(n, name, "conv1", "bn1", x, channels, 1, 1));
        x = ob_net_relu(n, conv_norm(n, name, "conv2", "bn2", x, channels, 3, stride));
        x = conv_norm(n, name, "conv3", "bn3", x, out, 1, 1);
    }
    if (changes)
        shortcut = conv_norm(n, name, "downsample.0", "downsample.1", in, out, 1, stride);
    return ob_net_relu(n, ob_net_add(n, x, shortcut));
}

static int stem(struct ob_net *n, int channels, int imagenet)
{
    int x = conv_norm(n, "", "conv1", "bn1", 1, channels, imagenet ? 7 : 3, imagenet ? 2 : 1);

    x = ob_net_relu(n, x);
    return imagenet ? ob_net_maxpool(n, x, 3, 2, 1) : x;
}

static int build(struct ob_net **out, const struct ob_arch_args *a, const int n_blocks[4],
                 int expansion, struct ob_err *err)
{
    struct ob_net *n;
    int x;

    OB_TRY(ob_arch_begin(out, a, err));
    n = *out;
    x = stem(n, ob_arch_width(64, a->width), a->choice == IMAGENET);
    for (int layer = 1; layer <= 4; layer++)
        for (int i = 0; i < n_blocks[layer - 1]; i++) {
            int changes = i == 0 && (layer > 1 || expansion > 1);
            char name[40];

            snprintf(name, sizeof(name), "layer%d.%d.", layer, i);
            x = block(n, name, x, ob_arch_width(32 << layer, a->width), expansion,
                      layer > 1 && !i ? 2 : 1, changes);
        }
    x = ob_net_flatten(n, ob_net_avgpool(n, x, 1));
    ob_net_linear(n, "fc", x, a->n_classes, OB_INIT_UNIFORM);
    return ob_net_end(out, x, err);
}

static int build_resnet18(struct ob_net **out, const struct ob_arch_args *a, struct ob_err *err)
{
    static const int n_blocks[4] = { 2, 2, 2, 2 };

    return build(out, a, n_blocks, 1, err);
}

static int build_resnet50(struct ob_net **out, const struct ob_arch_args *a, struct ob_err *err)
{
    static const int n_blocks[4] = { 3, 4, 6, 3 };

    return build(out, a, n_blocks, 4, err);
}

const struct ob_arch ob_arch_resnet18 = {
    .name = "resnet18",
    .option = "stem",
    .value = { "cifar", "imagenet" },
    .about = { "the residual network of 18 layers, 3x3 stem", "with a 7x7 stem and max-pool" },
    .build = build_resnet18,
};

const struct ob_arch ob_arch_resnet50 = {
    .name = "resnet50",
    .option = "stem",
    .value = { "cifar", "imagenet" },
    .about = { "the residual network of 50 layers, 3x3 stem", "with a 7x7 stem and max-pool" },
    .build = build_resnet50,
};

const struct ob_arch ob_arch_resnet20 = {
    .name = "resnet20",
    .about = { "the residual network of 20 layers for 32x32 images, option-A shortcuts" },
    .build = build_resnet20,
};
