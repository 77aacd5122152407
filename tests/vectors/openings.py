"""Openings of blocks: made and checked (PROTOCOL 6.5, 7.4). What a block reads, and what it must
equal, is block_mlp.py's and block_gpt.py's to say.
"""
import struct
from types import SimpleNamespace

import numpy as np

import b3
import gn1
import records
from gn1 import F
from records import INVALID, MALFORMED, VALID, blob, u8, u16, u32, u64

TENSOR, STATE_BEFORE, STATE_AFTER, TRAIN, DELTA = range(5)


def tile_shape(rows, cols):
    return (rows + 15) // 16, (cols + 63) // 64


class Malformed(Exception):
    """The opening lacks what a check reads, or does not decode."""


class Chunks:
    """Byte strings by (source, position), read chunk by chunk; remembers what was read."""

    def __init__(self, job, chunk):
        self.job, self.chunk = job, chunk  # chunk((source, position), index) -> bytes
        self.tensors = job.program.tensors(job)
        self.place = {t[:2]: p for p, t in enumerate(self.tensors)}
        self.read, self.used, self.finite = {}, {}, True  # used: places, by key

    def get(self, key, index):
        self.read.setdefault(key, set()).add(int(index))
        return self.chunk(key, int(index))

    def bytes_at(self, key, offsets):
        self.used.setdefault(key, []).append(np.ravel(offsets))
        return np.array([self.get(key, o // 1024)[o % 1024] for o in offsets], np.uint8)

    def floats_at(self, key, indices):
        at = np.asarray(indices, np.int64)
        self.used.setdefault(key, []).append(at.reshape(-1))
        out = np.zeros(at.shape, F)
        for index in np.unique(at // 256):
            values = np.frombuffer(self.get(key, index), "<f4")
            here = at // 256 == index
            out[here] = values[at[here] % 256]
        self.finite = self.finite and bool(np.isfinite(out).all())
        return out

    def floats(self, tensor, rows, cols):
        """rows × cols of a tensor of f32; `tensor` is what the program calls it. In panels a
        column may be one of the padding.
        """
        position, rows, cols = self.place[tensor], np.asarray(rows)[:, None], np.asarray(cols)[None]
        shape = self.tensors[position]
        if self.job.program.in_panels(shape):
            at = (cols // 64 * shape[2] + rows) * 64 + cols % 64
        else:
            at = rows * shape[3] + cols
        return self.floats_at((TENSOR, position), at)

    def vector(self, tensor, indices):
        return self.floats(tensor, indices, [0])[:, 0]

    def tile(self, position, row, col):
        tile_rows = tile_shape(*self.tensors[position][2:])[0]
        raw = self.get((TENSOR, position), col * tile_rows + row)
        return np.frombuffer(raw, np.int8).reshape(16, 64)

    def matrix(self, tensor, rows, cols):
        """rows × cols of an int8 tensor."""
        rows, cols = np.asarray(rows), np.asarray(cols)
        out = np.zeros((len(rows), len(cols)), np.int8)
        for i in np.unique(rows // 16):
            for j in np.unique(cols // 64):
                here = np.ix_(rows // 16 == i, cols // 64 == j)
                tile = self.tile(self.place[tensor], i, j)
                out[here] = tile[np.ix_(rows[here[0][:, 0]] % 16, cols[here[1][0]] % 64)]
        return out


def rounded(v, s, u=None):
    """What v rounds to with the scales s; None when it exceeds one (7.4). u: for SR."""
    zero = s == 0
    inv = np.where(zero, F(0), F(1) / np.where(zero, F(1), s))
    within = np.where(zero, np.abs(v) <= gn1.f32("0x1p-100"), np.abs(v) / F(63) <= s)
    if not within.all() or np.signbit(s).any():
        return None
    return gn1.round_nearest(v, inv) if u is None else gn1.stochastic_round(v, inv, u)


def is_rounded(q, v, s, u=None):
    """Whether q is what v rounds to with the scales s, none of which v exceeds."""
    expected = rounded(v, s, u)
    return expected is not None and bool((expected == q).all())


def check_delta(job, chunks, theta, index):
    """A `delta` block is 6.4's of state_after and θ."""
    count = job.program.parameter_count(job)
    blocks, first = (count + 127) // 128, 128 * index
    last = min(first + 128, count)
    offsets = [index] + list(range(blocks + first, blocks + last))
    claimed = chunks.bytes_at((DELTA, 0), offsets).tobytes()
    after = chunks.floats_at((STATE_AFTER, 0), range(first, last))
    return claimed == records.make_delta(after, theta[first:last], job.delta_max)


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


def own_strings(run, i):
    """The byte strings of a run's step i, by object."""
    strings = {(STATE_BEFORE, 0): run.state_before, (STATE_AFTER, 0): run.state_after,
               (TRAIN, 0): run.train, (DELTA, 0): run.delta}
    strings.update({(TENSOR, position): data for position, data in enumerate(run.tensors[i])})
    return strings


def own_chunks(job, strings):
    return Chunks(job, lambda key, i: strings[key][1024 * i:1024 * i + 1024])


def make_opening(job, run, choice, make_block):
    """run: lease, share, theta, digests, roots and losses and tensors by step, and the byte strings
    state_before, state_after, train, delta (see toy.run_share).
    """
    strings = own_strings(run, choice.step)
    chunks, witness = own_chunks(job, strings), 0
    if choice.position is None:
        assert check_delta(job, chunks, run.theta, choice.row)
    else:
        first, lease = run.share.first_step, run.lease
        witness = make_block(job, own_chunks(job, strings), first, lease, choice).lowest_witness()
        assert make_block(job, chunks, first, lease, choice).check(witness)
    return open_read(run, step_of(run.share, choice), strings, chunks.read, witness)


def open_read(run, i, strings, read, witness):
    """The opening of the chunks `read` of step i."""
    share = run.share
    trace = b3.Tree(b3.keyed(records.share_key(share.lease_id, share.first_step)),
                    b"".join(run.digests))
    place, objects = trace_place(i), []
    for key in sorted(read):
        step = share.first_step + i
        if (key, step) not in run.trees:
            run.trees[key, step] = b3.Tree(mode_of(key, share.lease_id, step), strings[key])
        tree = run.trees[key, step]
        ranges = ranges_of(read[key])
        objects.append(SimpleNamespace(key=key, total=len(strings[key]), ranges=ranges,
                                       siblings=tree.siblings(ranges), data=tree.selected(ranges)))
    return encode(SimpleNamespace(
        witness=witness, trace_siblings=trace.siblings(place), trace=trace.selected(place),
        step=b"".join(run.roots[i]) + records.f32(run.losses[i]), objects=objects))


def encode(opening):
    siblings = opening.trace_siblings
    out = u32(opening.witness) + u16(len(siblings)) + b"".join(siblings) + blob(opening.trace)
    out += blob(opening.step) + u16(len(opening.objects))
    for o in opening.objects:
        out += u8(o.key[0]) + u16(o.key[1]) + u64(o.total) + u32(len(o.ranges))
        out += b"".join(u32(a) + u32(b) for a, b in o.ranges)
        out += u32(len(o.siblings)) + b"".join(o.siblings) + blob(o.data)
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
        count = b3.sibling_count(total, ranges)
        if self.number(form) != count:
            raise Malformed("sibling count")
        return [self.take(32) for _ in range(count)]


def total_bytes(job, key):
    program = job.program
    tensors = program.tensors(job)
    if key[0] > DELTA or key[1] >= (len(tensors) if key[0] == TENSOR else 1):
        raise Malformed("object")
    if key[0] == TENSOR:
        tensor = tensors[key[1]]
        tile_rows, tile_cols = tile_shape(*tensor[2:])
        if program.is_int8(tensor):
            return 1024 * tile_rows * tile_cols
        return 4 * tensor[2] * (64 * tile_cols if program.in_panels(tensor) else tensor[3])
    count = program.parameter_count(job)
    return {TRAIN: job.n_train * job.record_bytes, DELTA: (count + 127) // 128 + count}.get(
        key[0], 4 * program.state_floats(job))


def take_chunks(reader, total):
    ranges, end = [], -1
    for _ in range(reader.number("I")):
        first, last = reader.number("I"), reader.number("I")
        if first <= end or last <= first or last > b3.chunk_count(total):
            raise Malformed("range")
        end = last
        ranges.append((first, last))
    if not ranges:
        raise Malformed("no range")
    siblings = reader.siblings("I", total, ranges)
    return SimpleNamespace(total=total, ranges=ranges, siblings=siblings,
                           data=reader.blob(b3.selected_bytes(total, ranges)))


def take_object(job, cursor):
    key = cursor.number("B"), cursor.number("H")
    total = total_bytes(job, key)
    if cursor.number("Q") != total:
        raise Malformed("total bytes")
    return SimpleNamespace(key=key, **vars(take_chunks(cursor, total)))


def check_opening(job, lease, share, choice, data, theta, make_block):
    """VALID, INVALID or MALFORMED."""
    try:
        opening = decode(job, share, choice, data)
    except Malformed:
        return MALFORMED
    outcome = judge(job, lease, share, choice, opening, theta, make_block)
    if outcome == VALID and not hashes_hold(job, share, step_of(share, choice), opening):
        return INVALID
    return outcome


def judge(job, lease, share, choice, opening, theta, make_block):
    """The outcome when every hash holds."""
    try:
        with np.errstate(all="ignore"):  # hostile numbers may overflow; the checks then fail
            good = _values_hold(job, lease, share, choice, opening, theta, make_block)
            return VALID if good else INVALID
    except Malformed:
        return MALFORMED


def step_of(share, choice):
    """The index in the share of the step whose tensors are opened."""
    return share.steps - 1 if choice.position is None else choice.step


def trace_place(i):
    """The chunk of the trace that has step i's digest."""
    return [(i // 32, i // 32 + 1)]


def decode(job, share, choice, data):
    cursor, place = Cursor(data), trace_place(step_of(share, choice))
    witness = cursor.number("I")
    trace_siblings = cursor.siblings("H", 32 * share.steps, place)
    trace = cursor.blob(b3.selected_bytes(32 * share.steps, place))
    step = cursor.blob(32 * len(job.program.tensors(job)) + 4)
    objects = [take_object(job, cursor) for _ in range(cursor.number("H"))]
    if cursor.at != len(data) or any(a.key >= b.key for a, b in zip(objects, objects[1:])):
        raise Malformed("order or trailing bytes")
    return SimpleNamespace(witness=witness, trace_siblings=trace_siblings, trace=trace, step=step,
                           objects=objects)


def opened_chunks(job, opening):
    """The Chunks that an opening holds, and the chunks' numbers by object."""
    opened = {}
    for o in opening.objects:
        order = [c for a, b in o.ranges for c in range(a, b)]
        opened[o.key] = {c: o.data[1024 * k:1024 * k + 1024] for k, c in enumerate(order)}

    def chunk(key, index):
        if index not in opened.get(key, {}):
            raise Malformed("a chunk is missing")
        return opened[key][index]
    return Chunks(job, chunk), {key: set(held) for key, held in opened.items()}


def _values_hold(job, lease, share, choice, opening, theta, make_block):
    (chunks, held), witness = opened_chunks(job, opening), opening.witness
    if choice.position is None:
        if witness != 0:
            raise Malformed("witness")
        good = check_delta(job, chunks, theta, choice.row)
    else:
        block = make_block(job, chunks, share.first_step, lease, choice)
        if witness is not None and witness >= block.length:
            raise Malformed("witness")
        good = block.check(witness)
    if chunks.read != held:
        raise Malformed("more chunks than were asked for")
    return good and chunks.finite


def hashes_hold(job, share, i, opening):
    """Whether the opened bytes are the ones that share and step i of it commit to."""
    key, place = records.step_key(share.lease_id, share.first_step + i), trace_place(i)
    mode = b3.keyed(records.share_key(share.lease_id, share.first_step))
    trace = opening.trace
    if b3.proof_root(mode, 32 * share.steps, place, opening.trace_siblings,
                     trace) != share.trace_root:
        return False
    if b3.b3k(key, opening.step) != trace[32 * (i % 32):32 * (i % 32) + 32]:
        return False
    roots = {(STATE_BEFORE, 0): share.state_before, (STATE_AFTER, 0): share.state_after,
             (TRAIN, 0): job.train_address, (DELTA, 0): share.delta_root}
    for o in opening.objects:
        root = roots.get(o.key) or opening.step[32 * o.key[1]:32 * o.key[1] + 32]
        mode = mode_of(o.key, share.lease_id, share.first_step + i)
        if b3.proof_root(mode, o.total, o.ranges, o.siblings, o.data) != root:
            return False
    return True
