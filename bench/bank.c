/* bank.c - writes a bank of made-up models, to measure what reads one. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "score/bank.h"

/*
 *   bank DIR [MODELS [TRAIN [TEST]]]      default: 400 models, 50000 and 10000 examples, 10 classes
 *
 * Nothing is trained: a model is right about an example with a probability that depends on the
 * example and on whether it was in the model's subset.
 */

enum { CLASSES = 10 };

static void must(int rc, const struct ob_err *err)
{
    if (!rc)
        return;
    fprintf(stderr, "bank: %s\n", err->msg);
    exit(1);
}

static void answer(float *logits, int y, float p_right, struct ob_rng *r)
{
    int best = ob_rng_uniform(r) < p_right ? y : (int)(ob_rng_u32(r) % CLASSES);

    for (int c = 0; c < CLASSES; c++)
        logits[c] = 4 * ob_rng_uniform(r) - 2;
    logits[best] += 5;
}

static void write_model(const struct ob_bank *b, int k, uint8_t *in, float *logits[2])
{
    struct ob_rng r = ob_rng(7, OB_RNG_TEST, (uint32_t)k, 0);
    struct ob_err err = { 0 };

    must(ob_bank_subset(in, b, k, &err), &err);
    for (int part = 0; part < 2; part++)
        for (size_t i = 0; i < b->row[part]->n; i++) {
            float without = (float)(i % 101) / 100; /* as if it were left out */
            float p = !part && in[i] ? 0.95f : without;

            answer(logits[part] + i * CLASSES, b->label[part][i], p, &r);
        }
    must(ob_bank_model_write(b, k, in, (const float *const *)logits, &err), &err);
}

int main(int argc, char **argv)
{
    int n_models = argc > 2 ? atoi(argv[2]) : 400, n[2];
    struct ob_bank_opts o = OB_BANK_OPTS_INIT;
    struct ob_ctx_opts co = OB_CTX_OPTS_INIT;
    struct ob_err err = { 0 };
    struct ob_split *split;
    struct ob_bank *b;
    struct ob_data *d;
    struct ob_ctx *ctx;
    float *logits[2];
    uint8_t *in;
    char spec[120];

    if (argc < 2) {
        fprintf(stderr, "usage: bank DIR [MODELS [TRAIN [TEST]]]\n");
        return 2;
    }
    n[0] = argc > 3 ? atoi(argv[3]) : 50000;
    n[1] = argc > 4 ? atoi(argv[4]) : 10000;
    snprintf(spec, sizeof(spec), "synth:longtail,train=%d,test=%d,classes=%d,size=8,channels=1",
             n[0], n[1], CLASSES);
    must(ob_ctx_new(&ctx, &co, &err), &err);
    must(ob_data_open(&d, ctx, spec, &err), &err);
    must(ob_split_new(&split, d, 0, 1, &err), &err);
    o.arch = "mlp";
    o.end = n_models;
    ob_recipe_default(&o.recipe, d, o.arch);
    must(ob_bank_make(&b, ctx, argv[1], d, split, &o, &err), &err);
    must(ob_alloc(in, b->info.n_train, &err), &err);
    for (int part = 0; part < 2; part++)
        must(ob_alloc(logits[part], b->row[part]->n * CLASSES, &err), &err);
    for (int k = 0; k < n_models; k++)
        write_model(b, k, in, logits);
    ob_free(logits[0]);
    ob_free(logits[1]);
    ob_free(in);
    ob_bank_free(b);
    ob_split_free(split);
    ob_data_free(d);
    ob_ctx_free(ctx);
    return 0;
}
