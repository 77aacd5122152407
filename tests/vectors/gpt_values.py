"""The values that a gpt's blocks must equal, from the chunks they are made of (PROTOCOL 10.11).

Written from PROTOCOL.md alone: each method is a row of its table, and reads what the row names.
`rows` and `cols` are arrays of indices of the tensor's matrix; the rows of whatever belongs to
attention are of one sequence.
"""
import numpy as np

import gn1
import gpt
import gpt_shape
from gn1 import F
from openings import STATE_BEFORE, TRAIN


class Values:
    def __init__(self, job, chunks, step_id):
        self.job, self.chunks = job, chunks
        self.starts = gpt_shape.sequence_starts(job, step_id)
        self.step_id = step_id
        self.sound = True  # False once something read makes no sense (end of 10.11)

    # Reading

    def int8(self, name, index, rows, cols):
        return self.chunks.matrix((name, index), rows, cols)

    def f32(self, name, index, rows, cols):
        return self.chunks.floats((name, index), rows, cols)

    def of_rows(self, name, index, rows, col=0):
        """One column of a matrix, as a column."""
        return self.f32(name, index, rows, [col])

    def parameter(self, name, index, rows, cols):
        first, _, shape = gpt_shape.layout(self.job)[name, index]
        at = np.asarray(rows)[:, None] * (shape + (1,))[1] + np.asarray(cols)[None, :]
        return self.chunks.floats_at((STATE_BEFORE, 0), first + at)

    def demand(self, condition):
        self.sound = self.sound and bool(np.all(condition))

    def token(self, rows, ahead):
        """x (ahead = 0) or y (1) of rows; 0 for what is none."""
        job, rows = self.job, np.asarray(rows)
        at = self.starts[rows // job.context] + rows % job.context + ahead
        size = job.token_bytes
        raw = [self.chunks.bytes_at((TRAIN, 0), at * size + i).astype(np.int64) << 8 * i
               for i in range(size)]
        out = sum(raw)
        self.demand(out < job.vocabulary)
        return np.where(out < job.vocabulary, out, 0)

    # Linears and norms

    def y(self, linear, rows, cols):
        k = np.arange(gpt_shape.linears(self.job)[linear][0])
        out = gn1.product(self.int8("X", linear, rows, k), self.int8("W", linear, cols, k))
        out = out * (self.of_rows("sx", linear, rows) * self.of_rows("sw", linear, cols).T)
        if gpt_shape.has_bias(self.job, linear):
            out = out + self.of_rows("b", linear, cols).T
        return out

    def dx(self, linear, rows, cols):
        n = np.arange(gpt_shape.linears(self.job)[linear][1])
        g, w = self.int8("G1", linear, rows, n), self.int8("W", linear, n, cols)
        return gn1.product(g, w.T) * self.of_rows("s1", linear, rows)

    def norm(self, index, rows, cols):
        """The norm's value at cols, of whose gain and shift it reads no more."""
        x = self.f32("R", index, rows, np.arange(self.job.width))
        out = gpt.unit_rows(self.job, x)[0][:, cols] * self.of_rows("gain", index, cols).T
        if self.job.norm == gpt_shape.LAYERNORM:
            out = out + self.of_rows("shift", index, cols).T
        return out

    def norm_back(self, index, rows, cols):
        d = np.arange(self.job.width)
        g, x = self.f32("N", index, rows, d), self.f32("R", index, rows, d)
        gain = self.of_rows("gain", index, d)[:, 0]
        return gpt.norm_gradient(self.job, g, x, gain)[0][:, cols]

    def residual(self, index, rows, cols):
        if index == 0:
            e = self.parameter("E", 0, self.token(rows, 0), cols)
            return e + self.parameter("P", 0, rows % self.job.context, cols)
        linear = (index - 1) // 2 * 4 + (1 if index % 2 else 3)
        return self.f32("R", index - 1, rows, cols) + self.y(linear, rows, cols)

    # Attention

    @property
    def head_width(self):
        return self.job.width // self.job.heads

    def head(self, a):
        return np.arange(a * self.head_width, (a + 1) * self.head_width)

    def by_head(self, cols, value):
        """value(head, its columns among cols), side by side."""
        heads = cols // self.head_width
        return np.concatenate([value(a, cols[heads == a]) for a in np.unique(heads)], 1)

    def sequence(self, rows):
        """(number, first row) of the sequence that rows are of."""
        b = rows[0] // self.job.context
        assert (rows // self.job.context == b).all()
        return b, b * self.job.context

    def until(self, rows):
        return np.arange(self.sequence(rows)[1], rows.max() + 1)

    def since(self, rows):
        return np.arange(rows.min(), self.sequence(rows)[1] + self.job.context)

    def scores(self, i, a, queries, keys):
        """(S, where j ≤ i)."""
        q, k = self.int8("Q", i, queries, self.head(a)), self.int8("K", i, keys, self.head(a))
        s = gn1.product(q, k) * (self.of_rows("sq", i, queries, a)
                                 * self.of_rows("sk", i, keys, a).T)
        allowed = keys[None, :] <= queries[:, None]
        self.demand(np.isfinite(s[allowed]))
        return s, allowed

    def weights(self, scores, allowed, m):
        """Π."""
        e = gn1.exp((np.where(allowed, scores, m) - m) * (F(1) / np.sqrt(F(self.head_width))))
        pi = np.where(allowed, gn1.rni(e * F(63)), 0)
        self.demand((pi >= 0) & (pi <= 63))
        return pi

    def maxima(self, i, rows, a):
        s, allowed = self.scores(i, a, rows, self.until(rows))
        return np.where(allowed, s, F(-np.inf)).max(axis=1, keepdims=True) + F(0)

    def sums(self, i, rows, a):
        s, allowed = self.scores(i, a, rows, self.until(rows))
        m = np.where(allowed, s, F(-np.inf)).max(axis=1, keepdims=True) + F(0)
        return self.weights(s, allowed, m).sum(axis=1, keepdims=True, dtype=np.int64).astype(F)

    def probabilities(self, i, a, queries, keys):
        """Π by the committed m."""
        s, allowed = self.scores(i, a, queries, keys)
        return self.weights(s, allowed, self.of_rows("m", i, queries, a)), allowed

    def o(self, i, rows, cols):
        b, _ = self.sequence(rows)

        def of_head(a, own):
            keys = self.until(rows)
            pi, _ = self.probabilities(i, a, rows, keys)
            out = gn1.product(pi, self.int8("V", i, keys, own).T) * self.f32("sv", i, [b], own)
            return out * (F(1) / self.of_rows("l", i, rows, a))
        return self.by_head(cols, of_head)

    def delta(self, i, rows, a):
        own = self.head(a)
        product = self.dx(4 * i + 1, rows, own) * self.o(i, rows, own)
        return gn1.rowsum(product)[:, None]

    def score_gradients(self, i, a, queries, keys):
        """(dS, where j ≤ i)."""
        pi, allowed = self.probabilities(i, a, queries, keys)
        ho, v = self.int8("HO", i, queries, self.head(a)), self.int8("V", i, keys, self.head(a))
        dpi = gn1.product(ho, v) * self.of_rows("sh", i, queries, a)
        ds = pi.astype(F) * (F(1) / self.of_rows("l", i, queries, a))
        ds = ds * (dpi - self.of_rows("delta", i, queries, a))
        return ds * (F(1) / np.sqrt(F(self.head_width))), allowed

    def rounded(self, v, allowed, axis, tensor_id, queries, keys, a):
        """U1 (axis 1) or U2 (axis 0) and its scales."""
        v = np.where(allowed, v, F(0))
        self.demand(np.isfinite(v))
        s, inv = gn1.scale_of_max(gn1.group_max(v, axis))
        bits = gn1.stochastic_bits(self.job.sr_seed, queries * self.job.heads + a,
                                   keys % self.job.context, self.job.context, tensor_id,
                                   self.step_id)
        return gn1.stochastic_round(v, np.expand_dims(inv, axis), bits), s

    def dq(self, i, rows, cols):
        def of_head(a, own):
            keys = self.until(rows)
            ds, allowed = self.score_gradients(i, a, rows, keys)
            v = ds * self.of_rows("sk", i, keys, a).T
            u, s = self.rounded(v, allowed, 1, 64 * i + gpt.U1_ID, rows, keys, a)
            return gn1.product(u, self.int8("K", i, keys, own).T) * s[:, None]
        return self.by_head(cols, of_head)

    def dk(self, i, rows, cols):
        def of_head(a, own):
            queries = self.since(rows)
            ds, allowed = self.score_gradients(i, a, queries, rows)
            v = ds * self.of_rows("sq", i, queries, a)
            u, s = self.rounded(v, allowed, 0, 64 * i + gpt.U2_ID, queries, rows, a)
            return gn1.product(u.T, self.int8("Q", i, queries, own).T) * s[:, None]
        return self.by_head(cols, of_head)

    def dv(self, i, rows, cols):
        b, _ = self.sequence(rows)

        def of_head(a, own):
            queries = self.since(rows)
            pi, _ = self.probabilities(i, a, queries, rows)
            out = gn1.product(pi.T, self.int8("GO", i, queries, own).T)
            return out * self.f32("sg", i, [b], own)
        return self.by_head(cols, of_head)

    # Loss

    def logits(self, rows, cols):
        return self.y(4 * self.job.blocks, rows, cols)

    def group(self, beta):
        return np.arange(256 * beta, min(256 * beta + 256, self.job.vocabulary))

    def groups(self):
        return np.arange((self.job.vocabulary + 255) // 256)

    def mu(self, rows, beta):
        z = self.logits(rows, self.group(beta))
        self.demand(~np.isnan(z))
        return z.max(axis=1, keepdims=True) + F(0)

    def zeta(self, rows, beta):
        m = self.f32("mu", 0, rows, self.groups()).max(axis=1, keepdims=True)
        return gn1.rowsum(gn1.exp(self.logits(rows, self.group(beta)) - m))[:, None]

    def dz(self, rows, cols):
        m = self.f32("mu", 0, rows, self.groups()).max(axis=1, keepdims=True)
        e, total = gn1.exp(self.logits(rows, cols) - m), np.zeros((len(rows), 1), F)
        for part in self.f32("zeta", 0, rows, self.groups()).T:
            total = total + part[:, None]
        target = (self.token(rows, 1)[:, None] == cols[None, :]).astype(F)
        return (e / total - target) * (F(1) / F(gpt_shape.rows(self.job)))

    # Gradients

    def middle(self, i, rows, cols):
        """M."""
        return self.f32("D", i + 1, rows, cols) + self.norm_back(2 * i + 1, rows, cols)

    def d(self, i, rows, cols):
        if i == self.job.blocks:
            return self.norm_back(2 * i, rows, cols)
        return self.middle(i, rows, cols) + self.norm_back(2 * i, rows, cols)

    def dy(self, linear, rows, cols):
        i, kind = divmod(linear, 4)
        if linear == 4 * self.job.blocks:
            return self.dz(rows, cols)
        if kind == 3:
            return self.f32("D", i + 1, rows, cols)
        if kind == 2:
            slope = gpt.activation(self.job, self.y(linear, rows, cols))[1]
            return self.dx(linear + 1, rows, cols) * slope
        if kind == 1:
            return self.middle(i, rows, cols)
        width, parts = self.job.width, (self.dq, self.dk, self.dv)
        return np.concatenate([parts[p](i, rows, cols[cols // width == p] - p * width)
                               for p in np.unique(cols // width)], 1)

    # Sums of gradients, and their norm (10.7, 10.10)

    def run_sums(self, name, index, run, cols):
        """PB of a linear, PG and PS of a norm."""
        rows = np.arange(32 * run, 32 * run + 32)
        if name == "PB":
            return gn1.run_sums(self.dy(index, rows, cols))
        g = self.f32("N", index, rows, cols)
        if name == "PG":
            x = self.f32("R", index, rows, np.arange(self.job.width))
            g = g * gpt.unit_rows(self.job, x)[0][:, cols]
        return gn1.run_sums(g)

    def dw(self, linear, rows, cols):
        t = np.arange(gpt_shape.rows(self.job))
        g2, x = self.int8("G2", linear, t, rows), self.int8("X", linear, t, cols)
        return gn1.product(g2.T, x.T) * self.of_rows("s2", linear, rows)

    def embedded(self, where, rows, cols):
        """Σ of D_0 over the rows t with where[t] = row, ascending."""
        t = np.flatnonzero(np.isin(where, rows))
        d, out = self.f32("D", 0, t, cols), np.zeros((len(rows), len(cols)), F)
        for i, row in zip(where[t], d):
            out[i - rows[0]] = out[i - rows[0]] + row
        return out

    def gradient(self, name, index, rows, cols):
        """Of a parameter, before the clip."""
        job, t = self.job, np.arange(gpt_shape.rows(self.job))
        if name == "W":
            return self.dw(index, rows, cols)
        if name == "E":
            out = self.embedded(self.token(t, 0), rows, cols)
            return self.dw(4 * job.blocks, rows, cols) + out if job.tied else out
        if name == "P":
            return self.embedded(t % job.context, rows, cols)
        parts = {"b": "PB", "gain": "PG", "shift": "PS"}[name]
        runs = np.arange(gpt_shape.rows(job) // 32)
        return gn1.sum_of_runs(self.f32(parts, index, runs, rows))[:, None]

    def squares(self, j, u):
        name, index, shape = gpt_shape.parameters(self.job)[j]
        g = self.gradient(name, index, *gpt_shape.unit_places(shape, u))
        return np.full((1, 1), gpt.unit_squares(g))

    def sum_of_squares(self, j):
        """c_j of CQ_j."""
        units = np.arange(gpt_shape.units(gpt_shape.parameters(self.job)[j][2]))
        return gn1.longsum(self.of_rows("CQ", j, units)[:, 0])

    def clip_of_squares(self, row):
        """Element `row` of cf."""
        count = len(gpt_shape.parameters(self.job))
        if row < count:
            return self.sum_of_squares(row)
        return gpt.clip_factor(self.job, [self.sum_of_squares(j) for j in range(count)])

    def adds_up(self, j):
        """Whether cf has it."""
        total = self.sum_of_squares(j)
        return total.tobytes() == self.of_rows("cf", 0, [j])[0, 0].tobytes()

    def clip(self):
        count = len(gpt_shape.parameters(self.job))
        c = self.of_rows("cf", 0, np.arange(count))
        return np.append(c, gpt.clip_factor(self.job, c[:, 0])).astype(F)[:, None]
