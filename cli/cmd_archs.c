/* cmd_archs.c - oubli archs: the networks there are, with their size. */
#include "cmd.h"

static json_t *arch_json(const char *name, const struct ob_arch_info *a)
{
    json_t *j = json_object();

    put_text(j, "name", name);
    put_text(j, "about", a->about);
    put_count(j, "parameters", a->n_params);
    put_count(j, "embedding", (uint64_t)a->n_features);
    put_count(j, "multiply_adds", (uint64_t)a->macs);
    return j;
}

static struct table *head(void)
{
    static const char *const names[] = { "network", "parameters", "embedding", "multiply-adds",
                                         "what" };
    struct table *t = table_new("lrrrl");

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        table_cell(t, "%s", names[i]);
    return t;
}

/* `a` NULL: the network does not take such images. */
static void row(struct table *t, const char *name, const struct ob_arch_info *a)
{
    table_cell(t, "%s", name);
    if (!a) {
        for (int i = 0; i < 3; i++)
            table_cell(t, "-");
        table_cell(t, "not for images of this size");
        return;
    }
    table_cell(t, "%zu", a->n_params);
    table_cell(t, "%d", a->n_features);
    table_cell(t, "%.2f M", a->macs / 1e6);
    table_cell(t, "%s", a->about);
}

/* Does any of them take such images? What none takes is said as an error. */
static int check(struct cmd *c, int channels, int size, int classes)
{
    struct ob_err first = { 0 };
    struct ob_arch_info a;
    const char *name;

    for (size_t i = 0; (name = ob_arch_at(i)); i++)
        if (!ob_arch_describe(&a, name, channels, size, size, classes, &first))
            return OB_OK;
    c->err = first;
    return first.code;
}

int cmd_archs(struct cmd *c, int argc, const char **argv)
{
    int channels = 3, size = 32, classes = 10;
    const struct opt options[] = {
        { "channels", 0, OPT_INT, &channels, "1 or 3 (default 3)", "N" },
        { "size", 0, OPT_INT, &size, "height and width of the images (default 32)", "N" },
        { "classes", 0, OPT_INT, &classes, "classes (default 10)", "N" },
        { 0 },
    };
    struct table *t;
    json_t *all;
    const char *name;

    TRY(cmd_parse(c, options, argc, argv));
    TRY(check(c, channels, size, classes));
    all = c->json ? json_array() : NULL;
    t = c->json ? NULL : head();
    for (size_t i = 0; (name = ob_arch_at(i)); i++) {
        struct ob_arch_info a;
        int fits = !ob_arch_describe(&a, name, channels, size, size, classes, NULL);

        if (c->json && fits)
            json_array_append_new(all, arch_json(name, &a));
        else if (!c->json)
            row(t, name, fits ? &a : NULL);
    }
    if (c->json)
        return print_json(c, all);
    table_print(t, stdout);
    printf("for %d classes and images of %dx%dx%d; ',width=F' after a name makes it wider or "
           "narrower\n",
           classes, channels, size, size);
    return OB_OK;
}
