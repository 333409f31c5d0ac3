#!/usr/bin/python3
"""pt_roundtrip.py - what torch.save() writes comes in by `oubli convert`, and goes back.

    tests/interop/pt_roundtrip.py [PROGRAM]      default: $OB_PROGRAM, or build/oubli

Each network is saved by PyTorch and converted; `predict` must give PyTorch's logits. It is converted
back, and load_state_dict (strict) must find the same tensors, bit for bit. One network is saved in
every way that people save them. Exit 77: this Python has no PyTorch.
"""

import os
import sys
import tempfile
from collections import OrderedDict

try:
    import numpy as np
    import torch
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)
import torch_models
from program import oubli, write_data

NETWORKS = [
    ("resnet18", (3, 32, 32), 10),
    ("resnet18,width=0.125", (3, 32, 32), 10),
    ("resnet18,stem=imagenet,width=0.125", (3, 40, 48), 5),
    ("resnet50,width=0.125", (3, 16, 16), 4),
    ("resnet50,stem=imagenet,width=0.125", (3, 48, 40), 5),
    ("vgg16,width=0.125", (3, 32, 32), 10),
    ("vgg16,head=lth,width=0.125", (1, 28, 28), 3),
    ("resnet20", (3, 16, 12), 5),
    ("cnn,width=0.5", (1, 9, 17), 2),
    ("mlp", (1, 12, 8), 3),
]


def make(arch, shape, classes):
    """A network whose batch-norms have statistics of their own, and whose logits differ."""
    torch.manual_seed(4)
    model = torch_models.make(arch, shape, classes)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
            module.num_batches_tracked += 7
    return model.eval()


def logits(model, x):
    with torch.no_grad():
        return model(x).numpy()


class Case:
    def __init__(self, folder, arch, shape, classes):
        self.folder, self.arch, self.shape, self.classes = folder, arch, shape, classes
        self.x = torch.from_numpy(write_data(self.path("data"), shape, classes, 20, 10))
        self.model = make(arch, shape, classes)
        self.size = ["--size", f"{shape[1]}x{shape[2]}"]

    def path(self, name):
        return os.path.join(self.folder, name)

    def compare(self, what, saved, want, *more, **how):
        """What torch.save() makes of `saved`, converted, gives the logits `want`."""
        torch.save(saved, self.path("m.pt"), **how)
        done = oubli("convert", self.path("m.pt"), self.path("m.safetensors"), "--force", *self.size,
                     *more)
        oubli("predict", "--data", "npy:" + self.path("data"), "--model", self.path("m.safetensors"),
              "--split", "test", "--force", "-o", self.path("l.npy"))
        # of how much the logits of images differ
        gap = np.abs(np.load(self.path("l.npy")) - want).max() / np.abs(want - want.mean(0)).max()
        print(f"{self.arch}, {what}: largest gap {gap:.2e}")
        if not gap < 1e-4:
            sys.exit(f"{self.arch}, {what}: PyTorch and oubli differ")
        return done

    def back(self):
        """To PyTorch: the same names in the same order, the same bits."""
        state, metadata = self.model.state_dict(), torch_models.read(self.path("m.safetensors"))[0]
        assert metadata["arch"] == self.arch, metadata
        for end in ("pt", "pth"):
            oubli("convert", self.path("m.safetensors"), self.path("back." + end))
            back = torch.load(self.path("back." + end), map_location="cpu")
            assert list(back) == list(state), f"{self.arch}: other names, or in another order"
            for name, tensor in state.items():
                assert back[name].dtype == tensor.dtype and torch.equal(back[name], tensor), name
            make(self.arch, self.shape, self.classes).load_state_dict(back, strict=True)
        with open(self.path("back.pt"), "rb") as a, open(self.path("back.pth"), "rb") as b:
            assert a.read() == b.read(), "the bytes depend on the name of the file"
        for end in ("pt", "safetensors"):
            oubli("convert", self.path("m.safetensors"), self.path("plain." + end), "--no-normalize")
        plain = torch.load(self.path("plain.pt"))
        names = [n for n in state if not n.startswith("normalize.")]
        assert list(plain) == names and len(names) == len(state) - 2
        assert list(torch_models.read(self.path("plain.safetensors"))[1]) == names
        # without a normalisation it has to be told, and then everything is as it was
        oubli("convert", self.path("plain.pt"), self.path("again.safetensors"), *self.size,
              "--normalize", ",".join(["0.5"] * self.shape[0]) + "/" + ",".join(["0.25"] * self.shape[0]))
        with open(self.path("again.safetensors"), "rb") as a, \
                open(self.path("m.safetensors"), "rb") as b:
            assert a.read() == b.read(), f"{self.arch}: not the same model after there and back"


def rounded(case, dtype):
    """The network with every weight rounded to `dtype`, for float32 images."""
    model = make(case.arch, case.shape, case.classes)
    model.load_state_dict({n: t.to(dtype).to(t.dtype) if t.is_floating_point() else t
                           for n, t in case.model.state_dict().items()})
    return model


def strided(tensor):
    """The same values as a transposed view into a larger storage, not from its beginning."""
    if tensor.dim() < 2:
        return torch.cat([tensor.reshape(-1)] * 3)[tensor.numel():2 * tensor.numel()].view(tensor.shape)
    room = torch.zeros([3] + list(tensor.shape)[::-1], dtype=tensor.dtype)
    view = room[1].permute(*range(tensor.dim() - 1, -1, -1))
    view.copy_(tensor)
    return view


def every_way(case):
    """The ways in which people save one network."""
    state, want = case.model.state_dict(), logits(case.model, case.x)
    optimizer = torch.optim.SGD(case.model.parameters(), lr=0.1, momentum=0.9)
    case.model(case.x).sum().backward()
    optimizer.step()
    adam = torch.optim.Adam(case.model.parameters())
    adam.step()
    case.model.load_state_dict(make(case.arch, case.shape, case.classes).state_dict())
    state = case.model.state_dict()
    rest = {"epoch": 182, "best": 93.25, "arch": "resnet18", "optimizer": optimizer.state_dict(),
            "adam": adam.state_dict(), "history": [(1, 0.5), (2, None)], "done": True,
            "seed": 1 << 70, "more": {"a": [-1, 70000, -(1 << 40)]}}

    case.compare("plain dict", dict(state), want)
    for key in ("state_dict", "model", "net", "model_state_dict"):
        case.compare(f"under '{key}'", {**rest, key: state}, want)
    case.compare("DataParallel", OrderedDict(("module." + n, t) for n, t in state.items()), want)
    case.compare("nested, DataParallel",
                 {"net": {"module." + n: t for n, t in state.items()}, "acc": 0.5}, want)
    case.compare("parameters", OrderedDict(
        (n, torch.nn.Parameter(t) if t.is_floating_point() else t) for n, t in state.items()), want)
    case.compare("strided", {n: strided(t) for n, t in state.items()}, want)
    shared = torch.cat([t.reshape(-1) for t in state.values() if t.is_floating_point()])
    at, views = 0, {}
    for n, t in state.items():
        views[n] = t if not t.is_floating_point() else shared[at:at + t.numel()].view(t.shape)
        at += t.numel() if t.is_floating_point() else 0
    case.compare("views of one storage", views, want)
    for protocol in (3, 4, 5):
        case.compare(f"protocol {protocol}", state, want, pickle_protocol=protocol)
    last = make(case.arch, case.shape, case.classes).to(memory_format=torch.channels_last)
    case.compare("channels_last", last.state_dict(), want)
    for dtype in (torch.float16, torch.bfloat16):
        cast = {n: t.to(dtype) if t.is_floating_point() else t for n, t in state.items()}
        case.compare(str(dtype), cast, logits(rounded(case, dtype), case.x))
    cast = {n: t.double() if t.is_floating_point() else t for n, t in state.items()}
    done = case.compare("float64", cast, want)
    assert "float64" in done.stderr and "narrowed" in done.stderr, done.stderr
    bare = {n: t for n, t in state.items() if not n.startswith("normalize.")}
    case.compare("without normalisation", bare, want, "--normalize", "0.5,0.5,0.5/0.25,0.25,0.25")
    bare = {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")}
    case.compare("without counts", bare, want)


for arch, shape, classes in NETWORKS:
    with tempfile.TemporaryDirectory() as folder:
        case = Case(folder, arch, shape, classes)
        case.compare("state dict", case.model.state_dict(), logits(case.model, case.x))
        case.back()
        if arch.startswith("resnet18,width"):
            every_way(case)
