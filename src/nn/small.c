/* small.c - cnn and mlp: for processors, tests and the demo. */
#include "nn/net.h"

static int conv_block(struct ob_net *n, const char *conv, const char *bn, int in, int channels)
{
    in = ob_net_conv(n, conv, in, channels, 3, 1, 1, 0, OB_INIT_KAIMING, 1);
    in = ob_net_batchnorm(n, bn, in);
    in = ob_net_relu(n, in);
    return ob_net_maxpool(n, in, 2, 2, 0);
}

static int build_cnn(struct ob_net **out, const struct ob_arch_args *a, struct ob_err *err)
{
    struct ob_net *n;
    int x = 1;

    OB_TRY(ob_arch_begin(out, a, err));
    n = *out;
    x = conv_block(n, "conv1", "bn1", x, ob_arch_width(32, a->width));
    x = conv_block(n, "conv2", "bn2", x, ob_arch_width(64, a->width));
    x = conv_block(n, "conv3", "bn3", x, ob_arch_width(128, a->width));
    x = ob_net_flatten(n, x);
    ob_net_linear(n, "fc", x, a->n_classes, OB_INIT_UNIFORM);
    return ob_net_end(out, x, err);
}

static int build_mlp(struct ob_net **out, const struct ob_arch_args *a, struct ob_err *err)
{
    struct ob_net *n;
    int x, hidden = ob_arch_width(256, a->width);

    OB_TRY(ob_arch_begin(out, a, err));
    n = *out;
    x = ob_net_flatten(n, 1);
    x = ob_net_relu(n, ob_net_linear(n, "fc1", x, hidden, OB_INIT_UNIFORM));
    x = ob_net_relu(n, ob_net_linear(n, "fc2", x, hidden, OB_INIT_UNIFORM));
    ob_net_linear(n, "fc3", x, a->n_classes, OB_INIT_UNIFORM);
    return ob_net_end(out, x, err);
}

const struct ob_arch ob_arch_cnn = {
    .name = "cnn",
    .about = { "three 3x3 convolutions with batch-norm and max-pool, one linear layer" },
    .build = build_cnn,
};

const struct ob_arch ob_arch_mlp = {
    .name = "mlp",
    .about = { "two hidden layers of 256, no convolutions" },
    .build = build_mlp,
};
