"""golden_gradients.py - what methods that rest on gradients at fixed weights do, in float64.

make(outdir) writes outdir/methods/NAME.npz as golden_methods.py does, whose world it shares. Each is
the formula written out with one gradient per example; `wrong` names a term that is left out.
"""

import numpy as np
import torch
import torch.nn.functional as F

import golden_methods as base
from golden_methods import CLASSES, XR, XS, YR, YS, Run, noise, random_labels


def vector(net):
    return torch.cat([p.detach().ravel() for p in net.parameters()])


def assign(net, v):
    i = 0
    for p in net.parameters():
        p.data = v[i:i + p.numel()].view(p.shape).clone()
        i += p.numel()


def gradient(net, loss):
    return torch.cat([g.ravel() for g in torch.autograd.grad(loss, list(net.parameters()))])


def ce(net, x, y):
    return F.cross_entropy(net(x), y)


def start(wrong):
    """A run that trains nothing: the network in eval mode."""
    r = Run(wrong, 0, 0)
    r.net.train(wrong == "eval mode")
    return r


def of_units(net, x, y, size, loss, power):
    """The sum over batches of so many examples of |gradient|^power, and how many there are."""
    parts = [(x[i:i + size], y[i:i + size]) for i in range(0, len(x), size)]
    return sum(gradient(net, loss(net, *p)).abs() ** power for p in parts), len(parts)


def importance(net, x, y, size, loss, power):
    """The mean over units, and how many there are."""
    total, n = of_units(net, x, y, size, loss, power)
    return total / n, n


def without_rounding(f, net, power):
    """What rounding leaves of 0 made 0."""
    i = 0
    for p in net.parameters():
        part = f[i:i + p.numel()]
        part[part <= 1e-5 ** power * part.max()] = 0
        i += p.numel()
    return f


def square_norm(net, x, _):
    return (net(x) ** 2).sum(1).mean()


def dampened(wrong, size, alpha, scale, loss=ce, power=2):
    r = start(wrong)
    power = 3 - power if wrong == "power" else power
    size = {"unit": 3}.get(wrong, size)
    f, n_f = importance(r.net, XS, YS, size, loss, power)
    f = without_rounding(f, r.net, power)
    d, n_r = importance(r.net, XR, YR, size, loss, power)
    if wrong != "whole":
        d = (n_f * f + n_r * d) / (n_f + n_r)
    theta = vector(r.net)
    if alpha is None:
        d = without_rounding(d, r.net, power)
        f = torch.where(d > 0, f, 0.0)
        alpha = adaptive(wrong, f, d)
    chosen = f > {"alpha": 1.0}.get(wrong, alpha) * d
    if wrong == "at most 1":
        chosen = torch.ones_like(chosen)
    keep = torch.where(f > 0, {"lambda": 1.0}.get(wrong, scale) * d / f, 1.0)
    if wrong != "at most 1":
        keep = keep.clamp(max=1)
    if wrong == "batch-norm":
        i = 0
        for name, p in r.net.named_parameters():
            chosen[i:i + p.numel()] &= "bn" not in name
            i += p.numel()
    assign(r.net, torch.where(chosen, theta * keep, theta))
    return r


def adaptive(wrong, f, d):
    """alpha of ASSD: a percentile of the ratios of what moves at all."""
    share = len(XS) / (len(XR) if wrong == "all" else len(XS) + len(XR))
    q = 100 - np.log(1 + 100 * share)
    r = (f / d)[d > 0].numpy()
    if wrong == "percent":
        q = 100 - np.log10(1 + 100 * share)
    return np.percentile(r, q)


# ---- influence ----


def influence(wrong, released=False, tau=0.5, raw=False, alpha=40.0, some=None):
    r = start(wrong)
    single = range(len(XR)) if some is None else range(some) if wrong == "first" else base.drawn(len(XR), some, base.RNG_SAMPLE)
    share = len(XS) / (len(XS) + len(XR))
    v = share * (gradient(r.net, ce(r.net, XS, YS)) - gradient(r.net, ce(r.net, XR, YR)))
    g = [gradient(r.net, ce(r.net, XR[i:i + 1], YR[i:i + 1])) for i in single]
    if wrong == "retain gradient":
        v = share * gradient(r.net, ce(r.net, XS, YS))
    if wrong == "share":
        v = v / share
    if wrong == "Fisher":
        step = v
    elif released:
        step = recursion(v, g, 1000, wrong)
    else:
        step = inverse(v, g, tau, raw, wrong)
    assign(r.net, vector(r.net) + alpha * step)
    return r


def recursion(v, g, n, wrong):
    """As released, with its vector o."""
    k, o = v.clone(), None
    for sample in g[:n + 2]:
        if o is None:
            o = sample.clone()
            continue
        tmp = o @ sample
        k = k - (k @ sample) / ((2 * n if wrong == "N" else n) + tmp) * o
        if wrong != "rescaled":
            o = o - tmp / (n + tmp) * o
    return k


def inverse(v, g, tau, raw, wrong):
    """The true recursion: u_i = F_i^-1 g_i, F_i = F_{i-1} + g_i g_i^T / N, F_0 = lambda I."""
    n = len(g)
    lam = tau * float(sum(x @ x for x in g)) / (n * min(n, len(v)))
    lam = lam / n if wrong == "trace" else lam
    u, d = [], []
    for x in g:
        ui = x / lam
        for uj, dj in zip(u, d):
            ui = ui - uj * ((uj @ x) / dj)
        u.append(ui)
        d.append(n + float(x @ ui))
    out = v / lam
    for ui, di in zip(u, d):
        out = out - ui * (ui @ v) / di
    return out if raw or wrong == "normalised" else lam * out


# ---- Fisher forgetting ----


def fisher(wrong, variant="sample", size=1, alpha=1e-4, head=3.0, row=None):
    """`row`: the class that all of the forget set has, whose row of the last layer is drawn anew."""
    r = start(wrong)
    f = 0
    x, y = (XR, YR) if row is None else (base.X[base.Y != row], base.Y[base.Y != row])
    parts = [(x[i:i + size], y[i:i + size]) for i in range(0, len(x), size)]
    for x, y in parts:
        if variant == "label":
            f = f + (1e-8 - gradient(r.net, ce(r.net, x, y))) ** 2
            continue
        p = F.softmax(r.net(x), 1).mean(0).detach()
        for c in range(CLASSES):
            weight = 1 / CLASSES if wrong == "p" else p[c]
            f = f + weight * gradient(r.net, ce(r.net, x, torch.full((len(x),), c))) ** 2
    f = f / (1 if wrong == "mean" else len(parts))
    i, sigma = 0, []
    for p in r.net.parameters():
        s = f[i:i + p.numel()].view(p.shape)
        i += p.numel()
        s = (by_label if variant == "label" else deviation)(s, alpha, head, wrong).clone()
        if row is not None and p.shape[0] == CLASSES and wrong != "row":
            s[row] = np.sqrt(1e-4 * (10 if p.ndim == 1 else head))
            p.data[row] *= 1 if wrong == "around 0" else 0
        sigma.append(s.ravel())
    eps = noise(i, draw=wrong == "draw")
    assign(r.net, vector(r.net) + torch.cat(sigma) * eps)
    return r


def by_label(f, alpha, _, wrong):
    s = torch.sqrt(alpha / f)
    if wrong != "at most 1e-3":
        s = s.clamp(max=1e-3)
    return s * (10 if f.shape[-1] == 10 and wrong != "tenfold" else 1)


def deviation(f, alpha, head, wrong):
    var = (1 / (f + 1e-8)).clamp(max=1e9 if wrong == "at most 1e3" else 1e3)
    is_head = f.shape[0] == CLASSES
    if is_head and wrong != "at most 1e2":
        var = var.clamp(max=1e2)
    var = var * alpha
    if f.ndim > 1 and wrong != "mean over inputs":
        var = var.mean(1, keepdim=True).expand_as(f)
    factor = 10 if f.ndim == 1 else head if is_head else 1
    if wrong == "tenfold" and f.ndim == 1 or wrong == "head" and is_head and f.ndim > 1:
        factor = 1
    return torch.sqrt(factor * var)


# ---- in steps ----


def exact(a, b, c):
    """The weights that make the step the sum of the two unit gradients, but for its length."""
    return 1 / torch.sqrt(a), 1 / torch.sqrt(c)


def released(a, b, c, fallback=True):
    """As released, in single precision."""
    a, b, c = a.float(), b.float(), c.float()
    w_r = torch.sqrt((a * c - b * torch.sqrt(a * c)) / (a * a * c - a * b * b + 1e-8))
    w_f = (1 - a * w_r * w_r) / (b * w_r + 1e-8)
    if fallback and not (w_r > 0 and w_f > 0):
        return 1.0, 0.1
    return w_r.double(), w_f.double()


def calm(mean):
    """Nearly the same features for every image, and the classes' shares in R: there L_r is nearly flat."""
    def change(net):
        net.bn3.weight.mul_(0.01)
        net.bn3.bias.fill_(mean)
        net.fc.weight.mul_(0.01)
        n = torch.bincount(YR, minlength=CLASSES).double()
        net.fc.bias.copy_((n.clamp(min=0.1) / len(YR)).log())
    return change


def munba(wrong, weights=exact, change=None, lr=1.0, decay=0.02, size=base.N):
    """Steps on both sets while batches of S last, then on R alone."""
    r = Run(wrong, lr, decay)
    if change:
        r.one_shot(change)
    weights = {"exact": exact, "bargain": lambda *_: (1.0, 1.0), "no fallback": lambda *d: released(*d, False)}.get(wrong, weights)
    for e in range(2):
        retain = base.batches(base.STREAM_RETAIN, len(XR), size, 0 if wrong == "order" else e)
        forget = base.batches(base.STREAM_FORGET, len(XS), size, e)
        for i, b in enumerate(retain[:len(forget)] if wrong == "rest" else retain):
            g = gradient(r.net, r.ce(XR[b], YR[b]))
            mixed = i < len(forget) or wrong == "both to the end"
            if mixed:
                s = forget[i % len(forget)]
                g_f = gradient(r.net, r.ce(XS[s], YS[s] if wrong == "random" else random_labels(e)[s]))
                w_r, w_f = weights(g @ g, g @ g_f, g_f @ g_f)
                g = w_r * g + w_f * g_f
                if weights is exact:
                    g = g * np.sqrt(2) / torch.sqrt(g @ g)
            if (mixed or wrong == "clip all") and wrong != "clip" and torch.sqrt(g @ g) > 1:
                g = g / torch.sqrt(g @ g)
            take(r, g)
    return r


def take(r, g):
    i = 0
    for p in r.net.parameters():
        p.grad = g[i:i + p.numel()].view(p.shape).clone()
        i += p.numel()
    r.sgd.step()


def sfr_on(wrong, unit=0, alpha=3, clip=1e3, average=1.0, bound=None, gamma=1):
    """Three iterations, ascent in the first and the third; unit 0: the whole set is the batch."""
    r = Run(wrong, 0.05, 0.2)
    at = base.fresh().train(wrong == "mask in eval mode")
    i_s, _ = importance(at, XS, YS, unit or len(XS), ce, 2)
    i_s = without_rounding(i_s, at, 2)
    i_r, _ = importance(at, XR, YR, unit or len(XR), ce, 2)
    i_r = without_rounding(i_r, at, 2)
    mask = ((i_s + 1e-15) / (i_r + 1e-15) >= (1 if wrong == "gamma" else gamma)).double()
    if wrong == "mask":
        mask[:] = 1
    for t in range(3):
        before = vector(r.net)
        for group in r.sgd.param_groups:
            group["lr"] = 0.05 if wrong == "cosine" else 0.05 * (1 + np.cos(np.pi * t / 3)) / 2
        if t % {"every": 1}.get(wrong, 2) == 0:
            ascend(r, mask, alpha if wrong == "fading" else alpha * (1 + np.cos(np.pi * t / 3)) / 2,
                   clip, bound, wrong)
        take(r, gradient(r.net, r.ce(XR, YR)))
        if wrong != "average":
            assign(r.net, (1 - average) * before + average * vector(r.net))
    return r


def ascend(r, mask, a, clip, bound, wrong):
    loss = F.cross_entropy(r.net(XS), YS, reduction="none")
    w = 1 / (loss.detach() ** (1.0 if wrong == "power" else 0.5) + 1e-15)
    if bound is not None and wrong != "bound":
        w = w * (loss.detach() <= bound)
    w = torch.full_like(w, 1 / len(w)) if wrong == "weights" else w / w.sum()
    g = (1 if wrong == "sign" else -1) * gradient(r.net, a * (w * loss).sum()) * mask
    norm = torch.sqrt(g @ g)
    take(r, g if wrong == "clip" or norm < clip else g * (clip / (norm + 1e-6)))


DAMPENED = ["eval mode", "power", "unit", "whole", "alpha", "batch-norm"]
ADAPTIVE = ["eval mode", "power", "unit", "whole", "alpha"]
INFLUENCE = ["eval mode", "retain gradient", "share", "Fisher"]
FISHER = ["eval mode", "mean", "draw", "tenfold"]
CLASSES_OF = ["p", "at most 1e2", "mean over inputs", "head"]
COMMON = base.COMMON
SFR = COMMON + ["mask", "mask in eval mode", "cosine", "every", "weights", "sign"]
CASES = {
    "ssd": (lambda w: dampened(w, 1, 1.2, 0.8), DAMPENED + ["lambda", "at most 1"], []),
    "ssd-batch": (lambda w: dampened(w, 5, 1.2, 1.0), DAMPENED, []),
    "lfssd": (lambda w: dampened(w, 1, 1.1, 0.8, square_norm, 1), DAMPENED + ["lambda"], []),
    "lfssd-batch": (lambda w: dampened(w, 5, 1.1, 0.8, square_norm, 1), DAMPENED + ["lambda"], []),
    "assd": (lambda w: dampened(w, 1, None, 0.5), ADAPTIVE + ["lambda", "all", "percent"], []),
    "assd-batch": (lambda w: dampened(w, 5, None, 0.5), ADAPTIVE + ["lambda", "all", "percent"], []),
    "influence": (influence, INFLUENCE + ["trace", "normalised"], []),
    "influence-cg": (influence, INFLUENCE, []),
    "influence-raw": (lambda w: influence(w, raw=True, alpha=100.0, tau=3.0),
                      INFLUENCE + ["trace"], []),
    "influence-random": (lambda w: influence(w, some=10), INFLUENCE + ["trace", "normalised", "first"], []),
    "influence-released": (lambda w: influence(w, released=True), INFLUENCE + ["N", "rescaled"], []),
    "fisher": (fisher, FISHER + CLASSES_OF + ["at most 1e3"], []),
    "fisher-batch": (lambda w: fisher(w, "batch", 5), FISHER + CLASSES_OF, []),
    "fisher-row": (lambda w: fisher(w, alpha=1e-5, row=0), FISHER + CLASSES_OF + ["at most 1e3", "row", "around 0"], []),
    "fisher-batch-row": (lambda w: fisher(w, "batch", 5, alpha=1e-5, row=0), FISHER + CLASSES_OF + ["row", "around 0"], []),
    "fisher-label": (lambda w: fisher(w, "label", alpha=1e-8), FISHER + ["at most 1e-3"], []),
    "munba": (munba, COMMON + ["random", "bargain", "clip"], ["train mode"]),
    "munba-batches": (lambda w: munba(w, lr=0.05, decay=0.2, size=8),
                      COMMON + ["rest", "both to the end", "clip all", "order"], ["train mode"]),
    "munba-released": (lambda w: munba(w, released, calm(0.1), lr=0.01),
                       COMMON + ["random", "bargain", "exact"], ["train mode"]),
    "munba-fallback": (lambda w: munba(w, released, calm(0.05), lr=0.1),
                       COMMON + ["random", "exact", "no fallback"], []),
    "sfr-on": (sfr_on, SFR + ["fading", "power"], ["train mode", "every"]),
    "sfr-on-sample": (lambda w: sfr_on(w, 1, 6, 4.0, 0.7, 3.0), SFR + ["clip", "average", "bound"],
                      ["train mode"]),
    "sfr-on-gamma": (lambda w: sfr_on(w, 1, gamma=3), SFR + ["gamma"], ["train mode"]),
}


def make(outdir):
    torch.set_num_threads(1)
    base.make(outdir, CASES)
