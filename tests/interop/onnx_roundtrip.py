#!/usr/bin/python3
"""onnx_roundtrip.py - what `oubli convert` writes as ONNX is valid, and onnxruntime gives oubli's logits.

    tests/interop/onnx_roundtrip.py [PROGRAM]      default: $OB_PROGRAM, or build/oubli

Exit 77: this Python has no onnx or no onnxruntime. Where pip has them: pip install --target DIR onnx
onnxruntime, and PYTHONPATH=DIR.
"""

import json
import os
import struct
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)
from program import oubli, write_data

NETWORKS = [
    ("resnet18,width=0.125", (3, 32, 32), 10),
    ("resnet18,stem=imagenet,width=0.125", (3, 40, 48), 5),
    ("resnet50,width=0.125", (3, 16, 16), 4),
    ("resnet50,stem=imagenet,width=0.125", (3, 48, 40), 5),
    ("vgg16,width=0.125", (3, 64, 64), 10),  # 4 x 4 averaged to 2 x 2
    ("vgg16,width=0.125", (3, 32, 48), 10),  # 2 x 3 to 2 x 2: windows that overlap
    ("vgg16,width=0.125", (3, 16, 16), 10),  # 1 x 1 to 2 x 2
    ("vgg16,head=lth,width=0.125", (1, 28, 28), 3),
    ("resnet20", (3, 16, 12), 5),
    ("cnn,width=0.5", (1, 9, 17), 2),
    ("mlp", (1, 12, 8), 3),
]


def enliven(path):
    """vgg16 begins with linear layers so small that all logits are alike: twenty times as much."""
    with open(path, "rb") as f:
        (n,) = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(n)), bytearray(f.read())
    del header["__metadata__"]["digest"]
    for name, t in header.items():
        if name.startswith("classifier") and name.endswith("weight"):
            begin, end = t["data_offsets"]
            data[begin:end] = (20 * np.frombuffer(data[begin:end], "<f4")).tobytes()
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def run(path, x):
    """Batches of two sizes: the batch is not fixed in the graph."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["image"]
    return np.concatenate([session.run(["logits"], {"image": part})[0] for part in (x[:3], x[3:])])


def check(folder, arch, shape, classes):
    x = write_data(os.path.join(folder, "data"), shape, classes, 40, 10)
    data, model = "npy:" + os.path.join(folder, "data"), os.path.join(folder, "m.safetensors")
    out = os.path.join(folder, "m.onnx")
    oubli("train", "--data", data, "--arch", arch, "-o", model, "--epochs", "2", "--batch", "20",
          "--lr", "0.01", "--normalize",
          ",".join(["0.4", "0.5", "0.6"][:shape[0]]) + "/" + ",".join(["0.2", "0.3", "0.25"][:shape[0]]))
    enliven(model)
    oubli("predict", "--data", data, "--model", model, "--split", "test", "-o", out + ".npy")
    want = np.load(out + ".npy")
    oubli("convert", model, out)
    oubli("convert", model, out + ".plain.onnx", "--no-normalize")
    mean = np.array([0.4, 0.5, 0.6], np.float32)[:shape[0], None, None]
    std = np.array([0.2, 0.3, 0.25], np.float32)[:shape[0], None, None]
    for what, got in (("", run(out, x)), (", plain", run(out + ".plain.onnx", (x - mean) / std))):
        gap, spread = np.abs(got - want).max(), np.abs(want - want.mean(0)).max()
        print(f"{arch} {shape}{what}: largest gap {gap:.2e}, logits differ by {spread:.2e}")
        if got.shape != want.shape or not gap < min(1e-5 * (1 + np.abs(want).max()), 1e-3 * spread):
            sys.exit(f"{arch}: onnxruntime and oubli differ")


for case in NETWORKS:
    with tempfile.TemporaryDirectory() as folder:
        check(folder, *case)
