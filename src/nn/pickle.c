/* pickle.c - reads the opcodes of a pickle (protocols 2 to 5, as Python's pickletools has them). */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "nn/picklenames.h"
#include "nn/unpickler.h"

/* ---- numbers and texts ---- */

static int cut(struct ob_unpickler *u)
{
    return obi_un_bad(u, "cut off");
}

static int push_int(struct ob_unpickler *u, int64_t i)
{
    return obi_un_push_new(u, (struct ob_pickle_value){ .kind = OB_PICKLE_INT, .as.i = i });
}

/* A little-endian number of `n` bytes; two's complement. */
static int read_int(struct ob_unpickler *u, size_t n)
{
    const unsigned char *p;
    uint64_t x = 0;

    if (!ob_take(&u->r, &p, n))
        return cut(u);
    if (n > 8)
        return obi_un_push_kind(u, OB_PICKLE_FLOAT);
    for (size_t i = 0; i < n; i++)
        x |= (uint64_t)p[i] << (8 * i);
    if (n && n < 8 && p[n - 1] & 0x80)
        x |= UINT64_MAX << (8 * n);
    return push_int(u, (int64_t)x);
}

static int read_small(struct ob_unpickler *u, size_t n)
{
    const unsigned char *p;

    if (!ob_take(&u->r, &p, n))
        return cut(u);
    return push_int(u, n == 1 ? p[0] : p[0] | p[1] << 8);
}

/* A length in `n` bytes that is no more than what is left. */
static int read_length(struct ob_unpickler *u, size_t *out, size_t n)
{
    const unsigned char *p;
    uint64_t x = 0;

    if (!ob_take(&u->r, &p, n))
        return cut(u);
    for (size_t i = 0; i < n; i++)
        x |= (uint64_t)p[i] << (8 * i);
    if (x > u->r.left)
        return obi_un_bad(u, "a length beyond its end");
    *out = (size_t)x;
    return OB_OK;
}

static int read_long(struct ob_unpickler *u, size_t n_length)
{
    size_t n = 0;

    OB_TRY(read_length(u, &n, n_length));
    return read_int(u, n);
}

static int read_text(struct ob_unpickler *u, size_t n_length)
{
    const unsigned char *p;
    size_t n = 0;

    OB_TRY(read_length(u, &n, n_length));
    ob_take(&u->r, &p, n);
    return obi_un_push_new(u, (struct ob_pickle_value){ .kind = OB_PICKLE_TEXT,
                                                        .n = (uint32_t)n,
                                                        .as.text = (const char *)p });
}

static int skip(struct ob_unpickler *u, size_t n)
{
    const unsigned char *p;

    return ob_take(&u->r, &p, n) ? OB_OK : cut(u);
}

/* ---- the memo ---- */

/* Python numbers what it keeps one after another, each kept by an opcode: a number beyond the
 * length of the pickle is not from there. */
static int put(struct ob_unpickler *u, size_t n)
{
    OB_TRY(obi_un_need(u, 1));
    if (n >= u->r.pos + u->r.left)
        return obi_un_bad(u, "a memo number that is too large");
    if (n >= u->room_memo) {
        size_t more = 2 * n + 64;

        OB_TRY(ob_grow(u->memo, u->room_memo, more, u->err));
        u->room_memo = more;
    }
    if (!u->memo[n])
        u->n_memo++;
    u->memo[n] = u->stack[u->depth - 1];
    return OB_OK;
}

static int memo(struct ob_unpickler *u, size_t n_bytes, bool is_put)
{
    const unsigned char *p;
    size_t n = 0;

    if (!ob_take(&u->r, &p, n_bytes))
        return cut(u);
    for (size_t i = 0; i < n_bytes; i++)
        n |= (size_t)p[i] << (8 * i);
    if (is_put)
        return put(u, n);
    if (n >= u->room_memo || !u->memo[n])
        return obi_un_bad(u, "a memo number that nothing was kept under");
    return obi_un_push(u, u->memo[n]);
}

/* ---- globals ---- */

static int push_global(struct ob_unpickler *u, const char *module, size_t n_module,
                       const char *name, size_t n_name)
{
    int i = obi_pickle_global(module, n_module, name, n_name);
    char what[180];
    size_t n = 0;

    if (i >= 0)
        return obi_un_push_new(u, (struct ob_pickle_value){ .kind = OB_PICKLE_GLOBAL, .as.i = i });
    n = (size_t)snprintf(what, sizeof(what), "'%.*s.%.*s'", (int)(n_module < 80 ? n_module : 80),
                         module, (int)(n_name < 80 ? n_name : 80), name);
    for (size_t k = 1; k + 1 < n && what[k]; k++)
        if (what[k] < ' ' || what[k] > '~' || what[k] == '\'')
            what[k] = '?';
    return obi_un_refuse(u, what);
}

static int read_line(struct ob_unpickler *u, const char **out, size_t *n)
{
    const unsigned char *end = memchr(u->r.p, '\n', u->r.left), *p;

    if (!end)
        return cut(u);
    *out = (const char *)u->r.p;
    *n = (size_t)(end - u->r.p);
    return ob_take(&u->r, &p, *n + 1) ? OB_OK : cut(u);
}

static int read_global(struct ob_unpickler *u)
{
    const char *module, *name;
    size_t n_module, n_name;

    OB_TRY(read_line(u, &module, &n_module));
    OB_TRY(read_line(u, &name, &n_name));
    return push_global(u, module, n_module, name, n_name);
}

static int stack_global(struct ob_unpickler *u)
{
    const struct ob_pickle_value *module, *name;

    OB_TRY(obi_un_need(u, 2));
    module = obi_un_top(u, 1);
    name = obi_un_top(u, 0);
    if (module->kind != OB_PICKLE_TEXT || name->kind != OB_PICKLE_TEXT)
        return obi_un_bad(u, "a global whose name is not a text");
    u->depth -= 2;
    return push_global(u, module->as.text, module->n, name->as.text, name->n);
}

/* ---- the opcodes ---- */

static int step(struct ob_unpickler *u, unsigned char op)
{
    char what[60];

    switch (op) {
    case 0x80: /* PROTO */
        if (!u->r.left || *u->r.p < 2 || *u->r.p > 5)
            return obi_un_bad(u, "a protocol that is not 2 to 5");
        return skip(u, 1);
    case 0x95: /* FRAME */
        return skip(u, 8);
    case '(':
        return obi_un_push_mark(u);
    case 'N':
        return obi_un_push_kind(u, OB_PICKLE_NONE);
    case 0x88: /* NEWTRUE */
    case 0x89: /* NEWFALSE */
        return obi_un_push_kind(u, OB_PICKLE_BOOL);
    case 'J': /* BININT */
        return read_int(u, 4);
    case 'K': /* BININT1 */
        return read_small(u, 1);
    case 'M': /* BININT2 */
        return read_small(u, 2);
    case 0x8a: /* LONG1 */
        return read_long(u, 1);
    case 0x8b: /* LONG4 */
        return read_long(u, 4);
    case 'G': /* BINFLOAT */
        OB_TRY(skip(u, 8));
        return obi_un_push_kind(u, OB_PICKLE_FLOAT);
    case 0x8c: /* SHORT_BINUNICODE */
        return read_text(u, 1);
    case 'X': /* BINUNICODE */
        return read_text(u, 4);
    case 0x8d: /* BINUNICODE8 */
        return read_text(u, 8);
    case ')':
        return obi_un_make_tuple(u, 0);
    case 0x85: /* TUPLE1 */
    case 0x86: /* TUPLE2 */
    case 0x87: /* TUPLE3 */
        OB_TRY(obi_un_need(u, (size_t)op - 0x84));
        return obi_un_make_tuple(u, (size_t)op - 0x84);
    case 't':
        return obi_un_tuple_marked(u);
    case ']':
        return obi_un_push_kind(u, OB_PICKLE_LIST);
    case '}':
        return obi_un_push_kind(u, OB_PICKLE_DICT);
    case 'a': /* APPEND */
        OB_TRY(obi_un_need(u, 2));
        return obi_un_add_all(u, u->depth - 1, OB_PICKLE_LIST);
    case 'e': /* APPENDS */
        return obi_un_add_marked(u, OB_PICKLE_LIST);
    case 's': /* SETITEM */
        OB_TRY(obi_un_need(u, 3));
        return obi_un_add_all(u, u->depth - 2, OB_PICKLE_DICT);
    case 'u': /* SETITEMS */
        return obi_un_add_marked(u, OB_PICKLE_DICT);
    case 'q': /* BINPUT */
        return memo(u, 1, true);
    case 'r': /* LONG_BINPUT */
        return memo(u, 4, true);
    case 0x94: /* MEMOIZE */
        return put(u, u->n_memo);
    case 'h': /* BINGET */
        return memo(u, 1, false);
    case 'j': /* LONG_BINGET */
        return memo(u, 4, false);
    case 'c':
        return read_global(u);
    case 0x93:
        return stack_global(u);
    case 'Q': /* BINPERSID */
        return obi_un_persistent(u);
    case 'R':
        return obi_un_reduce(u);
    case 'b':
        return obi_un_build(u);
    default:
        if (!obi_pickle_opcode(op))
            return obi_un_bad(u, "no opcode");
        snprintf(what, sizeof(what), "the opcode '%s'", obi_pickle_opcode(op));
        return obi_un_refuse(u, what);
    }
}

static int run(struct ob_unpickler *u)
{
    const unsigned char *op;

    /* number 0 of both is nothing */
    OB_TRY(obi_un_push_kind(u, OB_PICKLE_NONE));
    u->depth = 0;
    u->k->n_items = 1;
    while (ob_take(&u->r, &op, 1)) {
        if (*op != '.') {
            OB_TRY(step(u, *op));
            continue;
        }
        if (u->depth != 1 || u->n_marks || u->r.left)
            return obi_un_bad(u, "its end is not its end");
        u->k->root = u->stack[0];
        return OB_OK;
    }
    return cut(u);
}

int obi_pickle_read(struct ob_pickle *out, const unsigned char *p, size_t n, const char *path,
                    struct ob_err *err)
{
    struct ob_unpickler u = { .k = out, .r = { p, n, 0 }, .path = path, .err = err };
    int rc;

    *out = (struct ob_pickle){ 0 };
    if (n > OB_PICKLE_FILE)
        return ob_fail(err, OB_EFORMAT, "'%s': a pickle of %zu bytes, at most %zu are read", path,
                       n, OB_PICKLE_FILE);
    rc = run(&u);
    ob_free(u.stack);
    ob_free(u.mark);
    ob_free(u.memo);
    return rc;
}

void obi_pickle_release(struct ob_pickle *k)
{
    ob_free(k->value);
    ob_free(k->item);
    *k = (struct ob_pickle){ 0 };
}
