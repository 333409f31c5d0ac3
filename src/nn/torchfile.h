/*
 * torchfile.h - state dicts as torch.save() of PyTorch 1.6 and later writes them.
 *
 * A zip archive of NAME/data.pkl (a pickle, pickle.h), NAME/data/KEY (the elements of storage KEY,
 * raw), NAME/version, and in later versions NAME/byteorder ("little") and others that say nothing
 * about tensors. A tensor is a storage, an offset, sizes and strides.
 */
#ifndef OB_NN_TORCHFILE_H
#define OB_NN_TORCHFILE_H

#include "nn/model.h"
#include "nn/tensors.h"

bool obi_torch_is_zip(const struct ob_file *f);
bool obi_torch_is_old(const struct ob_file *f); /* a bare pickle: PyTorch before 1.6 */
int obi_torch_old(const struct ob_file *f, struct ob_err *err); /* says how to save it anew */
/* `t->file` is read already. The state dict is what was saved, or what stands in it under
 * "state_dict", "model", "net" or "model_state_dict". */
int obi_torch_read(struct ob_tensors *t, struct ob_err *err);
/* An OrderedDict that load_state_dict() takes; without the normalisation where `plain`. */
int obi_torch_write(const struct ob_model *m, const char *path, bool plain, struct ob_err *err);

#endif
