/* bank_wanted.c - which models of a bank were asked for: a file that only grows, since many may ask at once. */
#include "score/bank.h"

#include <stdio.h>
#include <string.h>

#include "base/dir.h"
#include "base/mem.h"

void ob_bank_mark_wanted(struct ob_bank *b, int first, int end)
{
    for (int k = first; k < end; k++) {
        b->info.n_wanted += !b->wanted[k];
        b->wanted[k] = 1;
    }
    b->info.n_models = end > b->info.n_models ? end : b->info.n_models;
}

int ob_bank_wants(const struct ob_bank *b, int k)
{
    return k >= 0 && k < b->info.n_models && b->wanted[k];
}

/* The next range from *end on; false: there is none. */
static int next_range(const struct ob_bank *b, int *first, int *end)
{
    for (*first = *end; *first < b->info.n_models && !b->wanted[*first]; (*first)++)
        ;
    for (*end = *first; *end < b->info.n_models && b->wanted[*end]; (*end)++)
        ;
    return *end > *first;
}

static int add_line(const char *path, int first, int end, struct ob_err *err)
{
    char line[32];

    snprintf(line, sizeof(line), "%d-%d\n", first, end - 1);
    return ob_file_append(path, line, err);
}

int ob_bank_write_wanted(const struct ob_bank *b, struct ob_err *err)
{
    char *path;
    int rc = OB_OK;

    OB_TRY(ob_bank_path(&path, b, "wanted.txt", err));
    for (int first, end = 0; !rc && next_range(b, &first, &end);)
        rc = add_line(path, first, end, err);
    ob_free(path);
    return rc;
}

/* A bank from before there was such a file gets all that it wanted into it. */
static int note(struct ob_bank *b, int first, int end, struct ob_err *err)
{
    char *path = NULL;
    int rc;

    OB_GO(ob_bank_path(&path, b, "wanted.txt", err));
    if (!ob_file_exists(path))
        OB_GO(ob_bank_write_wanted(b, err));
    OB_GO(add_line(path, first, end, err));
    ob_bank_mark_wanted(b, first, end);
out:
    ob_free(path);
    return rc;
}

int ob_bank_want(struct ob_bank *b, int first, int end, struct ob_err *err)
{
    for (int k = first; k < end; k++)
        if (!ob_bank_wants(b, k))
            return note(b, first, end, err);
    return OB_OK;
}

int ob_bank_want_all(struct ob_bank *b, const struct ob_bank *of, struct ob_err *err)
{
    for (int first, end = 0; next_range(of, &first, &end);)
        OB_TRY(ob_bank_want(b, first, end, err));
    return OB_OK;
}

/* A kill can cut a line short: what is no range is passed over, and the same command notes it again. */
static void take_line(struct ob_bank *b, const char *line)
{
    int first, last, n = 0;

    if (sscanf(line, "%6d-%6d%n", &first, &last, &n) == 2 && !line[n] && first >= 0 &&
        first <= last && last < OB_BANK_MODELS)
        ob_bank_mark_wanted(b, first, last + 1);
}

int ob_bank_read_wanted(struct ob_bank *b, struct ob_err *err)
{
    struct ob_file f = { 0 };
    char *path = NULL;
    int rc;

    OB_GO(ob_bank_path(&path, b, "wanted.txt", err));
    if (!ob_file_exists(
            path)) { /* a bank from before there was such a file: all up to its number */
        ob_bank_mark_wanted(b, 0, b->info.n_models);
        goto out;
    }
    OB_GO(ob_file_read(&f, path, OB_BANK_WANTED, false, err));
    for (size_t i = 0, end; i < f.n; i = end + 1) {
        char line[32] = "";

        for (end = i; end < f.n && f.data[end] != '\n'; end++)
            ;
        if (end == f.n || end - i >= sizeof(line))
            continue;
        memcpy(line, f.data + i, end - i);
        take_line(b, line);
    }
out:
    ob_file_release(&f);
    ob_free(path);
    return rc;
}
