#!/usr/bin/env python3
"""first-run.py - the study of docs/results/first-run.md: does refinement help, and where?

    tools/first-run.py run   STUDY.ini -o DIR [--jobs 2]     do what is missing; stop and go on at will
    tools/first-run.py table STUDY.ini -o DIR                the tables, in Markdown

The rule, declared before any result: for each way of forgetting, four settings (the grid below) are
tried on the tuning seed, and the one with the highest product (1 - da(S)) (1 - da(R)) (1 - da(V)) is
kept, V being the *validation* part and da taken against the mean of two retrained models. The other
seeds use it unchanged; only they are reported, on the test part. Every way trains six epochs in all,
with a rate that falls linearly to zero within each step. The "x3" rows train eighteen epochs with the
setting that was kept for the whole set: what more work alone would give.

Python's standard library only; the work is done by the program `oubli`.
"""
import argparse
import os

from studylib import Runner, in_parallel, read_ini, read_json, show

COMMON = "schedule=linear:batch=64"
GRID = {
    "finetune": ["lr=0.02", "lr=0.05", "lr=0.1", "lr=0.2"],
    "neggrad-plus": ["lr=0.02:alpha=0.97", "lr=0.05:alpha=0.97", "lr=0.02:alpha=0.9", "lr=0.05:alpha=0.9"],
    "salun": ["lr=0.02", "lr=0.05", "lr=0.1", "lr=0.2"],
}


def ways():
    """name -> list of four (refine options, methods text) to choose from."""
    out = {"do nothing": [("--parts 3", "none")]}
    for method, grid in GRID.items():
        def plan(parts, epochs):
            return [(parts, f"{method}:{s}:epochs={epochs}:{COMMON}") for s in grid]
        out[f"{method}, whole set"] = plan("", 6)
        out[f"{method}, random thirds"] = plan("--parts 3 --parts-random", 2)
        out[f"{method}, RUM in thirds"] = plan("--parts 3", 2)
        out[f"{method}, whole set, x3"] = plan("", 18)
    out["none, finetune, salun"] = [
        ("--parts 3", f"none,finetune:{s}:epochs=3:{COMMON},salun:{s}:epochs=3:{COMMON}")
        for s in GRID["finetune"]]
    return out


class Study(Runner):
    def __init__(self, ini, out, program):
        super().__init__(program, out)
        s = read_ini(ini)
        self.data, self.arch = s["data"], s["arch"]
        self.train = s["train"].split()
        self.select = s["select"].split()
        self.tune_seed = int(s["tune-seed"])
        self.seeds = [int(x) for x in s["seeds"].split()]

    def at(self, seed, name):
        return self.path(f"seed-{seed}", name)

    def fit(self, seed, name, train_seed, *more):
        path = self.at(seed, name)
        self.oubli("train", "--data", self.data, "--arch", self.arch, *self.train, "--val", "0.1", "--seed", train_seed,
                   "--resume", *more, "-o", path, "--force", keep=path.replace(".safetensors", ".json"))
        accuracy = read_json(path.replace(".safetensors", ".json"))["final"]["accuracy"]
        if accuracy < 0.99:
            raise RuntimeError(f"{path} reached {100 * accuracy:.1f} % on its training part: a model "
                               "that does not fit does not memorize; change the recipe")

    def start(self, seed):
        """Original, score, forget set, two retrained models."""
        os.makedirs(os.path.join(self.out, f"seed-{seed}"), exist_ok=True)
        at = lambda name: self.at(seed, name)
        self.fit(seed, "original.safetensors", seed, "--events", at("events.npz"))
        if not os.path.exists(at("score.npy")):
            self.oubli("score", "confidence", "--events", at("events.npz"), "-o", at("score.npy"))
        if not os.path.exists(at("forget.txt")):
            self.oubli("select", "--data", self.data, "--model", at("original.safetensors"), "--scores",
                       at("score.npy"), *self.select, "-o", at("forget.txt"))
        for name, train_seed in (("retrained-1", seed), ("retrained-2", seed + 1000)):
            self.fit(seed, name + ".safetensors", train_seed, "--exclude", at("forget.txt"))
        parts = at("parts.json")
        if not os.path.exists(parts):
            self.refine(seed, "--parts 3", "none", parts)
        self.judge(seed, at("retrained-1.safetensors"), at("floor.json"), ["retrained-2"])

    def refine(self, seed, options, methods, plan):
        if "--parts " not in options:
            options += " --parts 1"
        self.oubli("refine", "--data", self.data, "--model", self.at(seed, "original.safetensors"),
                   "--forget", self.at(seed, "forget.txt"), "--scores", self.at(seed, "score.npy"),
                   *options.split(), "--methods", methods, "--force", "-o", plan)

    def judge(self, seed, model, keep, against=("retrained-1", "retrained-2")):
        words = []
        for a in against:
            words += ["--against", self.at(seed, a + ".safetensors")]
        self.oubli("evaluate", "--data", self.data, "--model", model, *words, "--plan",
                   self.at(seed, "parts.json"), keep=keep)

    def way(self, seed, name, k):
        """One way with its k-th setting: cost and judgement."""
        stem = self.at(seed, name.replace(", ", "-").replace(" ", "-") + f"-{k}")
        if os.path.exists(stem + ".eval.json"):
            return
        options, methods = ways()[name][k]
        self.refine(seed, options, methods, stem + ".plan.json")
        self.oubli("rum", "--data", self.data, "--model", self.at(seed, "original.safetensors"), "--plan",
                   stem + ".plan.json", "--seed", str(seed), "--force", "-o",
                   stem + ".safetensors", keep=stem + ".cost.json")
        self.judge(seed, stem + ".safetensors", stem + ".eval.json")
        os.remove(stem + ".safetensors")

    def result(self, seed, name, k, kind="eval"):
        stem = self.at(seed, name.replace(", ", "-").replace(" ", "-") + f"-{k}")
        return read_json(f"{stem}.{kind}.json")

    def chosen(self, name):
        """The setting that the rule picks: the tuning seed and its validation part only."""
        if name.endswith(", x3"):
            return self.chosen(name[:-len(", x3")])
        def product(k):
            e = self.result(self.tune_seed, name, k)
            p = 1.0
            for part in ("forget", "retain", "val"):
                p *= 1 - sum(abs(e["accuracy"][part] - a["accuracy"][part]) for a in e["against"]) / len(e["against"])
            return p
        return max(range(len(ways()[name])), key=product)


def run(study, jobs):
    everyone = [study.tune_seed, *study.seeds]
    in_parallel(jobs, [lambda s=s: study.start(s) for s in everyone], "originals and retrained models")
    in_parallel(jobs, [lambda n=n, k=k: study.way(study.tune_seed, n, k)
                       for n, settings in ways().items() if not n.endswith(", x3")
                       for k in range(len(settings))], "tuning")
    for seed in study.seeds:
        in_parallel(jobs, [lambda n=n: study.way(seed, n, study.chosen(n)) for n in ways()], f"seed {seed}")


def table(study):
    seeds = [s for s in study.seeds if all(
        os.path.exists(study.at(s, n.replace(", ", "-").replace(" ", "-") + f"-{study.chosen(n)}.eval.json"))
        for n in ways())]
    print(f"Seeds reported: {', '.join(map(str, seeds))}; tuned on seed {study.tune_seed}. Mean ± half of the 95 % t-interval.\n")
    print("| way | setting | forget | low | medium | high | retain | test | ToW | tow_parts | tow_worst | ToW-MIA | cost |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")

    def row(name, setting, evals, costs):
        acc = lambda key: show([e["accuracy"][key] for e in evals])
        part = lambda i: show([e["parts"][i]["accuracy"] for e in evals])
        num = lambda key: show([e[key] for e in evals])
        print(f"| {name} | {setting} | {acc('forget')} | {part(0)} | {part(1)} | {part(2)} | {acc('retain')} | {acc('test')} | "
              f"{num('tow')} | {num('tow_parts')} | {num('tow_worst')} | {num('tow_mia')} | {costs} |")

    floors = []
    for s in seeds:
        floors.append(read_json(study.at(s, "floor.json")))
    row("retrained, against another", "", floors, "100 %")
    evals = {}
    for name in ways():
        k = study.chosen(name)
        evals[name] = [study.result(s, name, k) for s in seeds]
        shares = []
        for s in seeds:
            shares.append(study.result(s, name, k, "cost")["images"] / read_json(study.at(s, "retrained-1.json"))["images"])
        setting = ways()[name][k][1].replace(":" + COMMON, "").replace(":epochs", ", epochs")
        row(name, f"`{setting}`", evals[name], f"{100 * sum(shares) / len(shares):.0f} %")

    print("\nPaired differences (the same seed, forget set and retrained models):\n")
    print("| difference | ToW | tow_parts | ToW-MIA |")
    print("|---|---|---|---|")
    pairs = [(f"{m}, RUM in thirds", f"{m}, {other}") for m in GRID
             for other in ("whole set", "random thirds", "whole set, x3")]
    pairs += [("none, finetune, salun", f"{m}, whole set") for m in GRID]
    for a, b in pairs:
        cells = [show([x[k] - y[k] for x, y in zip(evals[a], evals[b])]) for k in ("tow", "tow_parts", "tow_mia")]
        print(f"| {a} − {b} | {' | '.join(cells)} |")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("what", choices=("run", "table"))
    p.add_argument("study")
    p.add_argument("-o", "--out", required=True)
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--oubli", default="build/oubli")
    a = p.parse_args()
    study = Study(a.study, a.out, a.oubli)
    if a.what == "run":
        run(study, a.jobs)
    else:
        table(study)


if __name__ == "__main__":
    main()
