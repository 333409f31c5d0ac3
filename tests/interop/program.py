"""program.py - what the round trips share: the program that is tried, and data for it."""

import os
import subprocess
import sys

import numpy as np

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("OB_PROGRAM", "build/oubli")


def oubli(*args):
    done = subprocess.run([PROGRAM, *args], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{PROGRAM} {' '.join(args)}: exit {done.returncode}\n{done.stderr}")
    return done


def write_data(folder, shape, classes, n_train, n_test):
    """Random images; returns the test images as the program sees them, 0..1, N-C-H-W."""
    rng = np.random.RandomState(3)
    os.makedirs(folder)
    for part, n in (("train", n_train), ("test", n_test)):
        x = rng.randint(0, 256, (n,) + shape[1:] + shape[:1]).astype(np.uint8)
        np.save(os.path.join(folder, f"x_{part}.npy"), x)
        np.save(os.path.join(folder, f"y_{part}.npy"), np.arange(n) % classes)
    return (x.astype(np.float32) / 255).transpose(0, 3, 1, 2)
