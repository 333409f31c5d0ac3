/* unpickler.c - values, stack and marks of an unpickler; every list has a limit. */
#include "nn/unpickler.h"

#include "base/mem.h"

#define MAX_VALUES ((size_t)1 << 20)
#define MAX_ITEMS ((size_t)1 << 22)

/* ---- refusing ---- */

int obi_un_bad(struct ob_unpickler *u, const char *what)
{
    return ob_fail(u->err, OB_EFORMAT, "'%s': its pickle is damaged at byte %zu: %s", u->path,
                   u->r.pos, what);
}

int obi_un_refuse(struct ob_unpickler *u, const char *what)
{
    return ob_fail(u->err, OB_EFORMAT,
                   "'%s' asks for %s: refused, and nothing was executed; what is read is a state "
                   "dict, torch.save(model.state_dict(), FILE)",
                   u->path, what);
}

/* ---- memory: every list doubles, up to a limit ---- */

#define MAKE_ROOM(u, list, n, room, most, what)                                                    \
    do {                                                                                           \
        if ((n) >= (most))                                                                         \
            return obi_un_bad((u), "too many " what);                                              \
        if ((n) >= (room)) {                                                                       \
            size_t more_ = (room) ? 2 * (room) : 64;                                               \
                                                                                                   \
            OB_TRY(ob_grow((list), (room), more_, (u)->err));                                      \
            (room) = more_;                                                                        \
        }                                                                                          \
    } while (0)

int obi_un_push(struct ob_unpickler *u, uint32_t value)
{
    MAKE_ROOM(u, u->stack, u->depth, u->room_stack, MAX_ITEMS, "values");
    u->stack[u->depth++] = value;
    return OB_OK;
}

int obi_un_push_new(struct ob_unpickler *u, struct ob_pickle_value v)
{
    MAKE_ROOM(u, u->k->value, u->k->n_values, u->room_values, MAX_VALUES, "values");
    u->k->value[u->k->n_values] = v;
    return obi_un_push(u, (uint32_t)u->k->n_values++);
}

int obi_un_push_kind(struct ob_unpickler *u, enum ob_pickle_kind kind)
{
    return obi_un_push_new(u, (struct ob_pickle_value){ .kind = kind });
}

/* How many values lie above the last mark, which nothing but a mark's own opcode may take away. */
static size_t above_mark(const struct ob_unpickler *u)
{
    return u->depth - (u->n_marks ? u->mark[u->n_marks - 1] : 0);
}

int obi_un_need(struct ob_unpickler *u, size_t n)
{
    return above_mark(u) < n ? obi_un_bad(u, "an opcode lacks its values") : OB_OK;
}

struct ob_pickle_value *obi_un_top(struct ob_unpickler *u, size_t down)
{
    return &u->k->value[u->stack[u->depth - 1 - down]];
}

/* ---- containers ---- */

static int add_item(struct ob_unpickler *u, uint32_t to, uint32_t key, uint32_t value)
{
    struct ob_pickle *k = u->k;
    struct ob_pickle_value *v;

    MAKE_ROOM(u, k->item, k->n_items, u->room_items, MAX_ITEMS, "items");
    k->item[k->n_items] = (struct ob_pickle_item){ key, value, 0 };
    v = &k->value[to];
    if (v->n)
        k->item[v->last].next = (uint32_t)k->n_items;
    else
        v->first = (uint32_t)k->n_items;
    v->last = (uint32_t)k->n_items++;
    v->n++;
    return OB_OK;
}

/* The `n` topmost values become a tuple. */
int obi_un_make_tuple(struct ob_unpickler *u, size_t n)
{
    size_t from = u->depth - n;
    uint32_t tuple;

    OB_TRY(obi_un_push_kind(u, OB_PICKLE_TUPLE));
    tuple = u->stack[u->depth - 1];
    for (size_t i = 0; i < n; i++)
        OB_TRY(add_item(u, tuple, 0, u->stack[from + i]));
    u->depth = from;
    return obi_un_push(u, tuple);
}

/* Adds the values from stack[from] on to the list or dict below them. */
int obi_un_add_all(struct ob_unpickler *u, size_t from, enum ob_pickle_kind kind)
{
    size_t n = u->depth - from, step = kind == OB_PICKLE_DICT ? 2 : 1;
    uint32_t to;

    if (!from || n % step || u->k->value[u->stack[from - 1]].kind != kind)
        return obi_un_bad(u, "items without their list or dict");
    to = u->stack[from - 1];
    for (size_t i = from; i < u->depth; i += step)
        OB_TRY(add_item(u, to, step == 2 ? u->stack[i] : 0, u->stack[i + step - 1]));
    u->depth = from;
    return OB_OK;
}

/* Takes the last mark away; where the values above it begin. */
static int take_mark(struct ob_unpickler *u, size_t *from)
{
    if (!u->n_marks)
        return obi_un_bad(u, "a mark is missing");
    *from = u->mark[--u->n_marks];
    return OB_OK;
}

/* Those opcodes whose values lie above a mark; under it must be the container they go to. */
int obi_un_add_marked(struct ob_unpickler *u, enum ob_pickle_kind kind)
{
    size_t from = 0, below;

    OB_TRY(take_mark(u, &from));
    below = u->n_marks ? u->mark[u->n_marks - 1] : 0;
    if (from <= below)
        return obi_un_bad(u, "items without their list or dict");
    return obi_un_add_all(u, from, kind);
}

int obi_un_tuple_marked(struct ob_unpickler *u)
{
    size_t from = 0;

    OB_TRY(take_mark(u, &from));
    return obi_un_make_tuple(u, u->depth - from);
}

int obi_un_push_mark(struct ob_unpickler *u)
{
    MAKE_ROOM(u, u->mark, u->n_marks, u->room_marks, MAX_ITEMS, "marks");
    u->mark[u->n_marks++] = u->depth;
    return OB_OK;
}
