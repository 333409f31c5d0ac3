"""golden_methods.py - the first two steps of each unlearning method, from PyTorch in float64.

make(outdir) writes outdir/methods/NAME.npz: what the two steps add to all parameters and to the
running statistics, as goldenlib's short forms. A batch holds a whole set, so that the order of
examples does not matter. Weights, images and labels come from goldenlib's counter; random labels
from the library's generator, Philox 4x32-10 (Salmon et al. 2011), written out below.

For each case it prints how far off a program would be that forgets a term; `make` fails where that
is less than ten times the bound of the test.
"""

import functools
import json
import os
import platform

import numpy as np
import torch
import torch.nn.functional as F

import golden_accounting
import goldenlib as lib
from golden_network import Cnn

N, N_FORGET, CLASSES, SIZE, SEED = 36, 12, 10, 16, 5
BOUNDS = (1e-2, 2e-4)  # of the test: parameters, running statistics
RNG_INIT, RNG_SHUFFLE, RNG_LABEL, RNG_STEP, RNG_NOISE, RNG_RETAIN, RNG_IMAGES, RNG_GUMBEL = 1, 2, 4, 8, 13, 21, 22, 23
RNG_SAMPLE = 31
STREAM_RETAIN, STREAM_FORGET, STREAM_BOTH, STREAM_BESIDE, STREAM_FIRST = 1, 2, 3, 8, 9
NOISE_BOUND = 1e-5  # parameters, where noise is larger than all else
BOUND_CHANGE = 1e-4  # of parameters that no step has moved: cases NAME-start


def philox(key, ctr):
    c, k = list(ctr), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def words(seed, purpose, a, b):
    n = 0
    while True:
        yield from philox((seed & 0xFFFFFFFF, seed >> 32), (n, purpose, a, b))
        n += 1


def step_seed():
    w = words(SEED, RNG_STEP, 0, 0)
    return next(w) << 32 | next(w)


def below(w, n):
    limit = 0xFFFFFFFF - 0xFFFFFFFF % n
    return next(x for x in w if x < limit) % n


def random_labels(epoch):
    return torch.tensor([below(words(step_seed(), RNG_LABEL, epoch, i), CLASSES)
                         for i in range(N_FORGET)])


def wrong_labels(epoch):
    return torch.tensor([(int(YS[i]) + 1 + below(words(step_seed(), RNG_LABEL, epoch, i), CLASSES - 1))
                         % CLASSES for i in range(N_FORGET)])


def shuffled(w, n):
    """Fisher-Yates, from the back."""
    x = list(range(n))
    for i in range(n, 1, -1):
        j = below(w, i)
        x[i - 1], x[j] = x[j], x[i - 1]
    return x


def batches(stream, n, size, epoch=0):
    x = shuffled(words(step_seed(), RNG_SHUFFLE, stream, epoch), n)
    return [x[i:i + size] for i in range(0, n, size)]


def drawn(n, k, stream=RNG_RETAIN):
    return sorted(shuffled(words(step_seed(), stream, 0, 0), n)[:k])


def normal(w):
    u, v = (next(w) + 0.5) / 2**32, next(w) / 2**32
    return np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)


def uniform(w):
    return (next(w) >> 8) / 2**24


def ignorant():
    """Fresh weights as the library draws them: one stream for each entry."""
    net = fresh()
    with torch.no_grad():
        for i, (part, v) in enumerate(net.state_dict().items()):
            w = words(step_seed(), RNG_INIT, i, 0)
            if "conv" in part:
                a = [np.sqrt(2 / (v.shape[0] * 9)) * normal(w) for _ in range(v.numel())]
                v.copy_(torch.tensor(a).view(v.shape))
            elif "fc" in part:
                bound = 1 / np.sqrt(net.fc.in_features)
                a = [bound * (2 * uniform(w) - 1) for _ in range(v.numel())]
                v.copy_(torch.tensor(a).view(v.shape))
            elif "bn" in part:
                v.fill_(part.endswith(("weight", "var")))
    return net.eval()


def fresh():
    return filled(Cnn(1, SIZE, (8, 16, 32)))


def filled(net):
    net = net.double()
    with torch.no_grad():
        for part, v in net.state_dict().items():
            if v.dtype == torch.float64:
                v.copy_(torch.tensor(lib.view(f"methods/{part}", v.shape)))
    return net


X = torch.tensor(lib.uniform("methods/x", (N, 1, SIZE, SIZE), 0, 1)).double()
Y = torch.tensor(lib.labels("methods/y", N, CLASSES))
XS, YS, XR, YR = X[:N_FORGET], Y[:N_FORGET], X[N_FORGET:], Y[N_FORGET:]


class Run:
    """A net, its optimiser, and the two steps; `wrong` names a term that is left out."""

    report = None  # numbers that the method says of its run

    def __init__(self, wrong, lr, decay, momentum=0.9, adam=None, net=None):
        """`adam`: "adam" or "adamw" in the place of SGD."""
        self.wrong, self.net, self.adam = wrong, net or fresh(), adam
        self.start = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.net.train(wrong != "train mode")
        self.lr, self.decay = lr, 0 if wrong == "decay" else decay
        self.momentum = 0 if wrong == "momentum" else momentum
        self.new_optimizer()

    def one_shot(self, change):
        """What is done before the first step, from where the steps are then measured."""
        with torch.no_grad():
            change(self.net)
        self.start = {k: v.clone() for k, v in self.net.state_dict().items()}

    def new_optimizer(self):
        if self.adam and self.wrong != "sgd":
            decoupled = (self.adam == "adamw") != (self.wrong == "coupling")
            kind = torch.optim.AdamW if decoupled else torch.optim.Adam
            self.sgd = kind(self.net.parameters(), lr=self.lr, weight_decay=self.decay)
            return
        self.sgd = torch.optim.SGD(self.net.parameters(), lr=self.lr, momentum=self.momentum,
                                   weight_decay=self.decay)

    def ce(self, x, y):
        return F.cross_entropy(self.net(x), y)

    def step(self, loss):
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()

    def moved(self):
        now, names = self.net.state_dict(), [k for k, _ in self.net.named_parameters()]

        def diff(keys):
            return torch.cat([(now[k] - self.start[k]).ravel() for k in keys])

        return diff(names), diff([k for k in now if "running" in k or "normalize" in k])


def finetune(wrong):
    r = Run(wrong, 0.05, 0.2)
    for _ in range(2):
        r.step(r.ce(X, Y) if wrong == "only retain" else r.ce(XR, YR))
    return r


def l1_sparse(wrong):
    r = Run(wrong, 0.05, 0.4)
    for e in range(2):
        alpha = {"L1": 0, "fading": 0.5}.get(wrong, 0.5 * (1 - e / 2))
        l1 = sum(p.abs().sum() for k, p in r.net.named_parameters()
                 if wrong != "L1 on batch-norm" or "bn" not in k)
        r.step(r.ce(XR, YR) + alpha * l1)
    return r


def neggrad(wrong):
    r = Run(wrong, 0.05, 0.2)
    for _ in range(2):
        r.step((1 if wrong == "sign" else -1) * r.ce(XS, YS))
    return r


def neggrad_ceiling(wrong):
    r = Run(wrong, 0.05, 0.2)
    for _ in range(2):
        own = F.cross_entropy(r.net(XS), YS, reduction="none")
        if wrong == "of an example":
            r.step(-own.mean().clamp(max=3))
        else:
            r.step(-(own if wrong == "ceiling" else own.clamp(max=3)).mean())
    return r


def neggrad_plus_near(wrong):
    """With the proximal term, batch-norm frozen, and a ceiling."""
    r = Run(wrong, 0.05, 0.2)
    if wrong != "frozen":
        r.net.eval()
    start = [p.detach().clone() for p in r.net.parameters()]
    for _ in range(2):
        retain = r.ce(XR, YR)
        if wrong != "proximal":
            far = sum(((p - q) ** 2).sum() for p, q in zip(r.net.parameters(), start))
            retain = retain + (4 if wrong == "half" else 8) * far
        forget = F.cross_entropy(r.net(XS), YS, reduction="none")
        r.step(0.6 * retain - 0.4 * (forget if wrong == "ceiling" else forget.clamp(max=3)).mean())
    return r


def neggrad_plus(wrong):
    r = Run(wrong, 0.05, 0.2)
    for _ in range(2):
        a = {"forget": (0.6, 0), "retain": (0, -0.4), "alpha": (0.4, -0.6)}.get(wrong, (0.6, -0.4))
        if wrong == "apart":
            z = r.net(torch.cat([XR, XS]))
            r.step(a[0] * F.cross_entropy(z[:len(YR)], YR) + a[1] * F.cross_entropy(z[len(YR):], YS))
        elif wrong == "retain first":
            forget = a[1] * r.ce(XS, YS)
            r.step(a[0] * r.ce(XR, YR) + forget)
        else:
            retain = a[0] * r.ce(XR, YR)
            r.step(retain + a[1] * r.ce(XS, YS))
    return r


def scrub(wrong):
    r = Run(wrong, 0.05, 0.2)
    t = 1.0 if wrong == "temperature" else 3.0
    teacher = fresh().eval()

    def kl(x, z):
        p = F.softmax(teacher(x).detach() / t, 1)
        own = F.log_softmax(z / t, 1)
        scale = 1 if wrong == "T squared" else t * t
        if wrong == "direction":
            return scale * (own.exp() * (own - p.log())).sum() / len(x)
        return scale * (p * (p.log() - own)).sum() / len(x)

    if wrong == "teacher in eval mode":
        teacher.train()
    if wrong != "max step":
        r.step((1 if wrong == "sign" else -1) * kl(XS, r.net(XS)))
    if wrong == "frozen teacher":
        teacher.load_state_dict(r.net.state_dict())
    if wrong == "one optimiser":
        r.new_optimizer()
    z = r.net(XR)
    ce, beta = 0 if wrong == "CE" else 0.8, 0 if wrong == "KL" else 1.5
    r.step(ce * F.cross_entropy(z, YR) + beta * kl(XR, z))
    return r


def scrub_released(wrong):
    """msteps = 0: e <= msteps still makes one epoch of ascent. Two epochs: up, down, down."""
    r, teacher = Run(wrong, 0.02, 0.2), fresh().eval()

    def kl(x, z):
        p, own = F.softmax(teacher(x).detach() / 3, 1), F.log_softmax(z / 3, 1)
        return 9 * (p * (p.log() - own)).sum() / len(x)

    for e in range(2):
        if e <= {"one more": -1, "all": 1}.get(wrong, 0):
            r.step(-kl(XS, r.net(XS)))
        z = r.net(XR)
        r.step(0.8 * F.cross_entropy(z, YR) + 1.5 * kl(XR, z))
    return r


def random_label_wrong(wrong):
    r = Run(wrong, 0.1, 0.15)
    for e in range(2):
        labels = random_labels(e) if wrong == "never true" else wrong_labels(e)
        r.step(r.ce(X, torch.cat([labels, YR])))
    return r


def salun_released(wrong):
    """Batches of 8: the forget set's are two, so that moving while measuring shows."""
    lr, decay = 0.1, 0.15
    r, at = Run(wrong, lr, decay), fresh().eval()
    sgd = torch.optim.SGD(at.parameters(), lr=lr, momentum=0.9, weight_decay=decay)
    g = 0
    for b in batches(STREAM_FORGET, N_FORGET, 8):
        sgd.zero_grad()
        (-F.cross_entropy(at(XS[b]), YS[b])).backward()
        g = g + torch.cat([p.grad.ravel() for p in at.parameters()])
        if wrong != "moves":
            sgd.step()
    k = int(np.floor(0.3 * len(g) + 0.5))
    mask = torch.zeros(len(g))
    mask[torch.argsort(g.abs(), descending=wrong == "least", stable=True)[:k]] = 1
    labels = torch.cat([random_labels(0), YR])
    start = torch.cat([p.detach().ravel() for p in r.net.parameters()])
    for b in batches(STREAM_BOTH, N, 8):
        r.sgd.zero_grad()
        r.ce(X[b], labels[b]).backward()
        i = 0
        for p in r.net.parameters():
            p.grad *= mask[i:i + p.numel()].view(p.shape)
            i += p.numel()
        r.sgd.step()
    if wrong == "decay for all":
        i = 0
        for p in r.net.parameters():
            still = mask[i:i + p.numel()].view(p.shape) == 0
            p.data[still] = start[i:i + p.numel()].view(p.shape)[still]
            i += p.numel()
    return r


def random_label(wrong):
    r = Run(wrong, 0.1, 0.15)
    for e in range(2):
        labels = YS if wrong == "random" else random_labels(0 if wrong == "new labels" else e)
        r.step(r.ce(XS, labels) if wrong == "retain" else r.ce(X, torch.cat([labels, YR])))
    return r


def salun(wrong, labels=random_labels):
    r = Run(wrong, 0.1, 0.15)
    at = fresh().train(wrong == "mask in eval mode")
    loss = F.cross_entropy(at(X if wrong == "mask of the forget set" else XS),
                           Y if wrong == "mask of the forget set" else YS)
    loss.backward()
    g = torch.cat([p.grad.ravel() for p in at.parameters()]).abs()
    k = int(np.floor(0.2 * len(g) + 0.5))
    mask = torch.zeros(len(g), dtype=torch.bool)
    mask[torch.argsort(g, descending=wrong != "largest", stable=True)[:k]] = True
    if wrong == "mask":
        mask[:] = True
    start = torch.cat([p.detach().ravel() for p in r.net.parameters()])
    for e in range(2):
        r.sgd.zero_grad()
        drawn_labels = random_labels(e) if wrong == "never true" else labels(e)
        r.ce(X, torch.cat([drawn_labels, YR])).backward()
        i = 0
        for p in r.net.parameters():
            p.grad *= mask[i:i + p.numel()].view(p.shape)
            i += p.numel()
        r.sgd.step()
        i = 0
        for p in r.net.parameters():
            n = p.numel()
            if wrong != "still weights":
                keep = mask[i:i + n].view(p.shape)
                p.data = torch.where(keep, p.data, start[i:i + n].view(p.shape))
            i += n
    return r


def soft(target, z):
    return -(target * F.log_softmax(z, 1)).sum(1).mean()


def delete(wrong, frozen=False):
    r = Run(wrong, 0.05, 0.2)
    if frozen:
        r.net.eval()
    teacher = fresh().eval()
    for _ in range(2):
        if wrong == "teacher in eval mode":
            teacher.train()
        z = teacher(XS).detach()
        if wrong != "true class":
            z[torch.arange(N_FORGET), YS] = -1e10
        own = F.log_softmax(r.net(XS), 1)
        if wrong == "direction":
            z[torch.arange(N_FORGET), YS] = -30
            r.step((own.exp() * (own - F.log_softmax(z, 1))).sum(1).mean())
        else:
            r.step(soft(F.softmax(z, 1), own))
        if wrong == "frozen teacher":
            teacher.load_state_dict(r.net.state_dict())
    return r


def bad_teacher(wrong, classes=1, lr=0.05, decay=0.2, adam=None):
    r = Run(wrong, lr * classes, decay / classes, adam=adam)
    keep = [i + N_FORGET for i in (range(12) if wrong == "draw" else drawn(N - N_FORGET, 12))]
    x = torch.cat([XS, X[keep]] if wrong != "share" else [XS, XR])
    good, bad = fresh().eval(), ignorant()
    if wrong == "teachers in eval mode":
        bad.train()
    for _ in range(2):
        with torch.no_grad():
            t = F.softmax(torch.cat([(good if wrong == "incompetent" else bad)(x[:N_FORGET]),
                                     (bad if wrong == "competent" else good)(x[N_FORGET:])]), 1)
        r.step(soft(t, r.net(x)) / (1 if wrong == "classes" else classes))
        if wrong == "frozen teacher":
            good.load_state_dict(r.net.state_dict())
    return r


def boundary_shrink(wrong):
    r, teacher = Run(wrong, 0.05, 0.2), fresh().eval()
    for _ in range(2):
        x = XS.clone().requires_grad_()
        F.cross_entropy(teacher(x), YS).backward()
        step = -0.8 if wrong == "sign" else 0.8
        far = XS + step * (x.grad / x.grad.norm() if wrong == "of the sign" else x.grad.sign())
        if wrong != "clip":
            far = far.clamp(0, 1)
        labels = teacher(torch.round(255 * far) / 255).argmax(1)
        r.step(r.ce(XS, YS if wrong == "class next door" else labels))
        if wrong == "frozen teacher":
            teacher.load_state_dict(r.net.state_dict())
    return r


def boundary_expand(wrong, xavier=False):
    r = Run(wrong, 0.05, 0.2)
    old, w = r.net.fc, words(step_seed(), RNG_INIT, 0, 1)
    n, row = old.in_features, []
    for _ in range(n):
        row.append(np.sqrt(2 / (n + CLASSES + 1)) * normal(w) if xavier
                   else (2 * uniform(w) - 1) / np.sqrt(n))
    bias = 0 if xavier else (2 * uniform(w) - 1) / np.sqrt(n)
    if wrong == "row":
        row, bias = [0.0] * n, 0
    r.net.fc = torch.nn.Linear(n, CLASSES + 1).double()
    r.net.fc.weight.data = torch.cat([old.weight.data, torch.tensor([row]).double()])
    r.net.fc.bias.data = torch.cat([old.bias.data, torch.tensor([bias]).double()])
    r.new_optimizer()
    for _ in range(2):
        r.step(r.ce(XS, torch.full((N_FORGET,), 0 if wrong == "class" else CLASSES)))
    old.weight.data, old.bias.data = r.net.fc.weight.data[:-1], r.net.fc.bias.data[:-1]
    r.net.fc = old
    return r


def gumbel(epoch, i):
    w = words(step_seed(), RNG_GUMBEL, epoch, i)
    return [-np.log(-np.log((next(w) + 0.5) / 2**32)) for _ in range(CLASSES)]


def lotus(wrong, noise=True, lr=0.05, decay=0.2, adam=None):
    r, teacher = Run(wrong, lr, decay, adam=adam), fresh().eval()
    keep = [i + N_FORGET for i in drawn(N - N_FORGET, 12)]
    ids = list(range(N_FORGET)) + keep
    for e in range(2):
        mode = r.net.training
        r.net.train(wrong == "accuracy in eval mode")
        with torch.no_grad():
            d = float((r.net(XS).argmax(1) == YS).double().mean())
        r.net.train(mode)
        tau = np.exp({"alpha": 3, "d": 0}.get(wrong, 6) * d)
        z = teacher(X[ids]).detach()
        if noise and wrong != "noise":
            g = torch.tensor([gumbel(0 if wrong == "new noise" else e, i) for i in ids])
            z = z + torch.cat([g[:N_FORGET], 0 * g[N_FORGET:] if wrong == "noise of R" else g[N_FORGET:]])
        t = F.softmax(z / tau, 1)
        if wrong == "tau of the noise" and noise:
            t = F.softmax((z - g) / tau + g, 1)
        t[N_FORGET:] = F.one_hot(z[N_FORGET:].argmax(1), CLASSES).double()
        if wrong == "labels on R":
            t[N_FORGET:] = F.one_hot(Y[keep], CLASSES).double()
        r.step(soft(t, r.net(X[ids])))
    return r


def unsir(wrong, train=False, lr=0.05, decay=0.2, adam=None):
    """Classes 0 and 1: 4 images of noise each, 2 steps, 2 copies; 2 examples of every other class."""
    r = Run(wrong, lr, decay, adam=adam)
    mode = r.net.training
    keep = []
    for i in range(N):
        if Y[i] > 1 and sum(Y[k] == Y[i] for k in keep) < 2:
            keep.append(i)
    mean, std = (getattr(r.net.normalize, k).view(1, 1, 1, 1) for k in ("mean", "std"))
    noise = []
    for c in (0, 1):
        n = []
        for i in range(4):
            w = words(step_seed(), RNG_IMAGES, c, i)
            n.append([normal(w) for _ in range(SIZE * SIZE)])
        n = torch.tensor(n).view(4, 1, SIZE, SIZE).requires_grad_()
        maker = torch.optim.Adam([n], lr=0.1)
        r.net.train(train)
        for _ in range(0 if wrong == "noise" else 2):
            maker.zero_grad()
            own = r.ce(mean + std * n, torch.full((4,), c))
            loss = (1 if wrong == "away" else -1) * own
            if wrong != "penalty":
                loss = loss + n.square().sum((1, 2, 3)).mean()
            loss.backward()
            maker.step()
        noise.append((mean + std * n).detach() if wrong != "units" else n.detach())
    r.net.train(mode)
    if wrong == "copies":
        x, y = torch.cat(noise), torch.tensor([0] * 4 + [1] * 4)
    else:
        x, y = torch.cat(noise * 2), torch.tensor(([0] * 4 + [1] * 4) * 2)
    r.step(r.ce(torch.cat([x, X[keep]]), torch.cat([y, Y[keep]])) if wrong != "impair"
           else r.ce(X[keep], Y[keep]))
    if wrong != "new optimiser":
        r.new_optimizer()
    if wrong != "repair":
        r.step(r.ce(X[keep], Y[keep]))
    return r


def weight_distance(wrong, lr=0.05, decay=0.2, adam=None):
    r = Run(wrong, lr, decay, adam=adam)
    origin = [p.detach().clone() for p in r.net.parameters()]
    for _ in range(2):
        if wrong == "origin":
            origin = [p.detach().clone() for p in r.net.parameters()]
        square = torch.cat([((p - o) ** 2).ravel() for p, o in zip(r.net.parameters(), origin)])
        away = {"mean": square.sum(), "root": square.mean()}.get(wrong, square.mean())
        away = away + 1e-8 if wrong == "root" else torch.sqrt(away + 1e-8)
        r.step(r.ce(XR, YR) - {"distance": 0, "sign": -500}.get(wrong, 500) * away)
    return r


@functools.lru_cache
def noise(n, draw=0):
    """Chunks of 4096 numbers; two words make one by Box and Muller's cosine."""
    out = []
    for chunk in range(-(-n // 4096)):
        w = words(step_seed(), RNG_NOISE, draw, chunk)
        for _ in range(min(4096, n - 4096 * chunk)):
            u, v = (next(w) + 0.5) / 2**32, next(w) / 2**32
            out.append(np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v))
    return torch.tensor(out, dtype=torch.float64)


def distorted(damage, wrong, lr=0.2, decay=0.4, adam=None):
    r = Run(wrong, lr, decay, adam=adam)
    n = sum(p.numel() for p in r.net.parameters())
    if damage == "noise":
        scale, shift = torch.ones(n), 0.04 * noise(n, draw=wrong == "draw")
    elif damage == "shrink":
        scale, shift = torch.full((n,), 0.9), torch.zeros(n)
    else:
        w = words(step_seed(), RNG_NOISE, 0, 0)
        scale = torch.tensor([(next(w) >> 8) / 2**24 >= 0.05 for _ in range(n)]).double()
        shift = torch.zeros(n)
    i = 0
    for name, p in r.net.named_parameters():
        k = p.numel()
        if wrong != "damage" and not (wrong == "batch-norm" and "bn" in name):
            p.data = p.data * scale[i:i + k].view(p.shape) + shift[i:i + k].view(p.shape)
        i += k
    for _ in range(2):
        r.step(r.ce(X, Y) if wrong == "only retain" else r.ce(XR, YR))
    return r


def mode_connectivity(wrong, lr=0.2, decay=0.2, adam=None):
    r = Run(wrong, lr, decay, adam=adam)
    origin = [p.detach().clone() for p in r.net.parameters()]
    for _ in range(2):
        loss = r.ce(XR, YR)
        mid = fresh().train()
        with torch.no_grad():
            for m, p, o in zip(mid.parameters(), r.net.parameters(), origin):
                m.copy_(p if wrong == "half way" else (p + o) / 2)
        x, y = {"forget": (XR, YR), "retain": (XS, YS)}.get(wrong, (X, Y))
        ce = F.cross_entropy(mid(x), y)
        if wrong == "as one":
            ce = (24 * F.cross_entropy(mid(XR), YR) + 12 * F.cross_entropy(mid(XS), YS)) / 36
        pull = torch.maximum(-ce, torch.tensor(-50.0, dtype=torch.float64))
        r.sgd.zero_grad()
        loss.backward()
        weight = {"path": 0, "sign": -4, "through theta alone": 8}.get(wrong, 4)
        grads = torch.autograd.grad(weight * pull, list(mid.parameters()))
        for p, g in zip(r.net.parameters(), grads):
            p.grad += g / 2  # mid moves half as far as theta
        r.sgd.step()
    return r


def certified(clip, lam, wrong):
    """Two noisy steps and one without noise; `clip` 0: gradient, 1: model, 2: both."""
    lr, c0, c1, c2, eta = (0.02, 2.0, 0.1, 3.0, 20.0) if clip == 2 else (0.3, 2.0, 8.0, 3.0, 0.2)
    r = Run(wrong, lr, 0.2, momentum=0)
    ps = list(r.net.parameters())
    shapes, n = [p.shape for p in ps], sum(p.numel() for p in ps)
    steps, sigma = 2, golden_accounting.sigma_for(clip, 100, 0.1, c0, c1, c2, eta, lam, 2)
    lam = 0 if wrong == "lambda" else lam

    def flat(x):
        return torch.cat([a.detach().ravel() for a in x])

    def put(w):
        with torch.no_grad():
            for p, part, shape in zip(ps, w.split([s.numel() for s in shapes]), shapes):
                p.copy_(part.view(shape))

    def clipped(x, c, name):
        return x if wrong == name else x * min(1.0, c / float(x.norm()))

    put(clipped(flat(ps), c0, "c0"))
    for t in range(steps):
        g = flat(torch.autograd.grad(r.ce(XR, YR), ps))
        g = clipped(g, c1, "c1") if clip != 1 else g
        g = 0 if wrong == "gradient" else g
        w = flat(ps) * (1 - eta * lam) - eta * g
        add = {"noise": 0, "one draw": noise(n, 0) * sigma}.get(wrong, noise(n, t) * sigma)
        if (clip == 1) != (wrong == "order"):
            w = clipped(w, c2, "c2") + add
        else:
            w = clipped(w + add, c2, "c2") if clip or wrong == "order" else w + add
        put(w)
    for m in r.net.modules():
        if isinstance(m, torch.nn.BatchNorm2d) and wrong != "estimate":
            m.reset_running_stats()
            m.momentum = None
    with torch.no_grad():
        r.net(XR)
    for m in r.net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.momentum = 0.1
    if wrong != "fine-tuning":
        r.step(r.ce(XR, YR))
    return r


COMMON = ["decay", "momentum", "train mode"]
# The optimiser that these methods have of themselves. Its first step is the sign of the gradient,
# which float32 has right but where a gradient is 1e-6 of its tensor's or less: one weight or none.
ADAM = dict(lr=0.01, decay=0.2, adam="adam")
ADAMW = dict(lr=0.01, decay=2, adam="adamw")
OF_ADAM = ["decay", "sgd", "coupling", "train mode"]
NOISY = ["decay", "c0", "gradient", "noise", "one draw", "fine-tuning"]
# name: how, terms that show in the parameters, terms that show in the running statistics
CASES = {
    "finetune": (finetune, COMMON + ["only retain"], ["train mode"]),
    "l1-sparse": (l1_sparse, COMMON + ["L1", "fading", "L1 on batch-norm"], ["train mode"]),
    "neggrad": (neggrad, COMMON + ["sign"], ["train mode"]),
    "neggrad-plus": (neggrad_plus, COMMON + ["forget", "retain", "alpha"], ["apart", "retain first"]),
    "neggrad-ceiling": (neggrad_ceiling, COMMON + ["ceiling", "of an example"], ["train mode"]),
    "neggrad-plus-near": (neggrad_plus_near, ["decay", "momentum", "proximal", "half", "ceiling",
                                              "frozen"], []),
    "scrub-released": (scrub_released, COMMON + ["one more", "all"], ["one more"]),
    "random-label-wrong": (random_label_wrong, COMMON + ["never true"], ["train mode"]),
    "salun-released": (salun_released, COMMON + ["moves", "least", "decay for all"], ["train mode"]),
    "scrub": (scrub, COMMON + ["max step", "sign", "temperature", "T squared", "CE", "KL",
                               "one optimiser", "teacher in eval mode"], ["max step"]),
    "random-label": (random_label, COMMON + ["random", "retain", "new labels"], ["train mode"]),
    "salun": (salun, COMMON + ["mask", "largest", "still weights", "mask in eval mode",
                               "mask of the forget set"], ["train mode"]),
    "salun-wrong": (lambda w: salun(w, wrong_labels), COMMON + ["mask", "never true"], ["train mode"]),
    "delete": (delete, COMMON + ["true class", "direction", "teacher in eval mode", "frozen teacher"],
               ["train mode"]),
    "delete-frozen": (lambda wrong: delete(wrong, True), ["decay", "momentum", "true class"], []),
    "bad-teacher": (lambda wrong: bad_teacher(wrong, CLASSES),
                    COMMON + ["share", "draw", "incompetent", "competent", "classes",
                              "teachers in eval mode", "frozen teacher"], ["draw"]),
    "bad-teacher-batchmean": (bad_teacher, COMMON + ["incompetent"], ["train mode"]),
    "boundary-shrink": (boundary_shrink, COMMON + ["sign", "of the sign", "clip", "class next door",
                                                   "frozen teacher"], ["train mode"]),
    "boundary-expand": (boundary_expand, COMMON + ["row", "class"], ["train mode"]),
    "boundary-expand-xavier": (lambda wrong: boundary_expand(wrong, True), COMMON + ["row"], []),
    "lotus": (lotus, COMMON + ["accuracy in eval mode", "alpha", "d", "noise", "new noise", "noise of R",
                               "tau of the noise", "labels on R"], ["train mode"]),
    "lotus-softmax": (lambda wrong: lotus(wrong, False), COMMON + ["alpha", "labels on R"], []),
    "unsir": (unsir, ["decay", "train mode", "noise", "away", "penalty", "units", "copies", "impair",
                      "new optimiser", "repair"], ["train mode"]),
    "unsir-train": (lambda wrong: unsir(wrong, True), ["noise", "away"], ["noise"]),
    "weight-distance": (weight_distance, COMMON + ["distance", "sign", "origin", "mean", "root"],
                        ["train mode"]),
    "mode-connectivity": (mode_connectivity, COMMON + ["path", "sign", "through theta alone",
                          "half way", "forget", "retain", "as one"], ["train mode"]),
    "bad-teacher-adam": (lambda w: bad_teacher(w, **ADAM), OF_ADAM + ["incompetent"], ["train mode"]),
    "lotus-adamw": (lambda w: lotus(w, **ADAMW), OF_ADAM + ["noise"], ["train mode"]),
    "unsir-adam": (lambda w: unsir(w, **ADAM), OF_ADAM + ["new optimiser"], ["train mode"]),
    "weight-distance-adam": (lambda w: weight_distance(w, **ADAM), OF_ADAM + ["distance"], ["train mode"]),
    "weight-distortion-adam": (lambda w: distorted("noise", w, **ADAM), ["sgd", "coupling", "train mode"], ["train mode"]),
    "mode-connectivity-adam": (lambda w: mode_connectivity(w, **ADAM), OF_ADAM + ["path"], ["train mode"]),
    "certified": (lambda w: certified(0, 0, w), NOISY + ["c1"], ["estimate"]),
    "certified-lambda": (lambda w: certified(0, 0.5, w), NOISY + ["c1", "lambda"], ["estimate"]),
    "certified-model": (lambda w: certified(1, 0.5, w), NOISY + ["c2", "lambda", "order"],
                        ["estimate"]),
    "certified-both": (lambda w: certified(2, 0.02, w), NOISY + ["c1", "c2", "lambda", "order"],
                       ["estimate"]),
    "weight-distortion": (lambda w: distorted("noise", w), COMMON + ["damage", "draw", "batch-norm",
                          "only retain"], ["train mode", "damage"]),
    "weight-distortion-shrink": (lambda w: distorted("shrink", w), COMMON + ["damage", "batch-norm",
                                 "only retain"], ["train mode", "damage"]),
    "weight-distortion-dropout": (lambda w: distorted("dropout", w), COMMON + ["damage",
                                  "batch-norm", "only retain"], ["train mode", "damage"]),
}


def relative(a, b):
    return float((a - b).norm() / (b.norm() if b.norm() > 0 else 1))


def make(outdir, cases=None):
    folder = os.path.join(outdir, "methods")
    os.makedirs(folder, exist_ok=True)
    torch.set_num_threads(1)
    weak = []
    for name, (how, *terms) in (CASES if cases is None else cases).items():
        run = how(None)
        right = run.moved()
        np.savez(os.path.join(folder, f"{name}.npz"),
                 **{key: lib.short(key, a) for key, a in zip(("params", "buffers"), right)},
                 **({"report": run.report} if getattr(run, "report", None) else {}))
        for key, names, i in zip(("params", "buffers"), terms, (0, 1)):
            off = {w: relative(how(w).moved()[i], right[i]) for w in names}
            print(f"  {name}, {key}: " + ", ".join(f"{w} {d:.3f}" for w, d in off.items()))
            bound = BOUNDS[i]
            if i == 0 and name.endswith("-start"):
                bound = BOUND_CHANGE
            elif i == 0 and "certified" in name:
                bound = NOISE_BOUND
            weak += [f"{name}: {w}" for w, d in off.items() if d < 10 * bound]
    with open(os.path.join(folder, "versions.json"), "w") as f:
        json.dump({"generator": "tools/make-golden.py methods gradients layers",
                   "python": platform.python_version(),
                   "torch": torch.__version__, "numpy": np.__version__,
                   "seeds": f"{SEED}; all else is named, see tools/goldenlib.py"}, f, indent=2)
        f.write("\n")
    if weak:
        raise SystemExit("too weak to be noticed: " + ", ".join(weak))
