#!/usr/bin/python3
"""torch_roundtrip.py - models go to PyTorch and come back, and say the same there and here.

    tests/interop/torch_roundtrip.py [PROGRAM]      default: $OB_PROGRAM, or build/oubli

For each architecture: the program trains a model, PyTorch loads the file (load_state_dict, strict)
and must give the logits and embeddings that `predict` wrote; then PyTorch makes a model, and
`predict` must give its logits, also from a file without the normalisation. Exit 77: this Python has no PyTorch.
"""

import os
import sys
import tempfile

try:
    import numpy as np
    import torch
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)
import torch_models
from program import oubli, write_data

CASES = [
    ("cnn", (3, 16, 20), 4),
    ("cnn,width=0.5", (1, 9, 17), 2),
    ("mlp", (1, 12, 8), 3),
    ("resnet20", (3, 16, 12), 5),
    ("resnet18", (3, 16, 16), 10),
    ("resnet18,width=0.125", (1, 19, 12), 4),
    ("resnet18,stem=imagenet,width=0.25", (3, 33, 40), 3),
    ("resnet50,width=0.125", (3, 16, 12), 5),
    ("resnet50,stem=imagenet,width=0.125", (1, 40, 33), 4),
    ("vgg16", (3, 32, 32), 10),
    ("vgg16,width=0.125", (1, 32, 48), 6),  # a map of 2 x 3 averaged to 2 x 2
    ("vgg16,head=lth,width=0.125", (3, 28, 28), 3),
]


def predict(data, model, out, *more):
    oubli("predict", "--data", data, "--model", model, "--split", "test", "-o", out, *more)
    return np.load(out)


def compare(what, ours, theirs):
    gap = np.abs(ours - theirs).max() / np.abs(theirs).max()
    print(f"{what}: largest gap {gap:.2e}")
    if ours.shape != theirs.shape or not gap < 1e-4:
        sys.exit(f"{what}: PyTorch and oubli differ")


def check(folder, arch, shape, classes):
    x = torch.from_numpy(write_data(os.path.join(folder, "data"), shape, classes, 64, 16))
    data, path = "npy:" + os.path.join(folder, "data"), os.path.join(folder, "m.safetensors")
    oubli("train", "--data", data, "--arch", arch, "-o", path, "--epochs", "2", "--batch", "16",
          "--lr", "0.01", "--seed", "1")
    metadata, tensors = torch_models.read(path)
    assert metadata["arch"] == arch and metadata["classes"] == str(classes)
    model = torch_models.make(arch, shape, classes).eval()
    if list(model.state_dict()) != list(tensors):
        sys.exit(f"{arch}: other names, or in another order, than PyTorch's")
    model.load_state_dict(tensors, strict=True)
    with torch.no_grad():
        logits, features = model(x).numpy(), torch_models.embedding(model, x).numpy()
    compare(f"{arch} logits", predict(data, path, os.path.join(folder, "l.npy")), logits)
    compare(f"{arch} features",
            predict(data, path, os.path.join(folder, "f.npy"), "--features"), features)

    torch.manual_seed(4)
    model = torch_models.make(arch, shape, classes).eval()
    path = os.path.join(folder, "theirs.safetensors")
    torch_models.write(path, model.state_dict())
    with torch.no_grad():
        logits = model(x).numpy()
    compare(f"{arch} from PyTorch", predict(data, path, os.path.join(folder, "t.npy")), logits)
    plain = {k: v for k, v in model.state_dict().items() if not k.startswith("normalize.")}
    torch_models.write(path, plain)
    half = ",".join(["0.5"] * shape[0]) + "/" + ",".join(["0.25"] * shape[0])
    compare(f"{arch} without normalisation",
            predict(data, path, os.path.join(folder, "p.npy"), "--normalize", half), logits)


for case in CASES:
    with tempfile.TemporaryDirectory() as folder:
        check(folder, *case)
