/* table.c - a table for people: columns as wide as their widest cell. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"

enum { MOST_COLUMNS = 16 };

struct table {
    char align[MOST_COLUMNS + 1];
    size_t n_columns, n_cells, room;
    char **cell;
    int failed; /* no memory: the table is left out */
};

struct table *table_new(const char *align)
{
    struct table *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    snprintf(t->align, sizeof(t->align), "%s", align);
    t->n_columns = strlen(t->align);
    return t;
}

static void add(struct table *t, const char *text)
{
    char *copy = strdup(text);

    if (t->n_cells == t->room) {
        size_t room = t->room ? 2 * t->room : 64;
        char **more = realloc(t->cell, room * sizeof(*more));

        if (!more) {
            free(copy);
            t->failed = 1;
            return;
        }
        t->cell = more;
        t->room = room;
    }
    if (!copy)
        t->failed = 1;
    else
        t->cell[t->n_cells++] = copy;
}

void table_cell(struct table *t, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    if (!t)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    add(t, text);
}

void table_percent(struct table *t, double fraction)
{
    if (isnan(fraction))
        table_cell(t, "-");
    else
        table_cell(t, "%.2f %%", 100 * fraction);
}

void table_number(struct table *t, double x)
{
    if (isnan(x))
        table_cell(t, "-");
    else
        table_cell(t, "%.3f", x);
}

/* Characters, not bytes: names of classes may be written in any script. */
static int letters(const char *text)
{
    int n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static void print_row(const struct table *t, char *const *row, const int *wide, size_t n, FILE *to)
{
    for (size_t j = 0; j < n; j++) {
        int pad = wide[j] - letters(row[j]);

        if (t->align[j] == 'r')
            fprintf(to, "%*s%s", pad, "", row[j]);
        else if (j + 1 < n)
            fprintf(to, "%s%*s", row[j], pad, "");
        else
            fputs(row[j], to);
        fputs(j + 1 < n ? "  " : "\n", to);
    }
}

void table_print(struct table *t, FILE *to)
{
    int wide[MOST_COLUMNS] = { 0 };

    if (!t)
        return;
    for (size_t i = 0; i < t->n_cells; i++) {
        int n = letters(t->cell[i]), *w = &wide[i % t->n_columns];

        *w = n > *w ? n : *w;
    }
    for (size_t i = 0; !t->failed && i < t->n_cells; i += t->n_columns) {
        size_t left = t->n_cells - i;

        print_row(t, t->cell + i, wide, left < t->n_columns ? left : t->n_columns, to);
    }
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cell[i]);
    free(t->cell);
    free(t);
}
