/* archs.c - the one list of architectures, and "name,width=F" to a network. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "nn/net.h"

static const struct ob_arch *const all[] = { &ob_arch_resnet20, &ob_arch_cnn, &ob_arch_mlp };
#define N_ARCHS (sizeof(all) / sizeof(all[0]))

#define MIN_WIDTH 0.01
#define MAX_WIDTH 16.0

const char *ob_arch_at(size_t i)
{
    return i < N_ARCHS ? all[i]->name : NULL;
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

/* One option, "width=0.5". The factor is what six digits of it say, so that the canonical text
 * and the network agree. */
static int parse_option(double *width, const char *arch, const char *option, struct ob_err *err)
{
    char text[32];

    if (strncmp(option, "width=", 6))
        return ob_fail(err, OB_EINVAL, "architecture '%s': no option '%s'; there is width=F", arch,
                       option);
    if (!isnan(*width))
        return ob_fail(err, OB_EINVAL, "architecture '%s': width stands there twice", arch);
    if (!ob_str_double(option + 6, width) || *width < MIN_WIDTH || *width > MAX_WIDTH)
        return ob_fail(err, OB_EINVAL, "architecture '%s': width is a number from %g to %g", arch,
                       MIN_WIDTH, MAX_WIDTH);
    snprintf(text, sizeof(text), "%g", *width);
    ob_str_double(text, width);
    return OB_OK;
}

static int parse(const struct ob_arch **out, double *width, const char *arch, struct ob_err *err)
{
    char text[64], *option, *next;

    if (strlen(arch) >= sizeof(text))
        return ob_fail(err, OB_EINVAL, "architecture '%.40s...': too long", arch);
    snprintf(text, sizeof(text), "%s", arch);
    option = strchr(text, ',');
    if (option)
        *option++ = 0;
    *out = find(text, err);
    if (!*out)
        return OB_EINVAL;
    *width = NAN;
    for (; option; option = next) {
        next = strchr(option, ',');
        if (next)
            *next++ = 0;
        OB_TRY(parse_option(width, arch, option, err));
    }
    if (isnan(*width))
        *width = 1;
    return OB_OK;
}

int ob_net_new(struct ob_net **out, const char *arch, int channels, int height, int width,
               int n_classes, struct ob_err *err)
{
    const struct ob_arch *a = NULL;
    char canonical[64];
    double factor;

    *out = NULL;
    OB_TRY(parse(&a, &factor, arch, err));
    if (factor == 1)
        snprintf(canonical, sizeof(canonical), "%s", a->name);
    else
        snprintf(canonical, sizeof(canonical), "%s,width=%g", a->name, factor);
    return a->build(out, canonical, factor, channels, height, width, n_classes, err);
}

static const char *about(const char *name)
{
    size_t n = strcspn(name, ",");

    for (size_t i = 0; i < N_ARCHS; i++)
        if (strlen(all[i]->name) == n && !strncmp(all[i]->name, name, n))
            return all[i]->about;
    return "";
}

int ob_arch_describe(struct ob_arch_info *out, const char *arch, int channels, int height,
                     int width, int n_classes, struct ob_err *err)
{
    struct ob_net *n;

    *out = (struct ob_arch_info){ .about = "" };
    OB_TRY(ob_net_new(&n, arch, channels, height, width, n_classes, err));
    snprintf(out->name, sizeof(out->name), "%s", n->arch);
    out->about = about(n->arch);
    out->n_params = n->n_params;
    out->n_features = ob_net_n_features(n);
    out->macs = ob_net_macs(n);
    ob_net_free(n);
    return OB_OK;
}
