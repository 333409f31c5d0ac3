"""studylib.py - what the studies of docs/results share: running oubli so that a study stops and goes on at will, and intervals.

Python's standard library only.
"""
import ast
import configparser
import json
import math
import os
import signal
import struct
import subprocess
import sys
import time
import zipfile
from array import array
from concurrent.futures import ThreadPoolExecutor

T975 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def t975(freedom):
    """Student's t at 97.5 %; from ten degrees of freedom on a series, right to 0.003."""
    return T975.get(freedom) or 1.96 + 2.37 / freedom + 2.8 / freedom ** 2


def read_ini(path):
    """The section [study], with $VARIABLES of the environment filled in."""
    c = configparser.ConfigParser()
    if not c.read(path):
        sys.exit(f"cannot read '{path}'")
    return {k: os.path.expandvars(v) for k, v in c["study"].items()}


def read_json(path):
    with open(path) as f:
        return json.load(f)


def write_text(path, text):
    with open(path + ".tmp", "w") as f:
        f.write(text)
    os.replace(path + ".tmp", path)


RUNNING = set()  # of all runners


def stop(number, _):
    """SIGTERM ends what runs, too."""
    for p in list(RUNNING):
        p.terminate()
    os._exit(128 + number)


signal.signal(signal.SIGTERM, stop)


class Runner:
    """Runs the program with one thread a command; what is there already is not made again."""

    def __init__(self, program, out):
        self.program, self.out = program, out

    def path(self, *parts):
        return os.path.join(self.out, *parts)

    def oubli(self, *words, keep=None, threads=1):
        """One command; with `keep`, its JSON is stored there, whole or not at all, and the command left out where it is there."""
        if keep and os.path.exists(keep):
            return
        command = [self.program, *map(str, words), "--threads", str(threads), *(["--json"] if keep else []), "--quiet"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
            RUNNING.add(p)
            out, err = p.communicate()
            RUNNING.discard(p)
        if p.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit {p.returncode}: {err.strip()}")
        if keep:
            write_text(keep, out)


SIX = "epochs=6:schedule=linear:batch=64:"


def six(*settings):
    """For what the paper compares: all get six passes over what they read, with a rate that falls linearly to zero."""
    return [SIX + s for s in settings]


def brief(setting):
    """A setting for a table, without what all have."""
    return setting.removeprefix(SIX).replace(":", ", ")


class Forgetting(Runner):
    """Originals, retrained models and forgetting by several methods with several settings, seed by seed.

    `settings`: method -> list of settings ("lr=0.1:alpha=0.9") to choose from; `only`: method -> the forget sets that it works on.
    Of the section [study]: data, arch, train (options of `oubli train`), tune-seed, seeds, fits (0.99: the least accuracy, while
    training, of the last epoch of every original and retrained model)."""

    def __init__(self, ini, out, program, settings, only={}):
        super().__init__(program, out)
        self.ini, self.settings, self.only = read_ini(ini), settings, only
        self.data, self.arch, self.train = self.ini["data"], self.ini["arch"], self.ini["train"].split()
        self.tune_seed, self.seeds = int(self.ini["tune-seed"]), [int(x) for x in self.ini["seeds"].split()]
        self.fits = float(self.ini.get("fits", .99))

    def claim(self, begin=False):
        """The folder is of this study alone: results of other settings must not be taken for ours. More seeds, and settings
        behind those that a method has, only add."""
        here = {"study": {k: v for k, v in self.ini.items() if k != "seeds"}, "settings": self.settings}
        path = self.path("study.json")
        if begin:
            os.makedirs(self.out, exist_ok=True)
        elif not os.path.exists(path):
            sys.exit(f"'{path}' is not there: nothing of this study has been run into '{self.out}'")
        there = read_json(path) if os.path.exists(path) else here
        same = there["study"] == here["study"] and there["settings"].keys() == here["settings"].keys()
        if not same or any(here["settings"][m][:len(s)] != s for m, s in there["settings"].items()):
            sys.exit(f"'{self.out}' holds results of other settings (its study.json says which); give another folder")
        if begin:
            write_text(path, json.dumps(here, indent=1))

    def words(self, method, k):
        return [w for s in filter(None, self.settings[method][k].split(":")) for w in ("--set", s)]

    def applies(self, name, method):
        return name in self.only.get(method, (name,))

    def at(self, seed, *name):
        return self.path(f"seed-{seed}", *name)

    def fit(self, seed, name, train_seed, *more):
        keep = self.at(seed, name + ".json")
        self.oubli("train", "--data", self.data, "--arch", self.arch, *self.train, "--val", "0.1", "--seed", train_seed,
                   "--resume", *more, "-o", self.at(seed, name + ".safetensors"), "--force", keep=keep)
        accuracy = read_json(keep)["final"]["accuracy"]
        if accuracy < self.fits:
            raise RuntimeError(f"{name} of seed {seed} reached {100 * accuracy:.1f} % in its last epoch: a model "
                               "that does not fit does not memorize; change the recipe, and give another folder")

    def original(self, seed):
        os.makedirs(self.at(seed), exist_ok=True)
        self.fit(seed, "original", seed, "--events", self.at(seed, "events.npz"))

    def with_original(self, seed):
        return "--data", self.data, "--model", self.at(seed, "original.safetensors")

    def retrain(self, seed, name, which):
        self.fit(seed, f"{name}.retrained-{which}", seed + 1000 * (which - 1), "--exclude", self.at(seed, name + ".txt"))
        self.judge(seed, name, f"{name}.retrained-{which}")

    def judge(self, seed, name, model):
        """Accuracies and the membership attack of one model: what ToW is made of. Each model is looked at once, whatever it is then compared with."""
        self.oubli("evaluate", "--data", self.data, "--model", self.at(seed, model + ".safetensors"), "--forget", self.at(seed, name + ".txt"),
                   keep=self.at(seed, model + ".eval.json"))

    def forget(self, seed, name, method, k):
        """One method with its k-th setting on one forget set: cost and judgement, or that it diverged (exit 4)."""
        model = f"{name}.{method}-{k}"
        stem = self.at(seed, model)
        if os.path.exists(stem + ".eval.json"):
            return
        try:
            self.oubli("forget", *self.with_original(seed), "--forget", self.at(seed, name + ".txt"), "--method", method, *self.words(method, k),
                       "--seed", seed, "--force", "-o", stem + ".safetensors", keep=stem + ".cost.json")
        except RuntimeError as e:
            if "exit 4" not in str(e):
                raise
            write_text(stem + ".eval.json", json.dumps({"diverged": str(e)}))
            return
        self.judge(seed, name, model)
        os.remove(stem + ".safetensors")

    def retrained(self, seed, name):
        return [read_json(self.at(seed, f"{name}.retrained-{i}.eval.json")) for i in ((1,) if seed == self.tune_seed else (1, 2))]

    def worth(self, name, method, k):
        """(1 - da(S)) (1 - da(R)) (1 - da(V)) on the tuning seed, V the validation part; -1 of a run that diverged."""
        e = read_json(self.at(self.tune_seed, f"{name}.{method}-{k}.eval.json"))
        return -1.0 if "diverged" in e else nearness(e, self.retrained(self.tune_seed, name)[0], "val")[0]

    def chosen(self, name, method):
        """The setting that the rule picks."""
        return max(range(len(self.settings[method])), key=lambda k: self.worth(name, method, k))

    def result(self, seed, name, method):
        """The judgement of the chosen setting with ToW and ToW-MIA, means over the retrained models, or None where it diverged."""
        e = read_json(self.at(seed, f"{name}.{method}-{self.chosen(name, method)}.eval.json"))
        if "diverged" in e:
            return None
        tow = [nearness(e, r, "test") for r in self.retrained(seed, name)]
        return {**e, "tow": sum(t for t, _ in tow) / len(tow), "tow_mia": sum(m for _, m in tow) / len(tow)}

    def floor(self, seed, name):
        """ToW and ToW-MIA of one retrained model against the other."""
        return dict(zip(("tow", "tow_mia"), nearness(*self.retrained(seed, name), "test")))

    def share(self, name, method, seeds):
        """Training images as a share of one retraining's, a pass that only looks counted as a third."""
        out = []
        for s in seeds:
            c = read_json(self.at(s, f"{name}.{method}-{self.chosen(name, method)}.cost.json"))
            out.append((c["images"] + c.get("images_forward", 0) / 3) / read_json(self.at(s, f"{name}.retrained-1.json"))["images"])
        return f"{100 * sum(out) / len(out):.0f} %"


def nearness(e, r, unseen):
    """ToW and ToW-MIA (Zhao et al. 2024, section 3) of the judgement of a model and of a retrained one, on this part beside forget and retain."""
    gap = {part: abs(e["accuracy"][part] - r["accuracy"][part]) for part in ("forget", "retain", unseen)}
    mia = abs(e["mia"]["svc_confidence"] - r["mia"]["svc_confidence"])
    kept = (1 - gap["retain"]) * (1 - gap[unseen])
    return (1 - gap["forget"]) * kept, (1 - mia) * kept


def in_parallel(jobs, tasks, what):
    """Runs the tasks side by side and says how many are done, and how long the others will take."""
    tasks, done, start = list(tasks), 0, time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(lambda t: t(), tasks):
            done += 1
            left = (time.monotonic() - start) / done * (len(tasks) - done)
            print(f"{what}: {done} of {len(tasks)}, {left / 60:.0f} min left", file=sys.stderr, flush=True)


def interval(x):
    """Mean, and half of the 95 % t-interval (NaN of a single number)."""
    n, mean = len(x), sum(x) / len(x)
    if n < 2:
        return mean, math.nan
    sd = math.sqrt(sum((v - mean) ** 2 for v in x) / (n - 1))
    return mean, t975(n - 1) * sd / math.sqrt(n)


def show(x, digits=3, sign=""):
    mean, half = interval(x)
    return f"{mean:{sign}.{digits}f}" if math.isnan(half) else f"{mean:{sign}.{digits}f} ± {half:.{digits}f}"


def read_npy(raw):
    """The numbers of a one-dimensional .npy of float32, float64 or int64, little-endian."""
    size = struct.unpack("<H", raw[8:10])[0]
    head = ast.literal_eval(raw[10:10 + size].decode())
    return array({"<f4": "f", "<f8": "d", "<i8": "q"}[head["descr"]], raw[10 + size:])


def read_npz(path, name):
    with zipfile.ZipFile(path) as z:
        return read_npy(z.read(name + ".npy"))


def write_npy(path, numbers):
    """float32, one dimension."""
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(numbers)},), }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    with open(path + ".tmp", "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + array("f", numbers).tobytes())
    os.replace(path + ".tmp", path)
