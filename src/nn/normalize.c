/* normalize.c - named normalisations, and the ones in numbers. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "nn/model.h"

struct named {
    const char *name;
    int channels;
    float mean[3], std[3];
};

/* The constants that are customary for each data set; "none" for any number of channels. */
static const struct named known[] = {
    { "cifar10", 3, { 0.4914f, 0.4822f, 0.4465f }, { 0.2470f, 0.2435f, 0.2616f } },
    { "cifar100", 3, { 0.5071f, 0.4866f, 0.4409f }, { 0.2673f, 0.2564f, 0.2762f } },
    { "fashion-mnist", 1, { 0.2860f }, { 0.3530f } },
    { "mnist", 1, { 0.1307f }, { 0.3081f } },
    { "imagenet", 3, { 0.485f, 0.456f, 0.406f }, { 0.229f, 0.224f, 0.225f } },
    { "none", 0, { 0, 0, 0 }, { 1, 1, 1 } },
};
#define N_KNOWN (sizeof(known) / sizeof(known[0]))

static int copy_named(const struct named *k, int channels, float *mean, float *std,
                      struct ob_err *err)
{
    if (k->channels && k->channels != channels)
        return ob_fail(err, OB_EINVAL,
                       "normalisation '%s' is for images of %d channel%s, these have %d", k->name,
                       k->channels, k->channels == 1 ? "" : "s", channels);
    memcpy(mean, k->mean, (size_t)channels * sizeof(float));
    memcpy(std, k->std, (size_t)channels * sizeof(float));
    return OB_OK;
}

/* "M1,M2,M3": exactly n numbers. */
static int parse_numbers(float *out, int n, char *text, const char *whole, struct ob_err *err)
{
    char *next;
    int i = 0;

    for (; text; text = next, i++) {
        double x;

        next = strchr(text, ',');
        if (next)
            *next++ = 0;
        if (!ob_str_double(text, &x) || x > 1e6 || x < -1e6)
            return ob_fail(err, OB_EINVAL, "normalisation '%s': '%s' is not a number", whole, text);
        if (i < n)
            out[i] = (float)x;
    }
    if (i != n)
        return ob_fail(err, OB_EINVAL, "normalisation '%s': %d numbers for images of %d channel%s",
                       whole, i, n, n == 1 ? "" : "s");
    return OB_OK;
}

static int unknown(const char *text, struct ob_err *err)
{
    char names[128] = "";
    size_t n = 0;

    for (size_t i = 0; i < N_KNOWN; i++)
        n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "", known[i].name);
    return ob_fail(err, OB_EINVAL, "no normalisation '%.80s'; there are %s, and M1,M2,M3/S1,S2,S3",
                   text, names);
}

int ob_model_normalize_values(const char *text, int channels, float *mean, float *std,
                              struct ob_err *err)
{
    char copy[200], *slash;

    for (size_t i = 0; i < N_KNOWN; i++)
        if (!strcmp(known[i].name, text))
            return copy_named(&known[i], channels, mean, std, err);
    if (!strchr(text, '/') || strlen(text) >= sizeof(copy))
        return unknown(text, err);
    snprintf(copy, sizeof(copy), "%s", text);
    slash = strchr(copy, '/');
    *slash = 0;
    OB_TRY(parse_numbers(mean, channels, copy, text, err));
    OB_TRY(parse_numbers(std, channels, slash + 1, text, err));
    for (int c = 0; c < channels; c++)
        if (!(std[c] > 0))
            return ob_fail(err, OB_EINVAL, "normalisation '%s': a deviation is not above 0", text);
    return OB_OK;
}
