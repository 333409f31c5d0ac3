"""golden_accounting.py - epsilon, delta and noise of noisy training, by numpy and scipy.

make(outdir) writes outdir/accounting/values.npz. Sums are added up step by step and minima are
looked for by other means than in the library: over a fine grid of orders, then by Brent's method.
"""

import json
import os
import platform

import numpy as np
import scipy
from scipy import optimize, stats

GRADIENT, MODEL, BOTH = 0, 1, 2


def renyi_epsilon(k, delta):
    def at(u):
        a = 1 + np.exp(u)
        return a * k + np.log((a - 1) / a) - (np.log(delta) + np.log(a)) / (a - 1)

    grid = np.linspace(-12, 25, 200001)
    i = int(np.argmin(at(grid)))
    lo, hi = grid[max(i - 1, 0)], grid[min(i + 1, len(grid) - 1)]
    return max(0.0, float(optimize.minimize_scalar(at, bounds=(lo, hi), method="bounded",
                                                   options={"xatol": 1e-10}).fun))


def budget(epsilon, delta):
    return float(np.exp(optimize.brentq(lambda x: renyi_epsilon(np.exp(x), delta) - epsilon,
                                        np.log(1e-9), np.log(1e3), xtol=1e-12)))


def gauss_delta(epsilon, r):
    q = stats.norm.logsf
    if not np.isfinite(epsilon):
        return 0.0
    return float(np.exp(q(epsilon / r - r / 2)) - np.exp(epsilon + q(epsilon / r + r / 2)))


def cost_of_order_one(sigma, c0, c1, eta, lam, steps):
    rho, apart, absorbed = 1 - eta * lam, 2 * c0, 0.0
    for t in range(steps):
        apart = rho * apart + 2 * eta * c1
        absorbed += rho ** (2 * (steps - 1 - t)) * sigma ** 2
    return apart ** 2 / (2 * absorbed)


def delta_after(sigma, clip, epsilon, c1, c2, eta, steps):
    r = 2 * (c2 if clip == MODEL else c2 + eta * c1) / sigma
    delta = 1.0
    for _ in range(steps):
        if delta < 1e-200:
            break
        delta *= gauss_delta(np.log(1 + (np.exp(epsilon) - 1) / delta), r)
    return delta


def sigma_for(clip, epsilon, delta, c0, c1, c2, eta, lam, steps):
    if clip == GRADIENT:
        return np.sqrt(cost_of_order_one(1.0, c0, c1, eta, lam, steps) / budget(epsilon, delta))
    def off(log_sigma):
        d = delta_after(np.exp(log_sigma), clip, epsilon, c1, c2, eta, steps)
        return np.log(max(1e-300, d)) - np.log(delta)

    return float(np.exp(optimize.brentq(off, np.log(c2) - 4, np.log(c2) + 8, xtol=1e-12)))


CASES = [  # clip, epsilon, delta, c0, c1, c2, eta, lambda, steps
    (GRADIENT, 1, 1e-5, 0.1, 0.1, 1, 0.1, 0, 10),
    (GRADIENT, 1, 1e-5, 10, 1, 1, 0.01, 0, 1000),
    (GRADIENT, 8, 1e-6, 1, 0.5, 1, 0.1, 0.5, 40),
    (GRADIENT, 0.1, 1e-5, 0.01, 10, 1, 0.05, 2, 300),
    (GRADIENT, 100, 1e-5, 30, 1, 1, 0.1, 1e-3, 50),
    (MODEL, 1, 1e-5, 1, 1, 1, 0.1, 0, 1),
    (MODEL, 1, 1e-5, 1, 1, 0.5, 0.1, 0, 20),
    (MODEL, 10, 1e-6, 1, 1, 3, 0.1, 0.1, 200),
    (BOTH, 0.5, 1e-5, 0.3, 2, 0.5, 0.1, 0.1, 50),
]


def make(outdir):
    folder = os.path.join(outdir, "accounting")
    os.makedirs(folder, exist_ok=True)
    kd = [(k, d) for k in (1e-4, 0.02, 0.3, 1, 2, 17) for d in (1e-10, 1e-5, 0.01)]
    er = [(e, r) for e in (0.01, 1, 5, 30) for r in (0.05, 0.5, 2, 6)]
    np.savez(os.path.join(folder, "values.npz"),
             renyi=np.array([(k, d, renyi_epsilon(k, d)) for k, d in kd]),
             gauss=np.array([(e, r, gauss_delta(e, r)) for e, r in er]),
             noisy=np.array([c + (sigma_for(*c),) for c in CASES], float))
    with open(os.path.join(folder, "versions.json"), "w") as f:
        json.dump({"generator": "tools/make-golden.py accounting",
                   "python": platform.python_version(), "scipy": scipy.__version__,
                   "numpy": np.__version__}, f, indent=2)
        f.write("\n")
    print("  epsilon of k = 1, 2 at delta 1e-5:", renyi_epsilon(1, 1e-5), renyi_epsilon(2, 1e-5))
