/* recipe.h - the text of a recipe, as it stands in metadata and checkpoints. */
#ifndef OB_RUN_RECIPE_H
#define OB_RUN_RECIPE_H

#include <jansson.h>

#include "base/err.h"

/* Canonical: equal recipes give equal text. */
int ob_recipe_text(char *out, size_t room, const struct ob_recipe *r, struct ob_err *err);
/* OB_EFORMAT: `o` (may be NULL) lacks a part of it, or holds what no recipe can be. */
int ob_recipe_of_json(struct ob_recipe *r, const json_t *o);

#endif
