/* archs.c - the one list of architectures, and "name,option=value,width=F" to a network. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "nn/net.h"

static const struct ob_arch *const all[] = { &ob_arch_resnet18, &ob_arch_resnet50, &ob_arch_vgg16,
                                             &ob_arch_resnet20, &ob_arch_cnn,      &ob_arch_mlp };
#define N_ARCHS (sizeof(all) / sizeof(all[0]))

/* What is shown of them: those with an option in both ways. */
static const char *const shown[] = {
    "resnet18", "resnet18,stem=imagenet", "resnet50", "resnet50,stem=imagenet",
    "vgg16",    "vgg16,head=lth",         "resnet20", "cnn",
    "mlp",
};
#define N_SHOWN (sizeof(shown) / sizeof(shown[0]))

#define MIN_WIDTH 0.01
#define MAX_WIDTH 16.0
#define MAX_CLASSES 65536

const char *ob_arch_at(size_t i)
{
    return i < N_SHOWN ? shown[i] : NULL;
}

int ob_arch_width(int w, double factor)
{
    int scaled;

    if (factor == 1)
        return w;
    scaled = 8 * (int)floor(w * factor / 8 + 0.5);
    return scaled < 8 ? 8 : scaled;
}

static const struct ob_arch *find(const char *name, struct ob_err *err)
{
    struct ob_str names = { 0 };

    for (size_t i = 0; i < N_ARCHS; i++)
        if (!strcmp(all[i]->name, name))
            return all[i];
    for (size_t i = 0; i < N_ARCHS; i++)
        ob_str_addf(&names, "%s%s", i ? ", " : "", all[i]->name);
    ob_fail(err, OB_EINVAL, "no architecture '%s'; there are %s", name, ob_str_text(&names));
    ob_str_release(&names);
    return NULL;
}

/* ---- options ---- */

struct parsed {
    const struct ob_arch *arch;
    double width; /* NaN: not given */
    int choice;   /* -1: not given */
};

/* The factor is what six digits of it say, so that the canonical text and the network agree. */
static int parse_width(struct parsed *p, const char *value, const char *arch, struct ob_err *err)
{
    char text[32];

    if (!isnan(p->width))
        return ob_fail(err, OB_EINVAL, "architecture '%s': width stands there twice", arch);
    if (!ob_str_double(value, &p->width) || p->width < MIN_WIDTH || p->width > MAX_WIDTH)
        return ob_fail(err, OB_EINVAL, "architecture '%s': width is a number from %g to %g", arch,
                       MIN_WIDTH, MAX_WIDTH);
    snprintf(text, sizeof(text), "%g", p->width);
    ob_str_double(text, &p->width);
    return OB_OK;
}

static int parse_choice(struct parsed *p, const char *value, const char *arch, struct ob_err *err)
{
    const struct ob_arch *a = p->arch;

    if (p->choice >= 0)
        return ob_fail(err, OB_EINVAL, "architecture '%s': %s stands there twice", arch, a->option);
    for (int i = 0; i < 2; i++)
        if (!strcmp(value, a->value[i]))
            p->choice = i;
    if (p->choice < 0)
        return ob_fail(err, OB_EINVAL, "architecture '%s': %s is %s or %s", arch, a->option,
                       a->value[0], a->value[1]);
    return OB_OK;
}

static int parse_option(struct parsed *p, const char *option, const char *arch, struct ob_err *err)
{
    const struct ob_arch *a = p->arch;
    size_t n = a->option ? strlen(a->option) : 0;

    if (!strncmp(option, "width=", 6))
        return parse_width(p, option + 6, arch, err);
    if (n && !strncmp(option, a->option, n) && option[n] == '=')
        return parse_choice(p, option + n + 1, arch, err);
    if (n)
        return ob_fail(err, OB_EINVAL,
                       "architecture '%s': '%s' has no option '%s'; there are %s=%s|%s and width=F",
                       arch, a->name, option, a->option, a->value[0], a->value[1]);
    return ob_fail(err, OB_EINVAL, "architecture '%s': '%s' has no option '%s'; there is width=F",
                   arch, a->name, option);
}

static int parse(struct parsed *p, const char *arch, struct ob_err *err)
{
    char text[64], *option, *next;

    if (strlen(arch) >= sizeof(text))
        return ob_fail(err, OB_EINVAL, "architecture '%.40s...': too long", arch);
    snprintf(text, sizeof(text), "%s", arch);
    option = strchr(text, ',');
    if (option)
        *option++ = 0;
    *p = (struct parsed){ .arch = find(text, err), .width = NAN, .choice = -1 };
    if (!p->arch)
        return OB_EINVAL;
    for (; option; option = next) {
        next = strchr(option, ',');
        if (next)
            *next++ = 0;
        OB_TRY(parse_option(p, option, arch, err));
    }
    return OB_OK;
}

/* What is as it is by default is left out; the option stands before the width. */
static void canonical(char out[64], const struct ob_arch *a, const struct ob_arch_args *args)
{
    int n = snprintf(out, 64, "%s", a->name);

    if (args->choice)
        n += snprintf(out + n, (size_t)(64 - n), ",%s=%s", a->option, a->value[args->choice]);
    if (args->width != 1)
        snprintf(out + n, (size_t)(64 - n), ",width=%g", args->width);
}

int ob_arch_begin(struct ob_net **out, const struct ob_arch_args *a, struct ob_err *err)
{
    return ob_net_begin(out, a->text, a->channels, a->height, a->image_width, a->n_classes, err);
}

static int check_input(int channels, int height, int width, int n_classes, struct ob_err *err)
{
    if (channels != 1 && channels != 3)
        return ob_fail(err, OB_EINVAL, "images of %d channels: 1 or 3 are supported", channels);
    if (height < 8 || width < 8 || height > 256 || width > 256)
        return ob_fail(err, OB_EINVAL, "images of %d x %d: 8 x 8 to 256 x 256 are supported",
                       height, width);
    if (n_classes < 2 || n_classes > MAX_CLASSES)
        return ob_fail(err, OB_EINVAL, "%d classes: 2 to %d are supported", n_classes, MAX_CLASSES);
    return OB_OK;
}

int ob_net_new(struct ob_net **out, const char *arch, int channels, int height, int width,
               int n_classes, struct ob_err *err)
{
    struct ob_arch_args args = {
        .channels = channels, .height = height, .image_width = width, .n_classes = n_classes
    };
    struct parsed p;
    char text[64];

    *out = NULL;
    OB_TRY(parse(&p, arch, err));
    OB_TRY(check_input(channels, height, width, n_classes, err));
    args.width = isnan(p.width) ? 1 : p.width;
    args.choice = p.choice < 0 ? 0 : p.choice;
    canonical(text, p.arch, &args);
    args.text = text;
    return p.arch->build(out, &args, err);
}

int ob_arch_describe(struct ob_arch_info *out, const char *arch, int channels, int height,
                     int width, int n_classes, struct ob_err *err)
{
    struct ob_net *n;
    struct parsed p;

    *out = (struct ob_arch_info){ .about = "" };
    OB_TRY(ob_net_new(&n, arch, channels, height, width, n_classes, err));
    snprintf(out->name, sizeof(out->name), "%s", n->arch);
    if (!parse(&p, n->arch, NULL))
        out->about = p.arch->about[p.choice > 0];
    out->n_params = n->n_params;
    out->n_features = ob_net_n_features(n);
    out->macs = ob_net_macs(n);
    ob_net_free(n);
    return OB_OK;
}
