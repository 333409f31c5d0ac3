/* infer.h - which network a file of tensors belongs to. */
#ifndef OB_NN_INFER_H
#define OB_NN_INFER_H

#include "nn/net.h"
#include "nn/tensors.h"

/* The metadata says it (arch, input, classes); where it does not, the caller (`o`, may be NULL),
 * names and shapes do. OB_EINVAL: `o` names no architecture, or more has to be said. OB_EFORMAT:
 * not recognised, or not what `o` asks for. Whether every tensor fits is not looked at. */
int obi_infer_net(struct ob_net **out, const struct ob_tensors *t, const struct ob_load_opts *o,
                  struct ob_err *err);

#endif
