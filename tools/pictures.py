"""pictures.py - the pictures of the studies: histograms, lines and rankings with intervals as SVG, sheets of images as PNG.

Python's standard library only.
"""
import math
import struct
import zlib

COLOURS = ("#1f6f8b", "#c8553d", "#588b3b", "#8e5ea2", "#c9a227", "#3d3d3d", "#d16ba5", "#5c4b37", "#2aa198")
LEFT, BOTTOM, TOP = 52, 44, 28


def frame(width, height, title, low, high, step, parts, label):
    """An empty picture with a scale from `low` to `high` on the left, marked at every `step` (0: not); returns it and the place of a value."""
    def y(value):
        return TOP + (height - TOP - BOTTOM) * (1 - (value - low) / (high - low))

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="{LEFT}" y="16" font-weight="bold">{title}</text>',
           f'<text x="{(LEFT + parts) / 2}" y="{height - 8}" text-anchor="middle">{label}</text>']
    value = low
    while step and value <= high + step / 1000:
        out += [f'<line x1="{LEFT}" x2="{parts}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>',
                f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>']
        value += step
    return out, y


def histogram(path, title, label, numbers, low, high, bins):
    """How many numbers there are in bins of equal width, on a logarithmic scale; those outside count in the first or the last."""
    width, height, counts = 560, 260, [0] * bins
    for v in numbers:
        counts[min(max(int((v - low) / (high - low) * bins), 0), bins - 1)] += 1
    decades = math.ceil(math.log10(max(counts)))
    out, y = frame(width, height, title, -.3, decades, 0, width - 12, label)  # from half an example on
    for k in range(decades + 1):
        out += [f'<line x1="{LEFT}" x2="{width - 12}" y1="{y(k):.1f}" y2="{y(k):.1f}" stroke="#ddd"/>',
                f'<text x="{LEFT - 8}" y="{y(k) + 4:.1f}" text-anchor="end">{10 ** k}</text>']
    wide = (width - 12 - LEFT) / bins
    for i, n in enumerate(counts):
        if n:
            at = y(math.log10(n))
            out.append(f'<rect x="{LEFT + i * wide + 1:.1f}" y="{at:.1f}" width="{wide - 2:.1f}" height="{y(-.3) - at:.1f}" fill="{COLOURS[0]}"/>')
    for k in range(5):
        out.append(f'<text x="{LEFT + k * (width - 12 - LEFT) / 4:.1f}" y="{height - BOTTOM + 16}" text-anchor="middle">'
                   f"{low + k * (high - low) / 4:g}</text>")
    write(path, out)


def levels(path, title, label, names, lines):
    """One line for each of {name: [(mean, half of the interval), ...]} over the places `names`; from 0 to 1."""
    width, height, right = 640, 360, 480
    out, y = frame(width, height, title, 0, 1, .2, right, label)
    for k, name in enumerate(names):
        out.append(f'<text x="{LEFT + (k + .5) * (right - LEFT) / len(names):.1f}" y="{height - BOTTOM + 16}" text-anchor="middle">{name}</text>')
    for i, (name, points) in enumerate(lines.items()):
        colour, spot = COLOURS[i % len(COLOURS)], []
        for k, (mean, half) in enumerate(points):
            x = LEFT + (k + .5) * (right - LEFT) / len(names) + 5 * (i - len(lines) / 2)
            spot.append(f"{x:.1f},{y(mean):.1f}")
            out.append(f'<circle cx="{x:.1f}" cy="{y(mean):.1f}" r="3" fill="{colour}"/>')
            if half == half:
                out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y(max(mean - half, 0)):.1f}" y2="{y(min(mean + half, 1)):.1f}" stroke="{colour}"/>')
        out += [f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{" ".join(spot)}"/>',
                f'<rect x="{right + 12}" y="{TOP + 20 * i}" width="14" height="4" fill="{colour}"/>',
                f'<text x="{right + 32}" y="{TOP + 7 + 20 * i}">{name}</text>']
    write(path, out)


def ranking(path, title, measures, last, lines):
    """A row for each of {name: [(mean, half of the interval) for each measure, a word]}, from 0 to 1, the words under the heading `last`."""
    width, left, right, high = 680, 190, 600, 20
    bottom = TOP + 18 + high * len(lines)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 26}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{bottom + 26}" fill="white"/>', f'<text x="12" y="16" font-weight="bold">{title}</text>',
           f'<text x="{width - 12}" y="{TOP + 8}" text-anchor="end" fill="#666">{last}</text>']

    def x(value):
        return left + (right - left) * min(max(value, 0), 1)

    for k in range(6):
        out += [f'<line x1="{x(k / 5):.1f}" x2="{x(k / 5):.1f}" y1="{TOP + 14}" y2="{bottom}" stroke="#ddd"/>',
                f'<text x="{x(k / 5):.1f}" y="{bottom + 16}" text-anchor="middle">{k / 5:g}</text>']
    for m, measure in enumerate(measures):
        out += [f'<circle cx="{left + 90 * m + 6}" cy="{TOP + 4}" r="4" fill="{COLOURS[m]}"/>',
                f'<text x="{left + 90 * m + 16}" y="{TOP + 8}">{measure}</text>']
    for row, (name, values) in enumerate(lines.items()):
        y = TOP + 18 + high * (row + .5)
        out.append(f'<text x="{left - 10}" y="{y + 4:.1f}" text-anchor="end">{name}</text>')
        for m, (mean, half) in reversed(list(enumerate(values[:-1]))):
            at = y + 4 * m - 2 * (len(measures) - 1)
            if half == half:
                out.append(f'<line x1="{x(mean - half):.1f}" x2="{x(mean + half):.1f}" y1="{at:.1f}" y2="{at:.1f}" stroke="{COLOURS[m]}"/>')
            out.append(f'<circle cx="{x(mean):.1f}" cy="{at:.1f}" r="3.5" fill="{COLOURS[m]}"/>')
        out.append(f'<text x="{width - 12}" y="{y + 4:.1f}" text-anchor="end" fill="#666">{values[-1]}</text>')
    write(path, out)


def write(path, out):
    with open(path, "w") as f:
        f.write("\n".join(out + ["</svg>", ""]))


def sheet(path, images, channels, side, columns, scale=2, gap=2):
    """A PNG of square images (bytes, one channel after the other, rows from the top), `columns` in a row."""
    rows, cell = -(-len(images) // columns), side * scale + gap
    width, height = columns * cell + gap, rows * cell + gap
    pixels = [bytearray(b"\xff" * (3 * width)) for _ in range(height)]
    for k, image in enumerate(images):
        for y in range(side):
            line = bytearray()
            for x in range(side):
                line += bytes(image[(c % channels) * side * side + y * side + x] for c in range(3)) * scale
            at = 3 * (gap + k % columns * cell)
            for copy in range(scale):
                pixels[gap + k // columns * cell + y * scale + copy][at:at + len(line)] = line

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + bytes(p) for p in pixels), 9)) + chunk(b"IEND", b""))
