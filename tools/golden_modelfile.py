"""golden_modelfile.py - models written by PyTorch, with the logits and embeddings that it computes.

make(outdir) writes outdir/modelfile/NAME.safetensors (no metadata) and NAME.npz (images, logits,
features); alone: golden_modelfile.py OUTDIR.
"""

import os
import sys

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "interop"))
import torch_models  # noqa: E402

CASES = [
    ("cnn", "cnn,width=0.25", (1, 10, 17), 3),
    ("mlp", "mlp,width=0.03125", (3, 8, 8), 4),
    ("resnet20", "resnet20,width=0.25", (3, 9, 12), 5),
]


def stir(model, g):
    """Gives batch-norm and normalisation values that matter."""
    for name, x in model.state_dict().items():
        if "num_batches" in name:
            x.fill_(7)
        elif "running_var" in name or name == "normalize.std":
            x.copy_(0.5 + torch.rand(x.shape, generator=g))
        elif "running_mean" in name or name == "normalize.mean" or "bn" in name:
            x.copy_(x + 0.5 * torch.randn(x.shape, generator=g))


def make(outdir):
    folder = os.path.join(outdir, "modelfile")
    os.makedirs(folder, exist_ok=True)
    for name, arch, shape, classes in CASES:
        torch.manual_seed(1)
        g = torch.Generator().manual_seed(2)
        model = torch_models.make(arch, shape, classes).eval()
        stir(model, g)
        torch_models.write(os.path.join(folder, name + ".safetensors"), model.state_dict())
        x = torch.rand((4,) + shape, generator=g)
        with torch.no_grad():
            model = model.double()
            logits, features = model(x.double()), model.features(x.double())
        np.savez(os.path.join(folder, name + ".npz"), x=x.numpy(),
                 logits=logits.numpy(), features=features.numpy())


if __name__ == "__main__":
    make(sys.argv[1])
