/*
 * report.h - a demo record read and checked, and the pieces of the page that is made from it.
 *
 * The record is described in docs/formats.md. Everything below is filled by obi_record_read();
 * strings belong to the JSON tree inside the record.
 */
#ifndef OB_WORK_REPORT_H
#define OB_WORK_REPORT_H

#include <jansson.h>

#include "base/str.h"

enum {
    OB_REC_PARTS = 6,
    OB_REC_STEPS = 8,
    OB_REC_WAYS = 24,
    OB_REC_SEEDS = 64,
    OB_REC_RETRAINED = 8,
    OB_REC_BINS = 200,
    OB_REC_EPOCHS = 1000,
    OB_REC_EXAMPLES = 24
};

struct ob_rec_step {
    const char *name, *method;
    double part[OB_REC_PARTS]; /* accuracy on each part after the step */
};
struct ob_rec_result { /* one model, judged; fractions in [0,1] */
    double forget, retain, test, mia, part[OB_REC_PARTS];
    double tow, tow_mia, tow_parts, tow_worst; /* NaN for retrained and original models */
    double images;                             /* training images it cost */
    size_t n_steps;
    struct ob_rec_step step[OB_REC_STEPS];
};
struct ob_rec_seed {
    long long seed;
    double train; /* accuracy of the original on its training part */
    struct ob_rec_result original, retrained[OB_REC_RETRAINED], way[OB_REC_WAYS];
    size_t n_retrained, n_epochs, n_bins;
    double *curve_accuracy, *curve_loss;
    double bin_lo, bin_hi, *bin, *part_bin[OB_REC_PARTS];
    double part_lo[OB_REC_PARTS], part_hi[OB_REC_PARTS];
};
struct ob_rec_way {
    const char *id, *role, *title, *about;
};
struct ob_rec_example {
    const char *class_name, *png;
    double score;
    long long id;
};
struct ob_record {
    json_t *root;
    const char *version, *data_spec, *data_name, *data_hash, *arch, *schedule;
    const char *unlearn_schedule;
    double n_train, n_test, n_params, epochs, batch, lr, momentum, weight_decay;
    double unlearn_epochs, unlearn_batch, unlearn_lr;
    double width, height; /* of an image */
    size_t n_parts, n_ways, n_seeds, n_examples[OB_REC_PARTS];
    const char *part_name[OB_REC_PARTS];
    double part_n[OB_REC_PARTS], n_forget;
    struct ob_rec_way way[OB_REC_WAYS];
    struct ob_rec_example example[OB_REC_PARTS][OB_REC_EXAMPLES];
    struct ob_rec_seed *seed;
};

/* report_read.c. OB_EFORMAT names what is wrong and where in the record; OB_EVERSION: from a newer
 * release. `out` is to be released in every case. */
int obi_record_read(struct ob_record *out, const char *path, struct ob_err *err);
void obi_record_release(struct ob_record *r);

/* ---- numbers over the seeds (report_words.c) ---- */

enum ob_metric {
    OB_M_TOW,
    OB_M_TOW_MIA,
    OB_M_TOW_PARTS,
    OB_M_TOW_WORST,
    OB_M_FORGET,
    OB_M_RETAIN,
    OB_M_TEST,
    OB_M_MIA,
    OB_M_IMAGES,
    OB_M_PART /* OB_M_PART + k: part k */
};
double obi_metric(const struct ob_record *r, const struct ob_rec_result *x, int metric);
/* One value per seed of way w; or of the mean over the retrained models of a seed. */
size_t obi_way_values(const struct ob_record *r, size_t w, int metric, double *out);
size_t obi_retrained_values(const struct ob_record *r, int metric, double *out);
double obi_mean(const double *x, size_t n);
/* Number of the first way with that role; r->n_ways: none. */
size_t obi_role(const struct ob_record *r, const char *role);

/* The findings, as a list of HTML sentences, each chosen by the numbers. */
void obi_findings(struct ob_str *out, const struct ob_record *r);
/* "1,234,567" */
void obi_count(struct ob_str *out, double n);

/* ---- the page ---- */
void obi_report_demo(struct ob_str *out, const struct ob_record *r);   /* report_demo.c */
void obi_report_tables(struct ob_str *out, const struct ob_record *r); /* report_tables.c */

#endif
