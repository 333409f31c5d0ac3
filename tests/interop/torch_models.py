"""torch_models.py - the architectures in PyTorch, and safetensors files with nothing but numpy."""

import json
import struct

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Normalize(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.register_buffer("mean", torch.full([channels], 0.5))
        self.register_buffer("std", torch.full([channels], 0.25))

    def forward(self, x):
        return (x - self.mean[:, None, None]) / self.std[:, None, None]


def scaled(width, factor):
    return width if factor == 1 else max(8, 8 * int(np.floor(width * factor / 8 + 0.5)))


class CNN(nn.Module):
    def __init__(self, shape, classes, factor):
        super().__init__()
        c, h, w = shape
        a, b, d = (scaled(n, factor) for n in (32, 64, 128))
        self.normalize = Normalize(c)
        self.conv1 = nn.Conv2d(c, a, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(a)
        self.conv2 = nn.Conv2d(a, b, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(b)
        self.conv3 = nn.Conv2d(b, d, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(d)
        self.fc = nn.Linear(d * (h // 8) * (w // 8), classes)

    def features(self, x):
        x = self.normalize(x)
        for conv, bn in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = F.max_pool2d(F.relu(bn(conv(x))), 2)
        return x.flatten(1)

    def forward(self, x):
        return self.fc(self.features(x))


class MLP(nn.Module):
    def __init__(self, shape, classes, factor):
        super().__init__()
        hidden = scaled(256, factor)
        self.normalize = Normalize(shape[0])
        self.fc1 = nn.Linear(int(np.prod(shape)), hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, classes)

    def features(self, x):
        x = self.normalize(x).flatten(1)
        return F.relu(self.fc2(F.relu(self.fc1(x))))

    def forward(self, x):
        return self.fc3(self.features(x))


class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride, self.more = stride, after - before

    def shortcut(self, x):
        if self.stride == 1:
            return x
        half = self.more // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.more - half))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet20(nn.Module):
    def __init__(self, shape, classes, factor):
        super().__init__()
        widths = [scaled(n, factor) for n in (16, 32, 64)]
        self.normalize = Normalize(shape[0])
        self.conv1 = nn.Conv2d(shape[0], widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        before = widths[0]
        for i, width in enumerate(widths):
            blocks = [Block(before, width, 2 if i else 1)] + [Block(width, width, 1) for _ in "ab"]
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
            before = width
        self.fc = nn.Linear(before, classes)

    def features(self, x):
        x = F.relu(self.bn1(self.conv1(self.normalize(x))))
        x = self.layer3(self.layer2(self.layer1(x)))
        return x.mean((2, 3))

    def forward(self, x):
        return self.fc(self.features(x))


def make(arch, shape, classes):
    """arch: "cnn", "cnn,width=0.5" ...; shape: (channels, height, width)."""
    name, _, option = arch.partition(",width=")
    kind = {"cnn": CNN, "mlp": MLP, "resnet20": ResNet20}[name]
    return kind(shape, classes, float(option or 1))


TYPES = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}


def read(path):
    """(metadata, {name: tensor}) of a safetensors file."""
    with open(path, "rb") as f:
        (n,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(n))
        data = f.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        array = np.frombuffer(data[begin:end], TYPES[t["dtype"]]).reshape(t["shape"])
        tensors[name] = torch.from_numpy(array.copy())
    return metadata, tensors


def write(path, tensors):
    """No metadata, as a program that does not know us would write it."""
    header, parts, end = {}, [], 0
    for name, tensor in tensors.items():
        array = tensor.detach().numpy()
        dtype = "I64" if array.dtype == np.int64 else "F32"
        raw = array.astype(TYPES[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape),
                        "data_offsets": [end, end + len(raw)]}
        parts.append(raw)
        end += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
