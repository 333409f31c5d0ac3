"""golden_judge.py - attack, tug of war, correlations, intervals and proxies, from scikit-learn,
scipy and numpy.

make(outdir) writes outdir/judge/*.npz and numpy.npy; alone: golden_judge.py OUTDIR.
"""

import os
import sys

import numpy as np
import scipy.special
import scipy.stats
from sklearn.svm import SVC


def attack_cases(rng):
    """(name, member, non-member, target): confidences between 0 and 1."""
    yield "overlap", rng.beta(5, 1, 300), rng.beta(3, 1, 300), rng.beta(4, 1, 200)
    yield "separate", rng.uniform(0.9, 1, 200), rng.uniform(0, 0.5, 200), rng.uniform(0, 1, 150)
    yield "same", rng.uniform(0, 1, 250), rng.uniform(0, 1, 250), rng.uniform(0, 1, 150)
    yield "unequal", rng.beta(6, 1, 500), rng.beta(2, 1, 120), rng.beta(3, 2, 100)

    def saturated(n, share):
        x = 1 - 10 ** rng.uniform(-9, 0, n)
        x[rng.uniform(size=n) < share] = 1.0
        return x

    yield "saturated", saturated(800, 0.7), saturated(800, 0.4), saturated(300, 0.5)
    yield "constant", np.ones(60), np.ones(60), np.ones(20)

    def network(n, scale):
        z = rng.normal(size=(n, 10))
        z[:, 0] += rng.gamma(3, scale, n)
        return np.exp(z[:, 0] - scipy.special.logsumexp(z, axis=1))

    yield "network", network(1500, 3), network(1500, 2), network(600, 2.5)


def make_attack(out):
    rng = np.random.RandomState(1)
    data = {}
    for i, (name, member, other, target) in enumerate(attack_cases(rng)):
        x = np.concatenate([member, other])[:, None]
        y = np.concatenate([np.ones(len(member)), np.zeros(len(other))])
        svc = SVC(C=3, gamma="auto", kernel="rbf").fit(x, y)
        share = 1 - np.mean(svc.predict(target[:, None]))
        print(f"  attack {name}: {share:.6f}")
        data.update({f"member{i}": member, f"other{i}": other, f"target{i}": target,
                     f"share{i}": np.array([share])})
    np.savez(os.path.join(out, "attack.npz"), **data)


def make_tow(out):
    rng = np.random.RandomState(2)
    n, parts = 50, 4
    a, b = rng.uniform(size=(2, n, parts + 3))
    gap = np.abs(a - b)  # forget, retain, test, then the parts
    keep = (1 - gap[:, 1]) * (1 - gap[:, 2])
    np.savez(os.path.join(out, "tow.npz"), gap=gap, tow=(1 - gap[:, 0]) * keep,
             parts=(1 - gap[:, 3:].mean(axis=1)) * keep,
             worst=(1 - gap[:, 3:].max(axis=1)) * keep)


def fisher(r, n):
    half = scipy.stats.norm.ppf(0.975) / np.sqrt(n - 3)
    return np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)


def compare_cases(rng):
    x = rng.normal(size=200)
    yield x, 0.7 * x + rng.normal(size=200)
    x = rng.randint(0, 6, 300) / 5  # many ties
    yield x, np.round(-x + rng.normal(size=300), 0)
    x, y = rng.gamma(0.3, 1, (2, 150))  # skewed, with holes
    x[rng.uniform(size=150) < 0.3] = np.nan
    y[rng.uniform(size=150) < 0.3] = np.nan
    yield x, y
    yield np.arange(20.0), np.arange(20.0) ** 3


def make_compare(out):
    rng = np.random.RandomState(3)
    data = {}
    for i, (x, y) in enumerate(compare_cases(rng)):
        x, y = x.astype(np.float32), y.astype(np.float32)
        both = ~np.isnan(x) & ~np.isnan(y)
        u, v = x[both].astype(np.float64), y[both].astype(np.float64)
        n = len(u)
        s = scipy.stats.spearmanr(u, v)[0]
        p = scipy.stats.pearsonr(u, v)[0]
        with np.errstate(divide="ignore"):
            data.update({f"x{i}": x, f"y{i}": y,
                         f"r{i}": np.array([n, s, *fisher(s, n), p, *fisher(p, n)])})
    np.savez(os.path.join(out, "compare.npz"), **data)


def rows_correlate(u, v):
    u, v = u - u.mean(1, keepdims=True), v - v.mean(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (u * v).sum(1) / np.sqrt((u * u).sum(1) * (v * v).sum(1))


def make_bootstrap(out):
    """Correlations of pairs that are taken a number of times; percentile intervals from 20,000 resamples, and how
    much those from 1,000 vary."""
    rng = np.random.RandomState(8)
    data = {}
    for i, (x, y) in enumerate(compare_cases(np.random.RandomState(3))):
        x, y = x.astype(np.float32), y.astype(np.float32)
        both = ~np.isnan(x) & ~np.isnan(y)
        u, v = x[both].astype(np.float64), y[both].astype(np.float64)
        count = rng.multinomial(len(u), np.full(len(u), 1 / len(u)))
        a, b = np.repeat(u, count), np.repeat(v, count)
        ends = []
        for _ in range(20):
            at = rng.randint(len(u), size=(1000, len(u)))
            rho = rows_correlate(scipy.stats.rankdata(u[at], axis=1), scipy.stats.rankdata(v[at], axis=1))
            ends.append((rho, rows_correlate(u[at], v[at])))
        r = np.array(ends)  # 20 x 2 x 1000
        whole = np.percentile(np.moveaxis(r, 1, 0).reshape(2, -1), [2.5, 97.5], axis=1)
        data.update({f"u{i}": u, f"v{i}": v, f"x{i}": x, f"y{i}": y, f"count{i}": count.astype(np.int64),
                     f"r{i}": np.array([scipy.stats.spearmanr(a, b)[0], scipy.stats.pearsonr(a, b)[0]]),
                     f"ends{i}": whole.T.ravel(),
                     f"sd{i}": np.percentile(r, [2.5, 97.5], axis=2).std(1, ddof=1).T.ravel()})
        print(f"  bootstrap {i}: {data[f'ends{i}']} {data[f'sd{i}']}")
    z = rng.normal(size=37)
    data.update({"z": z, "q": np.array([0, .025, .31, .5, .975, 1]), "p": np.quantile(z, [0, .025, .31, .5, .975, 1])})
    np.savez(os.path.join(out, "bootstrap.npz"), **data)


def make_interval(out):
    df = np.array([*range(1, 41), 60, 120, 1000, 1000000])
    x = np.random.RandomState(4).normal(3, 2, 7)
    half = scipy.stats.t.ppf(0.975, 6) * scipy.stats.sem(x)
    np.savez(os.path.join(out, "interval.npz"), df=df, t=scipy.stats.t.ppf(0.975, df), x=x,
             expect=np.array([x.mean(), x.std(ddof=1), half]))


def make_proxy(out):
    rng = np.random.RandomState(5)
    z = rng.normal(size=(120, 10)) * np.repeat([0.3, 3, 30, 300], 30)[:, None]
    z = z.astype(np.float32)
    y = rng.randint(0, 10, 120)
    rows = np.arange(120)
    logp = z.astype(np.float64) - scipy.special.logsumexp(z.astype(np.float64), axis=1)[:, None]
    p = np.exp(logp)
    other = p.copy()
    other[rows, y] = -1
    np.savez(os.path.join(out, "proxy.npz"), logits=z, label=y, confidence=p[rows, y],
             entropy=scipy.special.xlogy(p, p).sum(axis=1), margin=p[rows, y] - other.max(axis=1))


def make_scores(out):
    x = np.random.RandomState(6).normal(size=37).astype(np.float32)
    x[[3, 5, 36]] = np.nan
    np.save(os.path.join(out, "numpy.npy"), x)
    np.savez(os.path.join(out, "scores.npz"), bits=x.view(np.uint32).astype(np.int64))


def make(outdir):
    out = os.path.join(outdir, "judge")
    os.makedirs(out, exist_ok=True)
    make_attack(out)
    make_tow(out)
    make_compare(out)
    make_bootstrap(out)
    make_interval(out)
    make_proxy(out)
    make_scores(out)


if __name__ == "__main__":
    make(sys.argv[1] if len(sys.argv) > 1 else "tests/golden")
