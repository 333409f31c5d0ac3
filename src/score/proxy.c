/*
 * proxy.c - cheap stand-ins for memorization: from learning events, or from a finished model.
 *
 * v is the value as defined in the literature (Jiang et al. 2021; Zhao et al. 2024). In a score
 * file higher means more memorized, so v becomes
 *
 *     confidence      v = p_y                 1 - v
 *     max-confidence  v = max_c p_c           1 - v
 *     accuracy        v = [argmax = y]        1 - v
 *     entropy         v = sum_c p_c ln p_c    -v
 *     margin          v = p_y - max_c!=y p_c  -v
 *     cumulative-loss v = -ln p_y, summed     v     (Ravikumar et al. 2025)
 *     centroid-distance  v = |phi - mean phi| -v
 *
 * From events v is the mean over epochs, the loss their sum; from a model it is that of one pass over the examples.
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/train.h"
#include "score/score.h"

#define CENTROID "centroid-distance"

/* What `kind` is in a score file; `raw` leaves it as defined. */
static double signed_value(const char *kind, double v, int raw)
{
    if (raw)
        return v;
    if (!strcmp(kind, "cumulative-loss"))
        return v;
    return strcmp(kind, "entropy") && strcmp(kind, "margin") && strcmp(kind, CENTROID) ? 1 - v
                                                                                       : 0 - v;
}

int ob_scores_set_origin(struct ob_scores *s, struct json_t *origin, struct ob_err *err)
{
    char *text = origin ? json_dumps(origin, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    int rc = text ? ob_strdup(&s->origin, text, err) : ob_fail(err, OB_ENOMEM, "out of memory");

    free(text);
    json_decref(origin);
    return rc;
}

static const double *events_column(const struct ob_events *e, const char *kind)
{
    if (!strcmp(kind, "confidence"))
        return e->confidence;
    if (!strcmp(kind, "max-confidence"))
        return e->max_confidence;
    if (!strcmp(kind, "entropy"))
        return e->neg_entropy;
    if (!strcmp(kind, "cumulative-loss"))
        return e->loss;
    return strcmp(kind, "accuracy") ? NULL : e->accuracy;
}

int ob_scores_from_events(struct ob_scores **out, const struct ob_events *e, const char *kind,
                          int raw, struct ob_err *err)
{
    const double *sum = events_column(e, kind);
    const struct ob_ids *ids = e->own_ids ? e->own_ids : e->ids;
    struct ob_scores *s;
    int rc;

    *out = NULL;
    if (!sum)
        return ob_fail(err, OB_EINVAL,
                       "no score '%s' comes from events; there are confidence, max-confidence, "
                       "entropy, accuracy, cumulative-loss",
                       kind);
    if (e->epochs < 1)
        return ob_fail(err, OB_EFORMAT, "the events hold no whole epoch");
    OB_TRY(ob_scores_new(&s, kind, "events", e->n_file, err));
    for (size_t i = 0; i < ids->n; i++) {
        float mean = (float)(sum[i] / (double)e->epochs); /* as an events file holds it */

        double v = sum == e->loss ? (double)mean * (double)e->epochs : (double)mean;

        s->value[ids->id[i]] = (float)signed_value(kind, v, raw);
    }
    ob_scores_count(s);
    s->info.raw = raw != 0;
    rc = ob_scores_set_origin(s,
                              json_pack("{s:I,s:s*}", "epochs", (json_int_t)e->epochs, "data",
                                        e->data[0] ? e->data : NULL),
                              err);
    if (rc) {
        ob_scores_free(s);
        return rc;
    }
    *out = s;
    return OB_OK;
}

static double neg_entropy(const double *p, int c)
{
    double sum = 0;

    for (int i = 0; i < c; i++)
        sum += p[i] > 0 ? p[i] * log(p[i]) : 0;
    return sum;
}

static double margin(const double *p, int c, int label)
{
    double other = 0;

    for (int i = 0; i < c; i++)
        if (i != label && p[i] > other)
            other = p[i];
    return p[label] - other;
}

double ob_proxy(const char *kind, int raw, const double *p, int c, int label)
{
    if (!strcmp(kind, "confidence"))
        return signed_value(kind, p[label], raw);
    if (!strcmp(kind, "entropy"))
        return signed_value(kind, neg_entropy(p, c), raw);
    return strcmp(kind, "margin") ? NAN : signed_value(kind, margin(p, c, label), raw);
}

int ob_scores_of_model(struct ob_scores *s, const struct ob_model *m, const struct ob_data *d,
                       struct json_t *settings, struct ob_err *err)
{
    const struct ob_data_info *info = ob_data_info(d);
    bool is_hidden = !strcmp(ob_model_embedding(m), "hidden");
    char digest[65];
    int rc;

    rc = ob_model_digest(m, digest, err);
    if (rc) {
        json_decref(settings);
        return rc;
    }
    return ob_scores_set_origin(s,
                                json_pack("{s:s, s:s, s:s, s:s, s:s*, s:o*}", "model", digest,
                                          "arch", ob_model_arch(m), "data", info->hash, "spec",
                                          info->spec, "embedding", is_hidden ? "hidden" : NULL,
                                          "settings", settings),
                                err);
}

static int from_answers(struct ob_scores *s, const struct ob_model *m, const struct ob_data *d,
                        const struct ob_ids *ids, int raw, struct ob_err *err)
{
    int c = ob_model_n_classes(m), rc;
    float *logits = NULL;
    double *p = NULL;
    size_t n;

    if (!ob_mul(&n, ids->n, (size_t)c))
        return ob_fail(err, OB_ENOMEM, "out of memory (%zu examples)", ids->n);
    OB_GO(ob_alloc(logits, n, err));
    OB_GO(ob_alloc(p, (size_t)c, err));
    OB_GO(ob_predict(logits, NULL, m, d, OB_TRAIN, ids, err));
    for (size_t i = 0; i < ids->n; i++) {
        ob_softmax(p, logits + i * (size_t)c, c);
        s->value[ids->id[i]] = (float)ob_proxy(s->kind, raw, p, c,
                                               ob_data_label(d, OB_TRAIN, ids->id[i]));
    }
out:
    ob_free(p);
    ob_free(logits);
    return rc;
}

static int from_embedding(struct ob_scores *s, const struct ob_model *m, const struct ob_data *d,
                          const struct ob_ids *ids, int raw, struct ob_err *err)
{
    double *distance;
    int rc;

    OB_TRY(ob_alloc(distance, ids->n, err));
    rc = ob_centroid_distances(distance, m, d, ids, err);
    for (size_t i = 0; i < ids->n && !rc; i++)
        s->value[ids->id[i]] = (float)signed_value(s->kind, distance[i], raw);
    ob_free(distance);
    return rc;
}

int ob_scores_from_model(struct ob_scores **out, const struct ob_model *m, const struct ob_data *d,
                         const struct ob_ids *ids, const char *kind, int raw, struct ob_err *err)
{
    struct ob_scores *s = NULL;
    int rc;

    *out = NULL;
    if (strcmp(kind, "confidence") && strcmp(kind, "entropy") && strcmp(kind, "margin") &&
        strcmp(kind, CENTROID))
        return ob_fail(err, OB_EINVAL,
                       "no score '%s' comes from a finished model; there are confidence, entropy, "
                       "margin, centroid-distance",
                       kind);
    OB_GO(ob_scores_new(&s, kind, "model", ob_data_info(d)->n_file[OB_TRAIN], err));
    OB_GO(strcmp(kind, CENTROID) ? from_answers(s, m, d, ids, raw, err)
                                 : from_embedding(s, m, d, ids, raw, err));
    ob_scores_count(s);
    s->info.raw = raw != 0;
    s->info.images = (double)ids->n;
    rc = ob_scores_of_model(s, m, d, NULL, err);
out:
    if (rc)
        ob_scores_free(s);
    else
        *out = s;
    return rc;
}
