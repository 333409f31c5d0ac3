/*
 * recipe.c - how a model is trained: defaults, checks, the record of it in the model.
 *
 * In a model's metadata, with "sub_batch":64 where there is one: {"augment":"none","batch":256,"epochs":30,"lr":0.1,"momentum":0.9,
 * "optimizer":"sgd","schedule":"cosine","weight_decay":0.0005}
 */
#include "run/recipe.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/ranks.h"
#include "base/str.h"
#include "run/train.h"

/* Zhao et al. 2024, appendix A: what the originals of each setting are trained with. */
static const struct {
    const char *data, *arch; /* with whatever options */
    int epochs;
    const char *schedule, *augment;
} paper[] = {
    { "cifar10", "resnet18", 30, "cosine", "none" },
    { "cifar100", "resnet50", 150, "step:60,120,x0.2", "crop-flip" },
    { "tiny-imagenet", "resnet18", 80, "cosine", "crop-flip" },
    { "tiny-imagenet", "vgg16", 100, "cosine", "crop-flip" },
};

void ob_recipe_default(struct ob_recipe *r, const struct ob_data *d, const char *arch)
{
    const char *name = d && d->info.name ? d->info.name : "";
    size_t n = strcspn(arch, ",");

    *r = (struct ob_recipe){ .epochs = 30,
                             .batch = 256,
                             .lr = 0.1,
                             .momentum = 0.9,
                             .weight_decay = 5e-4,
                             .schedule = "cosine",
                             .augment = "none",
                             .optimizer = "sgd" };
    for (size_t i = 0; i < sizeof(paper) / sizeof(paper[0]); i++) {
        if (strcmp(name, paper[i].data) || strlen(paper[i].arch) != n ||
            strncmp(arch, paper[i].arch, n))
            continue;
        r->epochs = paper[i].epochs;
        snprintf(r->schedule, sizeof(r->schedule), "%s", paper[i].schedule);
        snprintf(r->augment, sizeof(r->augment), "%s", paper[i].augment);
    }
}

int ob_recipe_check(const struct ob_recipe *r, struct ob_err *err)
{
    struct ob_schedule schedule;
    enum ob_augment augment;

    if (r->epochs < 0 || r->epochs > 1000000)
        return ob_fail(err, OB_EINVAL, "epochs is %d, not within 0..1000000", r->epochs);
    if (r->batch < 1 || r->batch > 65536)
        return ob_fail(err, OB_EINVAL, "batch is %d, not within 1..65536", r->batch);
    if (r->sub_batch < 0 || r->sub_batch > 65536)
        return ob_fail(err, OB_EINVAL, "sub-batch is %d, not within 0..65536", r->sub_batch);
    if (!(r->lr > 0 && r->lr <= 1e30))
        return ob_fail(err, OB_EINVAL, "lr is %g, not above 0 and at most 1e30", r->lr);
    if (!(r->momentum >= 0 && r->momentum < 1))
        return ob_fail(err, OB_EINVAL, "momentum is %g, not within 0..1", r->momentum);
    if (!(r->weight_decay >= 0 && r->weight_decay <= 1e6))
        return ob_fail(err, OB_EINVAL, "weight-decay is %g, not 0 or more", r->weight_decay);
    OB_TRY(ob_schedule_parse(&schedule, r->schedule, err));
    OB_TRY(ob_augment_parse(r->augment, &augment, err));
    if (strcmp(r->optimizer, "sgd") && strcmp(r->optimizer, "adam") &&
        strcmp(r->optimizer, "adamw"))
        return ob_fail(err, OB_EINVAL, "no optimizer '%s'; there are sgd, adam and adamw",
                       r->optimizer);
    return OB_OK;
}

void ob_recipe_share(struct ob_recipe *r, const struct ob_ranks *ranks)
{
    if (ranks && !r->sub_batch)
        r->sub_batch = (r->batch + ob_ranks_n(ranks) - 1) / ob_ranks_n(ranks);
}

/* Exact, so that a retraining has the very rates of the training. */
static size_t digits(const struct ob_recipe *r)
{
    int lr = ob_str_digits(r->lr), momentum = ob_str_digits(r->momentum);
    int decay = ob_str_digits(r->weight_decay), most = lr > momentum ? lr : momentum;

    return (size_t)(most > decay ? most : decay);
}

int ob_recipe_text(char *out, size_t room, const struct ob_recipe *r, struct ob_err *err)
{
    json_t *o = json_pack("{s:i,s:i,s:f,s:f,s:f,s:s,s:s,s:s}", "epochs", r->epochs, "batch",
                          r->batch, "lr", r->lr, "momentum", r->momentum, "weight_decay",
                          r->weight_decay, "schedule", r->schedule, "augment", r->augment,
                          "optimizer", r->optimizer);
    char *text;
    int rc = OB_OK;

    if (r->sub_batch)
        json_object_set_new(o, "sub_batch", json_integer(r->sub_batch));
    text = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(digits(r))) : NULL;

    if (!text || strlen(text) >= room)
        rc = ob_fail(err, OB_ENOMEM, "out of memory");
    else
        snprintf(out, room, "%s", text);
    free(text);
    json_decref(o);
    return rc;
}

int ob_recipe_of_json(struct ob_recipe *r, const json_t *o)
{
    const char *schedule, *augment, *optimizer;

    *r = (struct ob_recipe){ 0 };
    if (!o ||
        json_unpack((json_t *)o, "{s:i,s:i,s:F,s:F,s:F,s:s,s:s,s:s,s?i}", "epochs", &r->epochs,
                    "batch", &r->batch, "lr", &r->lr, "momentum", &r->momentum, "weight_decay",
                    &r->weight_decay, "schedule", &schedule, "augment", &augment, "optimizer",
                    &optimizer, "sub_batch", &r->sub_batch) ||
        strlen(schedule) >= sizeof(r->schedule) || strlen(augment) >= sizeof(r->augment) ||
        strlen(optimizer) >= sizeof(r->optimizer))
        return OB_EFORMAT;
    snprintf(r->schedule, sizeof(r->schedule), "%s", schedule);
    snprintf(r->augment, sizeof(r->augment), "%s", augment);
    snprintf(r->optimizer, sizeof(r->optimizer), "%s", optimizer);
    return ob_recipe_check(r, NULL);
}

int ob_recipe_of_model(struct ob_recipe *r, const struct ob_model *m, struct ob_err *err)
{
    const char *text = ob_model_meta(m, "recipe");
    json_t *o;
    int rc;

    *r = (struct ob_recipe){ 0 };
    if (!text)
        return ob_fail(err, OB_ENOTFOUND,
                       "the model does not say how it was trained; give epochs and lr");
    o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    rc = ob_recipe_of_json(r, o);
    json_decref(o);
    if (rc)
        return ob_fail(err, OB_EFORMAT, "the model's recipe is damaged: %.120s", text);
    return OB_OK;
}
