/* picklenames.c - names in pickles: the few globals that are known, and the opcodes that are not. */
#include "nn/picklenames.h"

#include <string.h>

static const struct {
    const char *module, *name;
    enum obi_pickle_call call;
    const char *dtype;
} global[] = {
    { "collections", "OrderedDict", OB_PICKLE_ORDERED_DICT, NULL },
    { "torch._utils", "_rebuild_tensor_v2", OB_PICKLE_REBUILD_TENSOR, NULL },
    { "torch._utils", "_rebuild_parameter", OB_PICKLE_REBUILD_PARAMETER, NULL },
    { "torch", "FloatStorage", OB_PICKLE_NO_CALL, "F32" },
    { "torch", "DoubleStorage", OB_PICKLE_NO_CALL, "F64" },
    { "torch", "HalfStorage", OB_PICKLE_NO_CALL, "F16" },
    { "torch", "BFloat16Storage", OB_PICKLE_NO_CALL, "BF16" },
    { "torch", "LongStorage", OB_PICKLE_NO_CALL, "I64" },
    { "torch", "IntStorage", OB_PICKLE_NO_CALL, "I32" },
    { "torch", "ShortStorage", OB_PICKLE_NO_CALL, "I16" },
    { "torch", "CharStorage", OB_PICKLE_NO_CALL, "I8" },
    { "torch", "ByteStorage", OB_PICKLE_NO_CALL, "U8" },
    { "torch", "BoolStorage", OB_PICKLE_NO_CALL, "BOOL" },
};
#define N_GLOBALS ((int)(sizeof(global) / sizeof(global[0])))

static int same(const char *known, const char *text, size_t n)
{
    return strlen(known) == n && !memcmp(known, text, n);
}

int obi_pickle_global(const char *module, size_t n_module, const char *name, size_t n_name)
{
    for (int i = 0; i < N_GLOBALS; i++)
        if (same(global[i].module, module, n_module) && same(global[i].name, name, n_name))
            return i;
    return -1;
}

enum obi_pickle_call obi_pickle_call(int i)
{
    return global[i].call;
}

const char *obi_pickle_dtype(int i)
{
    return global[i].dtype;
}

/* Python's pickletools.opcodes without those that are read. */
static const struct {
    unsigned char op;
    const char *name;
} refused[] = {
    { 'I', "INT" },
    { 'L', "LONG" },
    { 'S', "STRING" },
    { 'T', "BINSTRING" },
    { 'U', "SHORT_BINSTRING" },
    { 'B', "BINBYTES" },
    { 'C', "SHORT_BINBYTES" },
    { 0x8e, "BINBYTES8" },
    { 0x96, "BYTEARRAY8" },
    { 0x97, "NEXT_BUFFER" },
    { 0x98, "READONLY_BUFFER" },
    { 'V', "UNICODE" },
    { 'F', "FLOAT" },
    { 'l', "LIST" },
    { 'd', "DICT" },
    { 0x8f, "EMPTY_SET" },
    { 0x90, "ADDITEMS" },
    { 0x91, "FROZENSET" },
    { '0', "POP" },
    { '2', "DUP" },
    { '1', "POP_MARK" },
    { 'g', "GET" },
    { 'p', "PUT" },
    { 0x82, "EXT1" },
    { 0x83, "EXT2" },
    { 0x84, "EXT4" },
    { 'i', "INST" },
    { 'o', "OBJ" },
    { 0x81, "NEWOBJ" },
    { 0x92, "NEWOBJ_EX" },
    { 'P', "PERSID" },
};

const char *obi_pickle_opcode(unsigned char op)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (refused[i].op == op)
            return refused[i].name;
    return NULL;
}
