#!/usr/bin/python3
"""copies-recall.py - how many near copies `oubli data --duplicates` finds: the table of docs/scores.md.

    tools/copies-recall.py [--images 6000] [--copies 1000] idx:DIR | cifar10:DIR

Altered copies of the first training images stand as a test part beside all of the first `--images`. Found is a
copy that is paired with its own original; every other pair of a copy and an original counts as one besides. Debian 12: apt install
python3-numpy python3-pil.
"""
import argparse
import csv
import gzip
import io
import lzma
import os
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image


def read_any(path):
    for opener, ending in ((open, ""), (gzip.open, ".gz"), (lzma.open, ".xz")):
        if os.path.exists(path + ending):
            with opener(path + ending, "rb") as f:
                return f.read()
    sys.exit(f"copies-recall: '{path}' is not there, nor .gz, nor .xz")


def read_images(spec, n):
    """n x height x width x channels, and labels."""
    kind, _, where = spec.partition(":")
    if kind == "idx":
        x = np.frombuffer(read_any(os.path.join(where, "train-images-idx3-ubyte")), np.uint8, offset=16)
        y = np.frombuffer(read_any(os.path.join(where, "train-labels-idx1-ubyte")), np.uint8, offset=8)
        return x.reshape(-1, 28, 28, 1)[:n], y[:n]
    if kind != "cifar10":
        sys.exit(f"copies-recall: '{kind}:' is not read here, idx: and cifar10: are")
    raw = np.frombuffer(read_any(os.path.join(where, "data_batch_1.bin")), np.uint8).reshape(-1, 3073)[:n]
    return raw[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), raw[:, 0]


def jpeg(quality):
    def change(x):
        f = io.BytesIO()
        Image.fromarray(x.squeeze()).save(f, "JPEG", quality=quality)
        return np.asarray(Image.open(f)).reshape(x.shape)
    return change


def shifted(dx, dy):
    """Filled by reflection: the border is new to the hash."""
    def change(x):
        wide = np.pad(x, ((2, 2), (2, 2), (0, 0)), "reflect")
        return wide[2 - dy:2 - dy + x.shape[0], 2 - dx:2 - dx + x.shape[1]]
    return change


def mirrored(x):
    return x[:, ::-1]


def clipped(x):
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


RNG = np.random.default_rng(1)
ALTERED = {
    "JPEG, quality 75": [jpeg(75)],
    "JPEG, quality 50": [jpeg(50)],
    "mirrored": [mirrored],
    "mirrored, then JPEG 75": [mirrored, jpeg(75)],
    "shifted by 1, 0": [shifted(1, 0)],
    "shifted by 1, 1": [shifted(1, 1)],
    "shifted by 2, 0": [shifted(2, 0)],
    "shifted by 2, 2": [shifted(2, 2)],
    "shifted by 1, 0, then JPEG 75": [shifted(1, 0), jpeg(75)],
    "brighter: 1.15 x + 10": [lambda x: clipped(1.15 * x + 10)],
    "noise of deviation 8": [lambda x: clipped(x + RNG.normal(0, 8, x.shape))],
}


def altered(x, changes):
    for change in changes:
        x = change(x)
    return x


def search(program, folder):
    """(copies found, pairs besides)"""
    pairs = os.path.join(folder, "pairs.csv")
    subprocess.run([program, "data", "--duplicates", "-o", pairs, "--force", "--quiet", "npy:" + folder], check=True,
                   stdout=subprocess.DEVNULL)
    with open(pairs) as f:
        mixed = [r for r in csv.DictReader(f) if r["set_a"] != r["set_b"]]
    own = [r["id_a"] == r["id_b"] for r in mixed]
    return sum(own), len(own) - sum(own)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("data")
    p.add_argument("--images", type=int, default=6000)
    p.add_argument("--copies", type=int, default=1000)
    p.add_argument("--oubli", default="build/oubli")
    a = p.parse_args()
    x, y = read_images(a.data, a.images)
    print("| altered | found | besides |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, part in (("x_train", x), ("y_train", y.astype(np.int64)), ("y_test", y[:a.copies].astype(np.int64))):
            np.save(os.path.join(folder, name + ".npy"), part)
        for how, changes in ALTERED.items():
            np.save(os.path.join(folder, "x_test.npy"), np.stack([altered(i, changes) for i in x[:a.copies]]))
            found, besides = search(a.oubli, folder)
            print(f"| {how} | {100 * found / a.copies:.1f} % | {besides} |", flush=True)


if __name__ == "__main__":
    main()
