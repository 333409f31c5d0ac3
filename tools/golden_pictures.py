"""golden_pictures.py - small PNG and JPEG files, and their pixels as Pillow reads them, for
tests/golden/pictures.c.

make(outdir) writes outdir/pictures/*; alone: golden_pictures.py OUTDIR. Debian 12: apt install python3-pil.
"""

import os
import struct
import sys
import zlib

import numpy as np

H, W = 13, 19


def scene():
    y, x = np.mgrid[0:H, 0:W]
    a = np.stack([128 + 100 * np.sin(x / 3), 128 + 100 * np.cos(y / 2), (x * 23 + y * 31) % 256], -1)
    return a.astype(np.uint8)


def chunk(name, data):
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def adam7(a):
    """A grey image in seven passes (ISO/IEC 15948, 8.2), which Pillow reads but does not write."""
    rows = b""
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
                           (1, 0, 2, 2), (0, 1, 1, 2)):
        for row in a[y0::dy, x0::dx]:
            rows += b"\0" + row.tobytes()
    head = struct.pack(">IIBBBBB", a.shape[1], a.shape[0], 8, 0, 0, 0, 1)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9))
            + chunk(b"IEND", b""))


def write(out):
    from PIL import Image

    def save(name, image, **options):
        image.save(os.path.join(out, name), **options)

    im = Image.fromarray(scene())
    grey = im.convert("L")
    save("rgb.png", im)
    save("grey.png", grey)
    save("bits1.png", im.convert("1"))
    save("palette.png", im.quantize(40))
    save("palette2.png", im.quantize(4), bits=2)
    save("opaque.png", im.convert("RGBA"))
    save("grey_opaque.png", im.convert("LA"))
    with open(os.path.join(out, "interlaced.png"), "wb") as f:
        f.write(adam7(np.array(grey)))
    save("420.jpg", im, quality=80, subsampling=2)
    save("422.jpg", im, quality=80, subsampling=1)
    save("444.jpg", im, quality=95, subsampling=0)
    save("progressive.jpg", im, quality=70, progressive=True)
    save("grey.jpg", grey, quality=85)
    # what is refused
    a = np.array(im.convert("RGBA"))
    a[3, 4, 3] = 254
    save("bad_alpha.png", Image.fromarray(a))
    save("bad_trns.png", im.quantize(4), transparency=2)
    save("bad_16.png", Image.fromarray(np.array(grey).astype(np.uint16) * 256))
    save("bad_cmyk.jpg", im.convert("CMYK"), quality=60)


def make(outdir):
    from PIL import Image

    out = os.path.join(outdir, "pictures")
    os.makedirs(out, exist_ok=True)
    write(out)
    pixels = {}
    for name in sorted(os.listdir(out)):
        if name[-4:] in (".png", ".jpg") and not name.startswith("bad_"):
            im = Image.open(os.path.join(out, name))
            pixels[name] = np.array(im.convert("L" if im.mode in ("1", "L", "LA") else "RGB"))
    np.savez_compressed(os.path.join(out, "pixels.npz"), **pixels)


if __name__ == "__main__":
    make(sys.argv[1])
