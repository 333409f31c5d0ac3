/*
 * pt.c - PyTorch files from an enemy: programs in pickles, claims that are not true, bombs, and a
 * good file cut at every length and flipped at every byte. Refused with one line, or the same
 * weights; nothing is ever executed.
 */
#include <unistd.h>

#include "nn/model.h"
#include "ptfile.h"

#define MiB ((size_t)1 << 20)

static struct ob_ctx ctx;
static char path[128], touched[160];
static const unsigned char sixteen[16];

static int setup(void **state)
{
    (void)state;
    scratch_file(path, sizeof(path), "m.pt");
    scratch_file(touched, sizeof(touched), "touched");
    return 0;
}

/* ---- what is refused, and in which words ---- */

static void refuse(const char *what, const struct bytes *file, const char *word)
{
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;
    struct ob_err e = { 0 };
    struct ob_model *m;
    int rc;

    o.normalize = "none";
    bytes_write(path, file->p, file->n);
    rc = ob_model_import(&m, &ctx, path, &o, &e);
    if (rc != OB_EFORMAT || m || !strstr(e.msg, word) || strchr(e.msg, '\n'))
        fail_msg("%s: status %d, '%s' (wanted '%s')", what, rc, e.msg, word);
    if (!access(touched, F_OK))
        fail_msg("%s: it was executed", what);
}

/* An archive of this pickle and one storage of 16 bytes. */
static void refuse_pickle(const char *what, const void *pickle, size_t n, const char *word)
{
    const struct part part[] = { { .name = "a/data.pkl", .data = pickle, .n = n },
                                 { .name = "a/data/0", .data = sixteen, .n = 16 } };
    struct bytes file = archive(part, 2);

    refuse(what, &file, word);
    free(file.p);
}

static void refuse_archive(const char *what, const struct part *part, size_t n, const char *word)
{
    struct bytes file = archive(part, n);

    refuse(what, &file, word);
    free(file.p);
}

/* ---- programs ---- */

static void programs(void **state)
{
    static const struct {
        const char *pickle, *word;
    } bad[] = {
        { "cos\nsystem\n", "'os.system'" },
        { "cposix\nsystem\n", "'posix.system'" },
        { "cbuiltins\neval\n", "'builtins.eval'" },
        { "c__builtin__\nexec\n", "'__builtin__.exec'" },
        { "csubprocess\nPopen\n", "'subprocess.Popen'" },
        { "ctorch\nload\n", "'torch.load'" },
        { "ctorch._utils\n_rebuild_tensor_v3\n", "'torch._utils._rebuild_tensor_v3'" },
        { "ctorch.storage\n_load_from_bytes\n", "'torch.storage._load_from_bytes'" },
        { "ccollections\nOrderedDict.__init__\n", "'collections.OrderedDict.__init__'" },
        { "ctorch.\nFloatStorage\n", "'torch..FloatStorage'" },
        { "c\n\n", "'.'" },
        { "cos\x01\x02\xff'\nsys\ttem\n", "'os????.sys?tem'" },
        { "\x8c\2os\x8c\6system\x93", "'os.system'" },           /* STACK_GLOBAL */
        { "(S'touch x'\nios\nsystem\n", "the opcode 'STRING'" }, /* and INST behind it */
        { "(ios\nsystem\n", "the opcode 'INST'" },
        { "(o", "the opcode 'OBJ'" },
        { "}}\x81", "the opcode 'NEWOBJ'" },
        { "}}}\x92", "the opcode 'NEWOBJ_EX'" },
        { "\x82\1", "the opcode 'EXT1'" },
        { "P0\n", "the opcode 'PERSID'" },
        { "C\1x", "the opcode 'SHORT_BINBYTES'" },
        { "\x8f", "the opcode 'EMPTY_SET'" },
        { "I1\n", "the opcode 'INT'" },
        { "g0\n", "the opcode 'GET'" },
        { "}2", "the opcode 'DUP'" },
        { "\xfe", "no opcode" },
        { "})R", "a call of something that is not a function" },
        { "K\1)R", "a call of something that is not a function" },
        { "ctorch\nFloatStorage\n)R", "a call of a storage class" },
        { "ccollections\nOrderedDict\n}\x85R", "an OrderedDict with arguments" },
        { "ccollections\nOrderedDict\n}R", "a call of something that is not a function" },
        { "ctorch._utils\n_rebuild_tensor_v2\n)R", "a tensor that is not made of a storage" },
        { "ctorch._utils\n_rebuild_tensor_v2\n(NNNNNNtR",
          "a tensor that is not made of a storage" },
        { "ctorch._utils\n_rebuild_parameter\n)R", "a parameter that is not made of a tensor" },
        { "ctorch._utils\n_rebuild_parameter\n(NNNtR", "a parameter that is not made of a tensor" },
        { "}}b", "the state of an object" },
        { "]}b", "the state of an object" },
        { "ccollections\nOrderedDict\n)R)b", "the state of an object" }, /* for __setstate__ */
        { "ccollections\nOrderedDict\n}b", "the state of an object" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bytes b = { 0 };

        add_text(&b, "\x80\x04");
        add(&b, bad[i].pickle, strlen(bad[i].pickle));
        add_text(&b, ".");
        refuse_pickle(bad[i].word, b.p, b.n, bad[i].word);
        free(b.p);
    }
}

/* The classic: os.system("touch FILE"), once as Python's pickler writes it, once with a state dict
 * around it. */
static void nothing_is_executed(void **state)
{
    struct bytes b = { 0 };

    (void)state;
    add_text(&b, "\x80\x02}(");
    pickle_text(&b, "epoch");
    add_text(&b, "cposix\nsystem\n(");
    {
        char command[200];

        snprintf(command, sizeof(command), "touch %s", touched);
        pickle_text(&b, command);
    }
    add_text(&b, "tR");
    pickle_text(&b, "fc1.weight");
    pickle_tensor(&b, &(struct claim)HONEST);
    add_text(&b, "u.");
    refuse_pickle("posix.system", b.p, b.n,
                  "asks for 'posix.system': refused, and nothing was executed");
    free(b.p);
}

/* ---- damaged pickles ---- */

static void damaged(void **state)
{
    static const struct {
        const char *pickle, *word;
        size_t n;
    } bad[] = {
        { "", "cut off", 0 },
        { "}", "cut off", 1 },
        { "\x80\1}.", "protocol", 4 },
        { "\x80\6}.", "protocol", 4 },
        { "\x80", "protocol", 1 },
        { ".", "its end is not its end", 1 },
        { "}}.", "its end is not its end", 3 },
        { "(}.", "its end is not its end", 3 },
        { "}.}", "its end is not its end", 3 },
        { "N.", "holds no state dict", 2 },
        { "].", "holds no state dict", 2 },
        { "}.", "no tensors", 2 },
        { "X\377\377\377\377a", "a length beyond its end", 6 },
        { "X\1\0\0\200a", "a length beyond its end", 6 },
        { "X\2\0\0\0a", "a length beyond its end", 6 },
        { "\x8d\377\377\377\377\377\377\377\377a", "a length beyond its end", 10 },
        { "\x8d\5\0\0\0\0\0\0\200abcde", "a length beyond its end", 14 },
        { "\x8c\5abc", "a length beyond its end", 5 },
        { "\x8a\377a", "a length beyond its end", 3 },
        { "\x8b\377\377\377\177a", "a length beyond its end", 6 },
        { "\x8b\377\377\377\377a", "a length beyond its end", 6 },
        { "\x95\1\0", "cut off", 3 },
        { "G\1\2\3", "cut off", 4 },
        { "J\1", "cut off", 2 },
        { "cos", "cut off", 3 },
        { "cos\nsystem", "cut off", 10 },
        { "}r\377\377\377\377.", "a memo number that is too large", 7 },
        { "}q\377.", "a memo number that is too large", 4 },
        { "h\0.", "a memo number that nothing was kept under", 3 },
        { "}q\1h\2.", "a memo number that nothing was kept under", 6 },
        { "j\377\377\377\177.", "a memo number that nothing was kept under", 6 },
        { "q\0", "lacks its values", 2 },
        { "\x94", "lacks its values", 1 },
        { "R", "lacks its values", 1 },
        { "Q", "lacks its values", 1 },
        { "b", "lacks its values", 1 },
        { "\x87", "lacks its values", 1 },
        { "}(\x85", "lacks its values", 3 }, /* what lies under a mark is not its own */
        { "}(}R", "lacks its values", 4 },
        { "s", "lacks its values", 1 },
        { "}}s", "lacks its values", 3 },
        { "t", "a mark is missing", 1 },
        { "u", "a mark is missing", 1 },
        { "e", "a mark is missing", 1 },
        { "(u", "items without their list or dict", 2 },
        { "](NNu", "items without their list or dict", 5 },
        { "}(NNe", "items without their list or dict", 5 },
        { "}(Nu", "items without their list or dict", 4 },
        { "}Na", "items without their list or dict", 3 },
        { "}((NNu", "items without their list or dict", 6 },
        { "]NQ", "not a storage", 3 },
        { "NN\x93", "a global whose name is not a text", 3 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse_pickle(bad[i].word, bad[i].pickle, bad[i].n, bad[i].word);
}

/* A list in a list in a list ...: nobody walks it, so nobody's stack overflows. Then a list that
 * contains itself, and lists that double ("a billion laughs"). */
static void deep(void **state)
{
    struct bytes b = { 0 };

    (void)state;
    add_text(&b, "\x80\x02}(");
    pickle_text(&b, "a");
    for (int i = 0; i < 200000; i++)
        add_text(&b, "]");
    for (int i = 0; i < 199999; i++)
        add_text(&b, "a");
    add_text(&b, "u.");
    refuse_pickle("deep", b.p, b.n, "'a' is not a tensor");
    b.n = 0;
    add_text(&b, "\x80\x02}(");
    pickle_text(&b, "a");
    add_text(&b, "]q\1h\1a");
    for (int i = 0; i < 100; i++)
        add_text(&b, "q\1]h\1ah\1a");
    add_text(&b, "0.");
    b.p[b.n - 2] = '1'; /* POP_MARK */
    refuse_pickle("laughs", b.p, b.n, "the opcode 'POP_MARK'");
    b.p[b.n - 2] = 'e';
    refuse_pickle("laughs", b.p, b.n, "items without their list");
    free(b.p);
}

/* More values than anybody needs: an end, and not all of the memory. */
static void many(void **state)
{
    struct bytes b = { 0 };
    char *p = malloc(12 * MiB);

    (void)state;
    memset(p, 'N', 12 * MiB);
    add_text(&b, "\x80\x02");
    add(&b, p, 2 * MiB);
    refuse_pickle("values", b.p, b.n, "too many values");
    b.n = 2;
    memset(p, '(', 12 * MiB);
    add(&b, p, 12 * MiB);
    refuse_pickle("marks", b.p, b.n, "too many marks");
    b.n = 2;
    add_text(&b, "]q\1");
    for (size_t i = 0; i < 12 * MiB - 2; i += 3)
        memcpy(p + i, "h\1a", 3);
    add(&b, p, 12 * MiB / 3 * 3);
    add(&b, p, 3 * MiB);
    refuse_pickle("items", b.p, b.n, "too many items");
    b.n = 2;
    memset(p, '}', 12 * MiB);
    add(&b, p, 12 * MiB);
    add(&b, p, 5 * MiB);
    refuse_pickle("bytes", b.p, b.n, "a pickle of 17825794 bytes, at most");
    free(b.p);
    free(p);
}

/* ---- tensors that claim more than there is ---- */

static void claims(void **state)
{
    static const struct {
        struct claim c;
        const char *word;
    } bad[] = {
        { { 5, 0, { 2, 2 }, { 2, 1 } }, "16 bytes of data, its storage needs 5 of 4" },
        { { 3, 0, { 1, 2 }, { 2, 1 } }, "16 bytes of data, its storage needs 3 of 4" },
        { { (int64_t)1 << 62, 0, { 2, 2 }, { 2, 1 } }, "its storage needs" },
        { { -1, 0, { 2, 2 }, { 2, 1 } }, "not a storage" },
        { { 4, 1, { 2, 2 }, { 2, 1 } }, "reaches beyond its storage" },
        { { 4, -1, { 2, 2 }, { 2, 1 } }, "a negative offset" },
        { { 4, INT64_MAX, { 1, 1 }, { 1, 1 } }, "reaches beyond its storage" },
        { { 4, 5, { 0, 1 }, { 1, 1 } }, "reaches beyond its storage" },
        { { 4, 0, { 2, 2 }, { 3, 1 } }, "reaches beyond its storage" },
        { { 4, 0, { 2, 2 }, { -2, 1 } }, "sizes and strides" },
        { { 4, 3, { 2, 2 }, { -2, -1 } }, "sizes and strides" },
        { { 4, 0, { -2, -2 }, { 2, 1 } }, "sizes and strides" },
        { { 4, 0, { 4, 4 }, { 0, 0 } }, "a tensor larger than its storage" },
        { { 4, 0, { (int64_t)1 << 40, 1 << 20 }, { 0, 0 } }, "larger than its storage" },
        { { 4, 0, { (int64_t)1 << 40, (int64_t)1 << 40 }, { 0, 0 } }, "too large to be true" },
        { { 4, 0, { 2, 2 }, { INT64_MAX, INT64_MAX } }, "reaches beyond its storage" },
        { { 4, 0, { 3, 2 }, { INT64_MAX, 1 } }, "reaches beyond its storage" },
        { HONEST, "are not those of a known architecture" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bytes b = pickle_state(&bad[i].c);

        refuse_pickle(bad[i].word, b.p, b.n, bad[i].word);
        free(b.p);
    }
}

/* One thing of a good pickle changed. */
static void one_change(void **state)
{
    static const struct {
        const char *what, *with;
        size_t n;
        const char *word;
    } bad[] = {
        { "storage", "garbage", 7, "not a storage" },
        { "X\1\0\0\0"
          "0",
          "X\1\0\0\0"
          "9",
          6, "('data/9') is not in the file" },
        { "X\1\0\0\0"
          "0",
          "X\1\0\0\0"
          "/",
          6, "not a storage" },
        { "X\1\0\0\0"
          "0",
          "X\1\0\0\0"
          "\1",
          6, "not a storage" },
        { "X\1\0\0\0"
          "0",
          "X\0\0\0\0"
          "N",
          6, "not a storage" },
        { "FloatStorage", "FloatStorag3", 12, "'torch.FloatStorag3'" },
        { "FloatStorage", "ShortStorage", 12, "its storage needs 4 of 2" },
        { "fc1.weight", "fc1\0weight", 10, "no proper name" },
        { "X\12\0\0\0"
          "fc1.weight",
          "\x8a\15\0\0\0"
          "fc1.weight",
          15, "no proper name" },
        { "fc1.weight", "fc1'\n\2eigh", 10, "are not those of a known architecture" },
        { "\x89}tR", "NNtR", 4, "are not those of a known architecture" }, /* of no matter */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bytes b = pickle_state(&(struct claim)HONEST);
        size_t at = 0;

        while (at + bad[i].n <= b.n && memcmp(b.p + at, bad[i].what, bad[i].n))
            at++;
        assert_true(at + bad[i].n <= b.n);
        memcpy(b.p + at, bad[i].with, bad[i].n);
        refuse_pickle(bad[i].word, b.p, b.n, bad[i].word);
        free(b.p);
    }
}

/* The seventh argument of a tensor, {'neg': True}, has PyTorch turn its signs. */
static void metadata(void **state)
{
    static const struct {
        const char *pickle;
        size_t n;
        const char *word;
    } last[] = {
        { "N", 1, "are not those of a known architecture" },
        { "}", 1, "are not those of a known architecture" },
        { "}X\3\0\0\0neg\x88s", 11, "a tensor with metadata ('neg'): refused" },
        { "}X\4\0\0\0conj\x88s", 12, "a tensor with metadata ('conj'): refused" },
        { "}K\1\x88s", 5, "a tensor with metadata ('')" },
        { "]", 1, "a tensor with metadata ('')" },
        { "\x88", 1, "a tensor with metadata ('')" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(last) / sizeof(last[0]); i++) {
        struct bytes b = pickle_state(&(struct claim)HONEST);

        b.n -= 4; /* "tRu." */
        add(&b, last[i].pickle, last[i].n);
        add_text(&b, "tRu.");
        refuse_pickle(last[i].word, b.p, b.n, last[i].word);
        free(b.p);
    }
}

/* What a program keeps its state dict under, twice: in Python the last one counts. */
static void wrapped_twice(void **state)
{
    static const char *const under[] = { "state_dict", "model", "net", "model_state_dict" };

    (void)state;
    for (int i = 0; i < 8; i++) {
        struct bytes b = { 0 };
        const char *name = under[i / 2];
        char word[80];

        add_text(&b, "\x80\x02}(");
        for (int k = 0; k < 2; k++) {
            pickle_text(&b, name);
            if (i % 2 && !k) { /* None, then a state dict */
                add_text(&b, "N");
                continue;
            }
            add_text(&b, "}");
            pickle_text(&b, "fc1.weight");
            pickle_tensor(&b, &(struct claim)HONEST);
            add_text(&b, "s");
        }
        add_text(&b, "u.");
        snprintf(word, sizeof(word), "m.pt': '%s' stands there twice", name);
        refuse_pickle(name, b.p, b.n, word);
        free(b.p);
    }
}

static void names(void **state)
{
    struct bytes b = { 0 };

    (void)state;
    add_text(&b, "\x80\x02}(");
    for (int i = 0; i < 2; i++) {
        pickle_text(&b, "fc1.weight");
        pickle_tensor(&b, &(struct claim)HONEST);
    }
    add_text(&b, "u.");
    refuse_pickle("twice", b.p, b.n, "tensor 'fc1.weight': its name stands there twice");
    b.n = 0;
    add_text(&b, "\x80\x02}(");
    pickle_text(&b, "model");
    add_text(&b, "}");
    pickle_text(&b, "net");
    add_text(&b, "}u.");
    refuse_pickle("both", b.p, b.n, "both 'model' and 'net'");
    b.n = 0;
    add_text(&b, "\x80\x02}(");
    for (int i = 0; i < 4097; i++) {
        char name[20];

        snprintf(name, sizeof(name), "x%d", i);
        pickle_text(&b, name);
        pickle_tensor(&b, &(struct claim)HONEST);
    }
    add_text(&b, "u.");
    refuse_pickle("many", b.p, b.n, "more than 4096 tensors");
    free(b.p);
}

/* ---- archives that claim more than there is ---- */

static void archives(void **state)
{
    struct bytes good = pickle_state(&(struct claim)HONEST);
    const struct part pkl = { .name = "a/data.pkl", .data = good.p, .n = good.n },
                      zero = { .name = "a/data/0", .data = sixteen, .n = 16 };
    struct part p[3] = { pkl, zero, zero };

    (void)state;
    refuse_archive("nothing wrong", p, 2, "are not those of a known architecture");
    refuse_archive("a name twice", p, 3, "a name stands there twice");
    refuse_archive("no pickle", p + 1, 1, "no 'data.pkl' in it");
    refuse_archive("no storage", p, 1, "('data/0') is not in the file");
    p[1].name = "b/data/0";
    refuse_archive("another's storage", p, 2, "('data/0') is not in the file");
    p[1].name = "b/data.pkl";
    refuse_archive("two pickles", p, 2, "more than one 'data.pkl'");
    p[1].name = "a/constants.pkl";
    refuse_archive("a program", p, 2, "TorchScript");
    p[1] = zero;
    p[2] = (struct part){ .name = "a/byteorder", .data = "little", .n = 6 };
    refuse_archive("little-endian", p, 3, "are not those of a known architecture");
    p[2] = (struct part){ .name = "a/.data/serialization_id", .data = "1234", .n = 4 };
    refuse_archive("of no matter", p, 3, "are not those of a known architecture");
    p[1] = (struct part){ .name = "a/byteorder", .data = "big", .n = 3 };
    refuse_archive("big-endian", p, 2, "another byte order");
    p[0].n--;
    refuse_archive("cut pickle", p, 1, "cut off");
    p[0] = pkl;
    p[1] = zero;
    p[0].crc_flip = 0x100;
    refuse_archive("checksum", p, 2, "a/data.pkl' is damaged: its checksum differs");
    p[0] = pkl;
    p[1].crc_flip = 1;
    refuse_archive("checksum", p, 2, "a/data/0' is damaged: its checksum differs");
    p[1] = zero;
    p[1].at_first = 1;
    refuse_archive("overlap", p, 2, "an entry and the directory differ");
    p[1].name = "a/data.pkl";
    p[1].data = good.p;
    p[1].n = good.n;
    refuse_archive("overlap", p, 2, "entries overlap");
    p[1] = zero;
    p[1].claim = 17;
    refuse_archive("claim", p, 2, "an entry of two sizes");
    p[1].packed_claim = 17;
    refuse_archive("claim", p, 2, "an entry reaches beyond the end");
    p[1] = zero;
    p[1].method = 12;
    refuse_archive("method", p, 2, "packed by method 12");
    free(good.p);
}

static void bombs(void **state)
{
    struct bytes good = pickle_state(&(struct claim)HONEST);
    void *zeros = calloc(64, MiB);
    struct part p[2] = { { .name = "a/data.pkl", .data = good.p, .n = good.n },
                         { .name = "a/data/0", .data = sixteen, .n = 16, .method = 8 } };

    (void)state;
    refuse_archive("deflated", p, 2, "are not those of a known architecture");
    p[1].claim = 15;
    refuse_archive("less", p, 2, "not the size that it claims");
    p[1].claim = 17;
    refuse_archive("more", p, 2, "not the size that it claims");
    p[1].claim = 1 << 30;
    refuse_archive("much more", p, 2, "unpacks to more than is taken");
    p[1].data = zeros;
    p[1].n = 64 * MiB;
    p[1].claim = 0;
    refuse_archive("bomb", p, 2, "a/data/0' unpacks to more than is taken");
    p[1].claim = 16;
    refuse_archive("hidden bomb", p, 2, "not the size that it claims");
    p[0].method = 8;
    p[0].data = zeros;
    p[0].n = 64 * MiB;
    refuse_archive("pickle bomb", p, 1, "a pickle of 67108864 bytes, at most");
    free(zeros);
    free(good.p);
}

static void newer(void **state)
{
    struct bytes good = pickle_state(&(struct claim)HONEST);
    const struct part p[2] = { { .name = "a/data.pkl", .data = good.p, .n = good.n },
                               { .name = "a/version", .data = "11\n", .n = 3 } };
    struct bytes file = archive(p, 2);
    struct ob_model *m;

    (void)state;
    bytes_write(path, file.p, file.n);
    must_fail(ob_model_import(&m, &ctx, path, NULL, err), OB_EVERSION, "newer PyTorch (format 11");
    free(file.p);
    free(good.p);
}

/* ---- a good file, damaged everywhere ---- */

static struct bytes sample(char digest[65])
{
    struct bytes file = bytes_read("tests/golden/pt/mlp.pt");
    struct ob_model *m;

    must(ob_model_import(&m, &ctx, "tests/golden/pt/mlp.pt", NULL, err));
    must(ob_model_digest(m, digest, err));
    ob_model_free(m);
    return file;
}

/* 1 where the file was taken: only with these weights (NULL: with any). */
static int check(const struct bytes *file, size_t n, const char *what, size_t at,
                 const char *digest)
{
    struct ob_err e = { 0 };
    struct ob_model *m;
    char is[65];
    int rc;

    bytes_write(path, file->p, n);
    rc = ob_model_import(&m, &ctx, path, NULL, &e);
    if (rc) {
        if (m || !e.msg[0] || strchr(e.msg, '\n') ||
            (rc != OB_EFORMAT && rc != OB_EVERSION && rc != OB_EINVAL))
            fail_msg("%s at byte %zu: status %d, message '%s'", what, at, rc, e.msg);
        return 0;
    }
    must(ob_model_digest(m, is, err));
    if (digest && strcmp(is, digest))
        fail_msg("%s at byte %zu: taken, with other weights", what, at);
    ob_model_free(m);
    return 1;
}

static void cut(void **state)
{
    char digest[65];
    struct bytes file = sample(digest);

    (void)state;
    assert_int_equal(check(&file, file.n, "whole", 0, digest), 1);
    for (size_t n = 0; n < file.n; n++)
        if (check(&file, n, "cut", n, digest))
            fail_msg("cut to %zu of %zu bytes, and taken", n, file.n);
    free(file.p);
}

static const unsigned char flips[] = { 1, 32, 255 };

static void flipped(void **state)
{
    char digest[65];
    struct bytes file = sample(digest);

    (void)state;
    for (size_t i = 0; i < file.n; i++)
        for (size_t k = 0; k < sizeof(flips); k++) {
            file.p[i] ^= flips[k];
            check(&file, file.n, "flip", i, digest);
            file.p[i] ^= flips[k];
        }
    free(file.p);
}

/* The pickle flipped, and its checksum made right again: the opcodes themselves are bad. */
static void flipped_pickle(void **state)
{
    struct bytes file = sample((char[65]){ 0 });
    unsigned char *row = file.p;
    uint32_t size, crc;

    (void)state;
    while (memcmp(row, "PK\1\2", 4))
        row++;
    assert_memory_equal(row + 46, "mlp/data.pkl", 12);
    size = row[24] | (uint32_t)row[25] << 8;
    for (uint32_t i = 0; i < size; i++)
        for (size_t k = 0; k < sizeof(flips); k++) {
            file.p[64 + i] ^= flips[k];
            crc = (uint32_t)crc32_z(crc32_z(0, NULL, 0), file.p + 64, size);
            for (int b = 0; b < 4; b++)
                row[16 + b] = (unsigned char)(crc >> (8 * b));
            check(&file, file.n, "flip in the pickle", i, NULL);
            file.p[64 + i] ^= flips[k];
        }
    free(file.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs),   cmocka_unit_test(nothing_is_executed),
        cmocka_unit_test(damaged),    cmocka_unit_test(deep),
        cmocka_unit_test(many),       cmocka_unit_test(claims),
        cmocka_unit_test(one_change), cmocka_unit_test(names),
        cmocka_unit_test(metadata),   cmocka_unit_test(wrapped_twice),
        cmocka_unit_test(archives),   cmocka_unit_test(bombs),
        cmocka_unit_test(newer),      cmocka_unit_test(cut),
        cmocka_unit_test(flipped),    cmocka_unit_test(flipped_pickle),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
