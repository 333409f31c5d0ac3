"""goldenlib.py - numbers that C and Python make alike, and short forms of large arrays.

Number i of the array called NAME comes from the bits
    z_i = mix(fnv1a(NAME) + (i + 1) * 0x9e3779b97f4a7c15)      (mod 2^64)
with 64-bit FNV-1a and the mixing of splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom
number generators", 2014). tests/golden/golden.h does the same.

An array of more than EXACT elements is stored as 64 sums with signs, sum_i a_i * (bit k of z_i ? -1
: 1), and its norm. For a difference of two arrays the mean square of the 64 sums estimates the
square of its norm, without bias, to about a sixth.
"""

import numpy as np

EXACT = 256
MASK = (1 << 64) - 1


def key(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def bits(name, n):
    with np.errstate(over="ignore"):
        z = np.uint64(key(name)) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(name, shape, low, high):
    """float32: low + (high - low) * u, u in [0, 1) of 24 bits, computed in double."""
    n = int(np.prod(shape))
    u = (bits(name, n) >> np.uint64(40)).astype(np.float64) / (1 << 24)
    return (low + (high - low) * u).astype(np.float32).reshape(shape)


def labels(name, n, classes):
    return (bits(name, n) % np.uint64(classes)).astype(np.int64)


def short(name, a):
    a = np.asarray(a, np.float64).ravel()
    if a.size <= EXACT:
        return a
    z = bits(name, a.size)
    sums = [np.sum(np.where((z >> np.uint64(k)) & np.uint64(1), -a, a)) for k in range(64)]
    return np.array(sums + [np.linalg.norm(a)])


def view(name, shape):
    """What stands in parameter or buffer NAME; the last two parts of the name say what it is."""
    shape = tuple(shape)
    if name.endswith("normalize.mean"):
        return uniform(name, shape, 0.3, 0.5)
    if name.endswith("normalize.std"):
        return uniform(name, shape, 0.2, 0.3)
    if name.endswith("running_mean"):
        return uniform(name, shape, -0.3, 0.3)
    if name.endswith("running_var"):
        return uniform(name, shape, 0.5, 1.5)
    if len(shape) > 1:  # variance 2 / fan
        bound = np.sqrt(6.0 / np.prod(shape[1:]))
        return uniform(name, shape, -bound, bound)
    if "layer" in name and name.endswith(".bn3.weight"):  # sixteen blocks in a row: branches small
        return uniform(name, shape, 0.1, 0.4)
    if name.endswith("weight"):
        return uniform(name, shape, 0.5, 1.5)
    return uniform(name, shape, -0.1, 0.1)
