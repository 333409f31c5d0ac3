/* settings.h - the text "lr=0.05:epochs=5" and the tables it is checked against. */
#ifndef OB_UNLEARN_SETTINGS_H
#define OB_UNLEARN_SETTINGS_H

#include <stdbool.h>

#include "unlearn/job.h"

#define OB_SETTINGS_ROOM 512 /* bytes of the text of all settings of a method */
#define OB_TEXT_ROOM 64      /* bytes in the state of an OB_OPT_TEXT */

/* "salun:share=0.3" -> method and "share=0.3" (inside `spec`). OB_EINVAL names the nearest. */
int ob_method_parse(const struct ob_method **m, const char **settings, const char *spec,
                    struct ob_err *err);
/* The next pair of a text; *at moves on, *done says that there was none. A value may hold ':' as
 * long as what follows is not a pair ("schedule=step:60,x0.2"). OB_EINVAL: not name=value. */
int ob_settings_next(const char **at, bool *done, char name[32], char value[OB_TEXT_ROOM],
                     struct ob_err *err);
/* Defaults, then the text. `common` is not touched where the method has none; `state` has
 * state_size bytes. What is left to the model: -1, NaN or "". OB_EINVAL: unknown name (the nearest
 * is named), given twice, not of its type, outside its range (which is named), or without effect beside
 * the others (`when`; the default may always be given). */
int ob_settings_parse(const struct ob_method *m, const char *text, struct ob_common *common,
                      void *state, struct ob_err *err);
/* All settings in force, in the order of the tables; equal settings give equal text. */
int ob_settings_text(char out[OB_SETTINGS_ROOM], const struct ob_method *m,
                     const struct ob_common *common, const void *state, struct ob_err *err);
/* Parses and forgets; `canonical` may be NULL. */
int ob_settings_check(const struct ob_method *m, const char *text, char *canonical,
                      struct ob_err *err);
/* The shortest decimal that reads back as x. */
void ob_settings_number(char out[32], double x);

#endif
