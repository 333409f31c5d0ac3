/* cmd_select.c - oubli select: a forget set by score, class or group, of wrong labels, or at random. */
#include <math.h>
#include <string.h>

#include "copies.h"

struct select {
    struct inputs_opts in;
    const char *scores, *level, *entanglement, *blocks, *groups, *mislabeled, *output;
    struct list classes, group;
    struct copies_opts copies;
    size_t random_groups, n;
    int random;
    double center, share;
};

/* What the options chose from, once it is read. */
struct source {
    struct ob_scores *scores;
    struct ob_groups *groups;
    int32_t *labels;
};

static void source_release(struct source *s)
{
    ob_scores_free(s->scores);
    ob_groups_free(s->groups);
    ob_free(s->labels);
}

static int is_level(const char *text)
{
    return !strcmp(text, "low") || !strcmp(text, "medium") || !strcmp(text, "high") ||
           !strcmp(text, "mix");
}

static int check_words(struct cmd *c, const struct select *s)
{
    if (s->level && !is_level(s->level))
        return cmd_fail(c, OB_EINVAL, "--level is low, medium, high or mix, not '%s'", s->level);
    if (s->entanglement && !is_level(s->entanglement))
        return cmd_fail(c, OB_EINVAL, "--entanglement is low, medium, high or mix, not '%s'",
                        s->entanglement);
    if (s->blocks && strcmp(s->blocks, "paper") && strcmp(s->blocks, "released"))
        return cmd_fail(c, OB_EINVAL, "--entanglement-groups is paper or released, not '%s'",
                        s->blocks);
    if (s->blocks && !s->entanglement)
        return cmd_fail(c, OB_EINVAL, "--entanglement-groups goes with --entanglement");
    return OB_OK;
}

static int is_released(const struct select *s)
{
    return s->blocks && !strcmp(s->blocks, "released");
}

/* Options that go with one rule only. */
static int check_company(struct cmd *c, const struct select *s)
{
    int has_size = cmd_given(c, "size");

    if (s->groups && !s->group.n == !cmd_given(c, "groups-random"))
        return cmd_fail(c, OB_EINVAL, "--groups goes with either --group or --groups-random");
    if (!s->groups && (s->group.n || cmd_given(c, "groups-random")))
        return cmd_fail(c, OB_EINVAL, "--groups is needed: the file that says who has what");
    if (s->groups && has_size)
        return cmd_fail(c, OB_EINVAL, "a group is forgotten whole; leave --size out");
    if (cmd_given(c, "share") && !s->mislabeled)
        return cmd_fail(c, OB_EINVAL, "--share goes with --mislabeled");
    if (cmd_given(c, "share") && (has_size || !(s->share > 0 && s->share <= 1)))
        return cmd_fail(c, OB_EINVAL,
                        "--share lies above 0 and is 1 at most, and stands without "
                        "--size");
    if (!has_size && (s->level || s->random ||
                      (s->entanglement && !(is_released(s) && strcmp(s->entanglement, "mix")))))
        return cmd_fail(c, OB_EINVAL, "--size is needed: how many examples to forget");
    return OB_OK;
}

static int check(struct cmd *c, const struct select *s)
{
    int rules = (s->level != NULL) + (s->classes.n != 0) + (s->random != 0) +
                (s->entanglement != NULL) + (s->groups != NULL) + (s->mislabeled != NULL);

    TRY(cmd_need(c, "data", s->in.data));
    TRY(cmd_need(c, "output", s->output));
    if (!rules && (s->group.n || cmd_given(c, "groups-random")))
        return check_company(c, s);
    if (rules != 1)
        return cmd_fail(c, OB_EINVAL,
                        "one of --level, --entanglement, --class, --groups, --mislabeled and "
                        "--random is needed%s",
                        rules ? ", not several" : "");
    TRY(check_words(c, s));
    if (s->entanglement)
        TRY(cmd_need(c, "model", s->in.model));
    if (s->level)
        TRY(cmd_need(c, "scores", s->scores));
    TRY(check_company(c, s));
    TRY(copies_check(c, &s->copies));
    TRY(input_check(c, s->scores));
    TRY(input_check(c, s->groups && !strstr(s->groups, ".npz:") ? s->groups : NULL));
    return output_check(c, s->output);
}

/* ---- names in lists: repeated options, each with several behind commas ---- */

/* The number of a name, or -1. */
typedef int find_fn(const void *where, const char *name);

static int find_class(const void *where, const char *name)
{
    const struct ob_data *d = where;
    uint64_t label;
    int n = ob_data_info(d)->n_classes;

    for (int k = 0; k < n; k++)
        if (!strcmp(name, ob_data_class_name(d, k)))
            return k;
    return parse_whole(name, &label) && label < (uint64_t)n ? (int)label : -1;
}

static int find_group(const void *where, const char *name)
{
    return ob_groups_find(where, name);
}

struct numbers {
    int *at;
    size_t n;
};

/* Once each, however often it is named. */
static void add_number(struct cmd *c, struct numbers *x, int number)
{
    int *longer;

    for (size_t i = 0; i < x->n; i++)
        if (x->at[i] == number)
            return;
    longer = cmd_alloc(c, x->n + 1, sizeof(*longer));
    if (x->n)
        memcpy(longer, x->at, x->n * sizeof(*longer));
    longer[x->n++] = number;
    x->at = longer;
}

/* The first name that is not known is in *bad. A name with a comma in it is one where it is known. */
static int look_up(struct cmd *c, struct numbers *out, const struct list *list, find_fn *find,
                   const void *where, const char **bad)
{
    for (size_t i = 0; i < list->n; i++) {
        const char *p = list->item[i];
        int number = find(where, p);

        if (number >= 0) {
            add_number(c, out, number);
            continue;
        }
        for (size_t n; p; p = p[n] ? p + n + 1 : NULL) {
            n = strcspn(p, ",");
            *bad = cmd_textf(c, "%.*s", (int)n, p);
            number = find(where, *bad);
            if (number < 0)
                return OB_EFORMAT;
            add_number(c, out, number);
        }
    }
    return OB_OK;
}

static int find_classes(struct cmd *c, struct ob_select_opts *o, const struct select *s,
                        const struct ob_data *d)
{
    struct numbers x = { 0 };
    const char *bad;

    if (look_up(c, &x, &s->classes, find_class, d, &bad))
        return cmd_fail(c, OB_EFORMAT,
                        "no class '%s': the data set has classes 0 to %d; 'oubli data' names them",
                        bad, ob_data_info(d)->n_classes - 1);
    o->label = x.at;
    o->n_labels = x.n;
    return OB_OK;
}

static int find_groups(struct cmd *c, struct ob_select_opts *o, const struct select *s,
                       const struct ob_groups *g)
{
    struct numbers x = { 0 };
    const char *bad, *near = NULL;

    o->groups = g;
    o->n_groups = s->random_groups;
    if (!s->group.n)
        return OB_OK;
    if (look_up(c, &x, &s->group, find_group, g, &bad)) {
        for (size_t i = 0; i < ob_groups_n(g) && !near; i++)
            if (word_is_near(bad, ob_groups_name(g, i)))
                near = ob_groups_name(g, i);
        return cmd_fail(c, OB_EFORMAT, "'%s' has no group '%s' among its %zu%s%s%s", s->groups, bad,
                        ob_groups_n(g), near ? "; did you mean '" : "", near ? near : "",
                        near ? "'?" : "");
    }
    o->group = x.at;
    o->n_groups = x.n;
    return OB_OK;
}

/* ---- what is said of the set ---- */

static const char *join(struct cmd *c, const struct list *l)
{
    const char *text = l->item[0];

    for (size_t i = 1; i < l->n; i++)
        text = cmd_textf(c, "%s,%s", text, l->item[i]);
    return text;
}

static const char *rule_text(struct cmd *c, const struct select *s, const struct source *from)
{
    unsigned long long seed = c->seed;

    if (s->random)
        return cmd_textf(c, "random, seed %llu", seed);
    if (s->classes.n)
        return cmd_textf(c, "class %s", join(c, &s->classes));
    if (s->group.n)
        return cmd_textf(c, "group %s of '%s'", join(c, &s->group), s->groups);
    if (s->groups)
        return cmd_textf(c, "%zu random groups of '%s', seed %llu", s->random_groups, s->groups,
                         seed);
    if (s->mislabeled && (s->n || s->share > 0))
        return cmd_textf(c, "labels other than in '%s', some of them, seed %llu", s->mislabeled,
                         seed);
    if (s->mislabeled)
        return cmd_textf(c, "labels other than in '%s'", s->mislabeled);
    if (s->entanglement)
        return cmd_textf(c, "%s entanglement%s", s->entanglement,
                         is_released(s) ? ", groups of the released code" : "");
    return cmd_textf(c, "level %s of %s (%s)", s->level, ob_scores_info(from->scores)->kind,
                     ob_scores_info(from->scores)->source);
}

static const char *how(struct cmd *c, const struct select *s, const struct inputs *in,
                       const struct source *from)
{
    const char *center = cmd_given(c, "center") ? cmd_textf(c, ", centre %g", s->center) : "";
    const char *copies = s->copies.add ? cmd_textf(c, ", with near copies (%g)", s->copies.likeness)
                                       : "";

    return cmd_textf(
        c, "oubli %s select: %s%s%s\ndata %s %s\nout of a training part of %zu (split %s)",
        OB_VERSION, rule_text(c, s, from), center, copies, ob_data_info(in->data)->spec,
        ob_data_info(in->data)->hash, ob_ids_n(ob_split_train(in->split)),
        ob_split_hash(in->split));
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

/* Reads what the rule chooses from, and names the rule. */
static int take_rule(struct cmd *c, struct ob_select_opts *o, struct source *from,
                     const struct select *s, const struct inputs *in)
{
    const struct ob_data_info *i = ob_data_info(in->data);
    size_t n = i->n_file[OB_TRAIN];

    o->rule = s->random       ? "random"
              : s->classes.n  ? "class"
              : s->group.n    ? "group"
              : s->groups     ? "random-groups"
              : s->mislabeled ? "mislabeled"
                              : s->level;
    if (s->classes.n)
        return find_classes(c, o, s, in->data);
    if (s->groups) {
        TRY(ob_groups_read(&from->groups, s->groups, n, &c->err));
        return find_groups(c, o, s, from->groups);
    }
    if (s->mislabeled)
        TRY(ob_labels_read(&from->labels, s->mislabeled, n, i->n_classes, &c->err));
    if (s->level)
        TRY(ob_scores_read(&from->scores, s->scores, &c->err));
    if (s->entanglement) {
        o->rule = cmd_textf(c, "%s-entanglement", s->entanglement);
        TRY(ob_scores_from_model(&from->scores, in->model, in->data, ob_split_train(in->split),
                                 "centroid-distance", 0, &c->err));
    }
    o->other_label = from->labels;
    o->scores = from->scores;
    return OB_OK;
}

static int select_ids(struct cmd *c, const struct select *s, const struct inputs *in)
{
    struct ob_select_opts o = { .size = sizeof(o),
                                .n = s->n,
                                .center = s->center,
                                .share = s->share,
                                .released = is_released(s),
                                .seed = c->seed };
    struct source from = { 0 };
    struct ob_ids *ids = NULL;
    int status;

    GO(take_rule(c, &o, &from, s, in));
    GO(ob_select(&ids, in->data, ob_split_train(in->split), &o, &c->err));
    GO(copies_settle(c, &ids, in, &s->copies, 0));
    GO(ob_ids_write(ids, s->output, how(c, s, in, &from), &c->err));
    GO(print_ids(c, s, in, ids));
out:
    ob_ids_free(ids);
    source_release(&from);
    return status;
}

int cmd_select(struct cmd *c, int argc, const char **argv)
{
    struct select s = { .in = INPUTS_OPTS_INIT, .copies = COPIES_OPTS_INIT, .center = NAN };
    const struct opt options[] = {
        INPUTS_OPTIONS(&s.in),
        EMBEDDING_OPTION(&s.in),
        ANY_DATA_OPTION(&s.in),
        { "scores", 0, OPT_TEXT, &s.scores, "scores of 'oubli score'", "FILE" },
        { "level", 'l', OPT_TEXT, &s.level, "low, medium, high, or mix: a third of each", "LEVEL" },
        { "entanglement", 0, OPT_TEXT, &s.entanglement,
          "low, medium, high or mix: by distance to the mean embedding of --model", "LEVEL" },
        { "entanglement-groups", 0, OPT_TEXT, &s.blocks,
          "paper (default), or released: the groups of the published code", "V" },
        { "center", 0, OPT_FLOAT, &s.center,
          "where medium lies (default: 0.5 for memorization, else the middle of the range)", "X" },
        { "class", 0, OPT_LIST, &s.classes,
          "examples of these classes, by number or name: 3 or cat,dog; may be repeated", "C" },
        { "groups", 0, OPT_TEXT, &s.groups,
          "a file with a line for each training example, the name of its group (a user, say)",
          "FILE" },
        { "group", 0, OPT_LIST, &s.group, "all examples of these groups; may be repeated", "NAME" },
        { "groups-random", 0, OPT_SIZE, &s.random_groups, "or of so many groups, by --seed", "K" },
        { "mislabeled", 0, OPT_TEXT, &s.mislabeled,
          "examples whose label is another one here: a label a line, FILE.npy, or FILE.npz:NAME",
          "FILE" },
        { "share", 0, OPT_FLOAT, &s.share, "of them only this share, by --seed", "F" },
        { "random", 0, OPT_FLAG, &s.random, "any examples, by --seed", NULL },
        { "size", 'n', OPT_SIZE, &s.n,
          "how many (with --class, --mislabeled and the released groups: all, where left out)",
          "N" },
        COPIES_OPTIONS(&s.copies),
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
