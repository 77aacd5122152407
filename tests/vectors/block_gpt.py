"""One block of a gpt's step: what it is drawn from, its groups, its verdict (PROTOCOL 10.11)."""
import numpy as np

import gn1
import gpt
import gpt_shape
from gpt_shape import SCALE_OF
from gpt_values import Values
from openings import is_rounded

SUMS = ("PB", "PG", "PS")  # tiles of one row
F32_CHECKS = ("R", "gain", "shift", "m", "l", "mu", "zeta", "N", "D", "delta", "CQ", "cf") + SUMS
COLUMNS = ("m", "l", "mu", "zeta", "delta")  # tiles of one column; so is a vector
STOCHASTIC = {"G1": (16, gpt.G1_ID), "G2": (16, gpt.G2_ID), "HO": (64, gpt.HO_ID),
              "GO": (64, gpt.GO_ID)}


def checks(job):
    return [p for p, t in enumerate(gpt_shape.tensors(job))
            if gpt.is_int8(t) or t[0] in F32_CHECKS]


def tile_size(tensor):
    """Rows and columns of a tile."""
    name, _, rows, _ = tensor
    if name in SUMS or name == "CQ":
        return 1, 64
    return rows if name == "cf" else 16, 1 if name in COLUMNS else 64


def grid(tensor):
    high, wide = tile_size(tensor)
    return -(-tensor[2] // high), -(-tensor[3] // wide)


def groups(job, tensor, row, col):
    """How many groups of a tile's scales are real."""
    name, _, rows, cols = tensor
    real_rows, real_cols = min(16, rows - 16 * row), min(64, cols - 64 * col)
    if name in ("Q", "K", "HO"):
        d = job.width // job.heads
        return real_rows * len(np.unique(np.arange(64 * col, 64 * col + real_cols) // d))
    return real_cols if name in ("G2", "V", "GO") else real_rows


def place_of_scale(job, tensor, number):
    """Row and column of the first tile, and the group in it, that a scale of the tensor has."""
    name, _, _, cols = tensor
    if name in ("Q", "K", "HO"):
        d = job.width // job.heads
        row, head = divmod(number, job.heads)
        col, heads = d * head // 64, np.unique(np.arange(64 * (d * head // 64), min(
            cols, 64 * (d * head // 64) + 64)) // d)
        return row // 16, col, row % 16 * len(heads) + int(np.searchsorted(heads, head))
    if name in ("V", "GO"):
        run, col = divmod(number, cols)
        return run * job.context // 16, col // 64, col % 64
    return (0, number // 64, number % 64) if name == "G2" else (number // 16, 0, number % 16)


def of_first_step(tensor):
    name, index = tensor[:2]
    return name in ("W", "gain", "shift") or (name, index) == ("R", 0)


class Block:
    """Re-derives one block from chunks, whoever holds them."""

    def __init__(self, job, chunks, first_step, lease, choice):
        self.job, self.chunks, self.choice = job, chunks, choice
        step_id = gn1.step_id(job, lease.round, lease.slot, first_step + choice.step)
        self.v = Values(job, chunks, step_id)
        self.name, self.index, self.rows, self.cols = tensor = gpt_shape.tensors(job)[
            choice.position]
        high, wide = tile_size(tensor)
        self.r = np.arange(high * choice.row, min(high * choice.row + high, self.rows))
        self.c = np.arange(wide * choice.col, min(wide * choice.col + wide, self.cols))
        self.is_int8, self.length = gpt.is_int8(tensor), 1
        if self.is_int8:
            self._draw_group(choice.group)

    def _draw_group(self, number):
        """The elements of the drawn group, along one side of the matrix."""
        job, whole_rows, whole_cols = self.job, np.arange(self.rows), np.arange(self.cols)
        if self.name in ("Q", "K", "HO"):
            d = job.width // job.heads
            heads = np.unique(self.c // d)
            row, a = self.r[number // len(heads)], heads[number % len(heads)]
            self.group = np.array([row]), whole_cols[a * d:(a + 1) * d]
        elif self.name in ("V", "GO"):
            first = self.r[0] // job.context * job.context
            self.group = whole_rows[first:first + job.context], self.c[[number]]
        elif self.name == "G2":
            self.group = whole_rows, self.c[[number]]
        else:
            self.group = self.r[[number]], whole_cols
        self.length = max(map(len, self.group))

    def along(self, index):
        """Row and column of the group's element with that index, each as an array of one."""
        rows, cols = self.group
        return (rows[[index]], cols) if len(rows) > 1 else (rows, cols[[index]])

    def scales(self, rows, cols):
        """The committed scales at rows × cols, in a shape that broadcasts there."""
        name = SCALE_OF[self.name]
        if self.name in ("Q", "K", "HO"):
            d = self.job.width // self.job.heads
            heads, at = np.unique(cols // d, return_inverse=True)
            return self.v.f32(name, self.index, rows, heads)[:, at]
        if self.name in ("V", "GO"):
            return self.v.f32(name, self.index, [rows[0] // self.job.context], cols)
        if self.name == "G2":
            return self.v.of_rows(name, self.index, cols).T
        return self.v.of_rows(name, self.index, rows)

    def values(self, rows, cols):
        """v at rows × cols."""
        v, name, index = self.v, self.name, self.index
        if name in ("Q", "K", "V"):
            return v.y(4 * index, rows, cols + "QKV".index(name) * self.job.width)
        if name == "X":
            return self._inputs(index, rows, cols)
        if name == "W":
            tied = self.job.tied and index == 4 * self.job.blocks
            return v.parameter(*(("E", 0) if tied else ("W", index)), rows, cols)
        if name == "G1":
            return v.dy(index, rows, cols) * v.of_rows("sw", index, cols).T
        if name == "G2":
            return v.dy(index, rows, cols) * v.of_rows("sx", index, rows)
        if name == "HO":
            b = rows[0] // self.job.context
            return v.dx(4 * index + 1, rows, cols) * v.f32("sv", index, [b], cols)
        if name == "GO":
            dx = v.dx(4 * index + 1, rows, cols)
            return v.by_head(cols, lambda a, own: dx[:, np.isin(cols, own)]
                             * (gn1.F(1) / v.of_rows("l", index, rows, a)))
        return self._f32_values(rows, cols)

    def _inputs(self, linear, rows, cols):
        i, kind = divmod(linear, 4)
        if kind == 0:
            return self.v.norm(2 * i, rows, cols)
        if kind == 1:
            return self.v.o(i, rows, cols)
        if kind == 2:
            return self.v.norm(2 * i + 1, rows, cols)
        return gpt.activation(self.job, self.v.y(linear - 1, rows, cols))[0]

    def _f32_values(self, rows, cols):
        v, name, index = self.v, self.name, self.index
        if name in ("gain", "shift"):
            return v.parameter(name, index, rows, cols)
        if name == "R":
            return v.residual(index, rows, cols)
        if name == "N":
            linear = index // 2 * 4 + (2 if index % 2 else 0)
            return v.dx(linear, rows, cols)
        if name == "D":
            return v.d(index, rows, cols)
        if name in SUMS:
            return v.run_sums(name, index, rows[0], cols)
        if name == "CQ":
            return v.squares(index, rows[0])
        if name == "cf":
            return v.clip()
        if name in ("mu", "zeta"):
            return {"mu": v.mu, "zeta": v.zeta}[name](rows, cols[0])
        return {"m": v.maxima, "l": v.sums, "delta": v.delta}[name](index, rows, cols[0])

    def element(self, row, col):
        """One element of a tensor of f32, of cf by CQ alone."""
        if self.name == "cf":
            return self.v.clip_of_squares(row)
        return self.values(np.array([row]), np.array([col]))[0, 0]

    def scale_of_group(self):
        return self.scales(*self.along(0))[0, 0]

    def witness_value(self, index):
        return self.values(*self.along(index))[0, 0]

    def lowest_witness(self):
        """What the prover names."""
        if not self.is_int8:
            return 0
        s = self.scale_of_group()
        if s == 0:
            return 0
        rows, cols = self.group
        context = self.job.context  # attention is of one sequence at a time
        parts = [self.values(rows[rows // context == b], cols).reshape(-1)
                 for b in np.unique(rows // context)]
        return int(np.flatnonzero(np.abs(np.concatenate(parts)) / gn1.F(63) == s)[0])

    def bits(self, rows, cols):
        """The bits that SR adds; None where a tensor is RN."""
        if self.name not in STOCHASTIC:
            return None
        stride, n = STOCHASTIC[self.name]
        return gn1.stochastic_bits(self.job.sr_seed, rows, cols, self.cols, stride * self.index + n,
                                   self.v.step_id)

    def check(self, witness):
        """True when everything of 7.4 holds, but for the witness where it is None. Reads all that
        10.11 reads, whatever it finds.
        """
        good = self._check_int8(witness) if self.is_int8 else self._check_f32()
        return good and self.v.sound

    def _check_f32(self):
        cols, due = self.c, self.values(self.r, self.c)
        if self.name in SUMS or (self.name, self.index) == ("D", 0):
            cols = np.arange(64 * self.choice.col, 64 * self.choice.col + 64)
            padded = np.zeros((len(self.r), 64), gn1.F)  # +0, and so it must be
            padded[:, :len(self.c)] = due
            due = padded
        own = self.v.f32(self.name, self.index, self.r, cols)
        good = own.tobytes() == np.ascontiguousarray(due).tobytes()
        if self.name == "CQ":
            good &= self.v.adds_up(self.index)  # read, whatever was found
        return good

    def _check_int8(self, witness):
        tile = self.chunks.tile(self.choice.position, self.choice.row, self.choice.col)
        q = tile[:len(self.r), :len(self.c)]
        good = not tile[len(self.r):].any() and not tile[:, len(self.c):].any()
        good &= is_rounded(q, self.values(self.r, self.c), self.scales(self.r, self.c),
                           self.bits(self.r, self.c))
        if self.name == "W" and gpt_shape.has_bias(self.job, self.index):
            b = self.v.of_rows("b", self.index, self.r)
            good &= b.tobytes() == self.v.parameter("b", self.index, self.r, [0]).tobytes()
        if witness is None:
            return good
        s = self.scale_of_group()
        if s == 0:
            return good and witness == 0
        named = np.abs(self.witness_value(witness)) / gn1.F(63)  # read even if not good
        return good and bool(named == s)
