/*
 * driver.c - runs a fuzz target over files, without a fuzzer.
 *
 *   build/fuzz/NAME FILE...     each file once, whole; nothing to say means that all went well
 *
 * Without files it feeds bytes of its own, so that a run is never empty. Built with
 * -DOB_LIBFUZZER it stands aside for libFuzzer's main.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef OB_LIBFUZZER
#define MAX_BYTES ((size_t)1 << 24)

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(MAX_BYTES);
    size_t n;

    if (!f || !data) {
        fprintf(stderr, "cannot read '%s'\n", path);
        if (f)
            fclose(f);
        free(data);
        return 1;
    }
    n = fread(data, 1, MAX_BYTES, f);
    fclose(f);
    /* the exact size, so that a sanitizer sees the first byte beyond it */
    data = realloc(data, n ? n : 1);
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 0;
}

/* Every length up to 300 of zeros, of 255s and of counted bytes. */
static void built_in(void)
{
    for (size_t n = 0; n <= 300; n += n < 32 ? 1 : 67)
        for (int kind = 0; kind < 3; kind++) {
            uint8_t *data = malloc(n ? n : 1);

            if (!data)
                return;
            for (size_t i = 0; i < n; i++)
                data[i] = (uint8_t)(kind == 0 ? 0 : kind == 1 ? 255 : i * 37 + n);
            LLVMFuzzerTestOneInput(data, n);
            free(data);
        }
}

int main(int argc, char **argv)
{
    int failed = 0;

    built_in();
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    return failed;
}
#endif
