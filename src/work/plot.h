/*
 * plot.h - figures as inline SVG for a page.
 *
 * A figure is OB_PLOT_WIDTH units wide and as high as it needs; it scales with its box. Colours are
 * classes ("c0" ... "c7", "ink", "grid", ...) which ob_plot_css() gives values in light and dark, so
 * that one figure serves both. Every text is escaped here. Running out of memory is remembered by
 * the string (ob_str_check). Values that are not finite are left out.
 */
#ifndef OB_WORK_PLOT_H
#define OB_WORK_PLOT_H

#include <stdbool.h>

#include "base/str.h"

enum { OB_PLOT_WIDTH = 420, OB_PLOT_COLOURS = 8 };

/* Round steps (1, 2, 5 times a power of ten) that cut lo..hi into about `want` pieces. *first is the
 * lowest tick that is not below lo; returns how many lie within lo..hi (0: no range). */
int ob_plot_ticks(double lo, double hi, int want, double *first, double *step);

/* Text with & < > " ' escaped for HTML and SVG; bytes that are no UTF-8 become U+FFFD. */
void ob_html_escape(struct ob_str *out, const char *text);

const char *ob_plot_css(void); /* light and dark values of the classes */

struct ob_plot_series {
    const char *name; /* NULL: not in the legend */
    int colour;       /* 0 .. OB_PLOT_COLOURS - 1 */
    bool dots;        /* mark the points */
    bool thin;        /* one of several repetitions */
    const double *x, *y;
    size_t n;
};
struct ob_plot_level { /* a dashed horizontal line */
    int colour;
    double y;
};
struct ob_plot_lines {
    const char *title; /* read aloud, and shown where the pointer rests */
    const char *x_label, *y_label;
    double x_lo, x_hi, y_lo, y_hi;
    bool percent;              /* y is a fraction, written as per cent */
    const char *const *x_name; /* names of x = 0, 1, ...; NULL: numbers */
    size_t n_x_name;
    const struct ob_plot_series *series;
    size_t n_series;
    const struct ob_plot_level *level;
    size_t n_level;
    int height; /* of the plotting area; 0: 190 */
};
void ob_plot_lines(struct ob_str *out, const struct ob_plot_lines *p);

struct ob_plot_region { /* a marked stretch of a histogram, with its own counts */
    const char *name;
    int colour;
    double lo, hi;
    const double *count; /* one per bin, part of the whole */
};
struct ob_plot_hist {
    const char *title, *x_label, *y_label;
    double lo, hi;
    const double *count; /* of everything; the axis is log(1 + count) */
    size_t n_bins;
    const struct ob_plot_region *region;
    size_t n_region;
};
void ob_plot_hist(struct ob_str *out, const struct ob_plot_hist *p);

struct ob_plot_row {
    const char *name;
    int colour;
    const double *value; /* one per repetition: a dot each */
    size_t n;
    double mean, spread; /* a bar at the mean, a line of one spread to either side */
};
struct ob_plot_rows {
    const char *title, *x_label;
    double lo, hi;
    const struct ob_plot_row *row;
    size_t n_row;
};
void ob_plot_rows(struct ob_str *out, const struct ob_plot_rows *p);

#endif
