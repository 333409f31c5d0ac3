/* provenance.h - writing into a model what it was trained on. */
#ifndef OB_RUN_PROVENANCE_H
#define OB_RUN_PROVENANCE_H

#include "base/err.h"

/* Sets the metadata keys `data` and, where `split` is not NULL, `split`. */
int ob_model_record_data(struct ob_model *m, const struct ob_data *d, const struct ob_split *split,
                         struct ob_err *err);
/* OB_EFORMAT: images or classes of the data are not what the model takes. */
int ob_model_check_shape(const struct ob_model *m, const struct ob_data *d, struct ob_err *err);

#endif
