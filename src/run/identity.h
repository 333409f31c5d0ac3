/*
 * identity.h - what a folder of models was made with: settings by name, so that what differs can be
 * named.
 *
 * The text is one line of JSON with sorted keys: equal settings, equal bytes.
 */
#ifndef OB_RUN_IDENTITY_H
#define OB_RUN_IDENTITY_H

#include <jansson.h>

#include "run/recipe.h"

/* What all of them have: recipe, arch, normalize (may be NULL), data, examples, split, seed. The
 * caller adds its own. NULL: out of memory, and `err` says so. */
json_t *ob_identity_new(const struct ob_recipe *r, const char *arch, const char *normalize,
                        const struct ob_data *d, const struct ob_split *split, uint64_t seed,
                        struct ob_err *err);
/* Replaces *text, the caller's. */
int ob_identity_text(char **text, const json_t *settings, struct ob_err *err);
/* OB_EFORMAT: a setting of `here` is another one there; `dir` and `what` ("a bank") are for the
 * message. */
int ob_identity_same(const char *there, const char *here, const char *dir, const char *what,
                     struct ob_err *err);

#endif
