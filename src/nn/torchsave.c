/*
 * torchsave.c - writes a state dict as torch.save() does: protocol 2, one storage per tensor, the
 * elements on 64-byte boundaries. The archive is always called "archive" and carries no time, so
 * equal models give equal bytes.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "nn/modelfile.h"
#include "nn/torchfile.h"

#define ALIGN 64
#define N_OTHER 3 /* entries beside the tensors: data.pkl, byteorder, version */

static void put_byte(struct ob_str *s, unsigned char x)
{
    ob_str_addn(s, (const char *)&x, 1);
}

static void put_u32(struct ob_str *s, uint32_t x)
{
    for (int i = 0; i < 32; i += 8)
        put_byte(s, (unsigned char)(x >> i));
}

static void put_text(struct ob_str *s, const char *text)
{
    put_byte(s, 'X'); /* BINUNICODE */
    put_u32(s, (uint32_t)strlen(text));
    ob_str_add(s, text);
}

static void put_int(struct ob_str *s, uint64_t x)
{
    if (x <= INT32_MAX) {
        put_byte(s, 'J'); /* BININT */
        put_u32(s, (uint32_t)x);
        return;
    }
    put_byte(s, 0x8a); /* LONG1, with room for the sign */
    put_byte(s, 9);
    put_u32(s, (uint32_t)x);
    put_u32(s, (uint32_t)(x >> 32));
    put_byte(s, 0);
}

/* torch._utils._rebuild_tensor_v2(storage, 0, sizes, strides, False, OrderedDict()) */
static void put_tensor(struct ob_str *s, const struct ob_view *v, int key)
{
    char text[16];
    uint64_t stride[4], next = 1;

    snprintf(text, sizeof(text), "%d", key);
    ob_str_add(s, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_text(s, "storage");
    ob_str_add(s, v->block == OB_COUNT ? "ctorch\nLongStorage\n" : "ctorch\nFloatStorage\n");
    put_text(s, text);
    put_text(s, "cpu");
    put_int(s, v->size);
    ob_str_add(s, "tQ"); /* the tuple, and the storage that it points to */
    put_int(s, 0);
    put_byte(s, '(');
    for (int i = 0; i < v->rank; i++)
        put_int(s, (uint64_t)v->shape[i]);
    ob_str_add(s, "t(");
    for (int i = v->rank - 1; i >= 0; i--) {
        stride[i] = next;
        next *= (uint64_t)v->shape[i];
    }
    for (int i = 0; i < v->rank; i++)
        put_int(s, stride[i]);
    put_byte(s, 't');
    put_byte(s, 0x89); /* False: no gradient */
    ob_str_add(s, "ccollections\nOrderedDict\n)RtR");
}

static bool is_written(const struct ob_model *m, int view, bool plain)
{
    return !plain || !obi_view_is_normalize(m->net, view);
}

static void put_dict(struct ob_str *s, const struct ob_model *m, bool plain)
{
    int key = 0;

    put_byte(s, 0x80);
    put_byte(s, 2); /* the protocol */
    ob_str_add(s, "ccollections\nOrderedDict\n)R(");
    for (int i = 0; i < m->net->n_views; i++)
        if (is_written(m, i, plain)) {
            put_text(s, m->net->view[i].name);
            put_tensor(s, &m->net->view[i], key++);
        }
    ob_str_add(s, "u.");
}

static struct ob_zip_item item(const char *name, const void *data, size_t n)
{
    return (struct ob_zip_item){ .name = name, .part = { { data, n } } };
}

struct data_name {
    char text[32];
};

int obi_torch_write(const struct ob_model *m, const char *path, bool plain, struct ob_err *err)
{
    size_t room = (size_t)m->net->n_views, n = 0, bytes;
    struct ob_zip_item *z = NULL;
    struct data_name *name = NULL;
    struct ob_str dict = { 0 };
    int rc;

    OB_GO(ob_model_check_finite(m, err));
    OB_GO(ob_alloc(z, room + N_OTHER, err));
    OB_GO(ob_alloc(name, room, err));
    put_dict(&dict, m, plain);
    OB_GO(ob_str_check(&dict, err));
    z[n++] = item("archive/data.pkl", dict.s, dict.n);
    z[n++] = item("archive/byteorder", "little", 6);
    for (int i = 0; i < m->net->n_views; i++) {
        const void *data = obi_model_view(m, &m->net->view[i], &bytes);
        size_t key = n - 2;

        if (!is_written(m, i, plain))
            continue;
        snprintf(name[key].text, sizeof(name[key].text), "archive/data/%zu", key);
        z[n++] = item(name[key].text, data, bytes);
    }
    z[n++] = item("archive/version", "3\n", 2);
    rc = ob_zip_write(path, z, n, ALIGN, err);
out:
    ob_str_release(&dict);
    ob_free(name);
    ob_free(z);
    return rc;
}
