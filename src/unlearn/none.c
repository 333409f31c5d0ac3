/* none.c - do nothing: the part is left out of what later steps retain, and that is all. */
#include "unlearn/method.h"

const struct ob_method ob_method_none = {
    .name = "none",
    .title = "do nothing",
    .cite = "Zhao et al. 2024",
    .formula = "theta' = theta",
};
