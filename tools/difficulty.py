#!/usr/bin/env python3
"""difficulty.py - the study of docs/results/difficulty.md: what makes a forget set hard, and for whom?

    tools/difficulty.py run      STUDY.ini -o DIR [--jobs 2] [--only bank|scores|question]   do what is missing; stop and go on at will
    tools/difficulty.py table    STUDY.ini -o DIR                                            the tables, in Markdown
    tools/difficulty.py pictures STUDY.ini -o DIR --into DIR                                 histogram, images, ToW by level

First a bank of models gives the memorization of every training example; the proxies of each seed's original
model are compared with it. Then the first question of "What makes unlearning hard and what to do about it"
(NeurIPS 2024), small: six forget sets a seed (low, medium, high memorization; low, medium, high entanglement), each
forgotten by every method below.

The rule, declared before any result: for each method and each forget set the settings below are tried on the
tuning seed, and the one with the highest (1 - da(S)) (1 - da(R)) (1 - da(V)) is kept, V being the *validation*
part and da taken against one retrained model. The other seeds use it unchanged; only they are reported, on the
test part, against two retrained models each. Every method has six passes over what it reads and a rate that falls
linearly to zero: neggrad reads the forget set alone, so the column of costs belongs to the result.

There is one bank, so the forget sets by memorization are the same for all seeds, the tuning seed included; those by
entanglement are each seed's own. Of scores that are equal the lower number goes first: where more examples than a
set holds are not memorized at all, the low set is decided by that.
"""
import argparse
import gzip
import lzma
import math
import os
import sys

import pictures
from studylib import Forgetting, brief, in_parallel, interval, read_json, read_npy, read_npz, show, six, write_npy

LEVELS = ("low", "medium", "high")
SETS = [f"{kind}-{level}" for kind in ("memorization", "entanglement") for level in LEVELS]
SETTINGS = {
    "none": [""],
    "finetune": six("lr=0.02", "lr=0.05", "lr=0.2"),
    "l1-sparse": six("lr=0.05:alpha=1e-5", "lr=0.05:alpha=1e-4", "lr=0.2:alpha=1e-5"),
    "neggrad": six("lr=1e-4", "lr=5e-4", "lr=2e-3"),
    "neggrad-plus": six("lr=0.01:alpha=0.99", "lr=0.02:alpha=0.97", "lr=0.05:alpha=0.97"),
    "scrub": six("lr=0.005:msteps=2", "lr=0.02:msteps=2", "lr=0.02:msteps=4", "lr=1e-3:msteps=2", "lr=2e-4:msteps=2"),
    "random-label": six("lr=0.02", "lr=0.05", "lr=0.2"),
    "salun": six("lr=0.02", "lr=0.05", "lr=0.2"),
}
EVENTS = ("confidence", "max-confidence", "entropy", "accuracy", "cumulative-loss")
FINISHED = ("confidence", "entropy", "margin", "centroid-distance", "holdout", "curvature")


class Study(Forgetting):
    def __init__(self, ini, out, program):
        super().__init__(ini, out, program, SETTINGS)
        self.models, self.size, self.cscores = self.ini["models"], self.ini["size"], self.ini.get("cscores")

    def bank(self, jobs):
        self.oubli("bank", "train", "--data", self.data, "--arch", self.arch, *self.train, "--val", "0.1", "--models", self.models,
                   "-o", self.path("bank"), threads=jobs, keep=self.path("bank.json"))
        for kind in ("memorization", "consistency"):
            self.oubli("score", kind, "--bank", self.path("bank"), "--force", "-o", self.path(kind + ".npy"),
                       keep=self.path(kind + ".out.json"))

    def proxy(self, seed, kind, source):
        """A proxy, and how it ranks beside memorization."""
        stem = self.at(seed, f"{source}-{kind}")
        words = ["--events", self.at(seed, "events.npz")] if source == "events" else self.with_original(seed)
        self.oubli("score", kind, *words, "--force", "-o", stem + ".npy", keep=stem + ".made.json")
        self.oubli("score", "compare", stem + ".npy", self.path("memorization.npy"), keep=stem + ".compared.json")

    def select(self, seed, name):
        kind, level = name.split("-")
        how = (["--scores", self.path("memorization.npy"), "--level", level] if kind == "memorization"
               else ["--entanglement", level])
        forget = self.at(seed, name + ".txt")
        self.oubli("select", *self.with_original(seed), *how, "--size", self.size, "--force", "-o", forget,
                   keep=self.at(seed, name + ".select.json"))
        self.oubli("entangle", *self.with_original(seed), "--forget", forget, keep=self.at(seed, name + ".entangle.json"))


def run_scores(study, jobs):
    everyone = [study.tune_seed, *study.seeds]
    in_parallel(jobs, [lambda s=s: study.original(s) for s in everyone], "originals")
    in_parallel(jobs, [lambda s=s, k=k, o=o: study.proxy(s, k, o) for s in study.seeds
                       for o, kinds in (("events", EVENTS), ("model", FINISHED)) for k in kinds], "proxies")
    if study.cscores:
        compare_cscores(study)
    in_parallel(jobs, [lambda s=s, n=n: study.select(s, n) for s in everyone for n in SETS], "forget sets")


def run_question(study, jobs):
    in_parallel(jobs, [lambda s=s, n=n, i=i: study.retrain(s, n, i) for s in [study.tune_seed, *study.seeds] for n in SETS
                       for i in ((1,) if s == study.tune_seed else (1, 2))], "retrained models")
    in_parallel(jobs, [lambda n=n, m=m, k=k: study.forget(study.tune_seed, n, m, k) for n in SETS for m in SETTINGS
                       for k in range(len(SETTINGS[m]))], "tuning")
    in_parallel(jobs, [lambda s=s, n=n, m=m: study.forget(s, n, m, study.chosen(n, m)) for s in study.seeds for n in SETS
                       for m in SETTINGS], "forgetting")


def read_any(path):
    if os.path.exists(path):
        with open(path, "rb") as f:
            return f.read()
    opener, ending = (gzip.open, ".gz") if os.path.exists(path + ".gz") else (lzma.open, ".xz")
    with opener(path + ending) as f:
        return f.read()


def compare_cscores(study):
    """The published C-scores, in the order of the training file as all scores are, and turned round as they are."""
    published = read_npz(study.cscores, "scores")
    write_npy(study.path("published.npy"), [1 - c for c in published])
    for kind in ("memorization", "consistency"):
        study.oubli("score", "compare", study.path(kind + ".npy"), study.path("published.npy"), keep=study.path(f"published-{kind}.json"))


def read_scores(path):
    with open(path, "rb") as f:
        return read_npy(f.read())


def table(study):
    print(f"Seeds {', '.join(map(str, study.seeds))}; tuned on seed {study.tune_seed}. Mean ± half of the 95 % t-interval over seeds.\n")
    for part in (table_proxies, table_sets, table_tow, table_slopes, table_pairs):
        try:
            part(study)
        except FileNotFoundError as e:
            print(f"\n(not finished: '{e.filename}' is missing)\n")


def table_proxies(study):
    made = read_json(study.path("memorization.json"))
    seen = made["origin"]
    print(f"{seen['models']} models, {made['n_scored']} examples scored, {made['images'] / 1e6:.1f} million forward passes of an image "
          f"(a step of training counts three); reliability "
          f"{seen['reliability']:.3f} (between halves of the bank {seen['half_reliability']:.3f}).\n")
    if study.cscores:
        for kind in ("memorization", "consistency"):
            c = read_json(study.path(f"published-{kind}.json"))
            print(f"Spearman of {kind} with the published C-scores: {c['spearman']:.3f} ({c['spearman_low']:.3f} to {c['spearman_high']:.3f})\n")
    known = [v for v in read_scores(study.path("memorization.npy")) if v == v]
    tied = max(known.count(v) for v in (min(known), max(known))) / len(known)
    print(f"Scores: mean {sum(known) / len(known):.2f}; {known.count(0)} are 0, {known.count(1)} are 1.\n")
    print(f"{100 * tied:.1f} % of the scores are the same. A proxy without ties that orders all others rightly has a Spearman "
          f"correlation of {math.sqrt(1 - tied ** 3):.3f} with them.\n")
    print("| proxy | from | Spearman with memorization | corrected for its reliability | cost, images | of the bank's |")
    print("|---|---|---|---|---|---|")
    for source, kinds in (("events", EVENTS), ("model", FINISHED)):
        for kind in kinds:
            stems = [study.at(s, f"{source}-{kind}") for s in study.seeds]
            cost = [read_json(stem + ".json")["images"] for stem in stems]
            found = [read_json(x + ".compared.json") for x in stems]
            rho = [show([f.get(key, math.nan) for f in found]) for key in ("spearman", "spearman_corrected")]
            mean = sum(cost) / len(cost)
            print(f"| {kind} | {source} | {rho[0]} | {rho[1]} | {mean:.0f} | {100 * mean / made['images']:.2g} % |")
    print()


def table_sets(study):
    memorization = read_scores(study.path("memorization.npy"))
    label = read_labels(study)
    print("| forget set | ES, paper's form | ES, released form | memorization | its spread | largest class |")
    print("|---|---|---|---|---|---|")
    for name in SETS:
        es = [read_json(study.at(s, name + ".entangle.json")) for s in study.seeds]
        means, spreads, most = [], [], []
        for s in study.seeds:
            with open(study.at(s, name + ".txt")) as f:
                ids = [int(line) for line in f if not line.startswith("#")]
            classes = [label(i) for i in ids]
            most.append(max(classes.count(c) for c in set(classes)))
            m = [v for v in (memorization[i] for i in ids) if v == v]
            means.append(sum(m) / len(m))
            spreads.append((sum((v - means[-1]) ** 2 for v in m) / len(m)) ** .5)
        print(f"| {name.replace('-', ', ')} | {show([e['es'] for e in es], 1)} | {show([e['es_released'] for e in es], 1)} | {show(means)} | {show(spreads)} | {min(most)} to {max(most)} |")
    print()


def table_tow(study):
    print("| forget set | method | setting | forget | retrained | retain | test | ToW | ToW-MIA | cost |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in SETS:
        floor = [study.floor(s, name) for s in study.seeds]
        print(f"| {name.replace('-', ', ')} | *retrained, against another* | | | | | | {show([f['tow'] for f in floor])} | "
              f"{show([f['tow_mia'] for f in floor])} | 100 % |")
        for method in SETTINGS:
            setting = brief(SETTINGS[method][study.chosen(name, method)])
            e = [study.result(s, name, method) for s in study.seeds]
            if None in e:
                print(f"| {name.replace('-', ', ')} | {method} | {setting} | diverged on {e.count(None)} of {len(e)} seeds | | | | | | |")
                continue
            acc = [show([x["accuracy"][part] for x in e]) for part in ("forget", "retain", "test")]
            goal = show([sum(r["accuracy"]["forget"] for r in study.retrained(s, name)) / 2 for s in study.seeds])
            print(f"| {name.replace('-', ', ')} | {method} | {setting} | {acc[0]} | {goal} | {acc[1]} | "
                  f"{acc[2]} | {show([x['tow'] for x in e])} | {show([x['tow_mia'] for x in e])} | {study.share(name, method, study.seeds)} |")


def slope(study, kind, method):
    """What ToW loses from the low to the high sets, paired by seed, and what that says."""
    ends = [[study.result(s, f"{kind}-{level}", method) for s in study.seeds] for level in ("low", "high")]
    if any(None in e for e in ends):
        return "diverged"
    mean, half = interval([low["tow"] - high["tow"] for low, high in zip(*ends)])
    return f"{mean:+.3f} ± {half:.3f}, " + ("falls" if mean > half else "rises" if -mean > half else "undecided")


def table_slopes(study):
    print("\nToW of the low sets minus that of the high ones, paired by seed:\n")
    print("| method | over memorization | over entanglement |\n|---|---|---|")
    for method in SETTINGS:
        print(f"| {method} | {slope(study, 'memorization', method)} | {slope(study, 'entanglement', method)} |")


PAIRS = ("neggrad-plus", "finetune"), ("neggrad-plus", "salun"), ("finetune", "salun")


def table_pairs(study):
    print("\nToW of one method minus that of another, paired by seed:\n")
    print("| forget set | " + " | ".join(f"{a}, {b}" for a, b in PAIRS) + " |\n|---|---|---|---|")
    for name in SETS:
        cells = []
        for pair in PAIRS:
            a, b = ([study.result(s, name, method) for s in study.seeds] for method in pair)
            cells.append("diverged" if None in a + b else show([x["tow"] - y["tow"] for x, y in zip(a, b)], sign="+"))
        print(f"| {name.replace('-', ', ')} | " + " | ".join(cells) + " |")


def make_pictures(study, into):
    os.makedirs(into, exist_ok=True)
    stem = os.path.join(into, os.path.basename(os.path.normpath(study.out)))
    memorization = read_scores(study.path("memorization.npy"))
    known = [(v, i) for i, v in enumerate(memorization) if v == v]
    pictures.histogram(stem + "-memorization.svg", f"Memorization of {len(known)} examples", "memorization", [v for v, _ in known], 0, 1, 20)
    ranked = [i for _, i in sorted(known)]
    side, channels, images = read_images(study)
    chosen = [images(i) for i in ranked[:60] + ranked[:-61:-1]]
    pictures.sheet(stem + "-images.png", chosen, channels, side, 20)
    for kind in ("memorization", "entanglement"):
        found = {m: [[study.result(s, f"{kind}-{level}", m) for s in study.seeds] for level in LEVELS] for m in SETTINGS}
        lines = {m: [interval([e["tow"] for e in es]) for es in by_level] for m, by_level in found.items()
                 if not any(None in es for es in by_level)}
        pictures.levels(f"{stem}-tow-{kind}.svg", f"ToW by {kind} of the forget set", kind, LEVELS, lines)


def source(study):
    """Which format the images have, and the folder they are in."""
    kind, where = study.data.split(",")[0].split(":", 1)
    if kind not in ("idx", "cifar10"):
        sys.exit(f"difficulty: images and labels of '{kind}:' are not read here, of 'idx:' and 'cifar10:' they are")
    return kind, where


def read_cifar10(where):
    return b"".join(read_any(os.path.join(where, f"data_batch_{i}.bin")) for i in range(1, 6))


def read_images(study):
    kind, where = source(study)
    if kind == "idx":
        raw = read_any(os.path.join(where, "train-images-idx3-ubyte"))
        return 28, 1, lambda i: raw[16 + 784 * i:16 + 784 * (i + 1)]
    raw = read_cifar10(where)
    return 32, 3, lambda i: raw[3073 * i + 1:3073 * (i + 1)]


def read_labels(study):
    kind, where = source(study)
    if kind == "idx":
        raw = read_any(os.path.join(where, "train-labels-idx1-ubyte"))
        return lambda i: raw[8 + i]
    raw = read_cifar10(where)
    return lambda i: raw[3073 * i]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("what", choices=("run", "table", "pictures"))
    p.add_argument("study")
    p.add_argument("-o", "--out", required=True)
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--only", choices=("bank", "scores", "question"))
    p.add_argument("--into", default="docs/results")
    p.add_argument("--oubli", default="build/oubli")
    a = p.parse_args()
    study = Study(a.study, a.out, a.oubli)
    study.claim(begin=a.what == "run")
    if a.what == "table":
        table(study)
    elif a.what == "pictures":
        try:
            make_pictures(study, a.into)
        except FileNotFoundError as e:
            sys.exit(f"difficulty: not finished: '{e.filename}' is missing")
    else:
        for name, work in (("bank", lambda: study.bank(a.jobs)), ("scores", lambda: run_scores(study, a.jobs)),
                           ("question", lambda: run_question(study, a.jobs))):
            if a.only in (None, name):
                try:
                    work()
                except RuntimeError as e:
                    sys.exit(f"difficulty: {e}")


if __name__ == "__main__":
    main()
