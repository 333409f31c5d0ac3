#!/usr/bin/env python3
"""bank_torch.py - one model of a bank in PyTorch, on one thread: the peer of script/bench-bank.

    bench/bank_torch.py FASHION-MNIST-DIR TRAIN TEST EPOCHS BATCH SEED

The network is our cnn. The first TRAIN examples in file order are drawn from, at random, a share of 0.7; SGD with lr 0.05,
momentum 0.9 and weight decay 5e-4, cosine to 0 per epoch; then the logits of all TRAIN + TEST examples in
float16. One line: seconds of all that, without reading the data.
"""
import gzip
import math
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from peer_torch import NETS


def read(folder, name, skip):
    path = os.path.join(folder, name)
    opened = gzip.open(path + ".gz") if os.path.exists(path + ".gz") else open(path, "rb")
    with opened as f:
        return np.frombuffer(f.read(), np.uint8)[skip:]


def open_part(folder, part, n):
    x = read(folder, f"{part}-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)[:n]
    y = read(folder, f"{part}-labels-idx1-ubyte", 8)[:n]
    return (torch.tensor(x).float() / 255 - .2860) / .3530, torch.tensor(y).long()


def train(model, x, y, epochs, batch):
    opt = torch.optim.SGD(model.parameters(), .05, momentum=.9, weight_decay=5e-4)
    model.train()
    for epoch in range(epochs):
        for g in opt.param_groups:
            g["lr"] = .05 * (1 + math.cos(math.pi * epoch / epochs)) / 2
        order = torch.randperm(len(x))
        for i in range(0, len(x), batch):
            ids = order[i:i + batch]
            loss = F.cross_entropy(model(x[ids]), y[ids])
            opt.zero_grad()
            loss.backward()
            opt.step()


def main():
    folder = sys.argv[1]
    n, n_test, epochs, batch, seed = map(int, sys.argv[2:])
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    (x, y), (tx, _) = open_part(folder, "train", n), open_part(folder, "t10k", n_test)
    start = time.perf_counter()
    model = NETS["cnn"](1, 28, 28)
    use = torch.randperm(n)[:int(.7 * n + .5)]
    train(model, x[use], y[use], epochs, batch)
    model.eval()
    with torch.no_grad():
        for part in (x, tx):
            torch.cat([model(part[i:i + batch]) for i in range(0, len(part), batch)]).half()
    print(f"{time.perf_counter() - start:.3f}")


main()
