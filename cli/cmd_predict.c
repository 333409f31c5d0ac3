/* cmd_predict.c - oubli predict: logits or embeddings of a part of the data, as .npy. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "setup.h"

struct predict {
    struct inputs_opts in;
    const char *part, *output;
    int features;
    const char *ids_path; /* OUT.json */
};

static int write_ids(struct cmd *c, const struct predict *p, const struct ob_ids *ids)
{
    json_t *j = json_pack("{s:o}", "ids", json_ids(ids));
    char *text = json_dumps(j, JSON_COMPACT);
    int status = text ? ob_file_write(p->ids_path, text, strlen(text), &c->err)
                      : cmd_fail(c, OB_ENOMEM, "out of memory");

    free(text);
    json_decref(j);
    return status;
}

static int predict(struct cmd *c, const struct predict *p, const struct inputs *in)
{
    int test = !strcmp(p->part, "test");
    const struct ob_ids *ids = test                      ? ob_data_ids(in->data, OB_TEST)
                               : !strcmp(p->part, "val") ? ob_split_val(in->split)
                                                         : ob_split_train(in->split);
    size_t shape[2] = { ob_ids_n(ids), (size_t)(p->features ? ob_model_n_features(in->model)
                                                            : ob_model_n_classes(in->model)) };
    int status;
    float *x;

    if (!shape[0])
        return cmd_fail(c, OB_EFORMAT, "the %s part has no examples%s", p->part,
                        test ? "" : "; --val makes one where the model records none");
    x = cmd_alloc(c, shape[0] * shape[1], sizeof(*x));
    TRY(ob_predict(p->features ? NULL : x, p->features ? x : NULL, in->model, in->data,
                   test ? OB_TEST : OB_TRAIN, ids, &c->err));
    /* An array of before must not stand beside these ids, also where we die in between. */
    TRY(output_retire(c, p->output));
    TRY(write_ids(c, p, ids));
    status = ob_npy_write_f32(p->output, x, shape, 2, &c->err);
    if (status) /* they say nothing without the array */
        unlink(p->ids_path);
    TRY(status);
    progress_clear(c->progress);
    if (c->json)
        return print_json(c, json_pack("{s:s,s:s,s:s,s:[II]}", "output", p->output, "ids",
                                       p->ids_path, "split", p->part, "shape", (json_int_t)shape[0],
                                       (json_int_t)shape[1]));
    printf("%s of %zu examples (%s) in '%s', %zu numbers each; their ids in '%s'\n",
           p->features ? "embeddings" : "logits", shape[0], p->part, p->output, shape[1],
           p->ids_path);
    return OB_OK;
}

static int run(struct cmd *c, struct predict *p)
{
    struct inputs in;
    int status;

    TRY(cmd_need(c, "data", p->in.data));
    TRY(cmd_need(c, "model", p->in.model));
    TRY(cmd_need(c, "output", p->output));
    if (strcmp(p->part, "train") && strcmp(p->part, "val") && strcmp(p->part, "test"))
        return cmd_fail(c, OB_EINVAL, "--split is train, val or test, not '%s'", p->part);
    p->ids_path = json_beside(c, p->output);
    TRY(output_check(c, p->output));
    TRY(output_check(c, p->ids_path));
    TRY(cmd_start(c));
    TRY(inputs_open(c, &in, &p->in, OTHER_DATA_WARNED));
    status = predict(c, p, &in);
    inputs_release(&in);
    return status;
}

int cmd_predict(struct cmd *c, int argc, const char **argv)
{
    struct predict p = { .in = INPUTS_OPTS_INIT, .part = "test" };
    const struct opt options[] = {
        INPUTS_OPTIONS(&p.in),
        EMBEDDING_OPTION(&p.in),
        AGGREGATE_OPTION(&p.in),
        { "split", 's', OPT_TEXT, &p.part, "train (the training part), val or test (default test)",
          "PART" },
        { "features", 0, OPT_FLAG, &p.features, "what feeds the classifier, not its logits", NULL },
        { "output", 'o', OPT_TEXT, &p.output, "the array to write (.npy; ids go to .json)",
          "FILE" },
        { 0 },
    };

    TRY(cmd_parse(c, options, argc, argv));
    return run(c, &p);
}
