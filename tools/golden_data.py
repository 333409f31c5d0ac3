"""golden_data.py - arrays, archives, splits and crops as numpy makes them, for tests/golden/data.c.

make(outdir) writes outdir/data/*; alone: golden_data.py OUTDIR.
"""

import os
import sys
import zipfile

import numpy as np

TYPES = ["b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]


def make_arrays(out):
    for t in TYPES:
        x = np.array([[0, 1, 2], [3, 100, 120]]).astype(t)
        np.save(os.path.join(out, "type_%s.npy" % t), x)
    np.save(os.path.join(out, "negative.npy"), np.array([-1, -128, 127], "i1"))
    np.save(os.path.join(out, "half.npy"), np.array([1.5, -2, 6e-8, 65504, np.nan], "f2"))
    np.save(os.path.join(out, "scalar.npy"), np.int64(42))
    np.save(os.path.join(out, "empty.npy"), np.zeros((0, 3), "f4"))
    with open(os.path.join(out, "version2.npy"), "wb") as f:
        np.lib.format.write_array(f, np.arange(4, dtype="i4"), version=(2, 0))
    # what must be refused
    np.save(os.path.join(out, "bad_big.npy"), np.arange(3, dtype=">i4"))
    np.save(os.path.join(out, "bad_fortran.npy"), np.asfortranarray(np.ones((2, 3), "f4")))
    np.save(os.path.join(out, "bad_object.npy"), np.array([None, 1], object), allow_pickle=True)
    np.save(os.path.join(out, "bad_record.npy"), np.zeros(2, [("a", "i4"), ("b", "f4")]))
    np.save(os.path.join(out, "bad_complex.npy"), np.zeros(2, "c8"))


def make_archives(out):
    a = {"ids": np.arange(7) * 3, "x": np.arange(12, dtype="f4").reshape(3, 4), "n": np.int64(7)}
    np.savez(os.path.join(out, "plain.npz"), **a)
    np.savez_compressed(os.path.join(out, "packed.npz"), long=np.zeros(3000, "f4"), **a)
    with zipfile.ZipFile(os.path.join(out, "bad_text.npz"), "w") as z:
        z.writestr(zipfile.ZipInfo("readme.txt"), "hello")  # no clock time: the same bytes


def make_splits(out):
    """Validation parts of 4 classes of unlike sizes, as RandomState(seed).choice draws them."""
    label = np.random.RandomState(5).randint(0, 4, 300)
    label[:4] = range(4)
    parts = {"label": label.astype("u1")}
    for seed in 1, 2, 4294967295:
        rng, val = np.random.RandomState(seed), []
        for c in range(4):
            of_class = np.flatnonzero(label == c)
            k = int(np.floor(0.1 * len(of_class) + 0.5))
            val.extend(rng.choice(of_class, k, replace=False))
        parts["val_%d" % seed] = np.array(sorted(val), "i8")
    np.savez(os.path.join(out, "split.npz"), **parts)


def make(outdir):
    out = os.path.join(outdir, "data")
    os.makedirs(out, exist_ok=True)
    make_arrays(out)
    make_archives(out)
    make_splits(out)


if __name__ == "__main__":
    make(sys.argv[1])
