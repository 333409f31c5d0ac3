#!/usr/bin/env python3
"""peer_torch.py - images/s of the same networks in PyTorch: the peer that script/bench compares with.

    bench/peer_torch.py NET CxHxW BATCH THREADS train|infer [SECONDS]

One line: the peak of memory in MiB, and the median over steps of images per second. The step is the same as ours: zero the gradients,
forward, cross entropy, backward, SGD with momentum 0.9 and weight decay 5e-4, on data already in memory.
"""
import resource
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Cnn(nn.Module):
    def __init__(self, c, h, w, classes=10):
        super().__init__()
        for i, (a, b) in enumerate(((c, 32), (32, 64), (64, 128)), 1):
            setattr(self, f"conv{i}", nn.Conv2d(a, b, 3, padding=1, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(b))
        self.fc = nn.Linear(128 * (h // 8) * (w // 8), classes)

    def forward(self, x):
        for i in (1, 2, 3):
            x = F.max_pool2d(F.relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))), 2)
        return self.fc(x.flatten(1))


class Block(nn.Module):
    def __init__(self, a, b, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(b)
        self.conv2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(b)
        self.stride, self.pad = stride, (b - a) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(y + x)


class Resnet20(nn.Module):
    def __init__(self, c, h, w, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(c, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        layers, a = [], 16
        for b, stride in ((16, 1), (32, 2), (64, 2)):
            for i in range(3):
                layers.append(Block(a, b, stride if i == 0 else 1))
                a = b
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        x = self.layers(F.relu(self.bn1(self.conv1(x))))
        return self.fc(x.mean((2, 3)))


def conv_bn(a, b, kernel, stride=1):
    return [nn.Conv2d(a, b, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(b)]


class Residual(nn.Module):
    """A basic block (expansion 1), or a bottleneck (expansion 4) with its stride on the 3 x 3."""

    def __init__(self, a, b, stride, expansion):
        super().__init__()
        if expansion == 1:
            parts = [*conv_bn(a, b, 3, stride), nn.ReLU(True), *conv_bn(b, b, 3)]
        else:
            parts = [*conv_bn(a, b, 1), nn.ReLU(True), *conv_bn(b, b, 3, stride), nn.ReLU(True),
                     *conv_bn(b, expansion * b, 1)]
        self.main = nn.Sequential(*parts)
        self.down = nn.Sequential(*(conv_bn(a, expansion * b, 1, stride)
                                    if stride > 1 or a != expansion * b else []))

    def forward(self, x):
        return F.relu(self.main(x) + self.down(x))


class Resnet(nn.Module):
    def __init__(self, c, h, w, blocks, expansion, width=1.0, classes=10):
        super().__init__()
        a = first = round(64 * width)
        layers = [*conv_bn(c, first, 3), nn.ReLU(True)]
        for i, n in enumerate(blocks):
            for k in range(n):
                layers.append(Residual(a, first << i, 2 if i and not k else 1, expansion))
                a = (first << i) * expansion
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(a, classes)

    def forward(self, x):
        return self.fc(self.layers(x).mean((2, 3)))


class Vgg16(nn.Module):
    def __init__(self, c, h, w, classes=10):
        super().__init__()
        layers = []
        for b in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512):
            layers += [*conv_bn(c, b, 3), nn.ReLU(True)] if b else [nn.MaxPool2d(2)]
            c = b or c
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                                    nn.Linear(4 * c, 256), nn.ReLU(True), nn.Linear(256, 256),
                                    nn.ReLU(True), nn.Linear(256, classes))

    def forward(self, x):
        return self.layers(x)


NETS = {
    "cnn": Cnn,
    "resnet20": Resnet20,
    "resnet18": lambda *s: Resnet(*s, (2, 2, 2, 2), 1),
    "resnet18,width=0.25": lambda *s: Resnet(*s, (2, 2, 2, 2), 1, 0.25),
    "resnet50": lambda *s: Resnet(*s, (3, 4, 6, 3), 4),
    "vgg16": Vgg16,
}


def main():
    net, shape, batch, threads, mode = sys.argv[1:6]
    seconds = float(sys.argv[6]) if len(sys.argv) > 6 else 4.0
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    c, h, w = map(int, shape.split("x"))
    n = int(batch)
    model = NETS[net](c, h, w)
    x, y = torch.rand(n, c, h, w), torch.randint(0, 10, (n,))
    opt = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)

    # A loop as people write it: the last output lives until the next one is there. In a function of its own each
    # step would let go of everything, the C library give the memory back to the system, and the next step take a fifth longer.
    training = mode == "train"
    model.train(training)
    torch.set_grad_enabled(training)
    times, end = [], None
    while end is None or time.perf_counter() < end or not times:
        t = time.perf_counter()
        z = model((x - 0.5) / 0.25)
        if training:
            loss = F.cross_entropy(z, y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            loss.item()
        if end is None:
            end = time.perf_counter() + seconds  # the first one is to warm up
        else:
            times.append(time.perf_counter() - t)
    times.sort()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{peak:.0f} {n / times[len(times) // 2]:.1f}")


if __name__ == "__main__":
    main()
