/*
 * vgg.c - vgg16: Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
 * Recognition", ICLR 2015, configuration D, with batch-norm and a head for small images.
 *
 * Four max-pools (none behind the last block). The head `mlp` averages to 2 x 2 and has three linear
 * layers; `lth`, as in work on lottery tickets, averages to one pixel and has one, and its
 * convolutions have a bias.
 */
#include "nn/net.h"

#include <stdio.h>

#define LTH 1 /* place among the values of `head` */

static int features(struct ob_net *n, double width, int bias)
{
    static const int channels[] = { 64, 64,  0,   128, 128, 0,   256, 256, 256,
                                    0,  512, 512, 512, 0,   512, 512, 512 }; /* 0: a pool */
    int x = 1, index = 0;                                                    /* of its Sequential */

    for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
        char conv[32], bn[32];

        if (!channels[i]) {
            x = ob_net_maxpool(n, x, 2, 2, 0);
            index++;
            continue;
        }
        snprintf(conv, sizeof(conv), "features.%d", index);
        snprintf(bn, sizeof(bn), "features.%d", index + 1);
        x = ob_net_conv(n, conv, x, ob_arch_width(channels[i], width), 3, 1, 1, bias,
                        OB_INIT_KAIMING, 1);
        x = ob_net_relu(n, ob_net_batchnorm(n, bn, x));
        index += 3;
    }
    return x;
}

static int build_vgg16(struct ob_net **out, const struct ob_arch_args *a, struct ob_err *err)
{
    int lth = a->choice == LTH, hidden = ob_arch_width(256, a->width), x, embedding;
    struct ob_net *n;

    OB_TRY(ob_arch_begin(out, a, err));
    n = *out;
    x = ob_net_avgpool(n, features(n, a->width, lth), lth ? 1 : 2);
    x = embedding = ob_net_flatten(n, x);
    if (lth) {
        ob_net_linear(n, "classifier", x, a->n_classes, OB_INIT_SMALL);
    } else {
        x = ob_net_relu(n, ob_net_linear(n, "classifier.0", x, hidden, OB_INIT_SMALL));
        x = ob_net_relu(n, ob_net_linear(n, "classifier.2", x, hidden, OB_INIT_SMALL));
        ob_net_linear(n, "classifier.4", x, a->n_classes, OB_INIT_SMALL);
    }
    return ob_net_end(out, embedding, err);
}

const struct ob_arch ob_arch_vgg16 = {
    .name = "vgg16",
    .option = "head",
    .value = { "mlp", "lth" },
    .about = { "thirteen 3x3 convolutions with batch-norm, three linear layers",
               "with biased convolutions and one linear layer" },
    .build = build_vgg16,
};
