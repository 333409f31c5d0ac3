/* cmd_select.c - oubli select: a forget set by score, by class, or at random. */
#include <math.h>
#include <string.h>

#include "setup.h"

struct select {
    struct inputs_opts in;
    const char *scores, *level, *entanglement, *class_name, *output;
    int random;
    size_t n;
    double center;
};

static int check(struct cmd *c, const struct select *s)
{
    int rules = (s->level != NULL) + (s->class_name != NULL) + (s->random != 0) +
                (s->entanglement != NULL);

    TRY(cmd_need(c, "data", s->in.data));
    TRY(cmd_need(c, "output", s->output));
    if (rules != 1)
        return cmd_fail(c, OB_EINVAL,
                        "one of --level, --entanglement, --class and --random is needed%s",
                        rules ? ", not several" : "");
    if (s->level && strcmp(s->level, "low") && strcmp(s->level, "medium") &&
        strcmp(s->level, "high") && strcmp(s->level, "mix"))
        return cmd_fail(c, OB_EINVAL, "--level is low, medium, high or mix, not '%s'", s->level);
    if (s->entanglement && strcmp(s->entanglement, "low") && strcmp(s->entanglement, "medium") &&
        strcmp(s->entanglement, "high"))
        return cmd_fail(c, OB_EINVAL, "--entanglement is low, medium or high, not '%s'",
                        s->entanglement);
    if (s->entanglement)
        TRY(cmd_need(c, "model", s->in.model));
    if (s->level)
        TRY(cmd_need(c, "scores", s->scores));
    if (!s->class_name && !cmd_given(c, "size"))
        return cmd_fail(c, OB_EINVAL, "--size is needed: how many examples to forget");
    TRY(input_check(c, s->scores));
    return output_check(c, s->output);
}

/* A class by its number or its name. */
static int find_class(struct cmd *c, const struct ob_data *d, const char *text, int *out)
{
    uint64_t label;
    int n = ob_data_info(d)->n_classes;

    for (int k = 0; k < n; k++)
        if (!strcmp(text, ob_data_class_name(d, k))) {
            *out = k;
            return OB_OK;
        }
    if (!parse_whole(text, &label) || label >= (uint64_t)n)
        return cmd_fail(c, OB_EFORMAT,
                        "no class '%s': the data set has classes 0 to %d; 'oubli data' names them",
                        text, n - 1);
    *out = (int)label;
    return OB_OK;
}

static const char *how(struct cmd *c, const struct select *s, const struct inputs *in,
                       const struct ob_scores *scores)
{
    const char *rule = s->random ? cmd_textf(c, "random, seed %llu", (unsigned long long)c->seed)
                       : s->class_name   ? cmd_textf(c, "class %s", s->class_name)
                       : s->entanglement ? cmd_textf(c, "%s entanglement", s->entanglement)
                                         : cmd_textf(c, "level %s of %s (%s)", s->level,
                                                     ob_scores_info(scores)->kind,
                                                     ob_scores_info(scores)->source);
    const char *center = cmd_given(c, "center") ? cmd_textf(c, ", centre %g", s->center) : "";

    return cmd_textf(
        c, "oubli %s select: %s%s\ndata %s %s\nout of a training part of %zu (split %s)",
        OB_VERSION, rule, center, ob_data_info(in->data)->spec, ob_data_info(in->data)->hash,
        ob_ids_n(ob_split_train(in->split)), ob_split_hash(in->split));
}

static int print_ids(struct cmd *c, const struct select *s, const struct inputs *in,
                     const struct ob_ids *ids)
{
    size_t n = ob_ids_n(ids), k = (size_t)ob_data_info(in->data)->n_classes;
    size_t *count = cmd_alloc(c, k, sizeof(*count));
    json_t *classes;

    for (size_t i = 0; i < n; i++)
        count[ob_data_label(in->data, OB_TRAIN, ob_ids_list(ids)[i])]++;
    if (!c->json) {
        printf("%zu of %zu training examples in '%s'; by class:", n,
               ob_ids_n(ob_split_train(in->split)), s->output);
        for (size_t i = 0; i < k; i++)
            printf(" %zu", count[i]);
        putchar('\n');
        return OB_OK;
    }
    classes = json_array();
    for (size_t i = 0; i < k; i++)
        json_array_append_new(classes, json_integer((json_int_t)count[i]));
    return print_json(c, json_pack("{s:s,s:I,s:I,s:o}", "output", s->output, "n", (json_int_t)n,
                                   "of", (json_int_t)ob_ids_n(ob_split_train(in->split)), "classes",
                                   classes));
}

static int select_ids(struct cmd *c, const struct select *s, const struct inputs *in)
{
    struct ob_select_opts o = {
        .size = sizeof(o), .n = s->n, .center = s->center, .seed = c->seed
    };
    struct ob_scores *scores = NULL;
    struct ob_ids *ids = NULL;
    int status;

    o.rule = s->random ? "random" : s->class_name ? "class" : s->level;
    if (s->class_name)
        GO(find_class(c, in->data, s->class_name, &o.label));
    if (s->level)
        GO(ob_scores_read(&scores, s->scores, &c->err));
    if (s->entanglement) {
        o.rule = cmd_textf(c, "%s-entanglement", s->entanglement);
        GO(ob_scores_from_model(&scores, in->model, in->data, ob_split_train(in->split),
                                "centroid-distance", 0, &c->err));
    }
    o.scores = scores;
    GO(ob_select(&ids, in->data, ob_split_train(in->split), &o, &c->err));
    GO(ob_ids_write(ids, s->output, how(c, s, in, scores), &c->err));
    GO(print_ids(c, s, in, ids));
out:
    ob_ids_free(ids);
    ob_scores_free(scores);
    return status;
}

int cmd_select(struct cmd *c, int argc, const char **argv)
{
    struct select s = { .in = INPUTS_OPTS_INIT, .center = NAN };
    const struct opt options[] = {
        INPUTS_OPTIONS(&s.in),
        ANY_DATA_OPTION(&s.in),
        { "scores", 0, OPT_TEXT, &s.scores, "scores of 'oubli score'", "FILE" },
        { "level", 'l', OPT_TEXT, &s.level, "low, medium, high, or mix: a third of each", "LEVEL" },
        { "entanglement", 0, OPT_TEXT, &s.entanglement,
          "low, medium or high: by distance to the mean embedding of --model", "LEVEL" },
        { "center", 0, OPT_FLOAT, &s.center,
          "where medium lies (default: 0.5 for memorization, else the middle of the range)", "X" },
        { "class", 0, OPT_TEXT, &s.class_name, "examples of one class, by number or name", "C" },
        { "random", 0, OPT_FLAG, &s.random, "any examples, by --seed", NULL },
        { "size", 'n', OPT_SIZE, &s.n, "how many (with --class: all, where left out)", "N" },
        { "output", 'o', OPT_TEXT, &s.output, "the ids to write, one a line", "FILE" },
        { 0 },
    };
    struct inputs in;
    int status;

    TRY(cmd_parse(c, options, argc, argv));
    TRY(check(c, &s));
    TRY(cmd_start(c));
    TRY(inputs_open(c, &in, &s.in, OTHER_DATA_REFUSED));
    status = select_ids(c, &s, &in);
    inputs_release(&in);
    return status;
}
