/* curve.c - trains a network and writes its accuracy after each epoch: the public library in use. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <oubli.h>

/*
 *   curve DATA ARCH EPOCHS LR BATCH OUT.csv [SEED]     goes on where it was stopped
 *
 * SGD with momentum 0.9 and weight decay 5e-4, cosine to 0 per epoch, crop-flip. Columns: epoch,
 * seconds of training so far in this run, running loss and accuracy of the epoch, test accuracy.
 * bench/curve_torch.py takes the same words.
 */

struct curve {
    const struct ob_data *data;
    struct ob_model *model;
    FILE *out;
    struct timespec start;
    double testing; /* seconds that were not training */
};

static void die(const struct ob_err *err)
{
    fprintf(stderr, "curve: %s\n", err->msg);
    exit(1);
}

static double since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + 1e-9 * (double)(now.tv_nsec - start->tv_nsec);
}

static double test_accuracy(struct curve *c)
{
    const struct ob_ids *ids = ob_data_ids(c->data, OB_TEST);
    size_t n = ob_ids_n(ids), right = 0, k = (size_t)ob_data_info(c->data)->n_classes;
    float *logits = malloc(n * k * sizeof(*logits));
    struct ob_err err = { 0 };

    if (!logits || ob_predict(logits, NULL, c->model, c->data, OB_TEST, ids, &err))
        die(&err);
    for (size_t i = 0; i < n; i++) {
        size_t best = 0;

        for (size_t j = 1; j < k; j++)
            if (logits[i * k + j] > logits[i * k + best])
                best = j;
        right += (int)best == ob_data_label(c->data, OB_TEST, ob_ids_list(ids)[i]);
    }
    free(logits);
    return (double)right / (double)n;
}

static void on_epoch(void *arg, int epoch, double loss, double accuracy)
{
    struct curve *c = arg;
    double trained = since(&c->start) - c->testing, test = test_accuracy(c);

    c->testing = since(&c->start) - trained;
    fprintf(c->out, "%d,%.1f,%.4f,%.4f,%.4f\n", epoch + 1, trained, loss, accuracy, test);
    fflush(c->out);
}

int main(int argc, char **argv)
{
    struct ob_ctx_opts co = OB_CTX_OPTS_INIT;
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;
    struct curve c = { 0 };
    struct ob_err err = { 0 };
    struct ob_cost cost;
    struct ob_ctx *ctx;
    struct ob_data *data;
    struct ob_split *split;
    const struct ob_data_info *info;
    char checkpoint[4096];
    uint64_t seed = 1;

    if (argc != 7 && argc != 8) {
        fprintf(stderr, "curve DATA ARCH EPOCHS LR BATCH OUT.csv [SEED]\n");
        return 2;
    }
    if (argc == 8)
        seed = strtoull(argv[7], NULL, 10);
    co.isa = getenv("OB_ISA");
    co.n_threads = getenv("THREADS") ? atoi(getenv("THREADS")) : 0;
    if (ob_ctx_new(&ctx, &co, &err) || ob_data_open(&data, ctx, argv[1], &err))
        die(&err);
    info = ob_data_info(data);
    if (ob_split_new(&split, data, 0, 1, &err) ||
        ob_model_new(&c.model, ctx, argv[2], info->channels, info->height, info->width,
                     info->n_classes, seed, &err) ||
        ob_model_set_normalize(c.model, NULL, data, &err))
        die(&err);
    o.recipe = (struct ob_recipe){ .epochs = atoi(argv[3]),
                                   .batch = atoi(argv[5]),
                                   .lr = atof(argv[4]),
                                   .momentum = 0.9,
                                   .weight_decay = 5e-4,
                                   .schedule = "cosine",
                                   .augment = "crop-flip",
                                   .optimizer = "sgd" };
    snprintf(checkpoint, sizeof(checkpoint), "%s.ckpt", argv[6]);
    o.seed = seed;
    o.checkpoint = checkpoint;
    o.resume = 1;
    o.on_epoch = on_epoch;
    o.arg = &c;
    c.data = data;
    c.out = fopen(argv[6], "a");
    if (!c.out) {
        perror(argv[6]);
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &c.start);
    if (ob_train(&cost, c.model, data, split, ob_split_train(split), &o, &err) ||
        ob_train_done(&o, &err))
        die(&err);
    fclose(c.out);
    ob_split_free(split);
    ob_model_free(c.model);
    ob_data_free(data);
    ob_ctx_free(ctx);
    return 0;
}
