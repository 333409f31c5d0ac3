#!/usr/bin/env python3
"""curve_torch.py - the same training as bench/curve.c in PyTorch, for comparison.

    bench/curve_torch.py cifar10:DIR[,train=N][,test=N] ARCH EPOCHS LR BATCH OUT.csv [SEED]

Same recipe, subset (the first images in file order, classes equal), augmentation and policy of order (a new
permutation each epoch); the random numbers are PyTorch's own. THREADS in the environment, default all.
"""
import math
import os
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from peer_torch import NETS

MEAN, STD = (.4914, .4822, .4465), (.2470, .2435, .2616)


def read(files, n):
    raw = np.concatenate([np.fromfile(f, np.uint8).reshape(-1, 3073) for f in files])
    taken = np.zeros(10, int)
    keep = []
    for i, label in enumerate(raw[:, 0]):
        if taken[label] < n // 10:
            taken[label] += 1
            keep.append(i)
    raw = raw[keep]
    return torch.tensor(raw[:, 1:].reshape(-1, 3, 32, 32)).float() / 255, torch.tensor(raw[:, 0]).long()


def open_data(spec):
    folder, *options = spec.split(":", 1)[1].split(",")
    sizes = {"train": 50000, "test": 10000, **{k: int(v) for k, v in (o.split("=") for o in options)}}
    return (read([os.path.join(folder, f"data_batch_{i}.bin") for i in range(1, 6)], sizes["train"]),
            read([os.path.join(folder, "test_batch.bin")], sizes["test"]))


def crop_flip(x):
    """Padded by 4, cut at random, mirrored with probability a half."""
    n, padded = len(x), F.pad(x, (4, 4, 4, 4))
    dy, dx, flip = torch.randint(9, (n,)), torch.randint(9, (n,)), torch.rand(n) < .5
    out = torch.stack([padded[i, :, dy[i]:dy[i] + 32, dx[i]:dx[i] + 32] for i in range(n)])
    return torch.where(flip[:, None, None, None], out.flip(3), out)


def init(m):
    if isinstance(m, nn.Conv2d):
        nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")


def main():
    spec, arch, epochs, lr, batch, out = sys.argv[1:7]
    epochs, lr, batch = int(epochs), float(lr), int(batch)
    torch.set_num_threads(int(os.environ.get("THREADS", os.cpu_count())))
    torch.manual_seed(int(sys.argv[7]) if len(sys.argv) > 7 else 1)
    (x, y), (tx, ty) = open_data(spec)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    model = NETS[arch](3, 32, 32)
    model.apply(init)
    opt = torch.optim.SGD(model.parameters(), lr, momentum=.9, weight_decay=5e-4)
    trained = 0.
    with open(out, "w") as f:
        for epoch in range(epochs):
            start, losses, right = time.perf_counter(), 0., 0
            for g in opt.param_groups:
                g["lr"] = lr * (1 + math.cos(math.pi * epoch / epochs)) / 2
            model.train()
            order = torch.randperm(len(x))
            for i in range(0, len(x), batch):
                ids = order[i:i + batch]
                z = model((crop_flip(x[ids]) - mean) / std)
                loss = F.cross_entropy(z, y[ids])
                opt.zero_grad()
                loss.backward()
                opt.step()
                losses += loss.item() * len(ids)
                right += (z.argmax(1) == y[ids]).sum().item()
            trained += time.perf_counter() - start
            model.eval()
            with torch.no_grad():
                test = sum((model((tx[i:i + 250] - mean) / std).argmax(1) == ty[i:i + 250]).sum().item()
                           for i in range(0, len(tx), 250)) / len(tx)
            f.write(f"{epoch + 1},{trained:.1f},{losses / len(x):.4f},{right / len(x):.4f},{test:.4f}\n")
            f.flush()


main()
