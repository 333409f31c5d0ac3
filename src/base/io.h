/*
 * io.h - reading files from outside with care; writing files whole or not at all.
 *
 * Only this file and work/store.c open files for writing.
 */
#ifndef OB_BASE_IO_H
#define OB_BASE_IO_H

#include <stdbool.h>

#include "base/err.h"

/* ---- a whole file in memory; .gz and .xz are unpacked when `unpack` ---- */

struct ob_file {
    unsigned char *data;
    size_t n;
    char path[1024];
    bool beyond; /* it holds more than `max` bytes, which is why it was not read */
};
/* OB_ENOTFOUND, OB_EIO, or OB_EFORMAT: larger than `max` bytes (also while unpacking), damaged
 * archive. `out` is to be released in every case. */
int ob_file_read(struct ob_file *out, const char *path, size_t max, bool unpack,
                 struct ob_err *err);
/* Tries `path`, `path`.gz, `path`.xz in this order. */
int ob_file_read_any(struct ob_file *out, const char *path, size_t max, struct ob_err *err);
void ob_file_release(struct ob_file *f);
bool ob_file_exists(const char *path);
size_t ob_file_size(const char *path); /* 0 where it is not there */
/* The first room - 1 bytes of a file whose size nobody knows before, as those of /proc; false: none. */
bool ob_text_read(const char *path, char *out, size_t room);

/* ---- a bounded reader over bytes ---- */

struct ob_reader {
    const unsigned char *p;
    size_t left;
    size_t pos; /* bytes taken so far, for messages */
};
/* Each is false where fewer bytes are left, and then takes nothing. */
bool ob_take(struct ob_reader *r, const unsigned char **out, size_t n);
bool ob_take_u16le(struct ob_reader *r, uint16_t *out);
bool ob_take_u32le(struct ob_reader *r, uint32_t *out);
bool ob_take_u32be(struct ob_reader *r, uint32_t *out);
bool ob_take_u64le(struct ob_reader *r, uint64_t *out);

/* ---- an atomic writer: temporary file beside the target, fsync, rename, fsync of the folder ---- */

struct ob_writer;
int ob_writer_open(struct ob_writer **out, const char *path, struct ob_err *err);
/* Remembers the first failure; ob_writer_commit() reports it. */
void ob_write(struct ob_writer *w, const void *data, size_t n);
void ob_write_u16le(struct ob_writer *w, uint16_t x);
void ob_write_u32le(struct ob_writer *w, uint32_t x);
void ob_write_u64le(struct ob_writer *w, uint64_t x);
void ob_writef(struct ob_writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t ob_writer_pos(const struct ob_writer *w);
/* Frees `w` in every case. On failure the target is as it was and the temporary file is gone (if
 * only the very last step failed, the sync of the folder, the new file stands, whole). */
int ob_writer_commit(struct ob_writer *w, struct ob_err *err);
void ob_writer_drop(struct ob_writer *w); /* NULL is fine */

/* Adds a line to the end of a file that only grows, in one write: several processes may. A kill can
 * cut the last line short. */
int ob_file_append(const char *path, const char *line, struct ob_err *err);
int ob_file_remove(const char *path, struct ob_err *err); /* not there: OB_OK */
int ob_mkdir(const char *path, struct ob_err *err);       /* there already: OB_OK */

/* The n-th write, fsync or rename from now on fails (1: the next); 0: none. For tests. */
void obi_io_fail_at(size_t n);

#endif
