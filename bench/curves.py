#!/usr/bin/env python3
"""curves.py - the tables of bench/curve.c and bench/curve_torch.py side by side, and a picture.

    bench/curves.py OURS.csv THEIRS.csv PICTURE.svg     the table in Markdown on standard output
"""
import csv
import sys

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 360, 56, 44, 16, 150


def read(path):
    """{epoch: (seconds, loss, training accuracy, test accuracy)}; the last row of an epoch counts."""
    with open(path, newline="") as f:
        return {int(r[0]): tuple(map(float, r[1:])) for r in csv.reader(f)}


def line(rows, column, last, colour, dashed):
    def at(epoch, value):
        x = LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / max(last - 1, 1)
        return f"{x:.1f},{TOP + (HEIGHT - TOP - BOTTOM) * (1 - value):.1f}"

    dash = ' stroke-dasharray="5 4"' if dashed else ""
    points = " ".join(at(e, r[column]) for e, r in sorted(rows.items()))
    return f'<polyline fill="none" stroke="{colour}" stroke-width="2"{dash} points="{points}"/>'


def picture(ours, theirs):
    last = max(ours | theirs)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for percent in range(0, 101, 20):
        y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - percent / 100)
        out += [f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>',
                f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{percent} %</text>']
    step = max(1, last // 10)
    for epoch in [1, *range(step, last + 1, step)]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / max(last - 1, 1)
        out.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{epoch}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">epoch</text>')
    kinds = [(ours, 3, "#1f6f8b", 0, "oubli, test"), (theirs, 3, "#c8553d", 0, "PyTorch, test"),
             (ours, 2, "#1f6f8b", 1, "oubli, training"), (theirs, 2, "#c8553d", 1, "PyTorch, training")]
    for i, (rows, column, colour, dashed, name) in enumerate(kinds):
        y = TOP + 20 + 22 * i
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        out += [line(rows, column, last, colour, dashed),
                f'<line x1="{WIDTH - RIGHT + 12}" x2="{WIDTH - RIGHT + 36}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"{dash}/>',
                f'<text x="{WIDTH - RIGHT + 42}" y="{y + 4}">{name}</text>']
    return "\n".join(out + ["</svg>", ""])


def main():
    ours, theirs = read(sys.argv[1]), read(sys.argv[2])
    print("| epoch | oubli: seconds | loss | training | test | PyTorch: seconds | loss | training | test |")
    print("|---|---|---|---|---|---|---|---|---|")
    for epoch in sorted(ours | theirs):
        cells = []
        for rows in (ours, theirs):
            r = rows.get(epoch)
            cells += [f"{r[0]:.0f}", f"{r[1]:.3f}", f"{100 * r[2]:.1f} %", f"{100 * r[3]:.1f} %"] if r else [""] * 4
        print(f"| {epoch} | " + " | ".join(cells) + " |")
    with open(sys.argv[3], "w") as f:
        f.write(picture(ours, theirs))


main()
