"""The step program of architecture 1 and its optimisers (PROTOCOL 3). The numerics of numerics.py
are names of this module too.
"""
import numpy as np

from b3 import keyed
from numerics import *  # the numbers of every step
from numerics import F, U32, U64

SGD, ADAMW = 1, 2
X, SX, W, SW, B, G1, S1, G2, S2 = range(9)  # the n of PROTOCOL 3.3
PB = 9  # the sums that db adds up; no n of its own
INT8 = (X, W, G1, G2)


# The program (3). A spec is any object with the fields of a job (records.Job).

def tensors(spec):
    """(layer, n, rows, cols) in trace order (4.3)."""
    out, t = [], spec.batch
    for l in range(spec.layers):
        k, n = spec.widths[l], spec.widths[l + 1]
        out += [(l, X, t, k), (l, SX, t, 1), (l, W, n, k), (l, SW, n, 1), (l, B, n, 1)]
    for l in reversed(range(spec.layers)):
        n = spec.widths[l + 1]
        if l > 0:
            out += [(l, G1, t, n), (l, S1, t, 1)]
        out += [(l, G2, t, n), (l, S2, n, 1)]
    return out + [(l, PB, (t + 31) // 32, spec.widths[l + 1]) for l in range(spec.layers)]


def is_int8(tensor):
    return tensor[1] in INT8


def in_panels(tensor):
    return tensor[1] == PB


def tensor_bytes(array, panels=False):
    """Committed byte string (4.1): tile order for int8; elements or panels in order for f32."""
    is_float = array.dtype != np.int8
    if is_float and not panels:
        return array.astype("<f4").tobytes()
    rows, cols = array.shape
    high = rows if is_float else (rows + 15) // 16 * 16
    padded = np.zeros((high, (cols + 63) // 64 * 64), "<f4" if is_float else np.int8)
    padded[:rows, :cols] = array
    return b"".join(padded[:, c:c + 64].tobytes() for c in range(0, padded.shape[1], 64))


def committed(spec, out):
    """The byte strings of a step's tensors."""
    return [tensor_bytes(out[t[:2]], in_panels(t)) for t in tensors(spec)]


def macs_per_step(spec):
    return sum(spec.batch * spec.widths[l] * spec.widths[l + 1] * (3 if l > 0 else 2)
               for l in range(spec.layers))


def parameter_count(spec):
    return sum((k + 1) * n for k, n in zip(spec.widths, spec.widths[1:]))


def layout(spec):
    """Slices of θ: (layer, W or B, first, last)."""
    out, at = [], 0
    for l in range(spec.layers):
        k, n = spec.widths[l], spec.widths[l + 1]
        out += [(l, W, at, at + k * n), (l, B, at + k * n, at + k * n + n)]
        at += k * n + n
    return out


def split(spec, theta):
    """({l: W_l}, {l: b_l}) as views of θ."""
    ws, bs = {}, {}
    for l, n, first, last in layout(spec):
        if n == W:
            ws[l] = theta[first:last].reshape(spec.widths[l + 1], spec.widths[l])
        else:
            bs[l] = theta[first:last]
    return ws, bs


def initial_theta(spec):
    theta = np.zeros(parameter_count(spec), F)
    for l, n, first, last in layout(spec):
        if n == W:
            e = np.arange(last - first)
            u = np.choose(e % 4, philox(spec.init_seed, e // 4, l, 0, 0x494E))
            unit = (u >> U32(8)).astype(F) * f32("0x1p-23") - F(1)
            theta[first:last] = unit * np.sqrt(F(6) / F(spec.widths[l]))
    return theta


def state_floats(spec):
    return parameter_count(spec) * (2 if spec.optimiser == SGD else 3)


def step_id(spec, round_, slot, h):
    return (round_ * spec.slots + slot) * spec.steps_per_lease + h


def learning_rate(spec, round_, h):
    t, total = round_ * spec.steps_per_lease + h, spec.rounds * spec.steps_per_lease
    if t < spec.warmup:
        return F(spec.lr) * (F(t + 1) / F(spec.warmup))
    return F(spec.lr) * (F(total - t) / F(total - spec.warmup))


def label_bytes(spec):
    return 2 if spec.widths[-1] > 256 else 1


def record_indices(spec, step):
    w = philox(spec.data_seed, np.arange(spec.batch), step, 0, 0x4241)[0].astype(U64)
    return ((w * U64(spec.n_train)) >> U64(32)).astype(np.int64)


def inputs(spec, records):
    """(X_0 before quantisation, labels) of rows of record bytes."""
    k = spec.widths[0]
    x = records[:, :k].astype(F) * F(spec.feature_scale) + F(spec.feature_shift)
    return x, sum(records[:, k + i].astype(np.int64) << 8 * i for i in range(label_bytes(spec)))


def relu(y):
    return np.where(y > 0, y, F(0))


def forward(spec, theta, x, out):
    """Fills out[l, n] with forward tensors, out[l, "y"] with the outputs; returns the logits."""
    ws, bs = split(spec, theta)
    for l in range(spec.layers):
        sx, inv = scale_of_max(group_max(x, 1))
        out[l, X], out[l, SX] = round_nearest(x, inv[:, None]), sx
        sw, inv = scale_of_max(group_max(ws[l], 1))
        out[l, W], out[l, SW], out[l, B] = round_nearest(ws[l], inv[:, None]), sw, bs[l].copy()
        y = linear(out[l, X], sx, out[l, W], sw, out[l, B])
        out[l, "y"] = y
        x = relu(y)
    return y


def linear(qx, sx, qw, sw, b):
    return product(qx, qw) * (sx[:, None] * sw[None, :]) + b[None, :]


def softmax(z):
    """(m, e, Z) by row."""
    m = z.max(axis=1)
    e = exp(z - m[:, None])
    return m, e, rowsum(e)


def loss_rows(z, labels):
    """nll of rows of logits."""
    m, _, total = softmax(z)
    return log(total) - (z[np.arange(len(z)), labels] - m)


def loss_gradient(spec, z, labels):
    """dY_{L−1} of rows of logits."""
    _, e, total = softmax(z)
    target = (labels[:, None] == np.arange(z.shape[1])).astype(F)
    return (e / total[:, None] - target) * (F(1) / F(spec.batch))


def backward(spec, dy, step, out):
    """Fills out with the backward tensors; returns ({l: dW_l}, {l: db_l})."""
    dws, dbs = {}, {}
    rows = np.arange(spec.batch)
    for l in reversed(range(spec.layers)):
        n = spec.widths[l + 1]
        cols = np.arange(n)
        out[l, PB] = run_sums(dy)
        dbs[l] = sum_of_runs(out[l, PB])
        v = dy * out[l, SX][:, None]
        s2, inv = scale_of_max(group_max(v, 0))
        u = stochastic_bits(spec.sr_seed, rows, cols, n, 16 * l + G2, step)
        out[l, G2], out[l, S2] = stochastic_round(v, inv[None, :], u), s2
        dws[l] = product(out[l, G2].T, out[l, X].T) * s2[:, None]
        if l > 0:
            v = dy * out[l, SW][None, :]
            s1, inv = scale_of_max(group_max(v, 1))
            u = stochastic_bits(spec.sr_seed, rows, cols, n, 16 * l + G1, step)
            out[l, G1], out[l, S1] = stochastic_round(v, inv[:, None], u), s1
            dx = product(out[l, G1], out[l, W].T) * s1[:, None]
            dy = np.where(out[l - 1, "y"] > 0, dx, F(0))
    return dws, dbs


class Lease:
    """The state of one lease while its steps run: θ, moments, and the powers of AdamW."""

    def __init__(self, spec, theta, round_, slot):
        self.spec, self.round, self.slot, self.h = spec, round_, slot, 0
        self.state = np.zeros(state_floats(spec), F)
        self.state[:len(theta)] = theta
        self.p1 = self.p2 = F(1)

    @property
    def theta(self):
        return self.state[:parameter_count(self.spec)]

    def state_bytes(self):
        return self.state.astype("<f4").tobytes()

    def step(self, train):
        """Runs local step h. train: [n_train, K_0 + 1] bytes. Returns (loss, {(l, n): tensor})."""
        spec, out = self.spec, {}
        step = step_id(spec, self.round, self.slot, self.h)
        x, labels = inputs(spec, train[record_indices(spec, step)])
        z = forward(spec, self.theta, x, out)
        loss = longsum(loss_rows(z, labels)) * (F(1) / F(spec.batch))
        gradients = backward(spec, loss_gradient(spec, z, labels), step, out)
        require_finite(np.array([loss]), *(out[l, n] for l, n, _, _ in tensors(spec)))
        self._update(*gradients)
        require_finite(self.state)
        self.h += 1
        return loss, out

    def _update(self, dws, dbs):
        spec, count = self.spec, parameter_count(self.spec)
        lr = learning_rate(spec, self.round, self.h)
        self.p1, self.p2 = self.p1 * F(spec.beta1), self.p2 * F(spec.beta2)
        for l, n, a, b in layout(spec):
            g = (dws[l] if n == W else dbs[l]).reshape(-1)
            w, decays = self.state[a:b], n == W
            moments = [self.state[count * i + a:count * i + b]
                       for i in range(1, len(self.state) // count)]
            (self._sgd if spec.optimiser == SGD else self._adamw)(w, g, lr, decays, *moments)

    def _sgd(self, w, g, lr, decays, m):
        if decays:
            g = g + F(self.spec.wd) * w
        m[:] = F(self.spec.beta1) * m + g
        w[:] = w - lr * m

    def _adamw(self, w, g, lr, decays, m, v):
        b1, b2 = F(self.spec.beta1), F(self.spec.beta2)
        m[:] = b1 * m + (F(1) - b1) * g
        v[:] = b2 * v + (F(1) - b2) * (g * g)
        u = m * (F(1) / (F(1) - self.p1))
        u = u / (np.sqrt(v * (F(1) / (F(1) - self.p2))) + F(self.spec.eps))
        w[:] = w - lr * (u + F(self.spec.wd) * w) if decays else w - lr * u


def tensor_roots(spec, key, out):
    return keyed(key).hash_all(committed(spec, out))


def evaluate(spec, theta, test):
    """(correct predictions, predictions) (3.6)."""
    correct = 0
    for first in range(0, len(test), spec.batch):
        x, labels = inputs(spec, test[first:first + spec.batch])
        z = forward(spec, theta, x, {})
        correct += int((z.argmax(axis=1) == labels).sum())
    return correct, len(test)
