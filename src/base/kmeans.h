/*
 * kmeans.h - k-means: Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 1982,
 * from the starts of Arthur and Vassilvitskii, "k-means++: The advantages of careful seeding", SODA 2007.
 */
#ifndef OB_BASE_KMEANS_H
#define OB_BASE_KMEANS_H

#include "base/err.h"

struct ob_kmeans_opts {
    size_t k;      /* clusters, 1 to n */
    int starts;    /* the best of so many, by inertia; the first of equal ones */
    uint64_t seed; /* of the starts */
    int n_threads; /* any number gives the same */
};
/* Of n points, rows of f floats. of[i]: the cluster of point i, ties to the lower; center: k rows of f;
 * *inertia: sum of squared distances to the own centre. No cluster is left empty. */
int ob_kmeans(uint32_t *of, double *center, double *inertia, const float *x, size_t n, size_t f,
              const struct ob_kmeans_opts *o, struct ob_err *err);
/* Lloyd's steps from the centres that are given, until no point moves (300 at most). */
int ob_kmeans_from(uint32_t *of, double *center, double *inertia, const float *x, size_t n,
                   size_t f, const struct ob_kmeans_opts *o, struct ob_err *err);

#endif
