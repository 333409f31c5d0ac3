/* copies.c - near copies of what is to be forgotten, in what would be retained. */
#include "copies.h"

int copies_check(struct cmd *c, const struct copies_opts *o)
{
    if (!(o->likeness > 0 && o->likeness <= 1))
        return cmd_fail(c, OB_EINVAL, "--likeness lies above 0 and is 1 at most, not %g",
                        o->likeness);
    return OB_OK;
}

/* Each retained example once, however many it is a copy of. */
static int retained_copies(struct ob_ids **out, struct cmd *c, const struct ob_copies *found,
                           size_t limit, struct ob_err *err)
{
    size_t n = 0;
    uint32_t *id = cmd_alloc(c, ob_copies_n(found) + 1, sizeof(*id));
    unsigned char *seen = cmd_alloc(c, limit + 1, 1);

    for (size_t i = 0; i < ob_copies_n(found); i++) {
        uint32_t retained = ob_copies_list(found)[i].id[1];

        if (!seen[retained])
            id[n++] = retained;
        seen[retained] = 1;
    }
    return ob_ids_new(out, id, n, limit, err);
}

/* Near copies in the rest of the training part of what is `fresh` in `ids`; *more is left NULL where there are none. */
static int look(struct ob_ids **more, struct ob_copies **found, struct cmd *c,
                const struct inputs *in, const struct ob_ids *ids, const struct ob_ids *fresh,
                double likeness, struct ob_err *err)
{
    struct ob_ids *rest;
    int status;

    TRY(ob_ids_minus(&rest, ob_split_train(in->split), ids, err));
    status = ob_copies_find(found, in->data, OB_TRAIN, fresh, OB_TRAIN, rest, likeness, err);
    ob_ids_free(rest);
    if (!status && ob_copies_n(*found))
        status = retained_copies(more, c, *found, ob_data_info(in->data)->n_file[OB_TRAIN], err);
    return status;
}

/* *fresh: what the last round added, or NULL; then what this one does. */
static int add_round(struct cmd *c, struct ob_ids **ids, struct ob_ids **fresh,
                     const struct inputs *in, double likeness)
{
    struct ob_ids *more = NULL, *both;
    struct ob_copies *found = NULL;
    int status = look(&more, &found, c, in, *ids, *fresh ? *fresh : *ids, likeness, &c->err);

    ob_copies_free(found);
    ob_ids_free(*fresh);
    *fresh = more;
    if (status || !more)
        return status;
    TRY(ob_ids_union(&both, *ids, more, &c->err));
    ob_ids_free(*ids);
    *ids = both;
    return OB_OK;
}

/* Copies of copies, too: they show the same again. */
static int add(struct cmd *c, struct ob_ids **ids, const struct inputs *in, double likeness)
{
    size_t first = ob_ids_n(*ids), before;
    struct ob_ids *fresh = NULL;
    int status;

    do {
        before = ob_ids_n(*ids);
        status = add_round(c, ids, &fresh, in, likeness);
    } while (!status && ob_ids_n(*ids) > before);
    ob_ids_free(fresh);
    TRY(status);
    if (before == first)
        return OB_OK;
    cmd_note(c, "near copies are added: %zu, to %zu examples", before - first, first);
    return ob_ids_check_forget(*ids, ob_split_train(in->split), NULL, &c->err);
}

static int warn(struct cmd *c, const struct ob_ids *ids, const struct inputs *in, double likeness)
{
    struct ob_ids *more = NULL;
    struct ob_copies *found = NULL;
    struct ob_err err = { 0 };
    int status = look(&more, &found, c, in, ids, ids, likeness, &err);

    if (status == OB_ENOTSUP) { /* too much alike to warn of anything */
        cmd_note(c, "near copies are not looked for: %s", err.msg);
        return OB_OK;
    }
    if (status)
        return cmd_fail(c, status, "%s", err.msg);
    if (more) {
        const struct ob_copy *first = ob_copies_list(found);

        cmd_warn(c,
                 "%zu retained example%s of forgotten ones (%u is one of %u, likeness %.3f): what "
                 "they show stays in the model; --close-duplicates forgets them as well, 'oubli "
                 "data --duplicates' lists them",
                 ob_ids_n(more), ob_ids_n(more) == 1 ? " is a near copy" : "s are near copies",
                 first->id[1], first->id[0], first->likeness);
    }
    ob_copies_free(found);
    ob_ids_free(more);
    return OB_OK;
}

int copies_settle(struct cmd *c, struct ob_ids **ids, const struct inputs *in,
                  const struct copies_opts *o, int warns)
{
    if (o->add)
        return add(c, ids, in, o->likeness);
    return warns ? warn(c, *ids, in, o->likeness) : OB_OK;
}
