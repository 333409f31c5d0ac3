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
static int retained_copies(struct cmd *c, struct ob_ids **out, const struct ob_copies *found,
                           size_t limit)
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
    return ob_ids_new(out, id, n, limit, &c->err);
}

static int add(struct cmd *c, struct ob_ids **ids, const struct ob_ids *more)
{
    struct ob_ids *both;

    TRY(ob_ids_union(&both, *ids, more, &c->err));
    cmd_note(c, "near copies are added: %zu, to %zu examples", ob_ids_n(more), ob_ids_n(*ids));
    ob_ids_free(*ids);
    *ids = both;
    return OB_OK;
}

static void warn(struct cmd *c, const struct ob_ids *more, const struct ob_copies *found)
{
    const struct ob_copy *first = ob_copies_list(found);

    cmd_warn(c,
             "%zu retained example%s of forgotten ones (%u is one of %u, likeness %.3f): what they "
             "show stays in the model; --close-duplicates forgets them as well, 'oubli data "
             "--duplicates' lists them",
             ob_ids_n(more), ob_ids_n(more) == 1 ? " is a near copy" : "s are near copies",
             first->id[1], first->id[0], first->likeness);
}

int copies_settle(struct cmd *c, struct ob_ids **ids, const struct inputs *in,
                  const struct copies_opts *o, int warns)
{
    const struct ob_ids *train = ob_split_train(in->split);
    struct ob_ids *rest = NULL, *more = NULL;
    struct ob_copies *found = NULL;
    struct ob_err err = { 0 };
    int status;

    if (!o->add && !warns)
        return OB_OK;
    GO(ob_ids_minus(&rest, train, *ids, &c->err));
    status = ob_copies_find(&found, in->data, OB_TRAIN, *ids, OB_TRAIN, rest, o->likeness, &err);
    if (status == OB_ENOTSUP && !o->add) { /* too much alike to warn of anything */
        cmd_note(c, "near copies are not looked for: %s", err.msg);
        status = OB_OK;
        goto out;
    }
    if (status) {
        cmd_fail(c, status, "%s", err.msg);
        goto out;
    }
    if (!ob_copies_n(found))
        goto out;
    GO(retained_copies(c, &more, found, ob_data_info(in->data)->n_file[OB_TRAIN]));
    if (!o->add) {
        warn(c, more, found);
        goto out;
    }
    GO(add(c, ids, more));
    status = ob_ids_check_forget(*ids, train, NULL, &c->err);
out:
    ob_copies_free(found);
    ob_ids_free(more);
    ob_ids_free(rest);
    return status;
}
