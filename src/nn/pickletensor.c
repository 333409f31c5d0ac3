/* pickletensor.c - what PyTorch makes of a tensor in a pickle: calls, storages, bounds. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "nn/picklenames.h"
#include "nn/tensors.h"
#include "nn/unpickler.h"

/* ---- what PyTorch makes of a tensor ---- */

/* The values of a tuple, `most` at most; how many it has. */
static size_t arguments(const struct ob_pickle *k, const struct ob_pickle_value *v,
                        const struct ob_pickle_value **out, size_t most)
{
    uint32_t at = v->first;

    for (size_t i = 0; i < v->n && i < most; i++, at = k->item[at].next)
        out[i] = &k->value[k->item[at].value];
    return v->n;
}

static bool is_key(const struct ob_pickle_value *v)
{
    if (v->kind != OB_PICKLE_TEXT || !v->n || v->n > 40)
        return false;
    for (uint32_t i = 0; i < v->n; i++)
        if (v->as.text[i] < '-' || v->as.text[i] > 'z' || v->as.text[i] == '/')
            return false;
    return true;
}

/* ("storage", class, key, device, number of elements) */
int obi_un_persistent(struct ob_unpickler *u)
{
    const struct ob_pickle_value *a[5], *v;
    struct ob_pickle_value made = { .kind = OB_PICKLE_STORAGE };

    OB_TRY(obi_un_need(u, 1));
    v = obi_un_top(u, 0);
    if (v->kind != OB_PICKLE_TUPLE || arguments(u->k, v, a, 5) != 5 ||
        !obi_pickle_is(a[0], "storage") || a[1]->kind != OB_PICKLE_GLOBAL ||
        !obi_pickle_dtype((int)a[1]->as.i) || !is_key(a[2]) || a[3]->kind != OB_PICKLE_TEXT ||
        a[4]->kind != OB_PICKLE_INT || a[4]->as.i < 0)
        return obi_un_bad(u, "what it points to is not a storage");
    made.first = v->first;
    made.n = v->n;
    u->depth--;
    return obi_un_push_new(u, made);
}

/* PyTorch's set_tensor_metadata turns the sign of what is marked 'neg': other values than those of
 * the storage. The argument is newer than most files, and empty where it stands. */
static int check_metadata(struct ob_unpickler *u, const struct ob_pickle_value *args)
{
    const struct ob_pickle_value *a[7], *key;
    char what[112], label[64], name[64] = "";

    if (arguments(u->k, args, a, 7) != 7 || a[6]->kind == OB_PICKLE_NONE ||
        (a[6]->kind == OB_PICKLE_DICT && !a[6]->n))
        return OB_OK;
    if (a[6]->kind == OB_PICKLE_DICT) {
        key = &u->k->value[u->k->item[a[6]->first].key];
        if (key->kind == OB_PICKLE_TEXT)
            memcpy(name, key->as.text, key->n < 63 ? key->n : 63);
    }
    obi_tensor_label(label, name);
    snprintf(what, sizeof(what), "a tensor with metadata ('%s')", label);
    return obi_un_refuse(u, what);
}

static int rebuild_tensor(struct ob_unpickler *u, const struct ob_pickle_value *args)
{
    struct ob_pickle_value v = { .kind = OB_PICKLE_TENSOR, .first = args->first, .n = args->n };
    struct ob_pickle_tensor t;
    const char *why = obi_pickle_tensor(&t, u->k, &v);

    if (why)
        return obi_un_bad(u, why);
    OB_TRY(check_metadata(u, args));
    u->depth -= 2;
    return obi_un_push_new(u, v);
}

static int rebuild_parameter(struct ob_unpickler *u, const struct ob_pickle_value *args)
{
    uint32_t tensor = args->n == 3 ? u->k->item[args->first].value : 0;

    if (u->k->value[tensor].kind != OB_PICKLE_TENSOR)
        return obi_un_bad(u, "a parameter that is not made of a tensor");
    u->depth -= 2;
    return obi_un_push(u, tensor);
}

int obi_un_reduce(struct ob_unpickler *u)
{
    const struct ob_pickle_value *callable, *args;

    OB_TRY(obi_un_need(u, 2));
    callable = obi_un_top(u, 1);
    args = obi_un_top(u, 0);
    if (callable->kind != OB_PICKLE_GLOBAL || args->kind != OB_PICKLE_TUPLE)
        return obi_un_refuse(u, "a call of something that is not a function");
    switch (obi_pickle_call((int)callable->as.i)) {
    case OB_PICKLE_ORDERED_DICT:
        if (args->n)
            return obi_un_refuse(u, "an OrderedDict with arguments");
        u->depth -= 2;
        return obi_un_push_new(u,
                               (struct ob_pickle_value){ .kind = OB_PICKLE_DICT, .ordered = true });
    case OB_PICKLE_REBUILD_TENSOR:
        return rebuild_tensor(u, args);
    case OB_PICKLE_REBUILD_PARAMETER:
        return rebuild_parameter(u, args);
    case OB_PICKLE_NO_CALL:
        break;
    }
    return obi_un_refuse(u, "a call of a storage class");
}

/* Attributes of a state dict ("_metadata", versions of its modules) are of no matter here. */
int obi_un_build(struct ob_unpickler *u)
{
    OB_TRY(obi_un_need(u, 2));
    if (!obi_un_top(u, 1)->ordered || obi_un_top(u, 0)->kind != OB_PICKLE_DICT)
        return obi_un_refuse(u, "the state of an object (opcode BUILD)");
    u->depth--;
    return OB_OK;
}

bool obi_pickle_is(const struct ob_pickle_value *v, const char *text)
{
    return v->kind == OB_PICKLE_TEXT && v->n == strlen(text) && !memcmp(v->as.text, text, v->n);
}

/* ---- tensors ---- */

static bool read_dims(int64_t out[OB_PICKLE_RANK], int *rank, const struct ob_pickle *k,
                      const struct ob_pickle_value *v)
{
    const struct ob_pickle_value *a[OB_PICKLE_RANK];

    if (v->kind != OB_PICKLE_TUPLE || v->n > OB_PICKLE_RANK)
        return false;
    *rank = (int)arguments(k, v, a, OB_PICKLE_RANK);
    for (int i = 0; i < *rank; i++) {
        if (a[i]->kind != OB_PICKLE_INT || a[i]->as.i < 0)
            return false;
        out[i] = a[i]->as.i;
    }
    return true;
}

/* The last index is within the storage, and there are no more indices than elements: values that
 * share an element ("expanded") would make a small file large. */
static const char *check_bounds(const struct ob_pickle_tensor *t)
{
    size_t size = 1, last = (size_t)t->offset;

    for (int i = 0; i < t->rank; i++)
        if (!ob_mul(&size, size, (size_t)t->shape[i]))
            return "a tensor whose shape is too large to be true";
    for (int i = 0; i < t->rank && size; i++) {
        size_t reach;

        if (!ob_mul(&reach, (size_t)t->shape[i] - 1, (size_t)t->stride[i]) ||
            !ob_add(&last, last, reach))
            return "a tensor that reaches beyond its storage";
    }
    if (size ? last >= (size_t)t->numel : last > (size_t)t->numel)
        return "a tensor that reaches beyond its storage";
    return size > (size_t)t->numel ? "a tensor larger than its storage" : NULL;
}

const char *obi_pickle_tensor(struct ob_pickle_tensor *out, const struct ob_pickle *k,
                              const struct ob_pickle_value *v)
{
    const struct ob_pickle_value *a[6], *s[5];
    size_t n = arguments(k, v, a, 6);
    int rank;

    *out = (struct ob_pickle_tensor){ 0 };
    if ((n != 6 && n != 7) || a[0]->kind != OB_PICKLE_STORAGE || a[1]->kind != OB_PICKLE_INT)
        return "a tensor that is not made of a storage";
    arguments(k, a[0], s, 5);
    out->dtype = obi_pickle_dtype((int)s[1]->as.i);
    out->key = s[2]->as.text;
    out->n_key = s[2]->n;
    out->numel = s[4]->as.i;
    out->offset = a[1]->as.i;
    if (out->offset < 0)
        return "a tensor with a negative offset";
    if (!read_dims(out->shape, &out->rank, k, a[2]) || !read_dims(out->stride, &rank, k, a[3]) ||
        rank != out->rank)
        return "a tensor whose sizes and strides are not as they should be";
    return check_bounds(out);
}
