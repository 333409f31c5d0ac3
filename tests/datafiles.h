/* datafiles.h - tiny data sets in files, for tests. */
#ifndef TESTS_DATAFILES_H
#define TESTS_DATAFILES_H

#include "common.h"

#include <sys/stat.h>

#include "base/io.h"
#include "base/npy.h"

#define PIXEL(i, k) ((uint8_t)((i)*31 + (k)*7))

static inline void folder(char *out, size_t room, const char *name)
{
    scratch_file(out, room, name);
    must(ob_mkdir(out, err));
}

static inline void put(const char *dir, const char *name, const void *data, size_t n)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    must(ob_file_write(path, data, n, err));
}

static inline size_t put_u32be(uint8_t *out, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(x >> (24 - 8 * i));
    return 4;
}

/* n images of 8 x 8 whose pixels are PIXEL(i, k), and labels i mod classes. */
static inline void put_idx(const char *dir, const char *part, uint32_t n, uint32_t classes)
{
    uint8_t b[4096];
    char name[60];
    size_t at = 0;

    at += put_u32be(b, 2051);
    at += put_u32be(b + at, n);
    at += put_u32be(b + at, 8);
    at += put_u32be(b + at, 8);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < 64; k++)
            b[at++] = PIXEL(i, k);
    snprintf(name, sizeof(name), "%s-images-idx3-ubyte", part);
    put(dir, name, b, at);
    at = put_u32be(b, 2049);
    at += put_u32be(b + at, n);
    for (uint32_t i = 0; i < n; i++)
        b[at++] = (uint8_t)(i % classes);
    snprintf(name, sizeof(name), "%s-labels-idx1-ubyte", part);
    put(dir, name, b, at);
}

static inline void make_idx(char *dir, size_t room)
{
    folder(dir, room, "idx");
    put_idx(dir, "train", 12, 3);
    put_idx(dir, "t10k", 6, 3);
}

/* One record of CIFAR: label bytes, then PIXEL(i, k). */
static inline size_t put_record(uint8_t *out, uint32_t i, const uint8_t *label, size_t n_labels)
{
    memcpy(out, label, n_labels);
    for (uint32_t k = 0; k < 3072; k++)
        out[n_labels + k] = PIXEL(i, k);
    return n_labels + 3072;
}

static inline void make_cifar10(char *dir, size_t room)
{
    folder(dir, room, "cifar10");
    for (uint32_t i = 0; i < 6; i++) {
        uint8_t b[3073], label = (uint8_t)(9 - i);
        char name[40];

        put_record(b, i, &label, 1);
        snprintf(name, sizeof(name), i < 5 ? "data_batch_%u.bin" : "test_batch.bin", i + 1);
        put(dir, name, b, sizeof(b));
    }
}

static inline void make_cifar100(char *dir, size_t room)
{
    uint8_t b[3074], label[2] = { 19, 99 };

    folder(dir, room, "cifar100");
    put_record(b, 1, label, 2);
    put(dir, "train.bin", b, sizeof(b));
    put_record(b, 2, label, 2);
    put(dir, "test.bin", b, sizeof(b));
}

/* Four images of 8 x 9 x 3 bytes or 3 x 8 x 9 floats in each part. */
static inline void make_npy(char *dir, size_t room, int floats)
{
    static const int16_t label[4] = { 0, 1, 0, 1 };
    static const size_t nhwc[4] = { 4, 8, 9, 3 }, nchw[4] = { 4, 3, 8, 9 };
    uint8_t u8[864];
    float f32[864];

    folder(dir, room, floats ? "npyf" : "npyb");
    for (uint32_t i = 0; i < 864; i++) {
        u8[i] = PIXEL(i, 0);
        f32[i] = (float)u8[i] / 255;
    }
    for (int p = 0; p < 2; p++) {
        char path[300];

        snprintf(path, sizeof(path), "%s/x_%s.npy", dir, p ? "test" : "train");
        if (floats)
            must(ob_npy_write(path, "<f4", nchw, 4, f32, err));
        else
            must(ob_npy_write(path, "|u1", nhwc, 4, u8, err));
        snprintf(path, sizeof(path), "%s/y_%s.npy", dir, p ? "test" : "train");
        must(ob_npy_write(path, "<i2", nhwc, 1, label, err));
    }
}

#endif
