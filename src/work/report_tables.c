/* report_tables.c - the tables of a demo page: closeness and cost, accuracies beside the target. */
#include <math.h>
#include <string.h>

#include "work/plot.h"
#include "work/report.h"

static double mean_of(const struct ob_record *r, size_t w, int metric, double *sd)
{
    double x[OB_REC_SEEDS];
    struct ob_interval t;

    ob_interval(&t, x, obi_way_values(r, w, metric, x));
    if (sd)
        *sd = t.n > 1 ? t.sd : NAN;
    return t.mean;
}

static bool is_role(const struct ob_record *r, size_t w, const char *role)
{
    return !strcmp(r->way[w].role, role);
}

static bool reference(const struct ob_record *r, size_t w)
{
    return is_role(r, w, "floor") || is_role(r, w, "nothing");
}

static void row_head(struct ob_str *out, const struct ob_record *r, size_t w)
{
    ob_str_addf(out, "<tr%s><th scope=\"row\">", reference(r, w) ? " class=\"ref\"" : "");
    ob_html_escape(out, r->way[w].title);
    ob_str_add(out, "<small>");
    ob_html_escape(out, r->way[w].about);
    ob_str_add(out, "</small></th>");
}

static void closeness_cell(struct ob_str *out, const struct ob_record *r, size_t w, int metric)
{
    double sd, mean = mean_of(r, w, metric, &sd), top = -1;

    for (size_t v = 0; v < r->n_ways; v++)
        if (!reference(r, v))
            top = fmax(top, mean_of(r, v, metric, NULL));
    ob_str_addf(out, "<td>%s%.3f%s", !reference(r, w) && mean >= top ? "<b>" : "", mean,
                !reference(r, w) && mean >= top ? "</b>" : "");
    if (isfinite(sd))
        ob_str_addf(out, "<small>±&nbsp;%.3f</small>", sd);
    ob_str_add(out, "</td>");
}

static void closeness(struct ob_str *out, const struct ob_record *r)
{
    double full[OB_REC_SEEDS], cost;

    ob_str_add(out, "<figure class=\"table\"><figcaption>How close each way comes to retraining; "
                    "1 is a perfect match");
    if (r->n_seeds > 1)
        ob_str_addf(out, ". Mean ± standard deviation over %zu seeds", r->n_seeds);
    ob_str_add(out,
               ". Bold: the highest mean of the ways that unlearn.</figcaption>\n<div "
               "class=\"scroll\"><table>"
               "<thead><tr><th scope=\"col\">Way</th><th scope=\"col\">ToW</th>"
               "<th scope=\"col\">ToW-MIA</th><th scope=\"col\">ToW, mean<br>of parts</th>"
               "<th scope=\"col\">ToW, worst<br>part</th><th scope=\"col\">Cost</th></tr></thead>"
               "<tbody>\n");
    cost = obi_mean(full, obi_retrained_values(r, OB_M_IMAGES, full));
    for (size_t w = 0; w < r->n_ways; w++) {
        row_head(out, r, w);
        for (int m = OB_M_TOW; m <= OB_M_TOW_WORST; m++)
            closeness_cell(out, r, w, m);
        ob_str_addf(out, "<td>%.0f&nbsp;%%</td></tr>\n",
                    100 * mean_of(r, w, OB_M_IMAGES, NULL) / cost);
    }
    ob_str_add(out, "</tbody></table></div></figure>\n");
}

/* A tint for how far from the target, and to which side. Lower accuracy on a part and a higher
 * share of non-members both mean that too much was forgotten; retain and test have no such sides. */
static const char *tint(int metric, double difference)
{
    double d = fabs(difference);
    bool little = metric == OB_M_MIA ? difference < 0 : difference > 0;

    if (d < .02 || (metric < OB_M_PART && metric != OB_M_MIA))
        return "";
    if (little)
        return d < .1 ? " class=\"o1\"" : d < .3 ? " class=\"o2\"" : " class=\"o3\"";
    return d < .1 ? " class=\"u1\"" : d < .3 ? " class=\"u2\"" : " class=\"u3\"";
}

static void accuracy_cell(struct ob_str *out, const struct ob_record *r, size_t w, int metric)
{
    double x[OB_REC_SEEDS], is = mean_of(r, w, metric, NULL), d;

    d = is - obi_mean(x, obi_retrained_values(r, metric, x));
    ob_str_addf(out, "<td%s>%.1f<small>%s%.1f</small></td>", tint(metric, d), 100 * is,
                d <= -.0005  ? "−"
                : d >= .0005 ? "+"
                             : "",
                100 * fabs(d));
}

static void accuracy(struct ob_str *out, const struct ob_record *r)
{
    static const int last[] = { OB_M_RETAIN, OB_M_TEST, OB_M_MIA };
    double x[OB_REC_SEEDS];

    ob_str_add(out,
               "<figure class=\"table\"><figcaption>Accuracy in per cent, and beneath it the "
               "distance from the retrained model (first row). <span class=\"key o2\">Too little"
               "</span> or <span class=\"key u2\">too much</span> was forgotten of a part, or by "
               "the membership attack's account.</figcaption>\n<div "
               "class=\"scroll\"><table><thead><tr><th scope=\"col\">Way"
               "</th>");
    for (size_t k = 0; k < r->n_parts; k++) {
        ob_str_addf(out, "<th scope=\"col\" class=\"part\"><span class=\"chip f%zu\"></span>",
                    k % 8);
        ob_html_escape(out, r->part_name[k]);
        ob_str_add(out, "</th>");
    }
    ob_str_add(
        out, "<th scope=\"col\">retain</th><th scope=\"col\">test</th><th scope=\"col\">called<br>"
             "non-member</th></tr></thead><tbody>\n<tr class=\"target\"><th scope=\"row\">"
             "Retrained model<small>the target</small></th>");
    for (size_t k = 0; k < r->n_parts + 3; k++) {
        int m = k < r->n_parts ? OB_M_PART + (int)k : last[k - r->n_parts];

        ob_str_addf(out, "<td>%.1f</td>", 100 * obi_mean(x, obi_retrained_values(r, m, x)));
    }
    ob_str_add(out, "</tr>\n");
    for (size_t w = 0; w < r->n_ways; w++) {
        if (is_role(r, w, "floor"))
            continue;
        row_head(out, r, w);
        for (size_t k = 0; k < r->n_parts + 3; k++)
            accuracy_cell(out, r, w, k < r->n_parts ? OB_M_PART + (int)k : last[k - r->n_parts]);
        ob_str_add(out, "</tr>\n");
    }
    ob_str_add(out, "</tbody></table></div></figure>\n");
}

void obi_report_tables(struct ob_str *out, const struct ob_record *r)
{
    closeness(out, r);
    accuracy(out, r);
}
