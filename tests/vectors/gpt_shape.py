"""What a gpt is made of: parameters, first weights, data, work, tensors (PROTOCOL 10.1, 10.2, 10.9,
10.10). A spec is any object with the fields of a job (records.GptJob).
"""
import numpy as np

import gn1
from gn1 import F, U32, U64

RMSNORM, LAYERNORM = 1, 2
GELU, SILU = 1, 2
HEAD_BOUND = gn1.f32("0x1.1bc77ap-5")
SCALE_OF = {"X": "sx", "W": "sw", "Q": "sq", "K": "sk", "V": "sv", "G1": "s1", "G2": "s2",
            "HO": "sh", "GO": "sg"}


def rows(spec):
    """T."""
    return spec.batch * spec.context


def linears(spec):
    """(inputs, outputs) by λ."""
    d, f = spec.width, spec.hidden
    return [(d, 3 * d), (d, d), (d, f), (f, d)] * spec.blocks + [(d, spec.vocabulary)]


def has_bias(spec, linear):
    return linear < 4 * spec.blocks


def parameters(spec):
    """(name, index, shape) in the order of θ; "W" and "b" by λ, "gain" and "shift" by ν."""
    def norm(index):
        vector = (spec.width,)
        return [("gain", index, vector)] + [("shift", index, vector)] * (spec.norm == LAYERNORM)

    def linear(index):
        k, n = linears(spec)[index]
        return [("W", index, (n, k))] + [("b", index, (n,))] * has_bias(spec, index)

    out = [("E", 0, (spec.vocabulary, spec.width)), ("P", 0, (spec.context, spec.width))]
    for i in range(spec.blocks):
        out += norm(2 * i) + linear(4 * i) + linear(4 * i + 1)
        out += norm(2 * i + 1) + linear(4 * i + 2) + linear(4 * i + 3)
    return out + norm(2 * spec.blocks) + ([] if spec.tied else linear(4 * spec.blocks))


def layout(spec):
    """{(name, index): (first, last, shape)} of θ, in order."""
    out, at = {}, 0
    for name, index, shape in parameters(spec):
        size = int(np.prod(shape))
        out[name, index] = at, at + size, shape
        at += size
    return out


def parameter_count(spec):
    return max(last for _, last, _ in layout(spec).values())


def state_floats(spec):
    return parameter_count(spec) * (2 if spec.optimiser == gn1.SGD else 3)


def published_floats(spec):
    return parameter_count(spec) * (2 if spec.outer_momentum > 0 else 1)


def split(spec, theta):
    """{(name, index): view of θ}; a tied head's W is E."""
    out = {key: theta[first:last].reshape(shape)
           for key, (first, last, shape) in layout(spec).items()}
    if spec.tied:
        out["W", 4 * spec.blocks] = out["E", 0]
    return out


def decays(name):
    return name in ("E", "P", "W")


def bound(spec, name, index):
    if name in ("E", "P") or index == 4 * spec.blocks:
        return HEAD_BOUND
    out = np.sqrt(F(3) / F(linears(spec)[index][0]))
    return out / np.sqrt(F(2 * spec.blocks)) if index % 4 in (1, 3) else out


def initial_theta(spec):
    """θ of round 0, and an outer velocity of zeros where there is one."""
    theta = np.zeros(published_floats(spec), F)
    for j, ((name, index), (first, last, _)) in enumerate(layout(spec).items()):
        if name == "gain":
            theta[first:last] = F(1)
        elif decays(name):
            e = np.arange(last - first)
            u = np.choose(e % 4, gn1.philox(spec.init_seed, e // 4, j, 0, 0x494E))
            unit = (u >> U32(8)).astype(F) * gn1.f32("0x1p-23") - F(1)
            theta[first:last] = unit * bound(spec, name, index)
    return theta


# Data (10.2)

def tokens(spec, blob):
    return np.frombuffer(blob, f"<u{spec.token_bytes}").astype(np.int64)


def sequence_starts(spec, step):
    w = gn1.philox(spec.data_seed, np.arange(spec.batch), step, 0, 0x4241)[0].astype(U64)
    return ((w * U64(spec.n_train - spec.context)) >> U64(32)).astype(np.int64)


def sequences(spec, all_tokens, starts):
    """(inputs, targets) of the rows of the sequences that start there."""
    at = np.asarray(starts)[:, None] + np.arange(spec.context)[None, :]
    return all_tokens[at].reshape(-1), all_tokens[at + 1].reshape(-1)


def evaluation_starts(spec, count):
    return range(0, count - spec.context, spec.context)


# Work (10.9), roots (10.10)

def macs_per_step(spec):
    attention = 3 * spec.batch * spec.blocks * spec.width * spec.context * (spec.context + 1)
    return 3 * rows(spec) * sum(k * n for k, n in linears(spec)) + attention


def tensors(spec):
    """(name, index, rows, cols) in the order of the roots."""
    t, d, c, heads = rows(spec), spec.width, spec.batch, spec.heads
    out = []

    def put(name, index, r, k):
        out.append((name, index, r, k))

    def norm(v):
        put("gain", v, d, 1)
        if spec.norm == LAYERNORM:
            put("shift", v, d, 1)

    def forward(l):
        k, n = linears(spec)[l]
        for name, r, cols in (("X", t, k), ("sx", t, 1), ("W", n, k), ("sw", n, 1)):
            put(name, l, r, cols)
        if has_bias(spec, l):
            put("b", l, n, 1)

    def backward(l):
        n = linears(spec)[l][1]
        for name, r, cols in (("G1", t, n), ("s1", t, 1), ("G2", t, n), ("s2", n, 1)):
            put(name, l, r, cols)

    put("R", 0, t, d)
    for i in range(spec.blocks):
        norm(2 * i)
        forward(4 * i)
        for name, r, cols in (("Q", t, d), ("sq", t, heads), ("K", t, d), ("sk", t, heads),
                              ("V", t, d), ("sv", c, d), ("m", t, heads), ("l", t, heads)):
            put(name, i, r, cols)
        forward(4 * i + 1)
        put("R", 2 * i + 1, t, d)
        norm(2 * i + 1)
        forward(4 * i + 2)
        forward(4 * i + 3)
        put("R", 2 * i + 2, t, d)
    norm(2 * spec.blocks)
    forward(4 * spec.blocks)
    groups = (spec.vocabulary + 255) // 256
    put("mu", 0, t, groups)
    put("zeta", 0, t, groups)
    backward(4 * spec.blocks)
    put("N", 2 * spec.blocks, t, d)
    put("D", spec.blocks, t, d)
    for i in reversed(range(spec.blocks)):
        backward(4 * i + 3)
        backward(4 * i + 2)
        put("N", 2 * i + 1, t, d)
        backward(4 * i + 1)
        for name, r, cols in (("delta", t, heads), ("HO", t, d), ("sh", t, heads), ("GO", t, d),
                              ("sg", c, d)):
            put(name, i, r, cols)
        backward(4 * i)
        put("N", 2 * i, t, d)
        put("D", i, t, d)
    for l in range(4 * spec.blocks):
        put("PB", l, t // 32, linears(spec)[l][1])
    for name in ("PG", "PS")[:1 + (spec.norm == LAYERNORM)]:
        for v in range(2 * spec.blocks + 1):
            put(name, v, t // 32, d)
    if spec.clip > 0:
        for j, (_, _, shape) in enumerate(parameters(spec)):
            put("CQ", j, units(shape), 1)
        put("cf", 0, len(parameters(spec)) + 1, 1)
    return out


def in_panels(tensor):
    return tensor[0] in ("PB", "PG", "PS") or tensor[:2] == ("D", 0)


def units(shape):
    """How many parts the norm of a parameter's gradient has (10.7): tiles, or runs of 64."""
    if len(shape) == 1:
        return (shape[0] + 63) // 64
    return (shape[0] + 15) // 16 * ((shape[1] + 63) // 64)


def unit_places(shape, u):
    """(rows, columns) of unit u; of a vector its elements and column 0."""
    if len(shape) == 1:
        return np.arange(64 * u, min(64 * u + 64, shape[0])), np.arange(1)
    down = (shape[0] + 15) // 16
    r, c = 16 * (u % down), 64 * (u // down)
    return np.arange(r, min(r + 16, shape[0])), np.arange(c, min(c + 64, shape[1]))
