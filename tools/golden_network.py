"""golden_network.py - nodes, networks, gradients and training steps from PyTorch in float64.

make(outdir) writes outdir/network/nodes.npz, networks.npz, one file for each of the larger networks,
optimizers.npz and versions.json.
Weights and images come from goldenlib's counter, as float32 values; all arithmetic is float64.
"""

import json
import os
import platform

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import goldenmodels
import goldenlib as lib
from goldenmodels import Normalize

# ---- node by node: the cases of nodes.txt ----


def parse(line):
    name, flags, size, *ops = line.split()
    ops = [(op.split(":")[0], [int(a) for a in op.split(":")[1].split(",")] if ":" in op else [])
           for op in ops]
    if ops[-1][0] not in ("flatten", "linear"):
        ops.append(("flatten", []))
    return name, flags, [int(a) for a in size.split("x")], ops


def shortcut(x, channels, stride):
    """Option A of He et al.: subsampled, with channels of zeros before and after."""
    front = (channels - x.shape[1]) // 2
    return F.pad(x[:, :, ::stride, ::stride],
                 (0, 0, 0, 0, front, channels - x.shape[1] - front))


class Case:
    """Runs one chain of operations; parameters are called <case>/<number of the op>.weight ..."""

    def __init__(self, name, flags, ops):
        self.name, self.flags, self.ops = name, flags, ops
        self.values = {}

    def value(self, part, shape):
        if part not in self.values:
            v = torch.tensor(lib.view(f"{self.name}/{part}", shape)).double()
            self.values[part] = v.requires_grad_("running" not in part and "normalize" not in part)
        return self.values[part]

    def op(self, i, op, a, x, first, train):
        def get(part, *shape):
            return self.value(f"{i}.{part}", shape)

        c = x.shape[1]
        if op == "conv":
            bias = get("bias", a[0]) if a[4] else None
            return F.conv2d(x, get("weight", a[0], c, a[1], a[1]), bias, a[2], a[3])
        if op == "linear":
            return F.linear(x, get("weight", a[0], c), get("bias", a[0]))
        if op == "bn":
            return F.batch_norm(x, get("running_mean", c), get("running_var", c),
                                get("weight", c), get("bias", c), train, 0.1, 1e-5)
        return {"relu": lambda: F.relu(x), "add1": lambda: x + first,
                "maxpool": lambda: F.max_pool2d(x, *a), "flatten": lambda: x.flatten(1),
                "avgpool": lambda: F.adaptive_avg_pool2d(x, a[0] if a else 1),
                "shortcut": lambda: shortcut(x, *a)}[op]()

    def run(self, x, train):
        if "n" in self.flags:
            c = x.shape[1]
            x = (x - self.value("normalize.mean", (c,)).view(1, c, 1, 1)) \
                / self.value("normalize.std", (c,)).view(1, c, 1, 1)
        first = x
        for i, (op, a) in enumerate(self.ops):
            x = self.op(i, op, a, x, first, train)
        return x


def make_case(out, line, train):
    name, flags, size, ops = parse(line)
    case = Case(name, flags, ops)
    x = lib.uniform(f"{name}/x", size, -1, 1)
    if "q" in flags:
        x = np.floor(x * 4) / 4
    x = torch.tensor(x).double().requires_grad_()
    y = case.run(x, train)
    dy = torch.tensor(lib.uniform(f"{name}/dy", y.shape, -1, 1)).double()
    y.backward(dy)
    prefix = f"{name}.{'train' if train else 'eval'}"

    def add(part, a):
        out[f"{prefix}.{part}"] = lib.short(part, a)

    add("y", y.detach())
    add("dx", x.grad)
    for part, v in case.values.items():
        if v.requires_grad:
            add(part, v.grad)
        elif "running" in part:
            add(part, v)


def make_nodes(folder):
    out = {}
    with open(os.path.join(folder, "nodes.txt")) as f:
        lines = [line for line in f if line.strip() and line[0] != "#"]
    for line in lines:
        flags = line.split()[1]
        for train in (True, False):
            if ("t" if train else "e") in flags:
                make_case(out, line, train)
    np.savez(os.path.join(folder, "nodes.npz"), **out)
    print(f"  {len(lines)} cases of nodes")


# ---- whole networks ----


class Cnn(nn.Module):
    def __init__(self, c, size, w=(32, 64, 128)):
        super().__init__()
        self.normalize = Normalize(c)
        for i, (a, b) in enumerate(zip((c,) + w, w), 1):
            setattr(self, f"conv{i}", nn.Conv2d(a, b, 3, padding=1, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(b))
        self.fc = nn.Linear(w[-1] * (size // 8) ** 2, 10)

    def forward(self, x):
        x = self.normalize(x)
        for i in (1, 2, 3):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            x = F.max_pool2d(F.relu(x), 2)
        return self.fc(x.flatten(1))


class Mlp(nn.Module):
    def __init__(self, c, size):
        super().__init__()
        self.normalize = Normalize(c)
        self.fc1 = nn.Linear(c * size * size, 256)
        self.fc2 = nn.Linear(256, 256)
        self.fc3 = nn.Linear(256, 10)

    def forward(self, x):
        x = F.relu(self.fc1(self.normalize(x).flatten(1)))
        return self.fc3(F.relu(self.fc2(x)))


class Block(nn.Module):
    def __init__(self, a, b, stride):
        super().__init__()
        self.b, self.stride = b, stride
        self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(b)
        self.conv2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(b)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.stride == 1 else shortcut(x, self.b, self.stride)))


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.normalize = Normalize(3)
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for i, (a, b) in enumerate(((16, 16), (16, 32), (32, 64)), 1):
            blocks = [Block(a if j == 0 else b, b, 2 if i > 1 and j == 0 else 1) for j in range(3)]
            setattr(self, f"layer{i}", nn.Sequential(*blocks))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(self.normalize(x))))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def large(arch, channels):
    return lambda: goldenmodels.make(arch, channels, 10)


# name: how to build it, images of a batch, channels, size, rate and decay of the ten steps
NETWORKS = {
    "cnn": (lambda: Cnn(1, 28), 8, 1, 28, 0.05, 0.5),
    "cnn-half": (lambda: Cnn(3, 32, (16, 32, 64)), 8, 3, 32, 0.05, 0.5),
    "resnet20": (ResNet20, 8, 3, 32, 0.01, 0.5),
    "mlp": (lambda: Mlp(1, 28), 8, 1, 28, 0.05, 0.5),
    "resnet18": (large("resnet18,width=0.125", 3), 4, 3, 16, 1e-4, 0.5),
    "resnet18-in": (large("resnet18,stem=imagenet,width=0.125", 1), 4, 1, 48, 1e-4, 0.5),
    "resnet50": (large("resnet50,width=0.125", 3), 4, 3, 16, 1e-4, 0.5),
    "resnet50-in": (large("resnet50,stem=imagenet,width=0.125", 3), 4, 3, 40, 1e-4, 0.5),
    "vgg16": (large("vgg16,width=0.125", 3), 4, 3, 32, 1e-4, 0.5),
    "vgg16-lth": (large("vgg16,head=lth,width=0.125", 1), 4, 1, 32, 1e-4, 0.5),
    # rate 0: one pass alone
    "resnet18-full": (large("resnet18", 3), 2, 3, 32, 0, 0),
    "resnet50-full": (large("resnet50", 3), 2, 3, 16, 0, 0),
    "vgg16-full": (large("vgg16", 3), 2, 3, 32, 0, 0),
    "resnet18-224": (large("resnet18,stem=imagenet,width=0.125", 3), 2, 3, 224, 0, 0),
}
N_SMALL = 4  # those in one file; those of one pass are in another, and the rest have one each
STEPS, MOMENTUM = 10, 0.9


def fresh(name, dtype):
    net = NETWORKS[name][0]().to(dtype)
    with torch.no_grad():
        for part, v in net.state_dict().items():
            if v.dtype == dtype:
                v.copy_(torch.tensor(lib.view(f"{name}/{part}", v.shape)))
    return net


def batch(name, step, dtype):
    _, n, c, size, _, _ = NETWORKS[name]
    x = lib.uniform(f"{name}/x{step}", (n, c, size, size), 0, 1)
    return torch.tensor(x).to(dtype), torch.tensor(lib.labels(f"{name}/y{step}", n, 10))


def once(name, train, dtype):
    """Logits, gradients, running statistics of one batch."""
    net = fresh(name, dtype).train(train)
    x, y = batch(name, 0, dtype)
    x.requires_grad_()
    z = net(x)
    F.cross_entropy(z, y).backward()
    grads = {"dx": x.grad, **{k: p.grad for k, p in net.named_parameters()}}
    buffers = {k: v for k, v in net.named_buffers() if "running" in k}
    return z.detach(), grads, buffers


def moved(name, dtype, momentum=MOMENTUM, decay=1.0, train=True):
    """What ten steps of SGD add to each parameter."""
    net = fresh(name, dtype).train(train)
    _, _, _, _, lr, weight_decay = NETWORKS[name]
    before = {k: p.detach().clone() for k, p in net.named_parameters()}
    sgd = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
    sgd.param_groups[0]["weight_decay"] = decay * weight_decay
    for step in range(STEPS):
        x, y = batch(name, step, dtype)
        sgd.zero_grad()
        F.cross_entropy(net(x), y).backward()
        sgd.step()
    return {k: p.detach() - before[k] for k, p in net.named_parameters()}


def flat(d):
    return torch.cat([v.double().ravel() for v in d.values()])


def error(a, b):
    a, b = [flat(v) if isinstance(v, dict) else v.double() for v in (a, b)]
    return float((a - b).norm() / b.norm())


def make_steps(add, name):
    """Ten steps; how far off PyTorch's own float32 is."""
    m = moved(name, torch.float64)
    for k, v in m.items():
        add("moved", k, v)
    wrong = [error(moved(name, torch.float64, **w), m)
             for w in ({"decay": 0}, {"decay": -1}, {"momentum": 0}, {"train": False})]
    print("    without decay, with its sign turned, without momentum, in eval mode: "
          + " ".join(f"{w:.2f}" for w in wrong))
    return error(moved(name, torch.float32), m)


def make_network(out, name):
    def add(mode, part, a):
        a = lib.short(part, a)
        single = part != "y" and (name.startswith("resnet50") or not NETWORKS[name][4])  # there are many
        out[f"{name}.{mode}.{part}"] = a.astype(np.float32) if single else a

    own = []
    for train in (True, False):
        mode = "train" if train else "eval"
        z, grads, buffers = once(name, train, torch.float64)
        z32, grads32, _ = once(name, train, torch.float32)
        own += [error(z32, z), error(grads32, grads)]
        add(mode, "y", z)
        for k, v in {**grads, **(buffers if train else {})}.items():
            add(mode, k, v)
    steps = NETWORKS[name][4] > 0
    if steps:
        own.append(make_steps(add, name))
    out[f"{name}.float32"] = np.array(own)
    print(f"  {name}: float32 is off by {own[0]:.1e} {own[2]:.1e} (logits) {own[1]:.1e} "
          f"{own[3]:.1e} (gradients)" + (f" {own[4]:.1e} (ten steps)" if steps else ""))


def make_networks(folder):
    out = {}
    for name in list(NETWORKS)[:N_SMALL]:
        make_network(out, name)
    np.savez(os.path.join(folder, "networks.npz"), **out)
    for name in [n for n in list(NETWORKS)[N_SMALL:] if NETWORKS[n][4]]:
        out = {}
        make_network(out, name)
        np.savez(os.path.join(folder, f"{name}.npz"), **out)
    out = {}
    for name in [n for n in NETWORKS if not NETWORKS[n][4]]:
        make_network(out, name)
    np.savez(os.path.join(folder, "full.npz"), **out)


# ---- optimisers alone ----


def make_optimizers(folder):
    out = {}
    kinds = {"sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05),
             "plain": lambda p: torch.optim.SGD(p, lr=0.1),
             "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.05),
             "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.05)}
    for kind, new in kinds.items():
        p = torch.tensor(lib.uniform("optim/p", (200,), -1, 1)).double().requires_grad_()
        start = p.detach().clone()
        o = new([p])
        for step in range(5):
            p.grad = torch.tensor(lib.uniform(f"optim/g{step}", (200,), -1, 1)).double()
            o.step()
        out[kind] = lib.short(kind, p.detach() - start)
    np.savez(os.path.join(folder, "optimizers.npz"), **out)


def make(outdir):
    folder = os.path.join(outdir, "network")
    os.makedirs(folder, exist_ok=True)
    torch.set_num_threads(1)
    make_nodes(folder)
    make_networks(folder)
    make_optimizers(folder)
    with open(os.path.join(folder, "versions.json"), "w") as f:
        json.dump({"generator": "tools/make-golden.py network", "python": platform.python_version(),
                   "torch": torch.__version__, "numpy": np.__version__,
                   "seeds": "none: every number is named, see tools/goldenlib.py"}, f, indent=2)
        f.write("\n")
