"""A training step of architecture 2, the gpt (PROTOCOL 10.3 – 10.8, 10.9, 10.10).

Bits as in numerics.py: one NumPy operation rounds once. `out` is {(name, index): tensor} by the
names of 10.10, and holds what a step passes on besides: "Y" and "O".
"""
import numpy as np

import gn1
from b3 import keyed
from gn1 import F
from gpt_shape import (GELU, LAYERNORM, SCALE_OF, decays, evaluation_starts, has_bias,
                       in_panels, initial_theta, layout, macs_per_step, parameter_count, parameters,
                       sequence_starts, sequences, split, state_floats, tensors, tokens,
                       unit_places, units)

__all__ = ["Lease", "committed", "evaluate", "in_panels", "initial_theta", "is_int8",
           "macs_per_step", "parameter_count", "state_floats", "tensor_roots", "tensors"]

HO_ID, GO_ID, U1_ID, U2_ID = 9, 10, 11, 12
G1_ID, G2_ID = 5, 7


# Functions (10.3)

def sigma(z):
    return F(1) / (F(1) + gn1.exp(F(0) - z))


def activation(spec, x):
    """(value, slope)."""
    if spec.activation != GELU:
        s = sigma(x)
        return x * s, s + (x * s) * (F(1) - s)
    twice = gn1.f32("0x1.988454p+0")
    q = x * x
    z = (x + (q * x) * gn1.f32("0x1.6e4e26p-5")) * twice
    s = sigma(z)
    inner = twice * (F(1) + q * gn1.f32("0x1.12ba9ep-3"))
    return x * s, s + (x * s) * ((F(1) - s) * inner)


def unit_rows(spec, x):
    """(x̂, r [rows, 1])."""
    w = F(1) / F(spec.width)
    c = x - (gn1.rowsum(x) * w)[:, None] if spec.norm == LAYERNORM else x
    r = F(1) / np.sqrt(gn1.rowsum(c * c) * w + gn1.f32("0x1.4f8b58p-17"))[:, None]
    return c * r, r


def norm(spec, x, gain, shift):
    y = unit_rows(spec, x)[0] * gain[None, :]
    return y + shift[None, :] if spec.norm == LAYERNORM else y


def norm_gradient(spec, g, x, gain):
    """(gradient of x, PG, PS), from that of the norm's value."""
    unit, r = unit_rows(spec, x)
    w, h = F(1) / F(spec.width), g * gain[None, :]
    a = (gn1.rowsum(h * unit) * w)[:, None]
    if spec.norm == LAYERNORM:
        e = (gn1.rowsum(h) * w)[:, None]
        dx = r * ((h - e) - unit * a)
    else:
        dx = r * (h - unit * a)
    return dx, gn1.run_sums(g * unit), gn1.run_sums(g)


# Quantising: groups lie along `axis` of v seen as `shape`.

def nearest(v, shape, axis):
    gn1.require_finite(v)
    seen = v.reshape(shape)
    s, inv = gn1.scale_of_max(gn1.group_max(seen, axis))
    return gn1.round_nearest(seen, np.expand_dims(inv, axis)).reshape(v.shape), s


def stochastic(v, shape, axis, bits):
    gn1.require_finite(v)
    seen = v.reshape(shape)
    s, inv = gn1.scale_of_max(gn1.group_max(seen, axis))
    q = gn1.stochastic_round(seen, np.expand_dims(inv, axis), bits.reshape(shape))
    return q.reshape(v.shape), s


class Step:
    """One step's tensors: forward, then backward."""

    def __init__(self, spec, theta, step_id=None):
        self.spec, self.p, self.step_id = spec, split(spec, theta), step_id
        self.out, self.gradients = {}, {}

    def linear(self, index, x):
        out, p = self.out, self.p
        out["X", index], out["sx", index] = nearest(x, x.shape, 1)
        w = p["W", index]
        out["W", index], out["sw", index] = nearest(w, w.shape, 1)
        y = gn1.product(out["X", index], out["W", index])
        y = y * (out["sx", index][:, None] * out["sw", index][None, :])
        if has_bias(self.spec, index):
            out["b", index] = p["b", index].copy()
            y = y + out["b", index][None, :]
        out["Y", index] = y
        return y

    def norm(self, index):
        """Of norm ν's input, R_ν."""
        for name in ("gain", "shift"):
            if (name, index) in self.p:
                self.out[name, index] = self.p[name, index].copy()
        return norm(self.spec, self.out["R", index], self.p["gain", index],
                    self.p.get(("shift", index)))

    def residual(self, index, r):
        gn1.require_finite(r)
        self.out["R", index] = r

    def forward(self, inputs):
        """Logits of rows of tokens; whole sequences."""
        spec, out = self.spec, self.out
        position = np.arange(len(inputs)) % spec.context
        self.residual(0, self.p["E", 0][inputs] + self.p["P", 0][position])
        for i in range(spec.blocks):
            y = self.linear(4 * i, self.norm(2 * i))
            self.attention(i, y)
            o = self.linear(4 * i + 1, out["O", i])
            self.residual(2 * i + 1, out["R", 2 * i] + o)
            up = self.linear(4 * i + 2, self.norm(2 * i + 1))
            down = self.linear(4 * i + 3, activation(spec, up)[0])
            self.residual(2 * i + 2, out["R", 2 * i + 1] + down)
        return self.linear(4 * spec.blocks, self.norm(2 * spec.blocks))

    # Attention (10.4, 10.6). `where` is one sequence's rows and one head's columns.

    def heads(self, t):
        """The shape that has heads, and the one that has sequences, of a matrix of t rows."""
        spec = self.spec
        return ((t, spec.heads, spec.width // spec.heads),
                (t // spec.context, spec.context, spec.width))

    def windows(self, t):
        spec = self.spec
        d = spec.width // spec.heads
        for b in range(t // spec.context):
            for a in range(spec.heads):
                yield b, a, (slice(b * spec.context, (b + 1) * spec.context),
                             slice(a * d, (a + 1) * d))

    @property
    def alpha(self):
        return F(1) / np.sqrt(F(self.spec.width // self.spec.heads))

    def attention(self, i, y):
        spec, out = self.spec, self.out
        q, k, v = (np.ascontiguousarray(part) for part in np.split(y, 3, axis=1))
        by_head, by_sequence = self.heads(len(y))
        out["Q", i], out["sq", i] = nearest(q, by_head, 2)
        out["K", i], out["sk", i] = nearest(k, by_head, 2)
        out["V", i], out["sv", i] = nearest(v, by_sequence, 1)
        out["m", i] = np.zeros((len(y), spec.heads), F)
        out["l", i] = np.zeros((len(y), spec.heads), F)
        out["O", i] = np.zeros((len(y), spec.width), F)
        for b, a, where in self.windows(len(y)):
            s = self.scores(i, a, where)
            gn1.require_finite(s[np.tri(len(s), dtype=bool)])
            out["m", i][where[0], a] = s.max(axis=1) + F(0)
            pi = self.weights(i, a, where)
            out["l", i][where[0], a] = pi.sum(axis=1, dtype=np.int64).astype(F)
            o = gn1.product(pi, out["V", i][where].T) * out["sv", i][b, where[1]][None, :]
            out["O", i][where] = o * self.inverse(i, a, where)
        gn1.require_finite(out["m", i], out["l", i])

    def scores(self, i, a, where):
        """S, −∞ above the diagonal."""
        out, rows_ = self.out, where[0]
        s = gn1.product(out["Q", i][where], out["K", i][where])
        s = s * (out["sq", i][rows_, a][:, None] * out["sk", i][rows_, a][None, :])
        return np.where(np.tri(len(s), dtype=bool), s, F(-np.inf))

    def weights(self, i, a, where):
        """Π."""
        s = self.scores(i, a, where)
        allowed = np.isfinite(s)
        m = self.out["m", i][where[0], a][:, None]
        e = gn1.exp((np.where(allowed, s, m) - m) * self.alpha)
        return np.where(allowed, gn1.rni(e * F(63)), 0).astype(np.int8)

    def inverse(self, i, a, where):
        return F(1) / self.out["l", i][where[0], a][:, None]

    def attention_back(self, i, do):
        """dY of qkv from dO."""
        spec, out, (t, width) = self.spec, self.out, do.shape
        by_head, by_sequence = self.heads(t)
        out["delta", i] = gn1.rowsum((do * out["O", i]).reshape(by_head))
        sv = np.repeat(out["sv", i], spec.context, axis=0)
        l = np.repeat(out["l", i], by_head[2], axis=1)
        out["HO", i], out["sh", i] = stochastic(do * sv, by_head, 2,
                                                self.bits(range(t), width, 64 * i + HO_ID))
        out["GO", i], out["sg", i] = stochastic(do * (F(1) / l), by_sequence, 1,
                                                self.bits(range(t), width, 64 * i + GO_ID))
        dq, dk, dv = (np.zeros(do.shape, F) for _ in range(3))
        for b, a, where in self.windows(t):
            pi = self.weights(i, a, where)
            dv[where] = gn1.product(pi.T, out["GO", i][where].T) * out["sg", i][b, where[1]]
            dq[where], dk[where] = self.score_gradients(i, a, where, pi)
        return np.concatenate([dq, dk, dv], axis=1)

    def score_gradients(self, i, a, where, pi):
        out, span = self.out, where[0]
        column = {name: out[name, i][span, a] for name in ("sq", "sk", "sh", "delta")}
        dpi = gn1.product(out["HO", i][where], out["V", i][where]) * column["sh"][:, None]
        ds = (pi.astype(F) * self.inverse(i, a, where)) * (dpi - column["delta"][:, None])
        ds = ds * self.alpha
        allowed = np.tri(len(ds), dtype=bool)
        # A zero where nothing is allowed neither raises a scale nor rounds to anything else.
        v1 = np.where(allowed, ds * column["sk"][None, :], F(0))
        v2 = np.where(allowed, ds * column["sq"][:, None], F(0))
        at = np.arange(span.start, span.stop) * self.spec.heads + a
        width = self.spec.context
        u1, s1 = stochastic(v1, v1.shape, 1, self.bits(at, width, 64 * i + U1_ID))
        u2, s2 = stochastic(v2, v2.shape, 0, self.bits(at, width, 64 * i + U2_ID))
        return (gn1.product(u1, out["K", i][where].T) * s1[:, None],
                gn1.product(u2.T, out["Q", i][where].T) * s2[:, None])

    # Loss and gradients (10.5, 10.6)

    def bits(self, rows_, cols, tensor_id):
        return gn1.stochastic_bits(self.spec.sr_seed, rows_, range(cols), cols, tensor_id,
                                   self.step_id)

    def loss(self, z, targets):
        """(step loss, dz)."""
        groups = [z[:, c:c + 256] for c in range(0, z.shape[1], 256)]
        mu = np.stack([g.max(axis=1) + F(0) for g in groups], 1)
        e = gn1.exp(z - mu.max(axis=1)[:, None])
        zeta = np.stack([gn1.rowsum(e[:, c:c + 256]) for c in range(0, z.shape[1], 256)], 1)
        total = np.zeros(len(z), F)
        for part in zeta.T:
            total = total + part
        self.out["mu", 0], self.out["zeta", 0] = mu, zeta
        nll = gn1.log(total) - (z[np.arange(len(z)), targets] - mu.max(axis=1))
        each = F(1) / F(len(z))
        loss = gn1.longsum(nll) * each
        gn1.require_finite(mu, zeta, np.array([loss]))
        target = (targets[:, None] == np.arange(z.shape[1])).astype(F)
        return loss, (e / total[:, None] - target) * each

    def linear_back(self, index, dy):
        """dX of a linear; keeps dW and db."""
        out = self.out
        if has_bias(self.spec, index):
            out["PB", index] = gn1.run_sums(dy)
            self.gradients["b", index] = gn1.sum_of_runs(out["PB", index])
        t, n = dy.shape
        v = dy * out["sw", index][None, :]
        out["G1", index], out["s1", index] = stochastic(
            v, v.shape, 1, self.bits(range(t), n, 16 * index + G1_ID))
        v = dy * out["sx", index][:, None]
        out["G2", index], out["s2", index] = stochastic(
            v, v.shape, 0, self.bits(range(t), n, 16 * index + G2_ID))
        self.gradients["W", index] = (gn1.product(out["G2", index].T, out["X", index].T)
                                      * out["s2", index][:, None])
        return gn1.product(out["G1", index], out["W", index].T) * out["s1", index][:, None]

    def norm_back(self, index, g):
        gn1.require_finite(g)
        self.out["N", index] = g
        dx, *parts = norm_gradient(self.spec, g, self.out["R", index], self.p["gain", index])
        for name, of, part in zip(("gain", "shift"), ("PG", "PS"), parts):
            if (name, index) in self.p:
                self.out[of, index] = part
                self.gradients[name, index] = gn1.sum_of_runs(part)
        return dx

    def backward(self, dz, inputs):
        spec, out, last = self.spec, self.out, self.spec.blocks
        d = self.norm_back(2 * last, self.linear_back(4 * last, dz))
        out["D", last] = d
        for i in reversed(range(last)):
            dup = self.linear_back(4 * i + 3, d)
            dup = dup * activation(spec, out["Y", 4 * i + 2])[1]
            m = d + self.norm_back(2 * i + 1, self.linear_back(4 * i + 2, dup))
            dqkv = self.attention_back(i, self.linear_back(4 * i + 1, m))
            d = m + self.norm_back(2 * i, self.linear_back(4 * i, dqkv))
            out["D", i] = d
        self.embeddings_back(d, inputs)
        self.clip()
        gn1.require_finite(*(out[n, i] for n, i, _, _ in tensors(spec)))

    def embeddings_back(self, d, inputs):
        spec = self.spec
        de = np.zeros((spec.vocabulary, spec.width), F)
        for row, token in zip(d, inputs):
            de[token] = de[token] + row
        if spec.tied:
            de = self.gradients["W", 4 * spec.blocks] + de
        dp = np.zeros((spec.context, spec.width), F)
        for sequence in d.reshape(spec.batch, spec.context, spec.width):
            dp = dp + sequence
        self.gradients["E", 0], self.gradients["P", 0] = de, dp


    def clip(self):
        """10.7: CQ, cf, and the gradients as the optimiser gets them."""
        spec, out = self.spec, self.out
        if not spec.clip > 0:
            return
        for j, (name, index, shape) in enumerate(parameters(spec)):
            g = self.gradients[name, index].reshape(shape[0], -1)
            out["CQ", j] = np.array([unit_squares(g[np.ix_(*unit_places(shape, u))])
                                     for u in range(units(shape))], F)
        sums = [gn1.longsum(out["CQ", j]) for j in range(len(parameters(spec)))]
        with np.errstate(over="ignore"):  # then the step is invalid
            out["cf", 0] = np.array(sums + [clip_factor(spec, sums)], F)
        for place in self.gradients:
            self.gradients[place] = self.gradients[place] * out["cf", 0][-1]


def unit_squares(g):
    """CQ of one unit: an element's lane is its place in a tile, or a run, of 64 columns."""
    if g.shape[1] == 1:
        g = g.T
    padded = np.zeros((len(g), 64), F)
    padded[:, :g.shape[1]] = g * g
    return gn1.rowsum(padded.reshape(-1))


def clip_factor(spec, sums):
    """f of 10.7; NaN where c is not finite."""
    total = F(0)
    for c in sums:
        total = total + c
    if not np.isfinite(total):
        return F(np.nan)
    n = np.sqrt(total)
    return F(spec.clip) / n if n > F(spec.clip) else F(1)


class Lease(gn1.Lease):
    """As gn1.Lease, from what a round publishes; its optimiser is gn1's."""

    def __init__(self, spec, published, round_, slot):
        self.spec, self.round, self.slot, self.h = spec, round_, slot, 0
        self.state = np.zeros(state_floats(spec), F)
        self.state[:parameter_count(spec)] = published[:parameter_count(spec)]
        self.p1 = self.p2 = F(1)

    @property
    def theta(self):
        return self.state[:parameter_count(self.spec)]

    def step(self, train):
        """Runs local step h on the data blob. Returns (loss, {(name, index): tensor})."""
        spec = self.spec
        step_id = gn1.step_id(spec, self.round, self.slot, self.h)
        inputs, targets = sequences(spec, tokens(spec, train), sequence_starts(spec, step_id))
        run = Step(spec, self.theta, step_id)
        loss, dz = run.loss(run.forward(inputs), targets)
        run.backward(dz, inputs)
        self._update([run.gradients[name, index].reshape(-1)
                      for name, index, _ in parameters(spec)])
        gn1.require_finite(self.state)
        self.h += 1
        return loss, run.out

    def _update(self, gradients):
        spec, count = self.spec, parameter_count(self.spec)
        lr = gn1.learning_rate(spec, self.round, self.h)
        self.p1, self.p2 = self.p1 * F(spec.beta1), self.p2 * F(spec.beta2)
        update = self._sgd if spec.optimiser == gn1.SGD else self._adamw
        for g, ((name, _), (a, b, _)) in zip(gradients, layout(spec).items()):
            moments = [self.state[count * i + a:count * i + b]
                       for i in range(1, len(self.state) // count)]
            update(self.state[a:b], g, lr, decays(name), *moments)


def is_int8(tensor):
    return tensor[0] in SCALE_OF


def tensor_roots(spec, key, out):
    return keyed(key).hash_all(committed(spec, out))


def committed(spec, out):
    """The byte strings of a step's tensors."""
    return [gn1.tensor_bytes(out[t[:2]], in_panels(t)) for t in tensors(spec)]


def evaluate(spec, theta, test):
    """(correct predictions, predictions) (10.9)."""
    held = tokens(spec, test)
    correct = seen = 0
    for start in evaluation_starts(spec, len(held)):
        inputs, targets = sequences(spec, held, [start])
        z = Step(spec, theta[:parameter_count(spec)]).forward(inputs)
        correct += int((z.argmax(axis=1) == targets).sum())
        seen += len(targets)
    return correct, seen
