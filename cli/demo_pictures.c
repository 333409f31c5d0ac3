/* demo_pictures.c - what a seed gives the page to draw: histograms of scores, example images. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "demo.h"

/* Scores are one minus a probability, so the range is known. */
static json_t *count(const float *score, const struct ob_ids *ids)
{
    size_t bin[DEMO_BINS] = { 0 };
    json_t *list = json_array();

    for (size_t i = 0; i < ob_ids_n(ids); i++) {
        float s = score[ob_ids_list(ids)[i]];
        int b = (int)(s * DEMO_BINS);

        if (!isnan(s))
            bin[b < 0 ? 0 : b < DEMO_BINS ? b : DEMO_BINS - 1]++;
    }
    for (size_t i = 0; i < DEMO_BINS; i++)
        json_array_append_new(list, json_integer((json_int_t)bin[i]));
    return list;
}

int demo_histogram(struct demo *d, json_t *entry, const struct ob_scores *scores,
                   const struct ob_plan *thirds)
{
    const float *score = ob_scores_value(scores);
    json_t *all = json_object(), *parts = json_array();

    put_number(all, "lo", 0);
    put_number(all, "hi", 1);
    json_object_set_new(all, "count", count(score, ob_split_train(d->split)));
    for (size_t k = 0; k < ob_plan_n(thirds); k++) {
        double lo = INFINITY, hi = -INFINITY;
        json_t *part = json_object();
        struct ob_step s;

        ob_plan_step(thirds, k, &s);
        for (size_t i = 0; i < ob_ids_n(s.forget); i++) {
            lo = fmin(lo, score[ob_ids_list(s.forget)[i]]);
            hi = fmax(hi, score[ob_ids_list(s.forget)[i]]);
        }
        put_number(part, "lo", lo);
        put_number(part, "hi", hi);
        json_object_set_new(part, "count", count(score, s.forget));
        json_array_append_new(parts, part);
    }
    json_object_set_new(all, "parts", parts);
    json_object_set_new(entry, "scores", all);
    return OB_OK;
}

struct scored {
    float score;
    uint32_t id;
};

static int by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;

    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int picture(struct demo *d, json_t *items, const struct scored *x)
{
    const struct ob_data_info *info = ob_data_info(d->data);
    size_t plane = (size_t)info->height * (size_t)info->width;
    size_t n = plane * (size_t)info->channels;
    float *image = cmd_alloc(d->c, n, sizeof(*image));
    uint8_t *pixels = cmd_alloc(d->c, n, 1);
    int label = ob_data_label(d->data, OB_TRAIN, x->id);
    json_t *item = json_object();
    char *png = NULL;

    ob_data_image(d->data, OB_TRAIN, x->id, image);
    for (size_t i = 0; i < n; i++) { /* channels come plane by plane; pixels want them together */
        float v = image[i] < 0 ? 0 : image[i] > 1 ? 1 : image[i];

        pixels[i % plane * (size_t)info->channels + i / plane] = (uint8_t)(v * 255 + .5f);
    }
    put_count(item, "id", x->id);
    put_text(item, "class", ob_data_class_name(d->data, label));
    put_number(item, "score", x->score);
    json_array_append_new(items, item);
    TRY(ob_png_base64(&png, pixels, info->height, info->width, info->channels, &d->c->err));
    put_text(item, "png", png);
    ob_free(png);
    return OB_OK;
}

int demo_examples(struct demo *d, json_t *entry, const struct ob_scores *scores,
                  const struct ob_plan *thirds)
{
    json_t *all = json_array();

    json_object_set_new(entry, "examples", all);
    for (size_t k = 0; k < ob_plan_n(thirds); k++) {
        json_t *part = json_object(), *items = json_array();
        struct scored *list;
        struct ob_step s;
        size_t n, shown;

        ob_plan_step(thirds, k, &s);
        n = ob_ids_n(s.forget);
        list = cmd_alloc(d->c, n, sizeof(*list));
        for (size_t i = 0; i < n; i++) {
            list[i].id = ob_ids_list(s.forget)[i];
            list[i].score = ob_scores_value(scores)[list[i].id];
        }
        qsort(list, n, sizeof(*list), by_score);
        put_text(part, "part", s.name);
        json_object_set_new(part, "items", items);
        json_array_append_new(all, part);
        shown = n < DEMO_EXAMPLES ? n : DEMO_EXAMPLES;
        for (size_t i = 0; i < shown; i++) /* evenly over the part, so that nobody chose them */
            TRY(picture(d, items, &list[(2 * i + 1) * n / (2 * shown)]));
    }
    return OB_OK;
}
