"""golden_layers.py - the methods that work on layers, from PyTorch in float64; see golden_methods.py.

make(outdir) writes outdir/methods/NAME.npz. What such a method does before its first step moves far
more than two steps do: it is a case of its own (NAME-start), and the steps are measured from there.
"""

import numpy as np
import torch
import torch.nn.functional as F

import golden_methods
import goldenmodels
from golden_methods import (CLASSES, COMMON, N, N_FORGET, STREAM_BESIDE, STREAM_FIRST, STREAM_FORGET,
                            STREAM_RETAIN, Run, X, XR, XS, Y, YR, YS, batches, below, filled, fresh, step_seed, words)

RNG_SHUFFLE, RNG_REDRAW, RNG_JITTER, RNG_CHOOSE = 2, 41, 42, 43
NAMES = list(fresh().state_dict())  # the library's views


def random_uniform(purpose, round_, name, shape, bound, names=NAMES):
    """U(-bound, bound) in the library's float32 arithmetic."""
    n, w = int(np.prod(shape)), words(step_seed(), purpose, round_, names.index(name))
    u = np.array([next(w) >> 8 for _ in range(n)], np.float32) * np.float32(2.0 ** -24)
    return torch.tensor(np.float32(bound) * (np.float32(2) * u - np.float32(1))).double().view(shape)


def random_normal(purpose, round_, name, shape, names=NAMES):
    n, w = int(np.prod(shape)), words(step_seed(), purpose, round_, names.index(name))
    pairs = np.array([(next(w), next(w)) for _ in range(n)], np.float64) / 2.0 ** 32
    z = np.sqrt(-2 * np.log(pairs[:, 0] + 2.0 ** -33)) * np.cos(2 * np.pi * pairs[:, 1])
    return torch.tensor(z).view(shape)


class Still:
    """What a change of the net alone moves, with no step."""

    def __init__(self, change):
        self.r = Run(None, 0, 0)
        with torch.no_grad():
            change(self.r.net)
        self.moved = self.r.moved


def convolutions(net):
    return [p for k, p in net.named_parameters() if p.dim() == 4]


def retain_steps(wrong, change, lr=(0.05, 0.025), **more):
    r = Run(wrong, lr[0], 0.2, **more)
    r.one_shot(change)
    for e in range(2):
        r.sgd.param_groups[0]["lr"] = lr[0 if wrong == "schedule" else e]
        r.step(r.ce(X, Y) if wrong == "only retain" else r.ce(XR, YR))
    return r


def transposed(net):
    for p in convolutions(net):
        p.copy_(p.transpose(2, 3).contiguous())


def ct(wrong):  # cosine from epoch to epoch: 1, 1/2 of the rate
    return retain_steps(wrong, (lambda net: None) if wrong == "transpose" else transposed)


def ct_start(wrong):
    return Still({None: transposed, "transpose": lambda net: net.conv1.weight.add_(1e-3),
                  "every convolution": lambda net: net.conv1.weight.copy_(
                      net.conv1.weight.transpose(2, 3).clone())}[wrong])


def negated(net):
    net.conv1.weight.neg_()


def negated_mean(net):
    negated(net)
    net.bn1.running_mean.neg_()


def no_t(wrong):
    return retain_steps(wrong, (lambda net: None) if wrong == "negate" else negated, (0.05, 0.05))


def not_mean(wrong):  # measured from where the mean is kept
    r = Run(wrong, 0.05, 0.2)
    r.one_shot(negated)
    with torch.no_grad():
        if wrong != "mean":
            r.net.bn1.running_mean.neg_()
    for _ in range(2):
        r.step(r.ce(XR, YR))
    return r


def not_start(wrong):
    return Still({None: negated, "first": lambda net: net.conv2.weight.neg_(),
                  "mean is kept": negated_mean}[wrong])


# ---- the last k ----

LAST_STAGE = ("conv3", "bn3", "fc")  # k=1; k=2 layers are the same ones
LAST_LAYERS = ("conv2", "bn2", "conv3", "bn3")  # k=2 layers without the classifier


def last_steps(wrong, trained, change=lambda net: None, bn_train=True):
    r = Run(wrong, 0.05, 0.4)
    if wrong != "bn":
        r.net.train(bn_train if wrong != "train mode" else not bn_train)
    else:
        r.net.train(not bn_train)
    r.one_shot(change)
    for k, p in r.net.named_parameters():
        p.requires_grad_(wrong == "frozen" or k.split(".")[0] in trained)
    for _ in range(2):
        r.step(r.ce(XR, YR))
    return r


def cf_k(wrong):
    trained = {"classifier": LAST_STAGE[:2], "batch-norm": ("conv3", "fc")}.get(wrong, LAST_STAGE)
    return last_steps(wrong, trained)


def cf_k_eval(wrong):
    return last_steps(wrong, {"classifier": LAST_STAGE[:2]}.get(wrong, LAST_STAGE), bn_train=False)


def cf_k_layers(wrong):
    trained = {"classifier": LAST_LAYERS + ("fc",), "met on the way": ("conv2", "conv3", "bn3")}
    return last_steps(wrong, trained.get(wrong, LAST_LAYERS), bn_train=False)


def renewed(wrong=None):
    def change(net):
        fan_out = 32 * 9
        fan = {"fan-in": 16 * 9}.get(wrong, fan_out)
        net.conv3.weight.copy_(random_uniform(RNG_REDRAW, 0, "conv3.weight", (32, 16, 3, 3),
                                              np.sqrt(6 / fan)))
        inputs = net.fc.weight.shape[1]
        net.fc.weight.copy_(random_uniform(
            RNG_REDRAW, 0, "fc.weight", (10, inputs),
            np.sqrt(6 / (inputs if wrong == "Xavier" else inputs + 10))))
        if wrong != "bias":
            net.fc.bias.zero_()
        if wrong != "batch-norm":
            net.bn3.weight.fill_(1)
            net.bn3.bias.zero_()
        if wrong == "statistics stay":
            net.bn3.reset_running_stats()
    return change


def renewed_layers(wrong=None):
    def change(net):
        fan = {"fan-out": 32 * 9}.get(wrong, 16 * 9)
        net.conv3.weight.copy_(np.sqrt(2 / fan)
                               * random_normal(RNG_REDRAW, 0, "conv3.weight", (32, 16, 3, 3)))
        inputs = net.fc.weight.shape[1]
        net.fc.weight.copy_(np.sqrt(2 / inputs)
                            * random_normal(RNG_REDRAW, 0, "fc.weight", (10, inputs)))
        net.fc.bias.zero_()
        if wrong == "batch-norm stays":
            net.bn3.weight.fill_(1)
            net.bn3.bias.zero_()
    return change


def eu_k(wrong, bn_train=True):
    return last_steps(wrong, LAST_STAGE, (lambda net: None) if wrong == "fresh" else renewed(), bn_train)


def eu_k_layers(wrong):
    change = {"fresh": lambda net: None, "stage": renewed()}.get(wrong, renewed_layers())
    trained = {"classifier": LAST_STAGE[:2], "batch-norm": ("conv3", "fc")}.get(wrong, LAST_STAGE)
    return last_steps(wrong, trained, change)


def new_optimizers(r, rates, decays):
    return [torch.optim.SGD(r.net.parameters(), lr=a, momentum=r.momentum, weight_decay=b)
            for a, b in zip(rates, decays)]


def one_step(sgd, loss):
    sgd.zero_grad()
    loss.backward()
    sgd.step()


def default_layer(net, name, wrong=None):
    """PyTorch's default of a fresh layer, drawn as the library draws."""
    layer = getattr(net, name)
    bound = (1 if wrong != "bound" else np.sqrt(2)) / np.sqrt(np.prod(layer.weight.shape[1:]))
    for part, p in layer.named_parameters():
        p.copy_(random_uniform(RNG_REDRAW, 0, f"{name}.{part}", tuple(p.shape), bound, list(net.state_dict())))


def shuffled(items, a, b, purpose=RNG_CHOOSE):
    items, w = list(items), words(step_seed(), purpose, a, b)
    for i in range(len(items), 1, -1):
        j = below(w, i)
        items[i - 1], items[j] = items[j], items[i - 1]
    return items


# ---- MSG ----

def msg_gradient(net, wrong=None):
    """The gradient that chooses; running statistics of `net` move."""
    sample = sorted(shuffled(range(N_FORGET, N), 0, 0)[:N_FORGET])
    if wrong == "sample":
        sample = list(range(N_FORGET, 2 * N_FORGET))
    net.zero_grad()
    with torch.enable_grad():
        loss = 0
        if wrong != "retain gradient":
            loss = F.cross_entropy(net(X[sample]), Y[sample])
        if wrong != "forget gradient":
            loss = loss - F.cross_entropy(net(XS), YS)
        loss.backward()
    g = {k: p.grad.clone() for k, p in net.named_parameters()}
    net.zero_grad()
    return g


def msg_renewed(net, wrong=None):
    """Draws anew; returns where."""
    g, fresh_at = msg_gradient(net, wrong), {}
    for k, p in net.named_parameters():
        if p.dim() != 4:
            continue
        n = int(np.round(0.3 * p.numel()))
        order = torch.argsort(g[k].abs().ravel(), descending=wrong == "smallest", stable=True)
        mask = torch.zeros(p.numel(), dtype=torch.bool)
        mask[order[:n]] = True
        fan = p[0].numel() if wrong == "fan-out" else p.shape[0] * 9
        new = np.sqrt(2 / fan) * random_normal(RNG_REDRAW, 0, k, tuple(p.shape))
        fresh_at[k] = mask.view(p.shape)
        p.copy_(torch.where(fresh_at[k], new, p))
    return fresh_at


def msg_start(wrong):
    return Still(lambda net: msg_renewed(net, wrong))


def msg(wrong):
    r, at = Run(wrong, 0.05, 0.2), {}
    r.one_shot(lambda net: at.update(msg_renewed(net)))
    for lr in (0.05, 0.05 if wrong == "up and down" else 0.025):
        r.sgd.param_groups[0]["lr"] = lr
        r.sgd.zero_grad()
        r.ce(XR, YR).backward()
        for k, p in r.net.named_parameters():
            if k in at and wrong != "rest":
                p.grad *= torch.where(at[k], 1.0, 0.1)
        r.sgd.step()
    return r


# ---- CFW ----

def cfw_noise(deviation, round_, name="conv1"):
    def change(net):
        w = getattr(net, name).weight
        w.add_(deviation * random_normal(RNG_JITTER, round_, f"{name}.weight", tuple(w.shape)))
    return change


def cfw_start(wrong):
    return Still(cfw_noise(0.5 if wrong == "deviation" else 0.6, 0,
                           "conv2" if wrong == "first" else "conv1"))


def cfw(wrong):
    r = Run(wrong, 0.05, 0.2)
    r.one_shot(cfw_noise(0.6, 0))
    n = torch.bincount(YR, minlength=CLASSES).double()
    weight = len(YR) / ((n > 0).sum() * n.clamp(min=1))
    if wrong == "absent classes":
        weight = len(YR) / (CLASSES * n.clamp(min=1))
    for e, lr in enumerate((0.05, 0.025)):
        r.sgd.param_groups[0]["lr"] = lr
        if e == 1 and wrong != "last noise":
            with torch.no_grad():
                cfw_noise(0.05, 1)(r.net)
        order = shuffled(range(N_FORGET, N), 1, e, RNG_SHUFFLE)  # over all of R the factor is 1
        for batch in (order[:16], order[16:]):
            x, y = X[batch], Y[batch]
            if wrong == "batch's weight":
                r.step(F.cross_entropy(r.net(x), y, weight))
            else:
                r.step(r.ce(x, y) * (1 if wrong == "class weights" else weight[y].mean()))
    return r


# ---- PRMQ ----

def prmq_pruned(wrong=None, share=0.9):
    def change(net):
        layers = [k for k in ("conv1", "conv2", "conv3", "fc")]
        parts = [p for k in layers for p in getattr(net, k).parameters()
                 if wrong != "biases" or p.dim() > 1]
        whole = torch.cat([p.ravel() for p in parts]).abs()
        n = int(np.round(share * len(whole)))
        order = torch.argsort(whole, descending=wrong == "smallest", stable=True)
        keep = torch.ones(len(whole), dtype=torch.bool)
        keep[order[:n]] = False
        i = 0
        for p in parts:
            p.mul_(keep[i:i + p.numel()].view(p.shape))
            i += p.numel()
        for k in layers:
            w = getattr(net, k).weight
            bound = 1 / np.sqrt(w[0].numel() if wrong != "fan-in" else w[:, 0].numel())
            new = random_uniform(RNG_REDRAW, 0, f"{k}.weight", tuple(w.shape), bound)
            w.copy_(torch.where(w == 0, new, w) if wrong != "anew" else w)
    return change


def entropy(z):
    return -(F.softmax(z, 1) * F.log_softmax(z, 1)).sum(1)


def prmq(wrong, lr=0.05, size=N, steps=2):
    r = Run(wrong, lr, 0.1)
    teacher = fresh().eval()
    r.one_shot(prmq_pruned())
    if wrong == "teacher in eval mode":
        teacher.train()
    n = torch.bincount(YR, minlength=CLASSES).double()
    weight = n.clamp(min=1) ** (0 if wrong == "class weights" else -0.1)
    for b in sum((batches(STREAM_RETAIN, N - N_FORGET, size, e) for e in range(2)), [])[:steps]:
        z = r.net(XR[b])
        gap = entropy(z) - entropy(teacher(XR[b]).detach())
        loss = 0 if wrong == "CE" else F.cross_entropy(z, YR[b], weight)
        r.step(loss + (0 if wrong == "entropy" else 1) * (gap ** 2).mean())
    with torch.no_grad():
        for k, v in r.net.state_dict().items():
            if v.dtype == torch.float64 and "normalize" not in k and wrong != "rounding":
                v.copy_(v.half())
    return r


def prmq_part(wrong):
    """Of the second pass a half and one batch: 3 + 2 steps."""
    return prmq(wrong, 0.05, 8, {"whole pass": 6, "without the one": 4}.get(wrong, 5))


# ---- a validation part ----

def kde_sets():
    """The validation part as numpy draws it, and what is retained beside it."""
    rng, val = np.random.RandomState(3), []
    for c in range(CLASSES):
        of_class = np.flatnonzero(Y.numpy() == c)
        val.extend(rng.choice(of_class, int(np.floor(0.25 * len(of_class) + 0.5)), replace=False))
    return sorted(val), [i for i in range(N_FORGET, N) if i not in val]


# ---- SCRUB with rewinding ----

def error(net, ids, surely):
    mode = net.training
    with torch.no_grad():
        z = net.eval()(X[ids])
    net.train(mode)
    best = z.topk(2, 1).values
    assert not surely or (best[:, 0] - best[:, 1]).min() > 1e-2  # float32 answers the same
    return float((z.argmax(1) != Y[ids]).double().mean())


def scrub_r(wrong, lr, up, beta):
    """Five epochs, `up` of them with ascent; then the one whose forget error is that of V_S at the end."""
    r, teacher = Run(wrong, lr, 0.05), fresh().eval()
    val, retain = kde_sets()
    forget = [i for i in range(N_FORGET) if i not in val]
    unseen = [i for i in val if Y[i] in Y[forget]]

    def kl(x, z):
        p, own = F.softmax(teacher(x).detach() / 3, 1), F.log_softmax(z / 3, 1)
        return 9 * (p * (p.log() - own)).sum() / len(x)

    errors, references, after = [error(r.net, forget, not wrong)], [0], [fresh().state_dict()]
    for e in range(5):
        if e < (up - 1 if wrong == "one less" else up):
            r.step(-kl(X[forget], r.net(X[forget])))
        z = r.net(X[retain])
        r.step(0.8 * F.cross_entropy(z, Y[retain]) + beta * kl(X[retain], z))
        errors.append(error(r.net, forget, not wrong))
        references.append(error(r.net, unseen, not wrong))
        after.append({k: v.clone() for k, v in r.net.state_dict().items()})
    far = [abs(a - (b if wrong == "reference of each" else references[-1])) for a, b in zip(errors, references)]
    order = range(5, 0, -1) if wrong == "last of equals" else range(0 if wrong == "zero" else 1, 6)
    best = {"last": 5, "first": 1}.get(wrong, min(order, key=lambda i: far[i]))
    r.net.load_state_dict(after[best + 1 if wrong == "an epoch later" else best])
    r.report = [references[-1], best] + errors
    return r


# ---- KDE ----

def kde_start(wrong):
    def change(net):
        default_layer(net, "conv2" if wrong == "first" else "conv1", wrong)
        if wrong != "classifier":
            default_layer(net, "fc", wrong)
    return Still(change)


def kde(wrong):
    r = Run(wrong, 0.05, 0.2)
    teacher = fresh().eval()
    if wrong == "teacher in eval mode":
        teacher.train()

    def change(net):
        default_layer(net, "conv1")
        default_layer(net, "fc")

    r.one_shot(change)
    val, retain = kde_sets()
    t = 1.0 if wrong == "temperature" else 3.0
    factor = t * t if wrong == "no T squared" else 1

    def parts(x):
        z = r.net(x)
        p, own = F.softmax(teacher(x).detach() / t, 1), F.log_softmax(z / t, 1)
        return z, factor * (p * (p.log() - own)).sum() / len(x), -(p * own).sum() / len(x)

    if wrong != "validation part":
        r.step(parts(X[val])[1])
    if wrong != "new optimiser":
        r.new_optimizer()
    for lr in (0.05, 0.025):
        r.sgd.param_groups[0]["lr"] = lr
        z, kl, soft = parts(X[retain])
        ce = F.cross_entropy(z, Y[retain])
        r.step((0 if wrong == "CE" else ce) + (0 if wrong == "KL" else kl)
               + (0 if wrong == "soft CE" else soft))
    return r


# ---- RNI ----

def resnet():
    """The smallest with shortcuts of their own: 8 channels everywhere."""
    return filled(goldenmodels.make("resnet18,width=0.015625", 1, CLASSES))


def rni(wrong, rounds=2, epochs=2, tensors=3, net=None):
    r = Run(wrong, 0.05, 0.2, net=net)
    r.one_shot(lambda net: default_layer(net, "fc"))
    names = list(r.net.state_dict())

    def in_b(k):
        return "bn" in k or wrong == "by kind" and "downsample.1" in k

    rni_a = [k for k, _ in r.net.named_parameters() if not in_b(k)]
    earlier, order = set(), rni_a
    for e in range(epochs):
        trained = set(rni_a)
        if e < rounds:
            order = shuffled(order, e, 0)
            order = list(order)
            drawn = order[:tensors]
            if e > 0:
                drawn = shuffled(drawn, e, 1)
                for k in drawn[:int(0.7 * tensors)]:
                    if (k not in earlier or wrong == "first time") and wrong != "noise":
                        with torch.no_grad():
                            p = dict(r.net.named_parameters())[k]
                            p.add_(0.02 * random_normal(RNG_JITTER, e, k, tuple(p.shape), names))
                order = drawn + order[tensors:]
            earlier |= set(drawn)
            trained = set(drawn)
        for k, p in r.net.named_parameters():
            p.requires_grad_(in_b(k) and wrong != "batch-norm" or k in trained or wrong == "frozen")
            p.grad = None
        if wrong != "new optimiser":
            r.new_optimizer()
        r.sgd.param_groups[0]["lr"] = 0.05 * (5 if e >= rounds + 3 and wrong != "late rate" else 1)
        r.step(r.ce(XR, YR))
    return r


def rni_resnet(wrong):
    return rni(wrong, tensors=12, net=resnet())


def rni_all(wrong):
    return rni(wrong, rounds=0, epochs=4)


# ---- FCS ----

def flattened(wrong=None, size=N):
    def change(net):
        sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0 if wrong == "first momentum" else 0.9,
                              weight_decay=0.2 if wrong == "no decay" else 0)
        for b in batches(STREAM_FIRST, N_FORGET, size):
            with torch.enable_grad():
                z = net(XS[b])
                p = F.log_softmax(z, 1)
                loss = (-np.log(CLASSES) - p.sum(1) / CLASSES).mean()
                one_step(sgd, F.cross_entropy(z, YS[b]) if wrong == "uniform" else loss)
    return change


def fcs(wrong, size=N):
    r = Run(wrong, 0.05, 0.2)
    r.one_shot(flattened(None, size))
    forget, retain = new_optimizers(r, (0.04, 0.05), (0.2 if wrong == "no decay" else 0, r.decay))
    if wrong == "own momentum":
        retain = forget = r.sgd
    t, step, steps = 1.0 if wrong == "temperature" else 2.0, 0, 2 * -(-N_FORGET // size)
    for e in range(2):
        pairs = zip(batches(STREAM_FORGET, N_FORGET, size, e), batches(STREAM_BESIDE, N - N_FORGET, size, e))
        for b, beside in pairs if wrong != "contrast" else ():
            forget.param_groups[0]["lr"] = 0.04 if wrong == "cosine" else 1e-6 + (0.04 - 1e-6) * (1 + np.cos(np.pi * step / steps)) / 2
            with torch.set_grad_enabled(wrong == "constant"):
                z_r = r.net(XR[beside])
            m = r.net(XS[b]) @ z_r.t() / t
            one_step(forget, -F.log_softmax(m, 0 if wrong == "axis" else 1).mean())
            step += 1
        for b in batches(STREAM_RETAIN, N - N_FORGET, size, 0 if wrong == "order" else e) if wrong != "repair" else ():
            one_step(retain, F.cross_entropy(r.net(XR[b]), YR[b]))
    return r


def fcs_batches(wrong):
    return fcs(wrong, 8)


REWIND = ["last", "first", "last of equals", "an epoch later"]
CASES = {
    "ct-start": (ct_start, ["transpose", "every convolution"], []),
    "ct": (ct, COMMON + ["only retain", "transpose", "schedule"], ["train mode", "transpose"]),
    "not-start": (not_start, ["first"], ["mean is kept"]),
    "not": (no_t, COMMON + ["only retain", "negate"], ["train mode", "negate"]),
    "not-mean": (not_mean, COMMON, ["train mode", "mean"]),
    "cf-k": (cf_k, COMMON + ["frozen", "classifier", "batch-norm"], ["train mode", "frozen"]),
    "cf-k-eval": (cf_k_eval, ["decay", "momentum", "bn", "frozen", "classifier"], ["bn"]),
    "cf-k-layers": (cf_k_layers, ["decay", "momentum", "bn", "classifier", "met on the way"], ["bn"]),
    "eu-k-start": (lambda wrong: Still(renewed(wrong)),
                   ["fan-in", "Xavier", "bias", "batch-norm"], ["statistics stay"]),
    "eu-k-layers-start": (lambda wrong: Still(renewed_layers(wrong)),
                          ["fan-out", "batch-norm stays"], []),
    "eu-k": (eu_k, COMMON + ["frozen", "fresh"], ["train mode", "fresh"]),
    "eu-k-eval": (lambda w: eu_k(w, False), ["decay", "momentum", "bn", "frozen", "fresh"], ["bn"]),
    "eu-k-layers": (eu_k_layers, COMMON + ["frozen", "fresh", "stage", "classifier", "batch-norm"], ["train mode", "fresh"]),
    "msg-start": (msg_start, ["sample", "retain gradient", "forget gradient", "smallest", "fan-out"],
                  ["sample", "retain gradient", "forget gradient"]),
    "msg": (msg, COMMON + ["up and down", "rest"], ["train mode"]),
    "cfw-start": (cfw_start, ["deviation", "first"], []),
    "cfw": (cfw, COMMON + ["last noise", "class weights", "batch's weight"], ["train mode"]),
    "prmq-start": (lambda wrong: Still(prmq_pruned(wrong)),
                   ["biases", "smallest", "fan-in", "anew"], []),
    "prmq": (prmq, COMMON + ["class weights", "CE", "entropy", "teacher in eval mode"],
             ["train mode"]),
    "prmq-half": (lambda wrong: prmq(wrong, 1e-6), ["rounding"], ["train mode"]),
    "prmq-part": (prmq_part, COMMON + ["class weights", "CE", "entropy", "whole pass", "without the one"], ["train mode"]),
    "scrub-r": (lambda w: scrub_r(w, 0.2, 2, 0.1),
                COMMON + REWIND + ["zero", "reference of each"], ["train mode", "last"]),
    "scrub-r-released": (lambda w: scrub_r(w, 0.1, 3, 0.5), COMMON + REWIND + ["one less"], ["train mode", "last"]),
    "kde-start": (kde_start, ["first", "classifier", "bound"], []),
    "kde": (kde, COMMON + ["validation part", "teacher in eval mode", "new optimiser", "temperature",
                           "no T squared", "CE", "KL", "soft CE"], ["train mode", "validation part"]),
    "rni": (rni, COMMON[:1] + ["train mode", "noise", "first time", "batch-norm", "frozen",
                               "new optimiser"], ["train mode"]),
    "rni-all": (rni_all, ["decay", "train mode", "late rate", "new optimiser"], ["train mode"]),
    "rni-resnet": (rni_resnet, COMMON[:1] + ["train mode", "noise", "batch-norm", "frozen", "by kind"], ["train mode"]),
    "fcs-start": (lambda wrong: Still(flattened(wrong)), ["uniform", "no decay"], []),
    "fcs": (fcs, COMMON + ["no decay", "own momentum", "temperature", "cosine", "contrast",
                           "constant", "axis", "repair"], ["train mode", "contrast"]),
    "fcs-batches-start": (lambda wrong: Still(flattened(wrong, 8)), ["uniform", "no decay", "first momentum"], []),
    "fcs-batches": (fcs_batches, COMMON + ["no decay", "own momentum", "cosine", "contrast", "constant", "axis",
                                           "repair", "order"], ["train mode", "contrast"]),
}


def make(outdir):
    golden_methods.make(outdir, CASES)
