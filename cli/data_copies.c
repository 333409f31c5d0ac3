/* data_copies.c - oubli data --duplicates: pairs of copies within and between forget, retain and test. */
#include <stdlib.h>

#include "copies.h"

/* Sets in pairs; without --forget what is neither validation nor test is "training". */
enum group { FORGET, RETAIN, VALIDATION, TEST, N_GROUPS };

struct tally {
    size_t exact, near;
};

struct listing {
    const struct ob_data *d;
    struct ob_split *split;
    struct ob_ids *forget; /* or NULL */
    struct tally tally[N_GROUPS][N_GROUPS];
    FILE *text;
};

static const char *name_of(const struct listing *l, int group)
{
    static const char *const name[N_GROUPS] = { "forget", "retain", "validation", "test" };

    return group == RETAIN && !l->forget ? "training" : name[group];
}

/* Whether there is such a set at all: without --forget, or --val, there is not. */
static int is_there(const struct listing *l, int group)
{
    return group == FORGET       ? l->forget != NULL
           : group == VALIDATION ? ob_ids_n(ob_split_val(l->split)) > 0
                                 : 1;
}

static int group_of(const struct listing *l, enum ob_part part, uint32_t id)
{
    return part == OB_TEST                          ? TEST
           : ob_ids_has(ob_split_val(l->split), id) ? VALIDATION
           : l->forget && ob_ids_has(l->forget, id) ? FORGET
                                                    : RETAIN;
}

int data_copies_check(struct cmd *c, const struct data_copies *o)
{
    const struct copies_opts likeness = { .likeness = o->likeness };

    if (!o->wanted && (o->forget || o->output || cmd_given(c, "likeness") || cmd_given(c, "val") ||
                       cmd_given(c, "split-seed")))
        return cmd_fail(c, OB_EINVAL,
                        "--forget, --val, --split-seed, --likeness and --output go with "
                        "--duplicates");
    TRY(copies_check(c, &likeness));
    TRY(input_check(c, o->forget));
    return output_check(c, o->output);
}

static void count(struct listing *l, const struct ob_copies *found, enum ob_part a, enum ob_part b)
{
    for (size_t i = 0; i < ob_copies_n(found); i++) {
        const struct ob_copy *p = &ob_copies_list(found)[i];
        int x = group_of(l, a, p->id[0]), y = group_of(l, b, p->id[1]);
        struct tally *t = &l->tally[x < y ? x : y][x < y ? y : x];

        t->exact += p->is_exact != 0;
        t->near += !p->is_exact;
        if (l->text)
            fprintf(l->text, "%s,%u,%s,%u,%.4f,%d,%d,%d,%d\n", name_of(l, x), p->id[0],
                    name_of(l, y), p->id[1], p->likeness, p->is_exact, p->dx, p->dy,
                    p->is_mirrored);
    }
}

static int search(struct cmd *c, struct listing *l, double likeness)
{
    static const enum ob_part sets[3][2] = { { OB_TRAIN, OB_TRAIN },
                                             { OB_TRAIN, OB_TEST },
                                             { OB_TEST, OB_TEST } };

    for (int k = 0; k < 3; k++) {
        struct ob_copies *found;

        TRY(ob_copies_find(&found, l->d, sets[k][0], ob_data_ids(l->d, sets[k][0]), sets[k][1],
                           ob_data_ids(l->d, sets[k][1]), likeness, &c->err));
        count(l, found, sets[k][0], sets[k][1]);
        ob_copies_free(found);
    }
    return OB_OK;
}

static json_t *as_json(const struct listing *l, double likeness, double seconds)
{
    json_t *sets = json_array();

    for (int x = 0; x < N_GROUPS; x++)
        for (int y = x; y < N_GROUPS; y++)
            if (is_there(l, x) && is_there(l, y))
                json_array_append_new(sets, json_pack("{s:[s,s],s:I,s:I}", "sets", name_of(l, x),
                                                      name_of(l, y), "exact",
                                                      (json_int_t)l->tally[x][y].exact, "near",
                                                      (json_int_t)l->tally[x][y].near));
    return json_pack("{s:f,s:f,s:o}", "likeness", likeness, "seconds", seconds, "pairs", sets);
}

static void as_table(const struct listing *l, double likeness, double seconds)
{
    struct table *t = table_new("llrr");

    table_cell(t, "pairs of copies");
    table_cell(t, " ");
    table_cell(t, "exact");
    table_cell(t, "near");
    for (int x = 0; x < N_GROUPS; x++)
        for (int y = x; y < N_GROUPS; y++) {
            if (!is_there(l, x) || !is_there(l, y))
                continue;
            table_cell(t, "%s", name_of(l, x));
            table_cell(t, "%s", name_of(l, y));
            table_cell(t, "%zu", l->tally[x][y].exact);
            table_cell(t, "%zu", l->tally[x][y].near);
        }
    table_print(t, stdout);
    printf("near: likeness %g or more; %.1f s\n\n", likeness, seconds);
}

/* The pairs as text, written whole at the end. */
static int with_text(struct cmd *c, struct listing *l, const struct data_copies *o)
{
    char *text = NULL;
    size_t n = 0;
    int status;

    if (!o->output)
        return search(c, l, o->likeness);
    l->text = open_memstream(&text, &n);
    if (!l->text)
        return cmd_fail(c, OB_ENOMEM, "out of memory");
    fprintf(l->text, "set_a,id_a,set_b,id_b,likeness,exact,dx,dy,mirrored\n");
    status = search(c, l, o->likeness);
    if (fclose(l->text) && !status)
        status = cmd_fail(c, OB_ENOMEM, "out of memory");
    if (!status)
        status = ob_file_write(o->output, text, n, &c->err);
    free(text);
    return status;
}

int data_copies(struct cmd *c, const struct ob_data *d, const struct data_copies *o, json_t **out)
{
    struct listing l = { .d = d };
    double start = cmd_now();
    int status;

    GO(ob_split_new(&l.split, d, o->val, o->split_seed, &c->err));
    if (o->forget) {
        GO(ob_ids_read(&l.forget, o->forget, ob_data_info(d)->n_file[OB_TRAIN], &c->err));
        GO(ob_ids_check_forget(l.forget, ob_split_train(l.split), o->forget, &c->err));
    }
    GO(with_text(c, &l, o));
    if (c->json)
        *out = as_json(&l, o->likeness, cmd_now() - start);
    else
        as_table(&l, o->likeness, cmd_now() - start);
out:
    ob_ids_free(l.forget);
    ob_split_free(l.split);
    return status;
}
