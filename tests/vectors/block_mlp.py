"""One block of an MLP's step: what it reads and what it must equal (PROTOCOL 3.3, 7.3, 7.4)."""
import numpy as np

import gn1
from gn1 import B, G1, G2, PB, S1, S2, SW, SX, W, X, F
from openings import STATE_BEFORE, TRAIN, is_rounded, tile_shape

SCALE_OF = {X: SX, W: SW, G1: S1, G2: S2}


def checks(job):
    """Positions of the tensors that 7.3 draws from."""
    return [p for p, t in enumerate(gn1.tensors(job)) if gn1.is_int8(t) or t[1] == PB]


def grid(tensor):
    """(rows, columns) of tiles; of PB a tile is one run."""
    down, across = tile_shape(*tensor[2:])
    return (tensor[2] if tensor[1] == PB else down), across


def groups(_, tensor, row, col):
    """How many groups of a tile's scales are real."""
    _, n, rows, cols = tensor
    if n == PB:
        return 1
    return min(64, cols - 64 * col) if n == G2 else min(16, rows - 16 * row)


def place_of_scale(_, tensor, number):
    """Row and column of the tile, and the group in it, that a scale of the tensor has."""
    return (0, number // 64, number % 64) if tensor[1] == G2 else (number // 16, 0, number % 16)


def of_first_step(tensor):
    return tensor[1] == W


class Block:
    """Re-derives one block from chunks, whoever holds them."""

    def __init__(self, job, chunks, first_step, lease, choice):
        self.job, self.chunks, self.choice = job, chunks, choice
        self.step_id = gn1.step_id(job, lease.round, lease.slot, first_step + choice.step)
        self.l, self.n, self.rows, self.cols = gn1.tensors(job)[choice.position]
        self.r = list(range(16 * choice.row, min(16 * choice.row + 16, self.rows)))
        self.c = list(range(64 * choice.col, min(64 * choice.col + 64, self.cols)))
        self.by_column = self.n == G2
        if self.n == PB:
            self.r, self.length = [choice.row], 1
            return
        self.group = (self.c if self.by_column else self.r)[choice.group]
        self.length = self.rows if self.by_column else self.cols

    def matrix(self, l, n, rows, cols):
        return self.chunks.matrix((l, n), rows, cols)

    def vector(self, l, n, indices):
        return self.chunks.vector((l, n), indices)

    def outputs(self, l, rows, cols):
        k = range(self.job.widths[l])
        return gn1.linear(self.matrix(l, X, rows, k), self.vector(l, SX, rows),
                          self.matrix(l, W, cols, k), self.vector(l, SW, cols),
                          self.vector(l, B, cols))

    def records_of(self, rows):
        return gn1.record_indices(self.job, self.step_id)[rows]

    def gradient(self, l, rows, cols):
        width = self.job.widths[l + 1]
        if l == self.job.layers - 1:
            z = self.outputs(l, rows, range(width))
            at = self.records_of(rows) * self.job.record_bytes + self.job.widths[0]
            labels = sum(self.chunks.bytes_at((TRAIN, 0), at + i).astype(np.int64) << 8 * i
                         for i in range(gn1.label_bytes(self.job)))
            return gn1.loss_gradient(self.job, z, labels)[:, cols]
        n = range(self.job.widths[l + 2])
        g1, w = self.matrix(l + 1, G1, rows, n), self.matrix(l + 1, W, n, cols)
        dx = gn1.product(g1, w.T) * self.vector(l + 1, S1, rows)[:, None]
        return np.where(self.outputs(l, rows, cols) > 0, dx, F(0))

    def values(self, rows, cols):
        """v of 7.4 at rows × cols."""
        if self.n == PB:
            first = 32 * rows[0]
            run = range(first, min(first + 32, self.job.batch))
            return gn1.run_sums(self.gradient(self.l, run, cols))
        if self.n == X and self.l == 0:
            starts = self.records_of(rows) * self.job.record_bytes
            raw = [self.chunks.bytes_at((TRAIN, 0), s + np.array(cols)) for s in starts]
            return np.array(raw).astype(F) * F(self.job.feature_scale) + F(self.job.feature_shift)
        if self.n == X:
            return gn1.relu(self.outputs(self.l - 1, rows, cols))
        if self.n == W:
            at = self.parameter(W) + np.array(rows)[:, None] * self.cols + np.array(cols)[None, :]
            return self.chunks.floats_at((STATE_BEFORE, 0), at)
        dy = self.gradient(self.l, rows, cols)
        if self.n == G1:
            return dy * self.vector(self.l, SW, cols)[None, :]
        return dy * self.vector(self.l, SX, rows)[:, None]

    def parameter(self, kind):
        return next(a for l, n, a, _ in gn1.layout(self.job) if (l, n) == (self.l, kind))

    def element(self, row, col):
        """One element of PB."""
        return self.values([row], [col])[0, 0]

    def scale_of_group(self):
        return self.vector(self.l, SCALE_OF[self.n], [self.group])[0]

    def witness_value(self, index):
        if self.by_column:
            return self.values([index], [self.group])[0, 0]
        return self.values([self.group], [index])[0, 0]

    def lowest_witness(self):
        """What the prover names."""
        if self.n == PB:
            return 0
        s = self.scale_of_group()
        if s == 0:
            return 0
        v = self.values(range(self.rows), [self.group]) if self.by_column \
            else self.values([self.group], range(self.cols))
        return int(np.flatnonzero((np.abs(v.reshape(-1)) / F(63)) == s)[0])

    def scales(self, rows, cols):
        """The committed scales at rows × cols, in a shape that broadcasts there."""
        s = self.vector(self.l, SCALE_OF[self.n], cols if self.by_column else rows)
        return s[None, :] if self.by_column else s[:, None]

    def bits(self, rows, cols):
        """The bits that SR adds; None where a tensor is RN."""
        if self.n in (X, W):
            return None
        return gn1.stochastic_bits(self.job.sr_seed, rows, cols, self.cols, 16 * self.l + self.n,
                                   self.step_id)

    def check(self, witness):
        """True when everything of 7.4 holds, but for the witness where it is None. Reads all that
        7.4 reads, whatever it finds.
        """
        if self.n == PB:
            return self._check_sums()
        tile = self.chunks.tile(self.choice.position, self.choice.row, self.choice.col)
        q = tile[:len(self.r), :len(self.c)]
        good = not tile[len(self.r):].any() and not tile[:, len(self.c):].any()
        good &= is_rounded(q, self.values(self.r, self.c), self.scales(self.r, self.c),
                           self.bits(self.r, self.c))
        if self.n == W:
            b = self.vector(self.l, B, self.r)
            before = self.chunks.floats_at((STATE_BEFORE, 0), self.parameter(B) + np.array(self.r))
            good &= b.tobytes() == before.tobytes()
        if witness is None:
            return good
        group_scale = self.scale_of_group()
        if group_scale == 0:
            return good and witness == 0
        named = np.abs(self.witness_value(witness)) / F(63)  # read even where `good` is lost
        return good and bool(named == group_scale)

    def _check_sums(self):
        """PB in every bit, and +0 in its padding."""
        panel = np.arange(64 * self.choice.col, 64 * self.choice.col + 64)
        own, due = self.chunks.floats((self.l, PB), self.r, panel), np.zeros((1, 64), F)
        due[:, :len(self.c)] = self.values(self.r, self.c)
        return own.tobytes() == due.tobytes()
