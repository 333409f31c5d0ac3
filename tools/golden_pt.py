"""golden_pt.py - state dicts as torch.save() writes them, and the same tensors in safetensors files.

make(outdir) writes outdir/pt/NAME.pt (or .pth) and the NAME.safetensors that say what must be read
from them; alone: golden_pt.py OUTDIR.
"""

import os
import sys
from collections import OrderedDict

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "interop"))
import torch_models  # noqa: E402
from golden_modelfile import stir  # noqa: E402


def model(arch, shape, classes):
    torch.manual_seed(1)
    made = torch_models.make(arch, shape, classes).eval()
    stir(made, torch.Generator().manual_seed(2))
    return made


def cast(state, dtype):
    return OrderedDict((n, t.to(dtype) if t.is_floating_point() else t) for n, t in state.items())


def views(state):
    """All tensors are views of one storage, matrices transposed."""
    room = torch.zeros(sum(t.numel() for t in state.values()) + 5)
    out, at = {}, 3
    for name, t in state.items():
        part = room[at:at + t.numel()]
        view = part.view(list(t.shape)[::-1]).permute(*range(t.dim() - 1, -1, -1)) if t.dim() else part
        view.copy_(t)
        out[name] = view
        at += t.numel()
    return out


def make(outdir):
    folder = os.path.join(outdir, "pt")
    os.makedirs(folder, exist_ok=True)

    def path(name):
        return os.path.join(folder, name)

    net = model("mlp,width=0.03125", (1, 8, 8), 3)
    state = net.state_dict()
    torch_models.write(path("mlp.safetensors"), state)
    torch.save(state, path("mlp.pt"))
    torch.save(state, path("protocol5.pt"), pickle_protocol=5)
    optimizer = torch.optim.Adam(net.parameters())
    torch.save({"epoch": 3, "best": 0.5, "net": {"module." + n: t for n, t in state.items()},
                "optimizer": optimizer.state_dict(), "log": [(1, None), ("a", True)]}, path("nested.pth"))
    torch.save(views(state), path("views.pt"))
    for name, dtype in (("half", torch.float16), ("bfloat16", torch.bfloat16)):
        torch.save(cast(state, dtype), path(name + ".pt"))
        torch_models.write(path(name + ".safetensors"), cast(cast(state, dtype), torch.float32))
    third = OrderedDict((n, t.double() / 3) for n, t in state.items())
    torch.save(third, path("double.pt"))
    torch_models.write(path("double.safetensors"), cast(third, torch.float32))
    net = model("cnn,width=0.25", (1, 8, 8), 2)
    torch_models.write(path("cnn.safetensors"), net.state_dict())
    torch.save(net.to(memory_format=torch.channels_last), path("module.pt"))  # refused: a whole module
    torch.save(net.state_dict(), path("channels_last.pt"))
    # with tensors in it its bytes would hold addresses
    torch.save({"epoch": 1}, path("old.pt"), _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), path("script.pt"))


if __name__ == "__main__":
    make(sys.argv[1])
