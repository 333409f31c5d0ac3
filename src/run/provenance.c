/*
 * provenance.c - what a model knows of its data: which file, which split, which normalisation.
 *
 * Metadata: data {"hash":..., "name":..., "spec":...}, split {"fraction":..., "hash":...,
 * "seed":...}.
 */
#include "run/provenance.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "data/data.h"
#include "nn/model.h"

static int set_json(struct ob_model *m, const char *key, json_t *value, int digits,
                    struct ob_err *err)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS |
                                               JSON_REAL_PRECISION((size_t)digits))
                       : NULL;
    int rc = text ? ob_model_set_meta(m, key, text, err) : ob_fail(err, OB_ENOMEM, "out of memory");

    free(text);
    json_decref(value);
    return rc;
}

int ob_model_record_data(struct ob_model *m, const struct ob_data *d, const struct ob_split *split,
                         struct ob_err *err)
{
    OB_TRY(set_json(m, "data",
                    json_pack("{s:s,s:s,s:s}", "spec", d->info.spec, "hash", d->info.hash, "name",
                              d->info.name ? d->info.name : ""),
                    9, err));
    if (!split)
        return OB_OK;
    return set_json(m, "split",
                    json_pack("{s:f,s:I,s:s}", "fraction", ob_split_fraction(split), "seed",
                              (json_int_t)ob_split_seed(split), "hash", ob_split_hash(split)),
                    ob_str_digits(ob_split_fraction(split)), err);
}

/* *out is NULL where the key is not there. */
static int get_json(json_t **out, const struct ob_model *m, const char *key, struct ob_err *err)
{
    const char *text = ob_model_meta(m, key);

    *out = NULL;
    if (!text)
        return OB_OK;
    *out = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        return ob_fail(err, OB_EFORMAT, "the model's '%s' record is damaged: %.120s", key, text);
    }
    return OB_OK;
}

int ob_model_check_shape(const struct ob_model *m, const struct ob_data *d, struct ob_err *err)
{
    const struct ob_data_info *i = &d->info;
    const struct ob_net *n = m->net;

    if (n->n_classes != i->n_classes)
        return ob_fail(err, OB_EFORMAT, "the model has %d classes, the data %d", n->n_classes,
                       i->n_classes);
    if (n->channels != i->channels || n->height != i->height || n->width != i->width)
        return ob_fail(err, OB_EFORMAT, "the model takes images of %dx%dx%d, the data has %dx%dx%d",
                       n->channels, n->height, n->width, i->channels, i->height, i->width);
    return OB_OK;
}

int ob_model_check_data(const struct ob_model *m, const struct ob_data *d, struct ob_err *err)
{
    const char *hash;
    json_t *o;
    int rc;

    OB_TRY(ob_model_check_shape(m, d, err));
    OB_TRY(get_json(&o, m, "data", err));
    if (!o)
        return OB_OK;
    hash = json_string_value(json_object_get(o, "hash"));
    rc = !hash || strcmp(hash, d->info.hash)
             ? ob_fail(err, OB_EFORMAT,
                       "the model was trained on other data (hash %.12s..., here %.12s...), so "
                       "example numbers would mean other examples",
                       hash ? hash : "?", d->info.hash)
             : OB_OK;
    json_decref(o);
    return rc;
}

int ob_model_has_split(const struct ob_model *m)
{
    return ob_model_meta(m, "split") != NULL;
}

int ob_model_split(struct ob_split **out, const struct ob_model *m, const struct ob_data *d,
                   double fraction, uint32_t seed, struct ob_err *err)
{
    const char *hash = NULL;
    json_int_t recorded_seed = 0;
    json_t *o;
    int rc;

    *out = NULL;
    OB_TRY(get_json(&o, m, "split", err));
    if (!o)
        return ob_split_new(out, d, fraction, seed, err);
    if (json_unpack(o, "{s:F,s:I,s:s}", "fraction", &fraction, "seed", &recorded_seed, "hash",
                    &hash) ||
        !(fraction >= 0 && fraction < 1) || recorded_seed < 0 || recorded_seed > UINT32_MAX) {
        rc = ob_fail(err, OB_EFORMAT, "the model's split record is damaged");
        goto out;
    }
    OB_GO(ob_split_new(out, d, fraction, (uint32_t)recorded_seed, err));
    /* On other data the same fraction and seed give other ids: nothing to be held against. */
    if (strcmp(ob_split_hash(*out), hash) && !ob_model_check_data(m, d, NULL)) {
        ob_split_free(*out);
        *out = NULL;
        rc = ob_fail(err, OB_EFORMAT,
                     "the model's split is not that of this data; was it trained "
                     "on another subset (train=)?");
    }
out:
    json_decref(o);
    return rc;
}

int ob_model_set_normalize(struct ob_model *m, const char *text, const struct ob_data *d,
                           struct ob_err *err)
{
    static const char *const known[][2] = { { "cifar10", "cifar10" },
                                            { "cifar100", "cifar100" },
                                            { "tiny-imagenet", "imagenet" },
                                            { "fashion-mnist", "fashion-mnist" },
                                            { "mnist", "mnist" } };
    const char *other = m->net->channels == 1 ? "0.5/0.25" : "0.5,0.5,0.5/0.25,0.25,0.25";
    int mean = ob_net_find(m->net, "normalize.mean"), std = ob_net_find(m->net, "normalize.std");

    OB_ASSERT(err, mean >= 0 && std >= 0);
    if (!text) {
        text = other;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            if (d && d->info.name && !strcmp(known[i][0], d->info.name))
                text = known[i][1];
    }
    OB_TRY(ob_model_normalize_values(text, m->net->channels,
                                     m->w.buffers + m->net->view[mean].offset,
                                     m->w.buffers + m->net->view[std].offset, err));
    ob_model_touch(m);
    return OB_OK;
}
