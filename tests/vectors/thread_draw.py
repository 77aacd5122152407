"""What a thread looks at: fibres, strata, stars, the norm (PROTOCOL 11.2, 11.3, 11.6 – 11.8)."""
from types import SimpleNamespace

import numpy as np

import audit
import gn1
import gpt_shape
from gn1 import F

PIECE = 2048
NORM_BLOCKS = 4
NO_FEATURE = 0xFFFFFFFF
MLP_NAMES = {"X": gn1.X, "sx": gn1.SX, "W": gn1.W, "sw": gn1.SW, "b": gn1.B, "G1": gn1.G1,
             "s1": gn1.S1, "G2": gn1.G2, "s2": gn1.S2, "PB": gn1.PB}


def is_gpt(job):
    return hasattr(job, "vocabulary")


class Model:
    """A job's parameters and tensors under the names of a gpt."""

    def __init__(self, job):
        self.job, self.gpt = job, is_gpt(job)
        if self.gpt:
            listed = gpt_shape.parameters(job)
            self.linears = gpt_shape.linears(job)
            self.rows = gpt_shape.rows(job)
        else:
            self.linears = list(zip(job.widths, job.widths[1:]))
            listed = [p for l, (k, n) in enumerate(self.linears)
                      for p in (("W", l, (n, k)), ("b", l, (n,)))]
            self.rows = job.batch
        self.parameters, at = [], 0
        for name, index, shape in listed:
            rows, cols = shape if len(shape) == 2 else (shape[0], 1)
            self.parameters.append(SimpleNamespace(
                name=name, index=index, rows=rows, cols=cols, offset=at, vector=len(shape) == 1,
                shape=shape))
            at += rows * cols
        self.count = at
        self.place = {(p.name, p.index): j for j, p in enumerate(self.parameters)}
        tensors = job.program.tensors(job)
        self.positions = {t[:2]: i for i, t in enumerate(tensors)}
        self.tensors = tensors

    def key(self, name, index):
        return (name, index) if self.gpt else (index, MLP_NAMES[name])

    def position(self, name, index):
        return self.positions[self.key(name, index)]

    def linear_of(self, fibre):
        p = self.parameters[fibre.parameter]
        if p.name == "W":
            return p.index
        return 4 * self.job.blocks if p.name == "E" and self.job.tied else None

    def pieces(self, fibre):
        if self.parameters[fibre.parameter].vector:
            return 1
        return -(-self.rows // PIECE)

    def tokens(self, lease, h, train):
        """x_t of every row of the step."""
        if not self.gpt:
            return None
        step = gn1.step_id(self.job, lease.round, lease.slot, h)
        starts = gpt_shape.sequence_starts(self.job, step)
        return gpt_shape.sequences(self.job, gpt_shape.tokens(self.job, train), starts)[0]


def fibre(parameter, rows, cols):
    return SimpleNamespace(parameter=parameter, rows=np.array(rows), cols=np.array(cols))


def row_fibre(model, parameter, row, feature):
    first = feature // 64 * 64
    cols = range(first, min(first + 64, model.parameters[parameter].cols))
    return fibre(parameter, [row], cols)


def unit_fibre(model, parameter, unit):
    p = model.parameters[parameter]
    return fibre(parameter, *gpt_shape.unit_places(p.shape, unit))


class Draw:
    def __init__(self, model, lease, seed, train):
        self.model, self.seed, self.steps = model, seed, lease.steps
        self.fibres, self.scales, self.pair = [], [], None
        job = model.job
        if model.gpt:
            for place in range(4):
                drawn = range(job.blocks) if job.blocks <= 3 else [self._roll(0, job.blocks)]
                for block in drawn:
                    self._matrix(model.place["W", 4 * block + place])
            self._matrix(0 if job.tied else model.place["W", 4 * job.blocks])
        else:
            for layer in range(len(model.linears)):
                self._matrix(model.place["W", layer])
        for j, p in enumerate(model.parameters):
            if p.vector:
                self.fibres.append(unit_fibre(model, j, self._roll(1, gpt_shape.units(p.shape))))
        if model.gpt:
            self._pair(lease, train)

    def _roll(self, i, n):
        return audit.pick(self.seed, 1024 + 8 * len(self.fibres) + i, n)

    def _matrix(self, parameter):
        p = self.model.parameters[parameter]
        col = 64 * self._roll(2, -(-p.cols // 64))
        if p.name == "E":
            return self._shown(row_fibre(self.model, parameter, self._roll(1, p.rows), col))
        row = 16 * self._roll(1, -(-p.rows // 16))
        return self._shown(fibre(parameter, range(row, min(row + 16, p.rows)),
                                 range(col, min(col + 64, p.cols))))

    def _shown(self, one):
        if self.model.linear_of(one) is not None:
            self.scales.append(SimpleNamespace(
                fibre=len(self.fibres), step=self._roll(3, self.steps),
                row=self._roll(4, len(one.rows))))
        self.fibres.append(one)

    def _pair(self, lease, train):
        job, model = self.model.job, self.model
        step, row = self._roll(0, self.steps), self._roll(1, model.rows)
        panel = 64 * self._roll(2, -(-job.width // 64))
        token = int(model.tokens(lease, step, train)[row])
        self.pair = SimpleNamespace(step=step, row=row, tokens=len(self.fibres),
                                    positions=len(self.fibres) + 1)
        self._shown(row_fibre(model, 0, token, panel))
        self.fibres.append(row_fibre(model, 1, row % job.context, panel))


# Scales (11.6), in f64.

class Bound:
    def __init__(self, model, rows, theta, parameter):
        p = model.parameters[parameter]
        whole = theta[p.offset:p.offset + p.rows * p.cols].reshape(p.rows, p.cols)
        self.first = np.abs(whole[rows]).max(axis=1).astype(np.float64)
        self.value, self.spread, self.p1, self.p2 = self.first.copy(), 1.0, 1.0, 1.0

    def advance(self, job, lease, h):
        b1, b2 = float(job.beta1), float(job.beta2)
        lr = float(gn1.learning_rate(job, lease.round, h))
        self.p1, self.p2 = self.p1 * b1, self.p2 * b2
        u = ((1 - b1) / np.sqrt(1 - b2) * np.sqrt(self.spread) * np.sqrt(1 - self.p2)
             / (1 - self.p1))
        self.value = self.value * (1 + lr * float(job.wd)) + lr * u
        self.spread = self.spread * (b1 * b1 / b2) + 1


def bounded(job):
    return job.optimiser == gn1.ADAMW and job.beta2 > 0 and job.eps >= F(1e-12)


def needs_witness(model, lease, theta, one, scale):
    if not bounded(model.job):
        return True
    bound = Bound(model, one.rows[[scale.row]], theta, one.parameter)
    for h in range(scale.step):
        bound.advance(model.job, lease, h)
    return bool(bound.value[0] > 4 * bound.first[0])


# Blocks (11.7, 11.8)

def turns(often):
    """Each stratum as often as it says, one of each at a time."""
    out, left = [], [[s, n] for s, n in often]
    while any(n for _, n in left):
        for one in left:
            if one[1] > 0:
                out.append(one[0])
                one[1] -= 1
    return out


def strata(model):
    """Lists of (position, weight)."""
    job, at = model.job, model.position

    def each(names, indices):
        return [(at(name, i), 1) for name in names for i in indices]
    if not model.gpt:
        last, work = len(model.linears) - 1, [k * n for k, n in model.linears]
        x = [(at("X", l), sum(work[l:])) for l in range(last, 0, -1)]
        g1 = [(at("G1", l), sum(work[:l])) for l in range(1, last + 1)]
        first = each(["X"], [0]) + each(["G1" if last else "G2"], [last])
        end = each(["X"], [0]) + each(["G2"], [last])
        often = (last + 2) * (last > 0)
        return ([[s] for s in first]
                + turns([(x, often), (g1, often), (each(["G2"], range(last + 1)), 2),
                         (each(["PB"], range(last + 1)), 1)])
                + [[s] for s in end])
    n, head = job.blocks, 4 * job.blocks
    ends = [each(["G1"], [head]), each(["N"], [2 * n])]
    often = [
        ([(at("R", s), 2 * n + 1 - s) for s in range(1, 2 * n + 1)], 2 * n),
        ([(at("D", i), i + 1) for i in range(n + 1)], n + 1),
        ([(at("X", 4 * i + place), 1) for i in range(n) for place in (0, 2)], min(n, 3) + 1),
        ([(at("G1", 4 * i + place), 1) for i in range(n) for place in (1, 3)], min(n, 3) + 1),
        (each(["G2"], range(head + 1)), 2),
        (each(["m", "l", "delta"], range(n)), 1), (each(["HO", "GO"], range(n)), 1),
        (each(["X"], range(1, head, 4)), 1), (each(["Q", "K", "V"], range(n)), 1),
        (each(["G1"], range(0, head, 4)), 1), (each(["N"], range(2 * n + 1)), 1),
        (each(["PB"], range(head)), 1), (each(["mu", "zeta"], [0]), 1),
        (each(["X"], range(head + 1)), 1), (each(["PG"], range(2 * n + 1)), 1)]
    return ends + turns(often) + ends


def stars(model, draw, seed):
    """(fibre, position)"""
    out, of_vectors = [], []
    for f, one in enumerate(draw.fibres):
        p, linear = model.parameters[one.parameter], model.linear_of(one)
        if p.vector:
            part = {"b": "PB", "gain": "PG", "shift": "PS"}[p.name]
            of_vectors.append((f, model.position(part, p.index)))
            continue
        names = [("G2", linear), ("X", linear)] if linear is not None else []
        names += [("D", 0)] * (p.name in ("E", "P"))
        out += [(f, model.position(*name)) for name in names]
    if of_vectors:
        first = audit.pick(seed, 16383, len(of_vectors))
        of_vectors = of_vectors[first:] + of_vectors[:first]
    if model.job.optimiser == gn1.ADAMW:
        of_vectors = of_vectors[:8]
    return out + of_vectors


def blocks(model, draw, seed, steps, count):
    """kind: drawn, star, norm, least; step of the first and third; fibre of a star; position."""
    out, turn, starred, strata_ = [], 0, stars(model, draw, seed), strata(model)
    for j in range(count):
        number = 16384 + 8 * j
        if j % 2 == 1 and starred:
            f, position = starred.pop(0)
            out.append(SimpleNamespace(kind="star", fibre=f, position=position))
            continue
        stratum = strata_[turn % len(strata_)]
        turn += 1
        at = audit.pick(seed, number, sum(w for _, w in stratum))
        position = next(p for i, (p, w) in enumerate(stratum)
                        if at < sum(x for _, x in stratum[:i + 1]))
        out.append(SimpleNamespace(kind="drawn", step=audit.pick(seed, number + 4, steps),
                                   position=position))
    if model.gpt and model.job.clip > 0:
        for i in range(NORM_BLOCKS):
            step = audit.pick(seed, 16384 + 8 * len(out) + 4, steps)
            out.append(SimpleNamespace(kind="norm" if i < 2 else "least", step=step))
    return out


def choose_tile(model, draw, seed, j, block, tokens):
    made, number = audit.BLOCKS[model.job.program], 16384 + 8 * j
    tensor = model.tensors[block.position]
    down, across = made.grid(tensor)
    row, col = audit.pick(seed, number + 1, down), audit.pick(seed, number + 2, across)
    if block.kind == "star":
        one = draw.fibres[block.fibre]
        p = model.parameters[one.parameter]
        name = next(n for n in ("G2", "X", "D", "PB", "PG", "PS")
                    for i in [tensor[1] if model.gpt else tensor[0]]
                    if model.gpt and tensor[0] == n or
                    not model.gpt and MLP_NAMES.get(n) == tensor[1])
        col = int((one.rows if name == "G2" or p.vector else one.cols)[0]) // 64
        if name == "D":
            of = tokens if p.name == "E" else np.arange(model.rows) % model.job.context
            rows = np.flatnonzero(of == one.rows[0])
            if len(rows):
                row = int(rows[audit.pick(seed, number + 5, len(rows))]) // 16
    group = audit.pick(seed, number + 3, made.groups(model.job, tensor, row, col)
                       if has_groups(model, tensor) else 1)
    return SimpleNamespace(position=block.position, row=row, col=col, group=group)


def has_groups(model, tensor):
    return model.job.program.is_int8(tensor)


def pick_by_size(sizes, seed, number):
    sizes = np.where(np.isfinite(sizes) & (sizes > 0), sizes, F(0)).astype(np.float64)
    if not sizes.max() > 0:
        return audit.pick(seed, number, len(sizes))
    exponent = int(np.frexp(sizes.max())[1]) - 1
    weights = [int(x) for x in np.floor(np.ldexp(sizes, 30 - exponent))]
    at = audit.pick(seed, number, sum(weights))
    for i, w in enumerate(weights):
        if at < w:
            return i
        at -= w
    raise AssertionError
