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
    ("resnet18", "resnet18,width=0.015625", (3, 9, 16), 5),
    ("resnet18-in", "resnet18,stem=imagenet,width=0.015625", (3, 33, 40), 4),
    ("resnet50", "resnet50,width=0.015625", (1, 12, 9), 3),
    ("vgg16", "vgg16,width=0.015625", (1, 32, 48), 5),
    ("vgg16-lth", "vgg16,head=lth,width=0.015625", (3, 28, 17), 3),
]
PLAIN = "resnet18-in"  # as torchvision has it: ImageNet's normalisation is not in the file


def stir(model, g):
    """Gives batch-norm and normalisation values that matter."""
    norms = [name for name, m in model.named_modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for name, x in model.state_dict().items():
        if "num_batches" in name:
            x.fill_(7)
        elif "running_var" in name or name == "normalize.std":
            x.copy_(0.5 + torch.rand(x.shape, generator=g))
        elif "running_mean" in name or name == "normalize.mean" or name.rpartition(".")[0] in norms:
            x.copy_(x + 0.5 * torch.randn(x.shape, generator=g))


def make(outdir):
    folder = os.path.join(outdir, "modelfile")
    os.makedirs(folder, exist_ok=True)
    for name, arch, shape, classes in CASES:
        torch.manual_seed(1)
        g = torch.Generator().manual_seed(2)
        model = torch_models.make(arch, shape, classes).eval()
        stir(model, g)
        tensors = model.state_dict()
        if name == PLAIN:
            tensors.pop("normalize.mean").copy_(torch.tensor([0.485, 0.456, 0.406]))
            tensors.pop("normalize.std").copy_(torch.tensor([0.229, 0.224, 0.225]))
        torch_models.write(os.path.join(folder, name + ".safetensors"), tensors)
        x = torch.rand((4,) + shape, generator=g)
        with torch.no_grad():
            model = model.double()
            logits, features = model(x.double()), torch_models.embedding(model, x.double())
        np.savez(os.path.join(folder, name + ".npz"), x=x.numpy(),
                 logits=logits.numpy(), features=features.numpy())


if __name__ == "__main__":
    make(sys.argv[1])
