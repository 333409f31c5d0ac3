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


class Residual(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1 with four times the channels."""

    def __init__(self, before, width, expansion, stride):
        super().__init__()
        kernels = (3, 3) if expansion == 1 else (1, 3, 1)
        self.n, after = len(kernels), width * expansion
        for i, kernel in enumerate(kernels):
            out = after if i == self.n - 1 else width
            conv = nn.Conv2d(before if i == 0 else width, out, kernel, padding=kernel // 2, bias=False,
                             stride=stride if i == self.n - 2 else 1)
            setattr(self, f"conv{i + 1}", conv)
            setattr(self, f"bn{i + 1}", nn.BatchNorm2d(out))
        self.downsample = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False),
                                            nn.BatchNorm2d(after))

    def forward(self, x):
        y = x
        for i in range(1, self.n + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.n:
                y = F.relu(y)
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, shape, classes, factor, blocks, expansion, stem="cifar"):
        super().__init__()
        self.normalize = Normalize(shape[0])
        first = scaled(64, factor)
        self.imagenet = stem == "imagenet"
        self.conv1 = nn.Conv2d(shape[0], first, 7 if self.imagenet else 3, bias=False,
                               stride=2 if self.imagenet else 1, padding=3 if self.imagenet else 1)
        self.bn1 = nn.BatchNorm2d(first)
        before = first
        for i, n in enumerate(blocks):
            width, layer = scaled(64 << i, factor), []
            for k in range(n):
                layer.append(Residual(before, width, expansion, 2 if i and not k else 1))
                before = width * expansion
            setattr(self, f"layer{i + 1}", nn.Sequential(*layer))
        self.fc = nn.Linear(before, classes)

    def features(self, x):
        x = F.relu(self.bn1(self.conv1(self.normalize(x))))
        if self.imagenet:
            x = F.max_pool2d(x, 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))

    def forward(self, x):
        return self.fc(self.features(x))


class VGG16(nn.Module):
    def __init__(self, shape, classes, factor, head="mlp"):
        super().__init__()
        self.normalize = Normalize(shape[0])
        lth, before, layers = head == "lth", shape[0], []
        for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512):
            if not width:
                layers.append(nn.MaxPool2d(2, 2))
                continue
            width = scaled(width, factor)
            layers += [nn.Conv2d(before, width, 3, padding=1, bias=lth), nn.BatchNorm2d(width),
                       nn.ReLU()]
            before = width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1 if lth else 2)
        hidden = scaled(256, factor)
        if lth:
            self.classifier = nn.Linear(before, classes)
        else:
            self.classifier = nn.Sequential(nn.Linear(4 * before, hidden), nn.ReLU(),
                                            nn.Linear(hidden, hidden), nn.ReLU(),
                                            nn.Linear(hidden, classes))

    def embedding(self, x):
        return self.pool(self.features(self.normalize(x))).flatten(1)

    def forward(self, x):
        return self.classifier(self.embedding(x))


def make(arch, shape, classes):
    """arch: "cnn", "resnet18,stem=imagenet,width=0.5" ...; shape: (channels, height, width)."""
    name, *options = arch.split(",")
    options = dict(o.split("=") for o in options)
    factor = float(options.pop("width", 1))
    if name in ("resnet18", "resnet50"):
        blocks, expansion = ((2, 2, 2, 2), 1) if name == "resnet18" else ((3, 4, 6, 3), 4)
        return ResNet(shape, classes, factor, blocks, expansion, **options)
    kind = {"cnn": CNN, "mlp": MLP, "resnet20": ResNet20, "vgg16": VGG16}[name]
    return kind(shape, classes, factor, **options)


def embedding(model, x):
    """What the classifier reads; vgg16's `features` are its convolutions."""
    return model.embedding(x) if isinstance(model, VGG16) else model.features(x)


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
