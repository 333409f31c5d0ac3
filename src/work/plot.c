/* plot.c - figures as inline SVG: lines, histograms, rows of dots, with axes and legends. */
#include "work/plot.h"

#include <math.h>
#include <string.h>

enum { LEFT = 46, RIGHT = 12, LEGEND = 20, AXIS = 38, ROW = 26 };

const char *ob_plot_css(void)
{
    /* Eight hues that stay apart for the common kinds of colour blindness (after Okabe and Ito). */
    return ":root{--c0:#0072b2;--c1:#c98500;--c2:#c4487f;--c3:#008b68;--c4:#6b7280;--c5:#3f9ad0;"
           "--c6:#a34a00;--c7:#7a5fc0;--bar:#c9ced6;--grid:#e4e7ec;--axis:#8b93a1}\n"
           "@media screen and (prefers-color-scheme:dark){:root{--c0:#5bb3ea;--c1:#f0b440;"
           "--c2:#ee86b5;--c3:#3ccaa0;--c4:#a3abb8;--c5:#8fd0f5;--c6:#f08c4a;--c7:#b3a0f0;"
           "--bar:#4a515e;--grid:#2c323b;--axis:#7d8694}}\n"
           "svg.plot{display:block;width:100%;height:auto;max-width:560px;overflow:visible;"
           "font:12px system-ui,sans-serif}\n"
           ".plot text{fill:var(--muted)}.plot .name{fill:var(--ink)}\n"
           ".plot .grid{stroke:var(--grid)}.plot .axis{stroke:var(--axis)}"
           ".plot .bar{fill:var(--bar)}\n"
           ".plot .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}"
           ".plot .thin{stroke-width:1.25;opacity:.75}"
           ".plot .level{stroke-width:1.25;stroke-dasharray:5 4;opacity:.85}"
           ".plot .region{opacity:.13}.plot .spread{stroke-width:2;opacity:.45}"
           ".plot .mean{stroke-width:3}.plot .dot{opacity:.8}\n"
           ".f0{fill:var(--c0)}.f1{fill:var(--c1)}.f2{fill:var(--c2)}.f3{fill:var(--c3)}"
           ".f4{fill:var(--c4)}.f5{fill:var(--c5)}.f6{fill:var(--c6)}.f7{fill:var(--c7)}\n"
           ".s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}"
           ".s4{stroke:var(--c4)}.s5{stroke:var(--c5)}.s6{stroke:var(--c6)}.s7{stroke:var(--c7)}\n";
}

int ob_plot_ticks(double lo, double hi, int want, double *first, double *step)
{
    double raw, power, n;

    *first = *step = 0;
    if (!(hi > lo) || !isfinite(lo) || !isfinite(hi) || !isfinite(hi - lo) || want < 1)
        return 0;
    raw = (hi - lo) / want;
    power = pow(10, floor(log10(raw)));
    if (!(power > 0))
        return 0;
    n = raw / power;
    *step = (n < 1.42 ? 1 : n < 3.17 ? 2 : n < 7.08 ? 5 : 10) * power;
    /* a little slack, so that 0.1 + 0.2 counts as 0.3 */
    *first = ceil(lo / *step - 1e-9) * *step;
    return (int)floor((hi - *first) / *step + 1e-9) + 1;
}

/* Length of the UTF-8 sequence at s; 0: none. */
static size_t sequence(const unsigned char *s)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;

    if (s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

void ob_html_escape(struct ob_str *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    while (*s) {
        size_t n = sequence(s);

        if (*s == '&')
            ob_str_add(out, "&amp;");
        else if (*s == '<')
            ob_str_add(out, "&lt;");
        else if (*s == '>')
            ob_str_add(out, "&gt;");
        else if (*s == '"')
            ob_str_add(out, "&quot;");
        else if (*s == '\'')
            ob_str_add(out, "&#39;");
        else if (!n || (*s < 32 && *s != '\n' && *s != '\t') || *s == 127)
            ob_str_add(out, "\xef\xbf\xbd");
        else
            ob_str_addn(out, (const char *)s, n);
        s += n ? n : 1;
    }
}

/* ---- pieces ---- */

struct box {               /* the plotting area in the figure, and what it shows */
    double x0, x1, y0, y1; /* y0 is the bottom */
    double lo_x, hi_x, lo_y, hi_y;
};

static double map(double v, double lo, double hi, double a, double b)
{
    double t = hi > lo ? (v - lo) / (hi - lo) : 0;

    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return a + t * (b - a);
}

static double at_x(const struct box *b, double x)
{
    return map(x, b->lo_x, b->hi_x, b->x0, b->x1);
}

static double at_y(const struct box *b, double y)
{
    return map(y, b->lo_y, b->hi_y, b->y0, b->y1);
}

static int colour(int c)
{
    return c < 0 ? 0 : c % OB_PLOT_COLOURS;
}

static void text(struct ob_str *out, double x, double y, const char *anchor, const char *class,
                 const char *words)
{
    ob_str_addf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s%s%s>", x, y, anchor,
                class ? " class=\"" : "", class ? class : "", class ? "\"" : "");
    ob_html_escape(out, words);
    ob_str_add(out, "</text>");
}

static void segment(struct ob_str *out, double x0, double y0, double x1, double y1,
                    const char *class)
{
    ob_str_addf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>", x0, y0,
                x1, y1, class);
}

static void begin(struct ob_str *out, double height, const char *title)
{
    ob_str_addf(out, "<svg class=\"plot\" viewBox=\"0 0 %d %.0f\" role=\"img\"><title>",
                OB_PLOT_WIDTH, height);
    ob_html_escape(out, title ? title : "");
    ob_str_add(out, "</title>");
}

/* As many digits as the step needs: 0.05 -> "0.85". */
static void number(char *s, size_t n, double v, double step, bool percent)
{
    struct ob_str t = { 0 };
    double unit = percent ? 100 * step : step;
    int digits = unit > 0 && unit < 1 ? (int)ceil(-log10(unit) - 1e-9) : 0;

    v = percent ? 100 * v : v;
    if (fabs(v) < 1e-9 * fabs(unit))
        v = 0; /* no "-0" */
    ob_str_addf(&t, "%.*f%s", digits > 9 ? 9 : digits, v, percent ? "%" : "");
    if (n) {
        size_t len = strlen(ob_str_text(&t));

        len = len < n ? len : n - 1;
        memcpy(s, ob_str_text(&t), len);
        s[len] = 0;
    }
    ob_str_release(&t);
}

static void x_ticks(struct ob_str *out, const struct box *b, bool grid, int want)
{
    double first, step;
    int n = ob_plot_ticks(b->lo_x, b->hi_x, want, &first, &step);

    for (int i = 0; i < n; i++) {
        char s[32];
        double v = first + i * step, x = at_x(b, v);

        number(s, sizeof(s), v, step, false);
        if (grid)
            segment(out, x, b->y0, x, b->y1, "grid");
        else
            segment(out, x, b->y0, x, b->y0 + 4, "axis");
        text(out, x, b->y0 + 17, "middle", NULL, s);
    }
}

static void y_ticks(struct ob_str *out, const struct box *b, bool percent)
{
    double first, step;
    int n = ob_plot_ticks(b->lo_y, b->hi_y, 5, &first, &step);

    for (int i = 0; i < n; i++) {
        char s[32];
        double v = first + i * step, y = at_y(b, v);

        number(s, sizeof(s), v, step, percent);
        segment(out, b->x0, y, b->x1, y, "grid");
        text(out, b->x0 - 6, y + 4, "end", NULL, s);
    }
}

static void x_axis(struct ob_str *out, const struct box *b, const char *label)
{
    segment(out, b->x0, b->y0, b->x1, b->y0, "axis");
    if (label)
        text(out, (b->x0 + b->x1) / 2, b->y0 + 33, "middle", NULL, label);
}

/* About what a proportional face needs; the browser knows better, but only later. */
static double text_width(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return 7.0 * (double)n;
}

struct legend { /* entries from left to right, in as many lines as they need */
    struct ob_str *out;
    double x, y;
};

static void legend_add(struct legend *l, const char *name, int c, bool line)
{
    double width = 18 + text_width(name) + 14;

    if (l->x > 0 && l->x + width > OB_PLOT_WIDTH) {
        l->x = 0;
        l->y += LEGEND;
    }
    if (l->out) {
        if (line)
            ob_str_addf(
                l->out,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"line s%d\"/>",
                l->x + 1, l->y + 8, l->x + 13, l->y + 8, colour(c));
        else
            ob_str_addf(l->out,
                        "<rect x=\"%.1f\" y=\"%.1f\" width=\"11\" height=\"11\" rx=\"2\" "
                        "class=\"%s%d\"/>",
                        l->x + 1, l->y + 2.5, c < 0 ? "bar b" : "f", c < 0 ? 0 : colour(c));
        text(l->out, l->x + 18, l->y + 12, "start", "name", name);
    }
    l->x += width;
}

/* ---- lines ---- */

static double lines_legend(struct ob_str *out, const struct ob_plot_lines *p)
{
    struct legend l = { .out = out };
    bool any = false;

    for (size_t i = 0; i < p->n_series; i++)
        if (p->series[i].name) {
            legend_add(&l, p->series[i].name, p->series[i].colour, true);
            any = true;
        }
    return any ? l.y + LEGEND + 4 : 0;
}

static void one_line(struct ob_str *out, const struct box *b, const struct ob_plot_series *s)
{
    bool open = false;

    ob_str_addf(out, "<path class=\"line%s s%d\" d=\"", s->thin ? " thin" : "", colour(s->colour));
    for (size_t i = 0; i < s->n; i++) {
        bool good = isfinite(s->x[i]) && isfinite(s->y[i]);

        if (good)
            ob_str_addf(out, "%s%.1f %.1f", open ? "L" : "M", at_x(b, s->x[i]), at_y(b, s->y[i]));
        open = good;
    }
    ob_str_add(out, "\"/>");
    for (size_t i = 0; s->dots && i < s->n; i++)
        if (isfinite(s->x[i]) && isfinite(s->y[i]))
            ob_str_addf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" class=\"f%d\"/>",
                        at_x(b, s->x[i]), at_y(b, s->y[i]), colour(s->colour));
}

static void x_names(struct ob_str *out, const struct box *b, const struct ob_plot_lines *p)
{
    for (size_t i = 0; i < p->n_x_name; i++) {
        double x = at_x(b, (double)i);
        /* the outer names stay inside the figure */
        const char *anchor = i + 1 == p->n_x_name ? "end" : "middle";

        segment(out, x, b->y0, x, b->y0 + 4, "axis");
        text(out, i + 1 == p->n_x_name ? b->x1 + RIGHT : x, b->y0 + 17, anchor, NULL, p->x_name[i]);
    }
}

void ob_plot_lines(struct ob_str *out, const struct ob_plot_lines *p)
{
    double top = lines_legend(NULL, p) + (p->y_label ? 18 : 8);
    double height = p->height ? p->height : 190;
    struct box b = { LEFT,   OB_PLOT_WIDTH - RIGHT, top + height, top, p->x_lo, p->x_hi, p->y_lo,
                     p->y_hi };

    begin(out, b.y0 + (p->x_label ? AXIS : AXIS - 15), p->title);
    lines_legend(out, p);
    if (p->y_label)
        text(out, 0, top - 8, "start", NULL, p->y_label);
    y_ticks(out, &b, p->percent);
    if (p->x_name)
        x_names(out, &b, p);
    else
        x_ticks(out, &b, false, 6);
    x_axis(out, &b, p->x_label);
    for (size_t i = 0; i < p->n_level; i++)
        if (isfinite(p->level[i].y)) {
            double y = at_y(&b, p->level[i].y);

            ob_str_addf(
                out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"level s%d\"/>",
                b.x0, y, b.x1, y, colour(p->level[i].colour));
        }
    for (size_t i = 0; i < p->n_series; i++)
        one_line(out, &b, &p->series[i]);
    ob_str_add(out, "</svg>\n");
}

/* ---- histogram ---- */

static double hist_legend(struct ob_str *out, const struct ob_plot_hist *p)
{
    struct legend l = { .out = out };

    legend_add(&l, "all training examples", -1, false);
    for (size_t i = 0; i < p->n_region; i++)
        legend_add(&l, p->region[i].name, p->region[i].colour, false);
    return l.y + LEGEND + 4;
}

static void bars(struct ob_str *out, const struct box *b, const double *count, size_t n,
                 const char *class)
{
    double width = (b->x1 - b->x0) / (double)n;

    for (size_t i = 0; i < n; i++) {
        double y = at_y(b, log10(1 + count[i]));

        if (count[i] > 0 && isfinite(count[i]))
            ob_str_addf(out,
                        "<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" class=\"%s\"/>",
                        b->x0 + (double)i * width + .4, y, width - .8, b->y0 - y, class);
    }
}

static void count_ticks(struct ob_str *out, const struct box *b)
{
    text(out, b->x0 - 6, b->y0 + 4, "end", NULL, "0");
    for (double v = 1; log10(1 + v) <= b->hi_y; v *= 10) {
        char s[32];
        double y = at_y(b, log10(1 + v));

        number(s, sizeof(s), v, 1, false);
        segment(out, b->x0, y, b->x1, y, "grid");
        text(out, b->x0 - 6, y + 4, "end", NULL, s);
    }
}

void ob_plot_hist(struct ob_str *out, const struct ob_plot_hist *p)
{
    double top = hist_legend(NULL, p) + 22, most = 1;
    struct box b = { LEFT, OB_PLOT_WIDTH - RIGHT, top + 180, top, p->lo, p->hi, 0, 1 };

    for (size_t i = 0; i < p->n_bins; i++)
        if (isfinite(p->count[i]) && p->count[i] > most)
            most = p->count[i];
    b.hi_y = log10(1 + most) * 1.03;
    begin(out, b.y0 + AXIS, p->title);
    hist_legend(out, p);
    if (p->y_label)
        text(out, 0, top - 8, "start", NULL, p->y_label);
    for (size_t i = 0; i < p->n_region; i++) {
        double x0 = at_x(&b, p->region[i].lo), x1 = at_x(&b, p->region[i].hi);

        ob_str_addf(out,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                    "class=\"region f%d\"/>",
                    x0, b.y1, x1 - x0 > 1.5 ? x1 - x0 : 1.5, b.y0 - b.y1,
                    colour(p->region[i].colour));
    }
    count_ticks(out, &b);
    bars(out, &b, p->count, p->n_bins, "bar");
    for (size_t i = 0; i < p->n_region; i++) {
        char class[8] = "f0";

        class[1] = (char)('0' + colour(p->region[i].colour));
        if (p->region[i].count)
            bars(out, &b, p->region[i].count, p->n_bins, class);
    }
    x_ticks(out, &b, false, 6);
    x_axis(out, &b, p->x_label);
    ob_str_add(out, "</svg>\n");
}

/* ---- rows of dots ---- */

static void one_row(struct ob_str *out, const struct box *b, const struct ob_plot_row *r, double y)
{
    int c = colour(r->colour);

    text(out, b->x0 - 8, y + 4, "end", "name", r->name);
    if (isfinite(r->mean) && isfinite(r->spread))
        ob_str_addf(out,
                    "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"spread s%d\"/>",
                    at_x(b, r->mean - r->spread), y, at_x(b, r->mean + r->spread), y, c);
    if (isfinite(r->mean))
        ob_str_addf(out,
                    "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"mean s%d\"/>",
                    at_x(b, r->mean), y - 7, at_x(b, r->mean), y + 7, c);
    for (size_t i = 0; i < r->n; i++)
        if (isfinite(r->value[i]))
            ob_str_addf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\" class=\"dot f%d\"/>",
                        at_x(b, r->value[i]), y, c);
}

void ob_plot_rows(struct ob_str *out, const struct ob_plot_rows *p)
{
    double left = 0;
    struct box b = { 0, OB_PLOT_WIDTH - RIGHT, 8 + ROW * (double)p->n_row, 8, p->lo, p->hi, 0, 1 };

    for (size_t i = 0; i < p->n_row; i++)
        left = fmax(left, text_width(p->row[i].name));
    b.x0 = fmin(left + 12, OB_PLOT_WIDTH * .5);
    begin(out, b.y0 + AXIS, p->title);
    x_ticks(out, &b, true, 5);
    x_axis(out, &b, p->x_label);
    for (size_t i = 0; i < p->n_row; i++)
        one_row(out, &b, &p->row[i], b.y1 + ROW * ((double)i + .5));
    ob_str_add(out, "</svg>\n");
}
