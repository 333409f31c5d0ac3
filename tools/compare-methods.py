#!/usr/bin/env python3
"""compare-methods.py - the study of docs/results/methods.md: which method comes closest to retraining, on which forget set, at what cost?

    tools/compare-methods.py run      STUDY.ini -o DIR [--jobs 2] [--settings-of DIR]     do what is missing; stop and go on at will
    tools/compare-methods.py table    STUDY.ini -o DIR [--settings-of DIR]                the tables, in Markdown
    tools/compare-methods.py pictures STUDY.ini -o DIR [--settings-of DIR] --into DIR     ToW and ToW-MIA of every method, by forget set

Three forget sets a seed: random, the most memorized (one minus the mean confidence over the training), and one class.

The rule, declared before any result: every method is tried with the settings below (at most four) on the tuning
seed of one data set; for each forget set the one with the highest (1 - da(S)) (1 - da(R)) (1 - da(V)) is kept, V being the *validation* part
and da taken against one retrained model. --settings-of takes the choice from that data set's folder for another. Then the
methods of the paper (FIRST), and of the others the ten with the highest product on that forget set and the ten with the
highest mean over all, run on the other seeds, which alone are reported, on the test part, against two retrained models each; the rest is reported
from the tuning seed, and marked as that.
"""
import argparse
import os
import sys

import pictures
from studylib import Forgetting, brief, in_parallel, interval, read_json, show, six

SETS = ("random", "memorized", "class")
ONLY = {"unsir": ("class",)}  # what works on some forget sets alone
FIRST = ("none", "finetune", "l1-sparse", "neggrad", "neggrad-plus", "scrub", "influence", "random-label", "salun")
# Other methods keep the passes, batch and schedule of their definitions, but for what is said here.
LAYERS = ("lr=0.005", "lr=0.02", "lr=0.05", "lr=0.1")
SETTINGS = {
    "none": [""],
    "finetune": six(*(f"lr={lr}" for lr in ("0.02", "0.05", "0.1", "0.2"))),
    "l1-sparse": six(*(f"lr={lr}:alpha={a}" for lr in ("0.05", "0.2") for a in ("1e-5", "1e-4"))),
    "neggrad": six(*(f"lr={lr}" for lr in ("1e-4", "5e-4", "2e-3", "5e-3"))),
    "neggrad-plus": six("lr=0.02:alpha=0.97", "lr=0.05:alpha=0.97", "lr=0.02:alpha=0.9", "lr=0.01:alpha=0.99"),
    "scrub": six(*(f"lr={lr}:msteps={m}" for lr, m in (("2e-4", 2), ("1e-3", 2), ("1e-3", 4), ("0.005", 2)))),
    "scrub-r": six(*(f"lr={lr}:msteps={m}" for lr, m in (("2e-4", 4), ("1e-3", 2), ("1e-3", 4), ("0.005", 4)))),
    "random-label": six(*(f"lr={lr}" for lr in ("0.02", "0.05", "0.1", "0.2"))),
    "salun": six(*(f"lr={lr}" for lr in ("0.02", "0.05", "0.1", "0.2"))),
    "influence": [f"alpha={a}" for a in ("1", "3", "10", "30")],
    "fisher": [f"alpha={a}" for a in ("1e-9", "1e-8", "1e-7", "1e-6")],
    "ssd": [f"alpha={a}" for a in ("1", "2", "5", "10")],
    "lfssd": [f"alpha={a}" for a in ("1", "2", "3.5", "5")],
    "assd": ["lambda=0.1", "lambda=0.5", "lambda=1"],
    "sfr-on": [f"alpha={a}" for a in ("1", "5", "25", "100")],
    "munba": [f"epochs=6:lr={lr}" for lr in ("0.005", "0.01", "0.02", "0.05")],
    "delete": [f"schedule=constant:lr={lr}" for lr in ("1e-4", "5e-4", "2e-3", "5e-3")],
    "bad-teacher": [f"schedule=constant:lr={lr}:epochs={e}" for lr in ("1e-4", "1e-3") for e in (1, 5)],
    "lotus": [f"lr={lr}:alpha={a}" for lr in ("1e-4", "1e-3") for a in (2, 8)],
    "boundary-shrink": [f"epochs=6:lr={lr}" for lr in ("1e-4", "1e-3", "5e-3", "0.01")],
    "boundary-expand": [f"epochs=6:lr={lr}" for lr in ("1e-4", "1e-3", "5e-3", "0.01")],
    "unsir": [f"schedule=constant:lr={lr}" for lr in ("1e-4", "5e-4", "1e-3", "3e-3")],
    "cf-k": [f"epochs=6:k={k}:lr={lr}" for k in (1, 2) for lr in ("0.02", "0.1")],
    "eu-k": [f"epochs=6:k={k}:lr={lr}" for k in (1, 2) for lr in ("0.02", "0.1")],
    "ct": [f"schedule=cosine-epoch:{lr}" for lr in LAYERS],
    "not": [f"epochs=6:{lr}" for lr in LAYERS],
    "msg": [f"schedule=constant:{lr}" for lr in LAYERS],
    "cfw": [f"schedule=cosine-epoch:{lr}" for lr in LAYERS],
    "prmq": [f"schedule=constant:share={s}:lr={lr}" for s in ("0.9", "0.99") for lr in ("0.005", "0.02")],
    "kde": [f"schedule=cosine-epoch:{lr}" for lr in LAYERS],
    "rni": [f"schedule=constant:lr={lr}" for lr in ("2e-4", "2e-3", "0.01", "0.05")],
    "fcs": [f"schedule=constant:lr={lr}:lr-forget={f}" for lr in ("0.004", "0.02") for f in ("3e-4", "3e-3")],
    "weight-distance": [f"epochs=10:lr={lr}" for lr in ("1e-5", "1e-4", "5e-4", "1e-3")],
    "weight-distortion": [f"epochs=10:lr=1e-3:{s}" for s in ("sigma=0.02", "sigma=0.05", "damage=shrink", "damage=dropout")],
    "mode-connectivity": [f"epochs=10:lr={lr}:weight={w}" for lr in ("1e-4", "1e-3") for w in ("0.001", "0.1")],
    "certified": [f"epochs=6:lr=0.05:c0={c}:c1={c}" for c in ("0.001", "0.01", "0.1", "1")],
}


class Study(Forgetting):
    def __init__(self, ini, out, program, settings_of):
        super().__init__(ini, out, program, SETTINGS, ONLY)
        self.size, self.one_class = self.ini["size"], self.ini["class"]
        self.tuned = self if settings_of is None else Forgetting(ini, settings_of, program, SETTINGS, ONLY)
        if self.tuned is not self:  # that study has data and a tuning seed of its own
            self.tuned.ini = read_json(self.tuned.path("study.json"))["study"]
            self.tuned.tune_seed = int(self.tuned.ini["tune-seed"])

    def chosen(self, name, method):
        return super().chosen(name, method) if self.tuned is self else self.tuned.chosen(name, method)

    def select(self, seed):
        self.oubli("score", "confidence", "--events", self.at(seed, "events.npz"), "--force", "-o", self.at(seed, "score.npy"),
                   keep=self.at(seed, "score.out.json"))
        how = {"random": ["--random", "--size", self.size, "--seed", seed], "class": ["--class", self.one_class],
               "memorized": ["--scores", self.at(seed, "score.npy"), "--level", "high", "--size", self.size]}
        for name in SETS:
            self.oubli("select", *self.with_original(seed), *how[name], "--force", "-o", self.at(seed, name + ".txt"),
                       keep=self.at(seed, name + ".select.json"))

    def reported(self, name):
        """The methods that run on all seeds on this forget set, and the rest."""
        def worth(method, sets):
            found = [max(self.tuned.worth(n, method, self.chosen(n, method)), 0) for n in sets if self.applies(n, method)]
            return sum(found) / len(found)

        others = [m for m in SETTINGS if m not in FIRST and self.applies(name, m)]
        best = {m for sets in (SETS, (name,)) for m in sorted(others, key=lambda m: -worth(m, sets))[:10]}
        ranked = sorted(others, key=lambda m: (m not in best, -worth(m, (name,))))
        return [*FIRST, *ranked[:len(best)]], ranked[len(best):]


def run(study, jobs):
    study.claim(begin=True)
    everyone = [*([study.tune_seed] if study.tuned is study else []), *study.seeds]
    in_parallel(jobs, [lambda s=s: (study.original(s), study.select(s)) for s in everyone], "originals and forget sets")
    in_parallel(jobs, [lambda s=s, n=n, i=i: study.retrain(s, n, i) for s in everyone for n in SETS
                       for i in ((1,) if s == study.tune_seed else (1, 2))], "retrained models")
    if study.tuned is study:
        in_parallel(jobs, [lambda n=n, m=m, k=k: study.forget(study.tune_seed, n, m, k) for m in SETTINGS for n in SETS if study.applies(n, m)
                           for k in range(len(SETTINGS[m]))], "tuning")
    in_parallel(jobs, [lambda s=s, n=n, m=m: study.forget(s, n, m, study.chosen(n, m)) for s in study.seeds for n in SETS
                       for m in study.reported(n)[0]], "forgetting")


HEAD = "| method | setting | forget | retain | test | ToW | ToW, finetune's taken off | ToW-MIA | cost |\n|---|---|---|---|---|---|---|---|---|"


def accuracies(judged):
    return " | ".join(show([e["accuracy"][part] for e in judged]) for part in ("forget", "retain", "test"))


def retrained_row(study, name):
    """The retrained models themselves, and one judged against the other."""
    floor = [study.floor(s, name) for s in study.seeds]
    pairs = [[r["accuracy"] for r in study.retrained(s, name)] for s in study.seeds]
    models = [{"accuracy": {part: (a[part] + b[part]) / 2 for part in a}} for a, b in pairs]
    beyond = beyond_finetune(study, name, [f["tow"] for f in floor], study.seeds)
    print(f"| *retrained, against another* | | {accuracies(models)} | {show([f['tow'] for f in floor])} | {beyond} | "
          f"{show([f['tow_mia'] for f in floor])} | 100 % |")


def beyond_finetune(study, name, tow, seeds):
    """How much more ToW than finetune has, paired by seed."""
    base = [study.result(s, name, "finetune") for s in seeds]
    return "" if None in base else show([a - b["tow"] for a, b in zip(tow, base)], sign="+")


def method_row(study, name, method, seeds):
    setting, judged = brief(SETTINGS[method][study.chosen(name, method)]), [study.result(s, name, method) for s in seeds]
    if None in judged:
        print(f"| {method} | {setting} | diverged on {judged.count(None)} of {len(judged)} seeds | | | | | | |")
        return
    tow = [e["tow"] for e in judged]
    beyond = "" if method == "finetune" else beyond_finetune(study, name, tow, seeds)
    print(f"| {method} | {setting} | {accuracies(judged)} | {show(tow)} | {beyond} | {show([e['tow_mia'] for e in judged])} | "
          f"{study.share(name, method, seeds)} |")


def table(study):
    print(f"Seeds {', '.join(map(str, study.seeds))}; mean ± half of the 95 % t-interval.\n")
    for name in SETS:
        print(f"### {name}\n\n{HEAD}")
        retrained_row(study, name)
        reported, rest = study.reported(name)
        for method in reported:
            method_row(study, name, method, study.seeds)
        if study.tuned is study:
            print(f"\nThe others, on the tuning seed ({study.tune_seed}), with the setting that was chosen there:\n\n{HEAD}")
            for method in rest:
                method_row(study, name, method, [study.tune_seed])
        print()


def make_pictures(study, into):
    """For every forget set the methods that ran on all seeds, the best ToW on top."""
    os.makedirs(into, exist_ok=True)
    stem = os.path.join(into, os.path.basename(os.path.normpath(study.out)))
    for name in SETS:
        floor, lines = [study.floor(s, name) for s in study.seeds], {}
        for method in study.reported(name)[0]:
            judged = [study.result(s, name, method) for s in study.seeds]
            if None not in judged:
                lines[method] = [interval([e[k] for e in judged]) for k in ("tow", "tow_mia")] + [study.share(name, method, study.seeds)]
        lines = dict(sorted(lines.items(), key=lambda line: -line[1][0][0]))
        top = {"retrained, against another": [interval([f[k] for f in floor]) for k in ("tow", "tow_mia")] + ["100 %"]}
        pictures.ranking(f"{stem}-{name}.svg", f"Forget set: {name}", ("ToW", "ToW-MIA"), "cost", top | lines)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("what", choices=("run", "table", "pictures"))
    p.add_argument("study")
    p.add_argument("-o", "--out", required=True)
    p.add_argument("--settings-of")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--into", default="docs/results")
    p.add_argument("--oubli", default="build/oubli")
    a = p.parse_args()
    study = Study(a.study, a.out, a.oubli, a.settings_of)
    if study.tuned is not study:
        study.tuned.claim()
    try:
        if a.what == "run":
            run(study, a.jobs)
        else:
            study.claim()
            if a.what == "table":
                table(study)
            else:
                make_pictures(study, a.into)
    except RuntimeError as e:
        sys.exit(f"compare-methods: {e}")
    except FileNotFoundError as e:
        sys.exit(f"compare-methods: not finished: '{e.filename}' is missing")


if __name__ == "__main__":
    main()
