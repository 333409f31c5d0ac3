/* cmd_convert.c - oubli convert: models of PyTorch in, models for PyTorch and others out. */
#include <string.h>

#include "cmd.h"

struct convert {
    const char *from, *to, *arch, *normalize, *size;
    int plain; /* --no-normalize */
};

/* "64" or "48x64" */
static int read_size(struct cmd *c, struct ob_load_opts *o, const char *text)
{
    const char *cross = strchr(text, 'x');
    uint64_t h, w;

    if (!parse_whole(cross ? cmd_textf(c, "%.*s", (int)(cross - text), text) : text, &h) ||
        !parse_whole(cross ? cross + 1 : text, &w) || h < 8 || w < 8 || h > 256 || w > 256)
        return cmd_fail(c, OB_EINVAL, "--size is N or HxW, 8 to 256 pixels, not '%s'", text);
    o->height = (int)h;
    o->width = (int)w;
    return OB_OK;
}

/* First as it is: what the file says of itself goes before what was asked for. */
static int load(struct cmd *c, struct ob_model **out, const struct convert *v)
{
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;

    o.arch = v->arch;
    if (v->size)
        TRY(read_size(c, &o, v->size));
    if ((v->normalize || v->plain) && !ob_model_import(out, c->ctx, v->from, &o, NULL)) {
        if (v->normalize)
            cmd_note(c, "'%s' has a normalisation of its own; --normalize is not used", v->from);
        return OB_OK;
    }
    o.normalize = v->plain ? "none" : v->normalize;
    return ob_model_import(out, c->ctx, v->from, &o, &c->err);
}

static int say(struct cmd *c, const struct convert *v, const struct ob_model *m)
{
    int channels, height, width;

    ob_model_input(m, &channels, &height, &width);
    if (c->json)
        return print_json(c, json_pack("{s:s,s:s,s:s,s:i,s:[iii],s:I,s:b}", "input", v->from,
                                       "output", v->to, "arch", ob_model_arch(m), "classes",
                                       ob_model_n_classes(m), "image", channels, height, width,
                                       "params", (json_int_t)ob_model_n_params(m), "normalize",
                                       !v->plain));
    printf("'%s': %s, %d classes, images of %dx%dx%d, %zu parameters%s, from '%s'\n", v->to,
           ob_model_arch(m), ob_model_n_classes(m), channels, height, width, ob_model_n_params(m),
           v->plain ? ", without normalisation" : "", v->from);
    return OB_OK;
}

static int run(struct cmd *c, const struct convert *v)
{
    struct ob_export_opts o = OB_EXPORT_OPTS_INIT;
    struct ob_model *m = NULL;
    int status;

    if (v->plain && v->normalize)
        return cmd_fail(c, OB_EINVAL, "--normalize and --no-normalize exclude each other");
    TRY(ob_model_export_check(v->to, &c->err));
    TRY(input_check(c, v->from));
    TRY(output_check(c, v->to));
    TRY(cmd_start(c));
    GO(load(c, &m, v));
    o.no_normalize = v->plain;
    GO(ob_model_export(m, v->to, &o, &c->err));
    status = say(c, v, m);
out:
    ob_model_free(m);
    return status;
}

int cmd_convert(struct cmd *c, int argc, const char **argv)
{
    struct convert v = { 0 };
    const struct opt options[] = {
        { "arch", 'a', OPT_TEXT, &v.arch, "network, where names and shapes do not tell it",
          "NAME" },
        { "normalize", 0, OPT_TEXT, &v.normalize,
          "normalisation of a model that has none: cifar10, none, ... or M1,M2,M3/S1,S2,S3",
          "WHAT" },
        { "no-normalize", 0, OPT_FLAG, &v.plain,
          "leave the normalisation out: plain names, the caller normalises", NULL },
        { "size", 0, OPT_TEXT, &v.size,
          "height and width of the images, where the tensors do not tell it", "HxW" },
        { 0 },
    };

    TRY(cmd_parse(c, options, argc, argv));
    v.from = c->args[0];
    v.to = c->args[1];
    return run(c, &v);
}
