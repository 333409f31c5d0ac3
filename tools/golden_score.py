"""golden_score.py - entanglement, discrepancy, loss curvature, divergence, k-means, and a small bank of models with
what is read from it, from numpy, scipy, scikit-learn and PyTorch.

make(outdir) writes outdir/score/*.npz, curvature.safetensors and the folder bank; alone: golden_score.py OUTDIR.
"""

import hashlib
import json
import os
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.spatial.distance import cdist, pdist


def make_entangle(out):
    rng = np.random.RandomState(1)
    data = {}
    for case, (n, f, n_forget, apart) in enumerate([(90, 12, 20, 0.), (200, 3, 60, 2.), (41, 64, 1, .3)]):
        phi = rng.normal(size=(n, f)).astype(np.float32)
        forget = np.sort(rng.choice(n, n_forget, replace=False))
        phi[forget] += np.float32(apart)
        retain = np.setdiff1d(np.arange(n), forget)
        x, r, s = phi.astype(float), phi[retain].astype(float), phi[forget].astype(float)
        inside = ((r - r.mean(0)) ** 2).sum(1).mean() + ((s - s.mean(0)) ** 2).sum(1).mean()

        def score(mu):
            return inside / (.5 * (((r.mean(0) - mu) ** 2).sum() + ((s.mean(0) - mu) ** 2).sum()))

        def mmd2(gamma):
            k = [np.exp(-gamma * cdist(a, b, "sqeuclidean")).mean() for a, b in ((s, s), (r, r), (s, r))]
            return k[0] + k[1] - 2 * k[2]

        gamma = 1 / (2 * np.median(pdist(x)) ** 2)
        data.update({f"phi{case}": phi, f"forget{case}": forget, f"want{case}": np.array(
            [score(x.mean(0)), score((r.mean(0) + s.mean(0)) / 2), mmd2(gamma), gamma, mmd2(1.)])})
        print(f"  entanglement {case}: {data[f'want{case}']}")
    np.savez(os.path.join(out, "entangle.npz"), **data)


def make_bank(out):
    """Seven models of a pretended training; numbers 0 to 8, of which 3 and 5 are missing."""
    rng = np.random.RandomState(2)
    folder = os.path.join(out, "bank")
    os.makedirs(folder, exist_ok=True)
    n_file, classes = 60, 4
    train, test = np.sort(rng.choice(n_file, 43, replace=False)), 1 + 2 * np.arange(9)
    labels = rng.randint(classes, size=43), rng.randint(classes, size=9)
    part = np.ones(43, np.uint8)
    part[[4, 17]] = 0
    settings = {"arch": "cnn", "augment": "none", "batch": 32, "data": "0" * 64, "epochs": 3, "examples": "none",
                "lr": .5, "momentum": .5, "normalize": "", "optimizer": "sgd", "schedule": "cosine", "seed": 7,
                "split": "1" * 64, "subset": .5, "weight_decay": .25}
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    key = hashlib.blake2b(text.encode() + b"\0", digest_size=32).hexdigest()
    with open(os.path.join(folder, "bank.json"), "w") as f:
        json.dump({"oubli_bank": 1, "models": 9, "key": key, "settings": settings}, f, indent=1)
    np.savez(os.path.join(folder, "examples.npz"), train=train, train_label=labels[0].astype(np.int32), part=part,
             test=test, test_label=labels[1].astype(np.int32), n=np.int64(n_file), classes=np.int64(classes))
    included, right = [], ([], [])
    for k in (0, 1, 2, 4, 6, 7, 8):
        included.append((rng.uniform(size=43) < .5) & (part > 0))
        logits = [rng.normal(size=(len(y), classes)).astype(np.float16) for y in labels]
        logits[0][included[-1], labels[0][included[-1]]] += np.float16(1.5)
        logits[0][0] = 2  # equal ones: the first counts
        for i in range(2):
            right[i].append(logits[i].argmax(1) == labels[i])
        np.savez(os.path.join(folder, f"model-{k:05d}.npz"), model=np.int64(k),
                 bank=np.frombuffer(key.encode(), np.uint8), included=np.packbits(included[-1]), train=logits[0],
                 test=logits[1])
    a, (r, t) = np.array(included, float), (np.array(x, float) for x in right)
    with np.errstate(invalid="ignore", divide="ignore"):
        mem = (a * r).sum(0) / a.sum(0) - ((1 - a) * r).sum(0) / (1 - a).sum(0)
        consistency = ((1 - a) * r).sum(0) / (1 - a).sum(0)
        influence = (a.T @ t) / a.sum(0)[:, None] - ((1 - a).T @ t) / (1 - a).sum(0)[:, None]
    want = {name: np.full(n_file, np.nan) for name in ("memorization", "consistency")}
    want["memorization"][train[part > 0]] = mem[part > 0]
    want["consistency"][train[part > 0]] = consistency[part > 0]
    influence[~np.isfinite(influence)] = -np.inf
    want["influence"] = np.ascontiguousarray(-np.sort(-influence, axis=0)[:5].T)
    want["influence_of"] = np.full((len(test), n_file), -np.inf)  # by number: which of equal ones come first is open
    want["influence_of"][:, train] = influence.T
    want["test"] = test
    np.savez(os.path.join(out, "bank.npz"), **want)


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        for i, (a, b) in enumerate(((1, 8), (8, 16), (16, 32)), 1):
            setattr(self, f"conv{i}", nn.Conv2d(a, b, 3, padding=1, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(b))
        self.fc = nn.Linear(32, 3)

    def forward(self, x):
        x = (x - .4) / .3
        for i in (1, 2, 3):
            x = F.max_pool2d(F.relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))), 2)
        return self.fc(x.flatten(1))


def write_safetensors(path, tensors):
    head, data = {}, b""
    for name, x in sorted(tensors.items()):
        raw = x.numpy().tobytes()
        head[name] = {"dtype": "I64" if x.dtype == torch.int64 else "F32", "shape": list(x.shape),
                      "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + data)


def make_curvature(out):
    """In double; the model and the images are float32. A file that is a data set as well."""
    torch.manual_seed(3)
    rng = np.random.RandomState(3)
    model = Cnn()
    for i in (1, 2, 3):
        getattr(model, f"bn{i}").running_mean.uniform_(-.2, .2)
        getattr(model, f"bn{i}").running_var.uniform_(.5, 1.5)
    write_safetensors(os.path.join(out, "curvature.safetensors"), model.state_dict())
    x = rng.uniform(size=(21, 1, 8, 8)).astype(np.float32)
    y = np.arange(21) % 3
    model.double().eval()

    def gradient(x):
        x = x.clone().requires_grad_()
        F.cross_entropy(model(x), torch.tensor(y), reduction="sum").backward()
        return x.grad

    x0 = torch.tensor(x, dtype=torch.double)
    g = gradient(x0)
    s = g.sign()
    z = .01 * (s + 1e-7) / (s.flatten(1).norm(dim=1)[:, None, None, None] + 1e-7)
    want = (gradient(x0 + z) - g).flatten(1).norm(dim=1).numpy()
    p, q = rng.dirichlet(np.full(4, .3), 12), rng.dirichlet(np.full(4, .3), 12)
    p[0], q[0] = [1, 0, 0, 0], [0, 0, 0, 1]
    a, b = np.maximum(p, 1e-10), np.maximum(q, 1e-10)
    np.savez(os.path.join(out, "curvature.npz"), x_train=x, y_train=y, x_test=x[:3], y_test=y[:3])
    np.savez(os.path.join(out, "proxies.npz"), curvature=want, p=p, q=q,
             divergence=.5 * ((a * np.log(a / b)).sum(1) + (b * np.log(b / a)).sum(1)))


def make_kmeans(out):
    """Points of scikit-learn's k-means: its best of 50 starts, and Lloyd's steps from centres that are given."""
    from sklearn.cluster import KMeans
    rng = np.random.RandomState(5)
    data = {}
    for case, (n, f, k, spread) in enumerate([(120, 5, 3, 4.), (200, 16, 6, 1.5), (90, 2, 5, .7)]):
        means = rng.normal(scale=spread, size=(k, f))
        x = (means[rng.randint(k, size=n)] + rng.normal(size=(n, f))).astype(np.float32)
        start = x[rng.choice(n, k, replace=False)].astype(float)
        best = KMeans(k, n_init=50, tol=0, random_state=1, algorithm="lloyd").fit(x.astype(float))
        given = KMeans(k, init=start, n_init=1, tol=0, max_iter=300, algorithm="lloyd").fit(x.astype(float))
        data.update({f"x{case}": x, f"start{case}": start, f"best{case}": np.float64(best.inertia_),
                     f"of{case}": given.labels_.astype(np.int32), f"center{case}": given.cluster_centers_,
                     f"given{case}": np.float64(given.inertia_)})
        print(f"  k-means {case}: {best.inertia_:.6f}, from the start {given.inertia_:.6f}")
    np.savez(os.path.join(out, "kmeans.npz"), **data)


def make(outdir):
    out = os.path.join(outdir, "score")
    os.makedirs(out, exist_ok=True)
    make_entangle(out)
    make_bank(out)
    make_curvature(out)
    make_kmeans(out)


if __name__ == "__main__":
    make(sys.argv[1])
