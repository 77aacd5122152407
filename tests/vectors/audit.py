"""The coin, the kinds and blocks of audits, and openings: made and checked (PROTOCOL 6.5, 7)."""
import struct
from types import SimpleNamespace

import numpy as np

import b3
import gn1
import records
from gn1 import B, G1, G2, S1, S2, SW, SX, W, X, F
from records import INVALID, MALFORMED, NONE, REPLAY, SPOT, VALID, blob, u8, u16, u32, u64

TENSOR, STATE_BEFORE, STATE_AFTER, TRAIN, DELTA = range(5)
SCALE_OF = {X: SX, W: SW, G1: S1, G2: S2}


def lease_secret(master, serial):
    return b3.domain("lease secret", master + u64(serial))


def coin_commit(secret):
    return b3.domain("coin", secret)


def challenge_seed(secret, share_id):
    return b3.b3k(secret, share_id)


def draw(seed, i):
    return int.from_bytes(b3.b3k(seed, u32(i))[:8], "little")


def pick(seed, i, n):
    return draw(seed, i) * n >> 64


def audit_kind(job, seed, valid_shares):
    if valid_shares < job.probation_shares or draw(seed, 0) % 10**6 < job.replay_ppm:
        return REPLAY
    return SPOT if draw(seed, 1) % 10**6 < job.spot_ppm else NONE


def tile_shape(rows, cols):
    return (rows + 15) // 16, (cols + 63) // 64


def choose_block(job, seed, j, steps, last_share):
    """step in the share, position of the tensor (None: delta), tile row and column, group."""
    step = pick(seed, 8 * j + 2, steps)
    tensors = gn1.tensors(job)
    checks = [p for p, t in enumerate(tensors) if t[1] in gn1.INT8] + [None] * last_share
    position = checks[pick(seed, 8 * j + 3, len(checks))]
    if position is None:
        block = pick(seed, 8 * j + 4, (gn1.parameter_count(job) + 127) // 128)
        return SimpleNamespace(step=step, position=None, row=block, col=0, group=0)
    _, n, rows, cols = tensors[position]
    tile_rows, tile_cols = tile_shape(rows, cols)
    row, col = pick(seed, 8 * j + 4, tile_rows), pick(seed, 8 * j + 5, tile_cols)
    real = min(64, cols - 64 * col) if n == G2 else min(16, rows - 16 * row)
    return SimpleNamespace(step=0 if n == W else step, position=position, row=row, col=col,
                           group=pick(seed, 8 * j + 6, real))


class Malformed(Exception):
    """The opening lacks what a check reads, or does not decode."""


class Chunks:
    """Byte strings by (source, position), read chunk by chunk; remembers what was read."""

    def __init__(self, job, chunk):
        self.job, self.chunk = job, chunk  # chunk((source, position), index) -> bytes
        self.tensors = gn1.tensors(job)
        self.place = {(l, n): p for p, (l, n, _, _) in enumerate(self.tensors)}
        self.read, self.finite = {}, True

    def get(self, key, index):
        self.read.setdefault(key, set()).add(int(index))
        return self.chunk(key, int(index))

    def bytes_at(self, key, offsets):
        return np.array([self.get(key, o // 1024)[o % 1024] for o in offsets], np.uint8)

    def floats_at(self, key, indices):
        raw = b"".join(self.get(key, i // 256)[i % 256 * 4:i % 256 * 4 + 4] for i in indices)
        values = np.frombuffer(raw, "<f4").astype(F)
        self.finite = self.finite and bool(np.isfinite(values).all())
        return values

    def vector(self, l, n, indices):
        return self.floats_at((TENSOR, self.place[l, n]), indices)

    def matrix(self, l, n, rows, cols):
        position = self.place[l, n]
        tile_rows = tile_shape(*self.tensors[position][2:])[0]
        out = np.zeros((len(rows), len(cols)), np.int8)
        tiles = {}
        for i, r in enumerate(rows):
            for j, c in enumerate(cols):
                index = c // 64 * tile_rows + r // 16
                if index not in tiles:
                    raw = self.get((TENSOR, position), index)
                    tiles[index] = np.frombuffer(raw, np.int8).reshape(16, 64)
                out[i, j] = tiles[index][r % 16, c % 64]
        return out


class Block:
    """Re-derives one block from chunks, whoever holds them."""

    def __init__(self, job, chunks, first_step, lease, choice):
        self.job, self.chunks, self.choice = job, chunks, choice
        self.step_id = gn1.step_id(job, lease.round, lease.slot, first_step + choice.step)
        if choice.position is None:
            return
        self.l, self.n, self.rows, self.cols = gn1.tensors(job)[choice.position]
        self.r = list(range(16 * choice.row, min(16 * choice.row + 16, self.rows)))
        self.c = list(range(64 * choice.col, min(64 * choice.col + 64, self.cols)))
        self.by_column = self.n == G2
        self.group = (self.c if self.by_column else self.r)[choice.group]
        self.length = self.rows if self.by_column else self.cols

    def outputs(self, l, rows, cols):
        k = range(self.job.widths[l])
        c = self.chunks
        return gn1.linear(c.matrix(l, X, rows, k), c.vector(l, SX, rows), c.matrix(l, W, cols, k),
                          c.vector(l, SW, cols), c.vector(l, B, cols))

    def records_of(self, rows):
        return gn1.record_indices(self.job, self.step_id)[rows]

    def record_bytes(self):
        return self.job.widths[0] + gn1.label_bytes(self.job)

    def gradient(self, l, rows, cols):
        width = self.job.widths[l + 1]
        if l == self.job.layers - 1:
            z = self.outputs(l, rows, range(width))
            at = self.records_of(rows) * self.record_bytes() + self.job.widths[0]
            labels = sum(self.chunks.bytes_at((TRAIN, 0), at + i).astype(np.int64) << 8 * i
                         for i in range(gn1.label_bytes(self.job)))
            return gn1.loss_gradient(self.job, z, labels)[:, cols]
        n = range(self.job.widths[l + 2])
        g1, w = self.chunks.matrix(l + 1, G1, rows, n), self.chunks.matrix(l + 1, W, n, cols)
        dx = gn1.product(g1, w.T) * self.chunks.vector(l + 1, S1, rows)[:, None]
        return np.where(self.outputs(l, rows, cols) > 0, dx, F(0))

    def values(self, rows, cols):
        """v of 7.4 at rows × cols."""
        if self.n == X and self.l == 0:
            starts = self.records_of(rows) * self.record_bytes()
            raw = [self.chunks.bytes_at((TRAIN, 0), s + np.array(cols)) for s in starts]
            return np.array(raw).astype(F) * F(self.job.feature_scale) + F(self.job.feature_shift)
        if self.n == X:
            return gn1.relu(self.outputs(self.l - 1, rows, cols))
        if self.n == W:
            at = self.parameter(W)
            raw = [self.chunks.floats_at((STATE_BEFORE, 0), at + r * self.cols + np.array(cols))
                   for r in rows]
            return np.array(raw, F)
        dy = self.gradient(self.l, rows, cols)
        if self.n == G1:
            return dy * self.chunks.vector(self.l, SW, cols)[None, :]
        return dy * self.chunks.vector(self.l, SX, rows)[:, None]

    def parameter(self, kind):
        return next(a for l, n, a, _ in gn1.layout(self.job) if (l, n) == (self.l, kind))

    def scale_of_group(self):
        return self.chunks.vector(self.l, SCALE_OF[self.n], [self.group])[0]

    def witness_value(self, index):
        if self.by_column:
            return self.values([index], [self.group])[0, 0]
        return self.values([self.group], [index])[0, 0]

    def lowest_witness(self):
        """What the prover names; reads with chunks of its own, so as not to touch ours."""
        own = Block.__new__(Block)
        own.__dict__.update(self.__dict__, chunks=Chunks(self.job, self.chunks.chunk))
        s = own.scale_of_group()
        if s == 0:
            return 0
        v = own.values(range(self.rows), [self.group]) if self.by_column \
            else own.values([self.group], range(self.cols))
        return int(np.flatnonzero((np.abs(v.reshape(-1)) / F(63)) == s)[0])

    def check(self, witness):
        """True when everything of 7.4 holds. Reads all that 7.4 reads, whatever it finds."""
        tile_rows = tile_shape(self.rows, self.cols)[0]
        raw = self.chunks.get((TENSOR, self.choice.position),
                              self.choice.col * tile_rows + self.choice.row)
        tile = np.frombuffer(raw, np.int8).reshape(16, 64)
        q = tile[:len(self.r), :len(self.c)]
        good = not tile[len(self.r):].any() and not tile[:, len(self.c):].any()
        s = self.chunks.vector(self.l, SCALE_OF[self.n], self.c if self.by_column else self.r)
        s = s[None, :] if self.by_column else s[:, None]
        v = self.values(self.r, self.c)
        zero = s == 0
        inv = np.where(zero, F(0), F(1) / np.where(zero, F(1), s))
        good &= bool(np.where(zero, np.abs(v) <= gn1.f32("0x1p-100"),
                              np.abs(v) / F(63) <= s).all())
        if self.n in (X, W):
            expected = gn1.round_nearest(v, inv)
        else:
            u = gn1.stochastic_bits(self.job.sr_seed, self.r, self.c, self.cols,
                                    16 * self.l + self.n, self.step_id)
            expected = gn1.stochastic_round(v, inv, u)
        good &= bool((expected == q).all())
        if self.n == W:
            b = self.chunks.vector(self.l, B, self.r)
            before = self.chunks.floats_at((STATE_BEFORE, 0), self.parameter(B) + np.array(self.r))
            good &= b.tobytes() == before.tobytes()
        group_scale = self.scale_of_group()
        if group_scale == 0:
            return good and witness == 0
        named = np.abs(self.witness_value(witness)) / F(63)  # read even where `good` is lost
        return good and bool(named == group_scale)

    def check_delta(self, theta):
        count = gn1.parameter_count(self.job)
        blocks, first = (count + 127) // 128, 128 * self.choice.row
        last = min(first + 128, count)
        offsets = [self.choice.row] + list(range(blocks + first, blocks + last))
        claimed = self.chunks.bytes_at((DELTA, 0), offsets).tobytes()
        after = self.chunks.floats_at((STATE_AFTER, 0), range(first, last))
        return claimed == records.make_delta(after, theta[first:last])


def ranges_of(indices):
    out = []
    for i in sorted(indices):
        if out and out[-1][1] == i:
            out[-1] = (out[-1][0], i + 1)
        else:
            out.append((i, i + 1))
    return out


def mode_of(key, lease_id, step):
    if key[0] == TENSOR:
        return b3.keyed(records.step_key(lease_id, step))
    return b3.keyed(records.STATE_KEY) if key[0] in (STATE_BEFORE, STATE_AFTER) else b3.PLAIN


def make_opening(job, run, choice):
    """run: lease, share, theta, digests, roots and losses and tensors by step, and the byte strings
    state_before, state_after, train, delta (see generate.run_share)."""
    share = run.share
    strings = {(STATE_BEFORE, 0): run.state_before, (STATE_AFTER, 0): run.state_after,
               (TRAIN, 0): run.train, (DELTA, 0): run.delta}
    for position, data in enumerate(run.tensors[choice.step]):
        strings[TENSOR, position] = data
    chunks = Chunks(job, lambda key, i: strings[key][1024 * i:1024 * i + 1024])
    block = Block(job, chunks, share.first_step, run.lease, choice)
    witness = 0 if choice.position is None else block.lowest_witness()
    assert block.check_delta(run.theta) if choice.position is None else block.check(witness)
    i = share.steps - 1 if choice.position is None else choice.step
    trace = b3.Tree(b3.keyed(records.share_key(share.lease_id, share.first_step)),
                    b"".join(run.digests))
    place = [(i // 32, i // 32 + 1)]
    siblings = trace.siblings(place)
    out = u32(witness) + u16(len(siblings)) + b"".join(siblings) + blob(trace.selected(place))
    out += blob(b"".join(run.roots[i]) + records.f32(run.losses[i])) + u16(len(chunks.read))
    for key in sorted(chunks.read):
        tree = b3.Tree(mode_of(key, share.lease_id, share.first_step + i), strings[key])
        ranges = ranges_of(chunks.read[key])
        siblings = tree.siblings(ranges)
        out += u8(key[0]) + u16(key[1]) + u64(len(strings[key])) + u32(len(ranges))
        out += b"".join(u32(a) + u32(b) for a, b in ranges)
        out += u32(len(siblings)) + b"".join(siblings) + blob(tree.selected(ranges))
    return out


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise Malformed("short")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def blob(self, length):
        if self.number("I") != length:
            raise Malformed("blob length")
        return self.take(length)

    def siblings(self, form, total, ranges):
        if self.number(form) != b3.sibling_count(total, ranges):
            raise Malformed("sibling count")
        return [self.take(32) for _ in range(b3.sibling_count(total, ranges))]


def total_bytes(job, key):
    tensors = gn1.tensors(job)
    if key[0] > DELTA or key[1] >= (len(tensors) if key[0] == TENSOR else 1):
        raise Malformed("object")
    if key[0] == TENSOR:
        _, n, rows, cols = tensors[key[1]]
        tile_rows, tile_cols = tile_shape(rows, cols)
        return 1024 * tile_rows * tile_cols if n in gn1.INT8 else 4 * rows
    count = gn1.parameter_count(job)
    return {TRAIN: job.n_train * (job.widths[0] + 1), DELTA: (count + 127) // 128 + count}.get(
        key[0], 4 * gn1.state_floats(job))


def take_object(job, cursor):
    key = cursor.number("B"), cursor.number("H")
    total = total_bytes(job, key)
    if cursor.number("Q") != total:
        raise Malformed("total bytes")
    ranges, end = [], -1
    for _ in range(cursor.number("I")):
        first, last = cursor.number("I"), cursor.number("I")
        if first <= end or last <= first or last > b3.chunk_count(total):
            raise Malformed("range")
        end = last
        ranges.append((first, last))
    if not ranges:
        raise Malformed("no range")
    siblings = cursor.siblings("I", total, ranges)
    data = cursor.blob(b3.selected_bytes(total, ranges))
    return SimpleNamespace(key=key, total=total, ranges=ranges, siblings=siblings, data=data)


def check_opening(job, lease, share, choice, opening, theta):
    try:
        with np.errstate(all="ignore"):  # hostile numbers may overflow; the checks then fail
            return VALID if _check(job, lease, share, choice, opening, theta) else INVALID
    except Malformed:
        return MALFORMED


def _check(job, lease, share, choice, opening, theta):
    cursor = Cursor(opening)
    witness = cursor.number("I")
    i = share.steps - 1 if choice.position is None else choice.step
    place = [(i // 32, i // 32 + 1)]
    trace_siblings = cursor.siblings("H", 32 * share.steps, place)
    trace = cursor.blob(b3.selected_bytes(32 * share.steps, place))
    count = len(gn1.tensors(job))
    step = cursor.blob(32 * count + 4)
    objects = [take_object(job, cursor) for _ in range(cursor.number("H"))]
    if cursor.at != len(opening) or any(a.key >= b.key for a, b in zip(objects, objects[1:])):
        raise Malformed("order or trailing bytes")
    opened = {}
    for o in objects:
        order = [c for a, b in o.ranges for c in range(a, b)]
        opened[o.key] = {c: o.data[1024 * k:1024 * k + 1024] for k, c in enumerate(order)}

    def chunk(key, index):
        if index not in opened.get(key, {}):
            raise Malformed("a chunk is missing")
        return opened[key][index]
    chunks = Chunks(job, chunk)
    block = Block(job, chunks, share.first_step, lease, choice)
    if witness >= (1 if choice.position is None else block.length):
        raise Malformed("witness")
    good = block.check_delta(theta) if choice.position is None else block.check(witness)
    if chunks.read != {key: set(held) for key, held in opened.items()}:
        raise Malformed("more chunks than were asked for")
    if not good or not chunks.finite:
        return False
    return _hashes_hold(job, share, i, place, trace_siblings, trace, step, objects)


def _hashes_hold(job, share, i, place, trace_siblings, trace, step, objects):
    key = records.step_key(share.lease_id, share.first_step + i)
    mode = b3.keyed(records.share_key(share.lease_id, share.first_step))
    if b3.proof_root(mode, 32 * share.steps, place, trace_siblings, trace) != share.trace_root:
        return False
    if b3.b3k(key, step) != trace[32 * (i % 32):32 * (i % 32) + 32]:
        return False
    roots = {(STATE_BEFORE, 0): share.state_before, (STATE_AFTER, 0): share.state_after,
             (TRAIN, 0): job.train_address, (DELTA, 0): share.delta_root}
    for o in objects:
        root = roots.get(o.key) or step[32 * o.key[1]:32 * o.key[1] + 32]
        mode = mode_of(o.key, share.lease_id, share.first_step + i)
        if b3.proof_root(mode, o.total, o.ranges, o.siblings, o.data) != root:
            return False
    return True
