/*
 * resnet.c - residual networks for small images.
 *
 * resnet20: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
 * section 4.2: n = 3, option-A shortcuts (no parameters: subsampled, zero channels around).
 */
#include "nn/net.h"

#include <stdio.h>

static int conv3(struct ob_net *n, const char *name, int in, int channels, int stride)
{
    return ob_net_conv(n, name, in, channels, 3, stride, 1, 0, OB_INIT_KAIMING, 0);
}

static int block(struct ob_net *n, int layer, int index, int in, int channels, int stride)
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

static int build_resnet20(struct ob_net **out, const char *canonical, double width, int channels,
                          int height, int w, int n_classes, struct ob_err *err)
{
    struct ob_net *n;
    int x;

    OB_TRY(ob_net_begin(out, canonical, channels, height, w, n_classes, err));
    n = *out;
    x = conv3(n, "conv1", 1, ob_arch_width(16, width), 1);
    x = ob_net_relu(n, ob_net_batchnorm(n, "bn1", x));
    for (int layer = 1; layer <= 3; layer++)
        for (int i = 0; i < 3; i++)
            x = block(n, layer, i, x, ob_arch_width(8 << layer, width), layer > 1 && !i ? 2 : 1);
    x = ob_net_flatten(n, ob_net_avgpool(n, x));
    ob_net_linear(n, "fc", x, n_classes, OB_INIT_KAIMING);
    return ob_net_end(out, x, err);
}

const struct ob_arch ob_arch_resnet20 = {
    .name = "resnet20",
    .about = "the residual network of 20 layers for 32x32 images, option-A shortcuts",
    .build = build_resnet20,
};
