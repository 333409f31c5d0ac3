/*
 * picture_png.c - PNG through libpng (ISO/IEC 15948).
 *
 * libpng leaves by longjmp where something is wrong; everything that must be released then lies in
 * struct job, which is none of its frames.
 */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "data/picture.h"

#define CHUNK_MEMORY ((png_alloc_size_t)1 << 20) /* of a chunk that is not pixels, unpacked */
#define N_HEAD 33                                /* signature and IHDR */

struct job {
    png_structp png;
    png_infop info;
    struct ob_reader in;
    png_uint_32 height, width;
    size_t row;       /* bytes of a row as it comes out */
    int n;            /* channels as they come out, with alpha */
    uint8_t *pixels;  /* height x row */
    png_bytep *start; /* of each row */
    char said[120];   /* libpng's own words */
    int no_memory;
};

/* ---- what libpng calls ---- */

static PNG_NORETURN void on_error(png_structp png, png_const_charp words)
{
    struct job *j = png_get_error_ptr(png);

    snprintf(j->said, sizeof(j->said), "%s", words);
    png_longjmp(png, 1);
}

/* Harmless oddities, such as a colour profile that is a little wrong. Damage is an error. */
static void on_warning(png_structp png, png_const_charp words)
{
    (void)png;
    (void)words;
}

static png_voidp on_alloc(png_structp png, png_alloc_size_t n)
{
    struct job *j = png_get_mem_ptr(png);
    void *p;

    if (!obi_alloc(&p, n, 1, NULL))
        return p;
    j->no_memory = 1;
    return NULL;
}

static void on_free(png_structp png, png_voidp p)
{
    (void)png;
    ob_free(p);
}

static void on_read(png_structp png, png_bytep out, size_t n)
{
    struct job *j = png_get_io_ptr(png);
    const unsigned char *p;

    if (!ob_take(&j->in, &p, n))
        png_error(png, "it is cut short");
    memcpy(out, p, n);
}

/* ---- the head ---- */

static int u32be(const unsigned char *p)
{
    uint32_t x = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];

    return x > 1u << 30 ? 1 << 30 : (int)x; /* refused as too large */
}

int obi_png_head(struct ob_picture *out, const unsigned char *data, size_t n, const char *name,
                 struct ob_err *err)
{
    if (n < N_HEAD || memcmp(data + 8, "\0\0\0\x0dIHDR", 8))
        return ob_fail(err, OB_EFORMAT, "'%s' is damaged: a PNG file without its head", name);
    if (data[24] > 8)
        return ob_fail(err, OB_EFORMAT, "'%s' has %d bits a channel; save it with 8", name,
                       data[24]);
    *out = (struct ob_picture){ OB_PICTURE_PNG, data[25] & PNG_COLOR_MASK_COLOR ? 3 : 1,
                                u32be(data + 20), u32be(data + 16) };
    return OB_OK;
}

/* ---- pixels ---- */

static int start(struct job *j, struct ob_err *err)
{
    j->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, j, on_error, on_warning, j, on_alloc,
                                      on_free);
    if (j->png)
        j->info = png_create_info_struct(j->png);
    if (!j->info)
        return ob_fail(err, OB_ENOMEM, "out of memory (reading a PNG file)");
    return OB_OK;
}

/* Palettes become colours, few bits eight, marked colours an alpha channel. False: j->said. */
static int read_info(struct job *j)
{
    if (setjmp(png_jmpbuf(j->png)))
        return 0;
    png_set_read_fn(j->png, j, on_read);
    png_set_user_limits(j->png, OB_PICTURE_SIDE, OB_PICTURE_SIDE);
    png_set_chunk_malloc_max(j->png, CHUNK_MEMORY);
    png_set_chunk_cache_max(j->png, 16);
    png_set_crc_action(j->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    /* texts, profiles, times: not looked at */
    png_set_keep_unknown_chunks(j->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(j->png, j->info);
    png_set_expand(j->png);
    png_set_interlace_handling(j->png);
    png_read_update_info(j->png, j->info);
    j->height = png_get_image_height(j->png, j->info);
    j->width = png_get_image_width(j->png, j->info);
    j->row = png_get_rowbytes(j->png, j->info);
    j->n = png_get_channels(j->png, j->info);
    return png_get_bit_depth(j->png, j->info) == 8;
}

static int read_rows(struct job *j)
{
    if (setjmp(png_jmpbuf(j->png)))
        return 0;
    png_read_image(j->png, j->start);
    png_read_end(j->png, NULL);
    return 1;
}

static int refuse(const struct job *j, const char *name, struct ob_err *err)
{
    if (j->no_memory)
        return ob_fail(err, OB_ENOMEM, "out of memory (reading '%s')", name);
    return ob_fail(err, OB_EFORMAT, "'%s' is damaged, or a PNG of a kind that is not read: %s",
                   name, j->said);
}

/* The colours under a transparent pixel are nobody's; what to put there is for the user to say. */
static int drop_alpha(uint8_t *out, const struct job *j, int channels, const char *name,
                      struct ob_err *err)
{
    const uint8_t *p = j->pixels;
    size_t n = (size_t)j->height * j->width;

    for (size_t i = 0; i < n; i++, p += j->n) {
        if (j->n > channels && p[channels] != 255)
            return ob_fail(err, OB_EFORMAT,
                           "'%s' has transparent pixels; save it without an alpha channel, on the "
                           "background that it is to have",
                           name);
        for (int c = 0; c < channels; c++)
            *out++ = p[c];
    }
    return OB_OK;
}

static int decode(uint8_t *pixels, struct job *j, const struct ob_picture *head, const char *name,
                  struct ob_err *err)
{
    OB_TRY(start(j, err));
    if (!read_info(j))
        return refuse(j, name, err);
    OB_ASSERT(err, (int)j->height == head->height && (int)j->width == head->width &&
                       j->row == (size_t)j->n * j->width &&
                       (j->n == head->channels || j->n == head->channels + 1));
    OB_TRY(ob_alloc(j->pixels, j->row * j->height, err));
    OB_TRY(ob_alloc(j->start, j->height, err));
    for (size_t y = 0; y < j->height; y++)
        j->start[y] = j->pixels + y * j->row;
    if (!read_rows(j))
        return refuse(j, name, err);
    return drop_alpha(pixels, j, head->channels, name, err);
}

int obi_png_read(uint8_t *pixels, const struct ob_picture *head, const unsigned char *data,
                 size_t n, const char *name, struct ob_err *err)
{
    struct job j = { .in = { data, n, 0 } };
    int rc = decode(pixels, &j, head, name, err);

    png_destroy_read_struct(&j.png, &j.info, NULL);
    ob_free(j.pixels);
    ob_free(j.start);
    return rc;
}
