/* cmd_data.c - oubli data SPEC: what a data set is. */
#include <stdlib.h>
#include <string.h>

#include "copies.h"

/* An image's fingerprint: enough to tell equal from different, 128 bits. */
struct print {
    uint64_t a, b;
};

static int by_print(const void *x, const void *y)
{
    const struct print *p = x, *q = y;

    if (p->a != q->a)
        return p->a < q->a ? -1 : 1;
    return p->b < q->b ? -1 : p->b > q->b;
}

static struct print fingerprint(const float *image, size_t n)
{
    struct print p = { 0x9e3779b97f4a7c15u, 0xc2b2ae3d27d4eb4fu };

    for (size_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &image[i], sizeof(bits));
        p.a = (p.a ^ bits) * 0xff51afd7ed558ccdu;
        p.a ^= p.a >> 32;
        p.b = (p.b + bits) * 0x9fb21c651e98df25u;
        p.b ^= p.b >> 29;
    }
    return p;
}

static struct print *prints(struct cmd *c, const struct ob_data *d, enum ob_part part)
{
    const struct ob_data_info *i = ob_data_info(d);
    const struct ob_ids *ids = ob_data_ids(d, part);
    size_t n = (size_t)i->channels * (size_t)i->height * (size_t)i->width;
    struct print *p = cmd_alloc(c, ob_ids_n(ids) + 1, sizeof(*p));
    float *image = cmd_alloc(c, n, sizeof(*image));

    for (size_t k = 0; k < ob_ids_n(ids); k++) {
        ob_data_image(d, part, ob_ids_list(ids)[k], image);
        p[k] = fingerprint(image, n);
    }
    qsort(p, ob_ids_n(ids), sizeof(*p), by_print);
    return p;
}

struct found {
    size_t train, test, both; /* images that equal an earlier one; test images also in training */
    size_t *per_class[2];
};

static void look(struct cmd *c, const struct ob_data *d, struct found *f)
{
    struct print *p[2];
    size_t n[2];

    for (int part = OB_TRAIN; part <= OB_TEST; part++) {
        const struct ob_ids *ids = ob_data_ids(d, (enum ob_part)part);

        n[part] = ob_ids_n(ids);
        p[part] = prints(c, d, (enum ob_part)part);
        f->per_class[part] = cmd_alloc(c, (size_t)ob_data_info(d)->n_classes,
                                       sizeof(*f->per_class[part]));
        for (size_t k = 0; k < n[part]; k++)
            f->per_class[part][ob_data_label(d, (enum ob_part)part, ob_ids_list(ids)[k])]++;
    }
    for (size_t k = 1; k < n[OB_TRAIN]; k++)
        f->train += !by_print(&p[OB_TRAIN][k - 1], &p[OB_TRAIN][k]);
    for (size_t k = 1; k < n[OB_TEST]; k++)
        f->test += !by_print(&p[OB_TEST][k - 1], &p[OB_TEST][k]);
    for (size_t k = 0; k < n[OB_TEST]; k++)
        f->both += bsearch(&p[OB_TEST][k], p[OB_TRAIN], n[OB_TRAIN], sizeof(**p), by_print) != NULL;
}

/* Takes the reference to `copies`, which may be NULL. */
static int as_json(struct cmd *c, const struct ob_data *d, const struct found *f, json_t *copies)
{
    const struct ob_data_info *i = ob_data_info(d);
    json_t *classes = json_array();

    for (int k = 0; k < i->n_classes; k++)
        json_array_append_new(classes, json_pack("{s:s,s:I,s:I}", "name", ob_data_class_name(d, k),
                                                 "train", (json_int_t)f->per_class[OB_TRAIN][k],
                                                 "test", (json_int_t)f->per_class[OB_TEST][k]));
    return print_json(
        c, json_pack("{s:s,s:s,s:s,s:[iii],s:{s:I,s:I},s:{s:I,s:I},s:{s:I,s:I,s:I},s:o,s:o*}",
                     "spec", i->spec, "name", i->name ? i->name : "", "hash", i->hash, "image",
                     i->channels, i->height, i->width, "n", "train", (json_int_t)i->n[OB_TRAIN],
                     "test", (json_int_t)i->n[OB_TEST], "n_file", "train",
                     (json_int_t)i->n_file[OB_TRAIN], "test", (json_int_t)i->n_file[OB_TEST],
                     "duplicates", "train", (json_int_t)f->train, "test", (json_int_t)f->test,
                     "test_in_train", (json_int_t)f->both, "classes", classes, "copies", copies));
}

static void as_table(const struct ob_data *d, const struct found *f)
{
    const struct ob_data_info *i = ob_data_info(d);
    struct table *t = table_new("rlrr");

    printf("spec        %s\n", i->spec);
    if (i->name && i->name[0])
        printf("name        %s\n", i->name);
    printf("hash        %s\n", i->hash);
    printf("images      %dx%dx%d (channels, height, width)\n", i->channels, i->height, i->width);
    printf("training    %zu of %zu\n", i->n[OB_TRAIN], i->n_file[OB_TRAIN]);
    printf("test        %zu of %zu\n", i->n[OB_TEST], i->n_file[OB_TEST]);
    printf("duplicates  %zu in training, %zu in test; %zu test images are training images too\n\n",
           f->train, f->test, f->both);
    table_cell(t, "class");
    table_cell(t, "name");
    table_cell(t, "training");
    table_cell(t, "test");
    for (int k = 0; k < i->n_classes; k++) {
        table_cell(t, "%d", k);
        table_cell(t, "%s", ob_data_class_name(d, k));
        table_cell(t, "%zu", f->per_class[OB_TRAIN][k]);
        table_cell(t, "%zu", f->per_class[OB_TEST][k]);
    }
    table_print(t, stdout);
}

int cmd_data(struct cmd *c, int argc, const char **argv)
{
    struct data_copies o = { .likeness = OB_COPY_LIKENESS, .split_seed = 1 };
    const struct opt options[] = {
        { "duplicates", 0, OPT_FLAG, &o.wanted,
          "search for copies: equal, encoded again, shifted by up to two pixels, mirrored", NULL },
        { "forget", 'x', OPT_TEXT, &o.forget, "tell copies of these examples from the others",
          "IDS" },
        { "val", 0, OPT_FLOAT, &o.val,
          "and those of the validation part: its share, as the model was trained with (default 0)",
          "X" },
        { "split-seed", 0, OPT_SEED32, &o.split_seed, "and its seed (default 1)", "N" },
        LIKENESS_OPTION(&o),
        { "output", 'o', OPT_TEXT, &o.output, "the pairs to write (.csv)", "FILE" },
        { 0 },
    };
    struct ob_data *d = NULL;
    struct found f = { 0 };
    json_t *copies = NULL;
    int status;

    TRY(cmd_parse(c, options, argc, argv));
    TRY(data_copies_check(c, &o));
    TRY(cmd_start(c));
    TRY(ob_data_open(&d, c->ctx, c->args[0], &c->err));
    if (o.wanted)
        GO(data_copies(c, d, &o, &copies));
    look(c, d, &f);
    status = OB_OK;
    if (c->json)
        status = as_json(c, d, &f, copies);
    else
        as_table(d, &f);
out:
    ob_data_free(d);
    return status;
}
