"""goldenmodels.py - the larger networks in plain PyTorch, with the names that their files have.

scaled(w, factor) is the width rule of `,width=F`. All start with a Normalize called `normalize`.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


def scaled(w, factor):
    return w if factor == 1 else max(8, 8 * math.floor(w * factor / 8 + 0.5))


class Normalize(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.register_buffer("mean", torch.zeros(c))
        self.register_buffer("std", torch.ones(c))

    def forward(self, x):
        return (x - self.mean.view(1, -1, 1, 1)) / self.std.view(1, -1, 1, 1)


class Basic(nn.Module):
    expansion = 1

    def __init__(self, a, b, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(b)
        self.conv2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(b)
        self.downsample = downsample(a, b, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, a, b, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(b)
        self.conv2 = nn.Conv2d(b, b, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(b)
        self.conv3 = nn.Conv2d(b, 4 * b, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * b)
        self.downsample = downsample(a, 4 * b, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def downsample(a, b, stride):
    if stride == 1 and a == b:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))


class ResNet(nn.Module):
    def __init__(self, block, blocks, channels, classes, factor, imagenet):
        super().__init__()
        a = scaled(64, factor)
        kernel, stride = (7, 2) if imagenet else (3, 1)
        self.normalize = Normalize(channels)
        self.conv1 = nn.Conv2d(channels, a, kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(a)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if imagenet else nn.Identity()
        for i, n in enumerate(blocks):
            b = scaled(64 << i, factor)
            layer = []
            for j in range(n):
                layer.append(block(a, b, 2 if i and not j else 1))
                a = b * block.expansion
            setattr(self, f"layer{i + 1}", nn.Sequential(*layer))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(a, classes)

    def features(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(self.normalize(x)))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.avgpool(x).flatten(1)

    def forward(self, x):
        return self.fc(self.features(x))


class VGG16(nn.Module):
    def __init__(self, channels, classes, factor, lth):
        super().__init__()
        a, layers = channels, []
        for w in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512):
            if w == "M":
                layers.append(nn.MaxPool2d(2))
                continue
            b = scaled(w, factor)
            layers += [nn.Conv2d(a, b, 3, 1, 1, bias=lth), nn.BatchNorm2d(b), nn.ReLU()]
            a = b
        self.normalize = Normalize(channels)
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1 if lth else 2)
        h = scaled(256, factor)
        self.classifier = nn.Linear(a, classes) if lth else nn.Sequential(
            nn.Linear(4 * a, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, classes))

    def forward(self, x):
        x = self.avgpool(self.features(self.normalize(x))).flatten(1)
        return self.classifier(x)


def make(arch, channels, classes):
    """arch: "resnet18,stem=imagenet,width=0.5" ..."""
    name, *options = arch.split(",")
    options = dict(o.split("=") for o in options)
    factor = float(options.get("width", 1))
    if name == "vgg16":
        return VGG16(channels, classes, factor, options.get("head") == "lth")
    block, blocks = {"resnet18": (Basic, (2, 2, 2, 2)), "resnet50": (Bottleneck, (3, 4, 6, 3))}[name]
    return ResNet(block, blocks, channels, classes, factor, options.get("stem") == "imagenet")
