/* u_safetensors.c - model files: round trips, files of others, and every refusal. */
#include <math.h>

#include "base/io.h"
#include "base/mem.h"
#include "bytes.h"
#include "nn/model.h"

#define N(list) (sizeof(list) / sizeof((list)[0]))

static struct ob_ctx ctx;
static char path[128], other[128];

static int setup(void **state)
{
    (void)state;
    scratch_file(path, sizeof(path), "m.safetensors");
    scratch_file(other, sizeof(other), "n.safetensors");
    return 0;
}

static struct ob_model *make(const char *arch, int c, int h, int w, int classes)
{
    struct ob_model *m;

    must(ob_model_new(&m, &ctx, arch, c, h, w, classes, 3, err));
    for (size_t i = 0; i < m->net->n_counts; i++)
        m->w.counts[i] = (int64_t)i + 5;
    return m;
}

static struct ob_model *load(const char *from, const struct ob_load_opts *o)
{
    struct ob_model *m;

    must(ob_model_load(&m, &ctx, from, o, err));
    return m;
}

static void same(const struct ob_model *a, const struct ob_model *b)
{
    char ha[65], hb[65];

    must(ob_model_digest(a, ha, err));
    must(ob_model_digest(b, hb, err));
    assert_string_equal(ha, hb);
    assert_string_equal(a->net->arch, b->net->arch);
    assert_int_equal(a->net->height, b->net->height);
    assert_int_equal(a->net->width, b->net->width);
    assert_int_equal(a->net->channels, b->net->channels);
}

/* ---- headers as text ---- */

/* A model file taken apart: header text and data. */
struct parts {
    struct bytes whole;
    char *header;
    const unsigned char *data;
    size_t n_data;
};

static struct parts take_apart(const char *from)
{
    struct parts p = { .whole = bytes_read(from) };
    uint64_t n = 0;

    for (int i = 0; i < 8; i++)
        n |= (uint64_t)p.whole.p[i] << (8 * i);
    assert_true(n <= p.whole.n - 8);
    p.header = calloc(n + 1, 1);
    memcpy(p.header, p.whole.p + 8, n);
    p.data = p.whole.p + 8 + n;
    p.n_data = p.whole.n - 8 - n;
    return p;
}

static void release(struct parts *p)
{
    free(p->header);
    free(p->whole.p);
}

static void put_together(const char *to, const char *header, const void *data, size_t n_data)
{
    size_t n = strlen(header);
    unsigned char *b = malloc(8 + n + n_data);

    for (int i = 0; i < 8; i++)
        b[i] = (unsigned char)((uint64_t)n >> (8 * i));
    memcpy(b + 8, header, n);
    if (n_data)
        memcpy(b + 8 + n, data, n_data);
    bytes_write(to, b, 8 + n + n_data);
    free(b);
}

/* `text` with the first `from` turned into `with`. */
static char *replaced(const char *text, const char *from, const char *with)
{
    const char *at = strstr(text, from);
    char *out = malloc(strlen(text) + strlen(with) + 1);

    if (!at)
        fail_msg("no %s in the header", from);
    sprintf(out, "%.*s%s%s", (int)(at - text), text, with, at + strlen(from));
    return out;
}

static char *without_metadata(const char *header)
{
    const char *end = strstr(header, "},");
    char *out = malloc(strlen(header) + 1);

    sprintf(out, "{%s", end + 2);
    return out;
}

/* ---- round trips ---- */

static void round_trip(const char *arch, int c, int h, int w, int classes)
{
    struct ob_model *m = make(arch, c, h, w, classes), *back;
    struct bytes a, b;

    must(ob_model_set_meta(m, "recipe", "{\"lr\":0.1,\"name\":\"\xc3\xa9\\\"\\n\"}", err));
    must(ob_model_set_meta(m, "seed", "18446744073709551615", err));
    must(ob_model_save(m, path, err));
    back = load(path, NULL);
    same(m, back);
    assert_string_equal(ob_model_meta(m, "recipe"), ob_model_meta(back, "recipe"));
    assert_int_equal(m->n_meta, back->n_meta);
    must(ob_model_save(back, other, err));
    a = bytes_read(path);
    b = bytes_read(other);
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.p, b.p, a.n);
    free(a.p);
    free(b.p);
    ob_model_free(m);
    ob_model_free(back);
}

static void round_trips(void **state)
{
    (void)state;
    round_trip("cnn", 3, 16, 24, 4);
    round_trip("cnn,width=0.25", 1, 8, 8, 2);
    round_trip("mlp,width=0.1", 1, 9, 11, 3);
    round_trip("resnet20", 3, 32, 32, 10);
    round_trip("resnet20,width=0.3", 1, 28, 20, 5);
    round_trip("resnet18,width=0.2", 3, 32, 32, 10);
    round_trip("resnet50,stem=imagenet,width=0.2", 3, 64, 64, 10);
    round_trip("vgg16,width=0.2", 1, 28, 28, 4);
    round_trip("vgg16,head=lth,width=0.2", 3, 40, 16, 4);
}

/* Length, '{', alignment, sorted metadata, counts first: what other readers count on. */
static void layout(void **state)
{
    struct ob_model *m = make("cnn", 1, 8, 8, 2);
    struct parts p;
    int64_t count;

    (void)state;
    must(ob_model_set_meta(m, "zz", "last", err));
    must(ob_model_save(m, path, err));
    p = take_apart(path);
    assert_int_equal((p.whole.n - p.n_data) % 8, 0);
    assert_int_equal(p.n_data, 8 * 3 + 4 * (m->net->n_params + m->net->n_buffers));
    assert_ptr_equal(
        strstr(p.header, "{\"__metadata__\":{\"arch\":\"cnn\",\"classes\":\"2\",\"digest\":\""),
        p.header);
    assert_non_null(
        strstr(p.header, "\"oubli_format\":\"1\",\"zz\":\"last\"},\"normalize.mean\":"));
    assert_non_null(strstr(
        p.header,
        "\"bn1.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]}"));
    assert_non_null(strstr(
        p.header, "\"normalize.mean\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[24,28]}"));
    memcpy(&count, p.data + 8, 8);
    assert_int_equal(count, 6);
    assert_memory_equal(p.data + 24, m->w.buffers, 4);
    release(&p);
    ob_model_free(m);
}

/* ---- files of others ---- */

/* A file without metadata gives the same model, told by names and shapes. */
static void no_metadata(const char *arch, int c, int h, int w, int classes, int say)
{
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;
    struct ob_model *m = make(arch, c, h, w, classes), *back;
    struct parts p;
    char *header;

    must(ob_model_save(m, path, err));
    p = take_apart(path);
    header = without_metadata(p.header);
    put_together(other, header, p.data, p.n_data);
    if (say) {
        o.height = h;
        o.width = w;
        o.channels = c;
        o.n_classes = classes;
    }
    back = load(other, &o);
    same(m, back);
    ob_model_free(back);
    o.arch = arch;
    back = load(other, &o);
    same(m, back);
    free(header);
    release(&p);
    ob_model_free(m);
    ob_model_free(back);
}

static void inferred(void **state)
{
    (void)state;
    no_metadata("cnn", 3, 16, 16, 4, 0);
    no_metadata("cnn", 3, 17, 30, 4, 1);
    no_metadata("cnn,width=0.5", 1, 28, 28, 4, 0); /* of 24 to 31 */
    no_metadata("cnn,width=0.5", 1, 32, 32, 4, 0);
    no_metadata("mlp", 3, 16, 16, 4, 0);
    no_metadata("mlp,width=2", 1, 28, 28, 4, 0);
    no_metadata("mlp,width=0.125", 1, 10, 20, 4, 1);
    no_metadata("resnet20", 3, 32, 32, 100, 0);
    no_metadata("resnet20", 3, 64, 16, 10, 1);
    no_metadata("resnet20,width=0.5", 1, 32, 32, 10, 0);
    no_metadata("resnet18", 3, 32, 32, 10, 0);
    no_metadata("resnet18,width=0.25", 1, 28, 28, 100, 1);
    no_metadata("resnet18,stem=imagenet,width=0.5", 3, 224, 224, 10, 0);
    no_metadata("resnet50,width=0.125", 3, 64, 64, 200, 1);
    no_metadata("resnet50,stem=imagenet,width=0.125", 1, 32, 32, 10, 1);
    no_metadata("vgg16,width=0.25", 3, 32, 32, 10, 0);
    no_metadata("vgg16,head=lth,width=0.375", 1, 64, 64, 10, 1);
    /* an eighth of 512 and 64 rounds one way here, another there */
    no_metadata("vgg16,head=lth,width=0.183594", 3, 32, 32, 10, 0);
    no_metadata("cnn,width=0.359375", 3, 16, 16, 4, 0);
}

/* Relatives of the networks are none of them, and an option that is asked for must be there. */
static void relatives(void **state)
{
    static const struct {
        const char *arch, *from, *to, *ask, *word;
    } bad[] = {
        { "resnet18,width=0.125", "\"layer1.1.bn1.bias\"", "\"layer1.2.conv1.weight\"", NULL,
          "not those of a known architecture" }, /* resnet34 */
        { "resnet50,width=0.125", "\"layer3.1.bn1.bias\"", "\"layer3.6.conv1.weight\"", NULL,
          "not those of a known architecture" }, /* resnet101 */
        { "vgg16,width=0.125", "\"classifier.4.weight\"", "\"classifier.6.weight\"", NULL,
          "not those of a known architecture" }, /* torchvision's */
        { "resnet18,width=0.125", "\"fc.weight\"", "\"head.weight\"", NULL,
          "tensor 'fc.weight': missing" },
        { "resnet18,width=0.125", NULL, NULL, "resnet18,stem=imagenet,width=0.125",
          "its shape is 8x3x3x3, in" },
        { "vgg16,width=0.125", NULL, NULL, "vgg16,head=lth,width=0.125",
          "tensor 'classifier.weight': missing" },
        { "resnet50,width=0.125", "\"layer1.1.conv2.weight\"", "\"layer1.1.conv2.w\"", NULL,
          "tensor 'layer1.1.conv2.weight': missing" },
    };

    (void)state;
    for (size_t i = 0; i < N(bad); i++) {
        struct ob_load_opts o = OB_LOAD_OPTS_INIT;
        struct ob_model *m = make(bad[i].arch, 3, 32, 32, 4), *back;
        struct parts p;
        char *header, *renamed;

        must(ob_model_save(m, path, err));
        p = take_apart(path);
        header = without_metadata(p.header);
        renamed = bad[i].from ? replaced(header, bad[i].from, bad[i].to) : NULL;
        put_together(other, renamed ? renamed : header, p.data, p.n_data);
        o.arch = bad[i].ask;
        must_fail(ob_model_load(&back, &ctx, other, &o, err), OB_EFORMAT, bad[i].word);
        free(header);
        free(renamed);
        release(&p);
        ob_model_free(m);
    }
}

/* A model from elsewhere: no metadata, no normalisation, no counts. */
static void bare(void **state)
{
    static const char header[] =
        "{\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[8,64],\"data_offsets\":[0,2048]},"
        "\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[2048,2080]},"
        "\"fc2.weight\":{\"dtype\":\"F32\",\"shape\":[8,8],\"data_offsets\":[2080,2336]},"
        "\"fc3.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[2336,2344]},"
        "\"fc2.bias\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[2344,2376]},"
        "\"fc3.weight\":{\"dtype\":\"F32\",\"shape\":[2,8],\"data_offsets\":[2376,2440]}}";
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;
    struct ob_model *m;
    float data[610];

    (void)state;
    for (int i = 0; i < 610; i++)
        data[i] = (float)i;
    put_together(path, header, data, sizeof(data));
    must_fail(ob_model_load(&m, &ctx, path, NULL, err), OB_EINVAL, "normalisation such as");
    assert_null(m);
    o.normalize = "0.1/0.2";
    m = load(path, &o);
    assert_string_equal(m->net->arch, "mlp,width=0.03125");
    assert_int_equal(m->net->height, 8);
    assert_true(m->w.buffers[0] == 0.1f && m->w.buffers[1] == 0.2f);
    assert_true(m->w.params[0] == 0 && m->w.params[511] == 511); /* fc1.weight */
    assert_true(m->w.params[512 + 8] == 520);                    /* fc2.weight */
    assert_true(m->w.params[512 + 8 + 64] == 586);               /* fc2.bias, later in the data */
    assert_true(m->w.params[512 + 8 + 64 + 8] == 594);           /* fc3.weight */
    ob_model_free(m);
    o.normalize = "cifar10";
    must_fail(ob_model_load(&m, &ctx, path, &o, err), OB_EINVAL, "3 channels, these have 1");
    put_together(path, header, data, sizeof(data) - 4);
    must_fail(ob_model_load(&m, &ctx, path, &o, err), OB_EFORMAT, "outside the file");
}

/* The file's own normalisation wins. */
static void normalisation_of_the_file(void **state)
{
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;
    struct ob_model *m = make("cnn,width=0.25", 1, 8, 8, 2), *back;

    (void)state;
    must(ob_model_save(m, path, err));
    o.normalize = "none";
    back = load(path, &o);
    same(m, back);
    ob_model_free(m);
    ob_model_free(back);
}

static void counts_may_miss(void **state)
{
    struct ob_model *m = make("cnn,width=0.25", 1, 8, 8, 2), *back;
    char *header = calloc(8192, 1), *at = header;
    struct parts p;
    size_t end = 0;

    (void)state;
    for (int i = 0; i < m->net->n_views; i++) {
        const struct ob_view *v = &m->net->view[i];

        if (v->block == OB_COUNT)
            continue;
        at += sprintf(at, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", end ? "," : "{", v->name);
        for (int k = 0; k < v->rank; k++)
            at += sprintf(at, "%s%d", k ? "," : "", (int)v->shape[k]);
        at += sprintf(at, "],\"data_offsets\":[%zu,%zu]}", end, end + 4 * v->size);
        end += 4 * v->size;
    }
    strcpy(at, "}");
    must(ob_model_save(m, path, err));
    p = take_apart(path);
    put_together(other, header, p.data + 24, p.n_data - 24);
    back = load(other, NULL);
    for (size_t i = 0; i < m->net->n_counts; i++) {
        assert_int_equal(back->w.counts[i], 0);
        m->w.counts[i] = 0;
    }
    same(m, back);
    free(header);
    release(&p);
    ob_model_free(m);
    ob_model_free(back);
}

/* ---- refusals ---- */

struct edit {
    const char *from, *with, *word;
    int status;
};

static void header_edits(void **state)
{
    static const struct edit edits[] = {
        { "\"arch\":\"cnn,width=0.25\"", "\"arch\":\"dnn\"", "no architecture 'dnn'", OB_EFORMAT },
        { "\"arch\":\"cnn,width=0.25\"", "\"arch\":\"mlp\"", "tensor 'fc1.weight': missing",
          OB_EFORMAT },
        { "\"arch\":\"cnn,width=0.25\"", "\"arch\":\"cnn\"", "tensor 'conv1.weight': its shape",
          OB_EFORMAT },
        { "\"arch\":\"cnn,width=0.25\"", "\"arch\":7", "metadata 'arch' is not a text",
          OB_EFORMAT },
        { "\"input\":\"1,8,8\"", "\"input\":\"1,8\"", "metadata 'input'", OB_EFORMAT },
        { "\"input\":\"1,8,8\"", "\"input\":\"1,8,8,8\"", "metadata 'input'", OB_EFORMAT },
        { "\"input\":\"1,8,8\"", "\"input\":\"1,0,8\"", "metadata 'input'", OB_EFORMAT },
        { "\"input\":\"1,8,8\"", "\"input\":\"1,16,8\"", "tensor 'fc.weight': its shape is 2x32",
          OB_EFORMAT },
        { "\"input\":\"1,8,8\"", "\"input\":\"3,8,8\"", "tensor 'normalize.mean'", OB_EFORMAT },
        { "\"input\":\"1,8,8\"", "\"input\":\"2,8,8\"", "2 channels", OB_EFORMAT },
        { "\"classes\":\"2\"", "\"classes\":\"3\"", "tensor 'fc.weight'", OB_EFORMAT },
        { "\"classes\":\"2\"", "\"classes\":\"x\"", "metadata 'classes'", OB_EFORMAT },
        { "\"classes\":\"2\"", "\"classes\":\"99999999999\"", "metadata 'classes'", OB_EFORMAT },
        { "\"oubli_format\":\"1\"", "\"oubli_format\":\"2\"", "newer release", OB_EVERSION },
        { "\"oubli_format\":\"1\"", "\"oubli_format\":\"?\"", "not a version", OB_EFORMAT },
        { "\"digest\":\"", "\"digest\":\"0", "digest differs", OB_EFORMAT },
        { "\"fc.bias\"", "\"fc.bius\"", "tensor 'fc.bias': missing", OB_EFORMAT },
        { "\"fc.bias\"", "\"fc.weight\"", "stands twice", OB_EFORMAT },
        { "\"fc.bias\"", "\"fc\\u0000bias\"", "not JSON", OB_EFORMAT },
        { "\"normalize.std\"", "\"normalize.stt\"", "tensor 'normalize.std': missing", OB_EFORMAT },
        { "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[2]",
          "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[1,2]",
          "tensor 'fc.bias': its shape is 1x2, in 'cnn,width=0.25' it is 2", OB_EFORMAT },
        { "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[2]",
          "\"fc.bias\":{\"dtype\":\"F16\",\"shape\":[4]", "tensor 'fc.bias': its shape is 4",
          OB_EFORMAT },
        { "\"fc.bias\":{\"dtype\":\"F32\"", "\"fc.bias\":{\"dtype\":\"I32\"",
          "tensor 'fc.bias': dtype I32", OB_EFORMAT },
        { "\"fc.bias\":{\"dtype\":\"F32\"", "\"fc.bias\":{\"dtype\":\"F\\n2\"",
          "tensor 'fc.bias': unknown dtype 'F?2'", OB_EFORMAT },
        { "\"fc.bias\":{\"dtype\":\"F32\"", "\"fc.bias\":{\"dtype\":32",
          "tensor 'fc.bias': not described", OB_EFORMAT },
        { "\"fc.bias\":{\"dtype\":\"F32\"", "\"fc.bias\":{\"type\":1,\"dtype\":\"F32\"",
          "tensor 'fc.bias': not described", OB_EFORMAT },
        { "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[2]",
          "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[-2]", "not made of whole numbers",
          OB_EFORMAT },
        { "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[2]",
          "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[2.0]", "not made of whole numbers",
          OB_EFORMAT },
        { "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[2]",
          "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":2", "not a list", OB_EFORMAT },
        { "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[2]",
          "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,2]", "5 dimensions", OB_EFORMAT },
        { "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[2]",
          "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905,4]", "too large",
          OB_EFORMAT },
        { "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[2]",
          "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[3]", "8 bytes of data, its shape needs 12",
          OB_EFORMAT },
        { "\"data_offsets\":[0,8]", "\"data_offsets\":[8,16]", "begins at byte 8", OB_EFORMAT },
        { "\"data_offsets\":[0,8]", "\"data_offsets\":[8,0]", "outside the file", OB_EFORMAT },
        { "\"data_offsets\":[0,8]", "\"data_offsets\":[-8,0]", "outside the file", OB_EFORMAT },
        { "\"data_offsets\":[0,8]", "\"data_offsets\":[0,8,8]", "not two whole", OB_EFORMAT },
        { "\"data_offsets\":[0,8]", "\"data_offsets\":8", "not two whole", OB_EFORMAT },
        { "\"data_offsets\":[0,8]", "\"data_offsets\":[0,99999999999]", "outside the file",
          OB_EFORMAT },
        { "\"data_offsets\":[0,8]", "\"data_offsets\":[0,99999999999999999999]", "not JSON",
          OB_EFORMAT },
        { "{\"__metadata__\":{", "{\"__metadata__\":[", "not JSON", OB_EFORMAT },
        { "{\"__metadata__\":{", "{\"z\":3,\"__metadata__\":{", "tensor 'z': not described",
          OB_EFORMAT },
        { "{\"__metadata__\":{",
          "{\"extra\\n\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},"
          "\"__metadata__\":{",
          "tensor 'extra?': 'cnn,width=0.25' has no such tensor", OB_EFORMAT },
    };
    struct ob_model *m = make("cnn,width=0.25", 1, 8, 8, 2), *back;
    struct parts p;

    (void)state;
    must(ob_model_save(m, path, err));
    p = take_apart(path);
    for (size_t i = 0; i < N(edits); i++) {
        char *header = replaced(p.header, edits[i].from, edits[i].with);

        put_together(other, header, p.data, p.n_data);
        must_fail(ob_model_load(&back, &ctx, other, NULL, err), edits[i].status, edits[i].word);
        must_fail(ob_model_load(&back, &ctx, other, NULL, err), edits[i].status, other);
        assert_null(back);
        free(header);
    }
    put_together(other, p.header, p.whole.p, p.n_data + 1); /* one byte that nobody claims */
    must_fail(ob_model_load(&back, &ctx, other, NULL, err), OB_EFORMAT, "its tensors take");
    release(&p);
    ob_model_free(m);
}

/* Value `k` of a tensor, in the data of a saved model. */
static unsigned char *value(struct parts *p, const struct ob_model *m, const char *name, size_t k)
{
    size_t at = m->net->n_counts * 8;
    int view = ob_net_find(m->net, name);

    assert_true(view >= 0);
    for (int i = 0; i < view; i++)
        if (m->net->view[i].block != OB_COUNT)
            at += m->net->view[i].size * 4;
    return (unsigned char *)p->data + at + 4 * k;
}

static void bad_values(void **state)
{
    static const struct {
        const char *name, *word;
        size_t k;
        float x;
    } bad[] = {
        { "conv2.weight", "tensor 'conv2.weight': value 7 is not finite", 7, NAN },
        { "fc.bias", "tensor 'fc.bias': value 1 is not finite", 1, -INFINITY },
        { "bn2.running_var", "tensor 'bn2.running_var': value 3 is negative", 3, -1e-9f },
        { "normalize.std", "tensor 'normalize.std': value 0 is not above 0", 0, 0 },
        { "conv2.weight", "digest differs", 7, 1e9f },
    };
    struct ob_model *m = make("cnn,width=0.25", 1, 8, 8, 2), *back;
    struct parts p;
    int64_t count = -1;

    (void)state;
    must(ob_model_save(m, path, err));
    for (size_t i = 0; i < N(bad); i++) {
        p = take_apart(path);
        memcpy(value(&p, m, bad[i].name, bad[i].k), &bad[i].x, 4);
        put_together(other, p.header, p.data, p.n_data);
        must_fail(ob_model_load(&back, &ctx, other, NULL, err), OB_EFORMAT, bad[i].word);
        release(&p);
    }
    p = take_apart(path);
    memcpy((unsigned char *)p.data + 16, &count, 8);
    put_together(other, p.header, p.data, p.n_data);
    must_fail(ob_model_load(&back, &ctx, other, NULL, err), OB_EFORMAT,
              "tensor 'bn3.num_batches_tracked': a negative count");
    release(&p);
    m->w.params[4] = NAN; /* and no such file is ever written */
    must_fail(ob_model_save(m, path, err), OB_EDIVERGED, "'conv1.weight' is not finite");
    m->w.params[4] = 0;
    must(ob_model_set_meta(m, "seed", "\xff", err));
    must_fail(ob_model_save(m, path, err), OB_EINVAL, "metadata 'seed' is not UTF-8");
    ob_model_free(m);
}

static void not_a_model(void **state)
{
    static const struct {
        const char *bytes, *word;
        size_t n;
    } bad[] = {
        { "", "is empty", 0 },
        { "\2\0\0", "not a safetensors file", 3 },
        { "\2\0\0\0\0\0\0\0{", "cut off", 9 },
        { "\2\0\0\0\0\0\0\0{}", "no tensors", 10 },
        { "\2\0\0\0\0\0\0\0{}x", "no tensors", 11 },
        { "\2\0\0\0\0\0\0\0[]", "not a safetensors file", 10 },
        { "\2\0\0\0\0\0\0\0{x", "not JSON", 10 },
        { "\377\377\377\377\377\377\377\377{}", "cut off", 10 },
        { "PK\3\4\0\0\10\10archive/data.pkl", "'oubli convert' makes a model of it", 24 },
        { "\200\2}q\0(X\1\0\0\0", "PyTorch pickle", 11 },
        { "\x13\0\0\0\0\0\0\0{\"__metadata__\":[]}", "metadata is not an object", 27 },
    };
    struct ob_model *m;

    (void)state;
    for (size_t i = 0; i < N(bad); i++) {
        bytes_write(other, bad[i].bytes, bad[i].n);
        must_fail(ob_model_load(&m, &ctx, other, NULL, err), OB_EFORMAT, bad[i].word);
        must_fail(ob_model_load(&m, &ctx, other, NULL, err), OB_EFORMAT, other);
    }
    scratch_file(other, sizeof(other), "absent");
    must_fail(ob_model_load(&m, &ctx, other, NULL, err), OB_ENOTFOUND, "absent");
    scratch_file(other, sizeof(other), "n.safetensors");
}

/* A header larger than is read, and more entries than any network has. */
static void too_much(void **state)
{
    size_t n = ((size_t)1 << 24) + 1;
    char *text = malloc(n + 1), *at = text;
    struct ob_model *m;

    (void)state;
    memset(text, ' ', n);
    text[n] = 0;
    text[0] = '{';
    put_together(other, text, "", 0);
    must_fail(ob_model_load(&m, &ctx, other, NULL, err), OB_EFORMAT, "a header of 16777217 bytes");
    for (int i = 0; i < 5000; i++)
        at += sprintf(at, "%s\"t%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                      i ? "," : "{", i);
    strcpy(at, "}");
    put_together(other, text, "", 0);
    must_fail(ob_model_load(&m, &ctx, other, NULL, err), OB_EFORMAT, "more than 4096 tensors");
    free(text);
}

/* What the caller asks for against what the file holds. */
static void asked(void **state)
{
    static const struct {
        struct ob_load_opts o;
        const char *word;
        int status;
    } bad[] = {
        { { .arch = "mlp" }, "holds the architecture 'cnn,width=0.25', not 'mlp'", OB_EFORMAT },
        { { .arch = "cnn" }, "not 'cnn'", OB_EFORMAT },
        { { .arch = "ccn" }, "there are resnet18, resnet50, vgg16, resnet20, cnn, mlp", OB_EINVAL },
        { { .n_classes = 100 }, "the model has 2 classes, the data 100", OB_EFORMAT },
        { { .channels = 3, .height = 8, .width = 8 },
          "1 x 8 x 8, the data has 3 x 8 x 8",
          OB_EFORMAT },
        { { .channels = 1, .height = 9, .width = 8 }, "the data has 1 x 9 x 8", OB_EFORMAT },
    };
    struct ob_load_opts good = { .arch = "cnn,width=0.250", .n_classes = 2, .height = 8 };
    struct ob_model *m = make("cnn,width=0.25", 1, 8, 8, 2), *back;
    struct parts p;
    char *header;

    (void)state;
    must(ob_model_save(m, path, err));
    for (size_t i = 0; i < N(bad); i++)
        must_fail(ob_model_load(&back, &ctx, path, &bad[i].o, err), bad[i].status, bad[i].word);
    back = load(path, &good);
    ob_model_free(back);
    /* without metadata the tensors themselves contradict */
    p = take_apart(path);
    header = without_metadata(p.header);
    put_together(other, header, p.data, p.n_data);
    must_fail(ob_model_load(&back, &ctx, other, &bad[0].o, err), OB_EFORMAT,
              "tensor 'fc1.weight': missing");
    must_fail(ob_model_load(&back, &ctx, other, &bad[1].o, err), OB_EFORMAT,
              "tensor 'conv1.weight': its shape is 8x1x3x3, in 'cnn' it is 32x1x3x3");
    free(header);
    header = replaced(p.header, "\"arch\"", "\"Arch\"");
    free(p.header);
    p.header = replaced(header, "\"conv3.weight\"", "\"conv9.weight\"");
    put_together(other, p.header, p.data, p.n_data);
    must_fail(ob_model_load(&back, &ctx, other, NULL, err), OB_EFORMAT,
              "not those of a known architecture");
    free(header);
    release(&p);
    ob_model_free(m);
}

/* Every allocation fails once while loading and saving. */
static void out_of_memory(void **state)
{
    struct ob_model *m = make("mlp,width=0.03125", 1, 8, 8, 2), *back;
    int rc = OB_ENOMEM;

    (void)state;
    must(ob_model_save(m, path, err));
    for (size_t n = 1; rc; n++) {
        obi_mem_fail_at(n);
        rc = ob_model_load(&back, &ctx, path, NULL, NULL);
        assert_true(rc == OB_OK ? back != NULL : rc == OB_ENOMEM && !back);
    }
    obi_mem_fail_at(0);
    same(m, back);
    ob_model_free(back);
    ob_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(layout),
        cmocka_unit_test(inferred),
        cmocka_unit_test(relatives),
        cmocka_unit_test(bare),
        cmocka_unit_test(counts_may_miss),
        cmocka_unit_test(normalisation_of_the_file),
        cmocka_unit_test(header_edits),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(not_a_model),
        cmocka_unit_test(too_much),
        cmocka_unit_test(asked),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
