"""A thread of a lease, followed from PROTOCOL 11 alone: by who answers as by who judges."""
from types import SimpleNamespace

import numpy as np

import gn1
import gpt
import openings
from gn1 import F
from openings import DELTA, STATE_AFTER, Malformed
from thread_draw import (NO_FEATURE, PIECE, Bound, Draw, Model, blocks, bounded, choose_tile,
                         needs_witness, pick_by_size, row_fibre)

PART_TARGET = 800 * 1024
PARTS = {"b": "PB", "gain": "PG", "shift": "PS"}


class Plan:
    """All that follows from lease, seed and witnesses (11.3, 11.6, 11.9)."""

    def __init__(self, job, lease, seed, count, theta, train):
        self.job, self.lease, self.seed = job, lease, seed
        self.model = Model(job)
        self.draw = Draw(self.model, lease, seed, train)
        self.blocks = blocks(self.model, self.draw, seed, lease.steps, count)
        self.scales = [s for s in self.draw.scales if needs_witness(
            self.model, lease, theta, self.draw.fibres[s.fibre], s)]

    def name(self, features):
        self.chains = [self._chain(one, self.lease.steps) for one in self.draw.fibres]
        self.witnesses = {}
        for scale, k in zip(self.scales, features):
            one = self.draw.fibres[scale.fibre]
            if k != NO_FEATURE and k >= self.model.parameters[one.parameter].cols:
                raise Malformed("witness")
            chain = scale.fibre if k in one.cols else None
            if k != NO_FEATURE and chain is None:
                chain = len(self.chains)
                other = row_fibre(self.model, one.parameter, int(one.rows[scale.row]), k)
                self.chains.append(self._chain(other, scale.step))
            self.witnesses[scale.fibre, scale.step] = SimpleNamespace(k=k, row=scale.row,
                                                                      chain=chain)

    def _chain(self, one, steps):
        return SimpleNamespace(fibre=one, steps=steps, pieces=self.model.pieces(one))

    def peer(self, c, h):
        pair = self.draw.pair
        if pair and (c, h) == (pair.positions, pair.step):
            return pair.tokens
        witness = self.witnesses.get((c, h))
        return witness.chain if witness and witness.k != NO_FEATURE and witness.chain != c else None

    def links(self, h):
        return [(c, p) for c, chain in enumerate(self.chains) if h < chain.steps
                for p in range(chain.pieces)]

    def digests(self):
        """{(chain, step, piece)} in the order of the string; step H … is a chain's end."""
        out = [(c, h, p) for h in range(self.lease.steps) for c, p in self.links(h)]
        out += [(c, chain.steps, 0) for c, chain in enumerate(self.chains)]
        return {key: i for i, key in enumerate(out)}

    def parts(self, h):
        return self._pack(self.links(h), lambda link: self._link_bytes(link[0]))

    def ends(self):
        return self._pack(range(len(self.draw.fibres)), self._end_bytes)

    def _pack(self, items, size):
        out, used = [], 0
        for item in items:
            if not out or used + size(item) > PART_TARGET:
                out, used = out + [[]], self._base()
            out[-1].append(item)
            used += size(item)
        return out

    # The bounds of 11.9.

    def _base(self):
        clip = 4 * len(self.model.parameters) if self._clip() else 0
        return (len(self.model.tensors) + 64) * 32 + 2 * 1440 + 1024 + clip + 2048

    def _clip(self):
        return self.model.gpt and self.job.clip > 0

    def _link_bytes(self, c):
        model, one = self.model, self.chains[c].fibre
        p, small = model.parameters[one.parameter], 6 * (2048 + 1440)
        if p.vector:
            return -(-model.rows // 32) * 256 + 2048 + 1440 + small
        rows, out = min(model.rows, PIECE), small + 2048 + 1440
        if model.linear_of(one) is not None:
            out += 2 * (64 * rows + 2048 + 1440)
        if p.name == "E":
            out += 256 * rows + 1024 + rows // 8 * 32 + 1440
        if p.name == "P":
            out += (rows // self.job.context + 1) * (1024 + 1440)
        return out

    def _end_bytes(self, c):
        one = self.chains[c].fibre
        runs = 1 if self.model.parameters[one.parameter].vector else len(one.rows)
        copies = 1 + (2 if self.job.optimiser == gn1.ADAMW else 1)
        return runs * (copies + 2) * (2048 + 1440)


class Follower:
    """The states of all chains, step by step (11.4, 11.5)."""

    def __init__(self, plan, theta):
        self.plan, self.model, self.job, self.h = plan, plan.model, plan.job, 0
        self.theta = theta
        self.states, self.sums, self.bounds = [], {}, {}
        for c, chain in enumerate(plan.chains):
            w = theta[self.places(chain.fibre)]
            self.states.append([w] + [np.zeros_like(w)] * (2 if self._adamw() else 1))
            if self.model.linear_of(chain.fibre) is not None and bounded(self.job):
                self.bounds[c] = Bound(self.model, chain.fibre.rows, theta, chain.fibre.parameter)
        self.next, self.stars, self.largest = list(self.states), {}, {}
        self.p1 = self.p2 = F(1)
        self.least, self.factor, self.squares = None, F(1), None

    def _adamw(self):
        return self.job.optimiser == gn1.ADAMW

    def places(self, one):
        p = self.model.parameters[one.parameter]
        return p.offset + one.rows[:, None] * p.cols + one.cols[None, :]

    def bytes_before(self, c, piece):
        out = b"".join(x.astype("<f4").tobytes() for x in self.states[c])
        if piece == 0:
            return out
        products, rows = self.sums[c]
        out += b"" if products is None else products.astype("<i4").tobytes()
        return out + (b"" if rows is None else rows.astype("<f4").tobytes())

    def follow(self, c, piece, chunks, tokens):
        """Reads all that the link reads; True when everything is so."""
        one, good = self.plan.chains[c].fibre, True
        if piece == 0:
            self.sums[c] = self._no_sums(one)
            good = self._shown(c, one, chunks)
        self._add(one, piece, chunks, tokens, self.sums[c])
        if piece + 1 < self.plan.chains[c].pieces:
            return good
        g = self._gradient(one, chunks, self.sums[c])
        good = self._unit(one, g, chunks) and good
        good = self._clip(chunks) and good
        self.largest[c] = int((gn1.bits(g) & np.uint32(0x7FFFFFFF)).max())
        if self.plan._clip():
            g = g * self.factor
        self.next[c] = self._update(one, self.states[c], g)
        return good and all(np.isfinite(x).all() for x in self.next[c])

    def _no_sums(self, one):
        shape, p = (len(one.rows), len(one.cols)), self.model.parameters[one.parameter]
        shown = self.model.linear_of(one) is not None
        return [np.zeros(shape, np.int64) if shown else None,
                np.zeros(shape, F) if p.name in ("E", "P") else None]

    def _shown(self, c, one, chunks):
        model, p, w = self.model, self.model.parameters[one.parameter], self.states[c][0]
        linear = model.linear_of(one)
        if p.vector:
            key = model.key(p.name, p.index)
            return bool((gn1.bits(chunks.vector(key, one.rows)) == gn1.bits(w[:, 0])).all())
        good = True
        if linear is not None:
            q = chunks.matrix(model.key("W", linear), one.rows, one.cols)
            s = chunks.vector(model.key("sw", linear), one.rows)
            good = not np.signbit(s).any() and openings.is_rounded(q, w, s[:, None])
            if c in self.bounds:
                limit = 1.001 * self.bounds[c].value
                good = good and not (63.0 * s.astype(np.float64) > limit).any()
            good = good and self._attained(c, one, s)
        pair = self.plan.draw.pair
        if pair and (c, self.h) == (pair.positions, pair.step):
            r = chunks.floats(("R", 0), [pair.row], one.cols)
            e = self.states[pair.tokens][0]
            good = good and bool((gn1.bits(r) == gn1.bits(e + w)).all())
        return good

    def _attained(self, c, one, s):
        witness = self.plan.witnesses.get((c, self.h))
        if witness is None:
            return True
        scale = s[witness.row]
        if witness.k == NO_FEATURE or scale == 0:
            return bool(scale == 0)
        shown = self.plan.chains[witness.chain].fibre
        row = np.flatnonzero(shown.rows == one.rows[witness.row])
        col = np.flatnonzero(shown.cols == witness.k)
        value = self.states[witness.chain][0][row, col]
        return bool(np.abs(value) / F(63) == scale)

    def _add(self, one, piece, chunks, tokens, sums):
        model, p = self.model, self.model.parameters[one.parameter]
        if p.vector:
            return
        t = np.arange(PIECE * piece, min(PIECE * piece + PIECE, model.rows))
        linear = model.linear_of(one)
        if linear is not None:
            x = chunks.matrix(model.key("X", linear), t, one.cols).astype(np.int64)
            g2 = chunks.matrix(model.key("G2", linear), t, one.rows).astype(np.int64)
            sums[0] = sums[0] + g2.T @ x
        if p.name == "W":
            return
        of = tokens if p.name == "E" else np.arange(model.rows) % self.job.context
        for row in t[of[t] == one.rows[0]]:
            sums[1] = sums[1] + chunks.floats(("D", 0), [row], one.cols)

    def _gradient(self, one, chunks, sums):
        model, p = self.model, self.model.parameters[one.parameter]
        if p.vector:
            g = np.zeros(len(one.rows), F)
            runs = -(-model.rows // 32)
            for part in chunks.floats(model.key(PARTS[p.name], p.index), range(runs), one.rows):
                g = g + part
            return g[:, None]
        linear = model.linear_of(one)
        if linear is None:
            return sums[1]
        g = sums[0].astype(F) * chunks.vector(model.key("s2", linear), one.rows)[:, None]
        return g if sums[1] is None else g + sums[1]

    def _unit(self, one, g, chunks):
        p = self.model.parameters[one.parameter]
        if not self.plan._clip() or p.name in ("E", "P"):
            return True
        if p.vector:
            unit = one.rows[0] // 64
        elif one.rows[0] % 16 == 0 and len(one.rows) == min(16, p.rows - one.rows[0]):
            unit = one.cols[0] // 64 * -(-p.rows // 16) + one.rows[0] // 16
        else:
            return True
        shown = chunks.vector(("CQ", one.parameter), [unit])[0]
        return bool(gn1.bits(gpt.unit_squares(g)) == gn1.bits(shown))

    def _clip(self, chunks):
        if not self.plan._clip():
            return True
        count = len(self.model.parameters)
        cf = chunks.vector(("cf", 0), range(count + 1))
        self.squares, self.factor = cf[:count], cf[count]
        own = gpt.clip_factor(self.job, list(self.squares))
        return not np.signbit(self.squares).any() and bool(gn1.bits(own) == gn1.bits(self.factor))

    def _update(self, one, state, g):
        job, p = self.job, self.model.parameters[one.parameter]
        decays = p.name in ("E", "P", "W")
        lr = gn1.learning_rate(job, self.plan.lease.round, self.h)
        w, m = state[:2]
        if not self._adamw():
            m = F(job.beta1) * m + (g + F(job.wd) * w if decays else g)
            return [w - lr * m, m]
        b1, b2 = F(job.beta1), F(job.beta2)
        p1, p2 = self.p1 * b1, self.p2 * b2
        m = b1 * m + (F(1) - b1) * g
        v = b2 * state[2] + (F(1) - b2) * (g * g)
        u = (m * (F(1) / (F(1) - p1))) / (np.sqrt(v * (F(1) / (F(1) - p2))) + F(job.eps))
        return [w - lr * (u + F(job.wd) * w) if decays else w - lr * u, m, v]

    def end_step(self):
        for c, chain in enumerate(self.plan.chains):
            if self.h >= chain.steps:
                continue
            self.states[c] = self.next[c]
            if c not in self.stars or self.largest[c] > self.stars[c][0]:
                self.stars[c] = self.largest[c], self.h
            if c in self.bounds:
                self.bounds[c].advance(self.job, self.plan.lease, self.h)
        if self.plan._clip() and (self.least is None or self.factor < self.least[0]):
            self.least = self.factor, self.h, self.squares
        self.p1, self.p2 = self.p1 * F(self.job.beta1), self.p2 * F(self.job.beta2)
        self.h += 1

    def end(self, c, chunks):
        """11.9: what state_after and the delta say of it."""
        one, good, count = self.plan.chains[c].fibre, True, self.model.count
        at = self.places(one)
        for copy, x in enumerate(self.states[c]):
            shown = chunks.floats_at((STATE_AFTER, 0), at + copy * count)
            good = good and bool((gn1.bits(shown) == gn1.bits(x)).all())
        exponents = -(-count // 128)
        e = chunks.bytes_at((DELTA, 0), (at // 128).ravel()).astype(np.int8)
        q = chunks.bytes_at((DELTA, 0), (exponents + at).ravel()).astype(np.int8)
        with np.errstate(over="ignore"):
            bound = F(127 * 2.0 ** (self.job.delta_max - 7))
            moved = np.clip((self.states[c][0] - self.theta[at]).ravel(), -bound, bound)
            scaled = np.ldexp(moved, -e.astype(np.int64))
        fits = np.abs(scaled) <= 128
        return good and bool(fits.all() and (gn1.rni(np.where(fits, scaled, F(0))) == q).all())

    # Blocks (11.7, 11.8)

    def step_of(self, block):
        if block.kind == "star":
            return self.stars[block.fibre][1]
        return self.least[1] if block.kind == "least" else block.step

    def choose(self, j, tokens, chunks):
        plan, block = self.plan, self.plan.blocks[j]
        if block.kind in ("drawn", "star"):
            return choose_tile(self.model, plan.draw, plan.seed, j, block, tokens)
        sizes = self.squares if block.kind == "norm" else self.least[2]
        parameter = pick_by_size(sizes, plan.seed, 16384 + 8 * j)
        position = self.model.positions["CQ", parameter]
        cq = chunks.vector(("CQ", parameter), range(self.model.tensors[position][2]))
        return SimpleNamespace(position=position, row=pick_by_size(cq, plan.seed, 16385 + 8 * j),
                               col=0, group=0)
