"""Proofs that weights did not move as their gradient says (PROTOCOL 12.4), of MLPs."""
import struct
from types import SimpleNamespace

import numpy as np

import b3
import ed25519
import openings
from gn1 import F
from openings import Malformed
from proof_parts import NotProven, Reader, check_share, expect, published_floats, take_chunks, \
    take_share
from thread import Follower, Plan
from thread_check import message
from thread_draw import Bound, bounded, is_gpt


def take_claim(data):
    reader = Reader(data)
    out = SimpleNamespace(header=reader.bytes(1 << 16))
    out.step, out.chain, out.piece = struct.unpack("<III", reader.take(12))
    out.state, out.peer = reader.bytes(5 * 4096), reader.bytes(5 * 4096)
    out.digests, out.part = reader.bytes(1 << 14), reader.bytes(1 << 21)
    reader.end()
    return out


def take_header(data, lease):
    reader = Reader(data)
    out = SimpleNamespace(lease_id=reader.take(32), seed=reader.take(32), root=reader.take(32))
    out.features = [reader.number("I") for _ in range(reader.number("H"))]
    reader.take(8 * reader.number("H"))
    out.front, out.signature = data[:reader.at], reader.take(64)
    reader.end()
    expect(out.lease_id == lease.id, "an answer about another lease")
    return out


def take_opened(reader, total):
    flag = reader.number("B")
    if flag > 1:
        raise Malformed("flag")
    return take_chunks(reader, total) if flag else None


def floats_of(address, chunks, count):
    """The opened floats of a string of `count`, NaN where nothing is open, and the open chunks."""
    out, numbers = np.full(count, np.nan, F), set()
    if chunks is None:
        return out, numbers
    expect(b3.proof_root(b3.PLAIN, chunks.total, chunks.ranges, chunks.siblings,
                         chunks.data) == address, "other bytes")
    at = 0
    for first, last in chunks.ranges:
        part = np.frombuffer(chunks.data[at:at + 1024 * (last - first)], "<f4")
        out[256 * first:256 * first + len(part)] = part
        at += 1024 * (last - first)
        numbers |= set(range(first, last))
    return out, numbers


def chunks_read(plan, claim, at_end):
    """Of θ: the rows that bound a scale, and the fibre where it begins or ends."""
    model, out = plan.model, set()

    def row(parameter, n):
        p = model.parameters[parameter]
        first = p.offset + n * p.cols
        out.update(range(first // 256, (first + p.cols - 1) // 256 + 1))
    if bounded(plan.job):
        for scale in plan.draw.scales:
            one = plan.draw.fibres[scale.fibre]
            row(one.parameter, int(one.rows[scale.row]))
    one = plan.chains[claim.chain].fibre
    if bounded(plan.job) and not at_end and model.linear_of(one) is not None:
        for n in one.rows:
            row(one.parameter, int(n))
    if at_end or (claim.step, claim.piece) == (0, 0):
        p = model.parameters[one.parameter]
        places = p.offset + one.rows[:, None] * p.cols + one.cols[None, :]
        out.update(int(place) // 256 for place in places.ravel())
    return out


class Digests:
    def __init__(self, root, numbers, data):
        reader, self.numbers, self.data = Reader(data), numbers, {}
        chunks = take_chunks(reader, 32 * len(numbers))
        reader.end()
        expect(b3.proof_root(b3.PLAIN, chunks.total, chunks.ranges, chunks.siblings,
                             chunks.data) == root, "the digests are not those that were signed")
        at = 0
        for first, last in chunks.ranges:
            for number in range(32 * first, min(32 * last, len(numbers))):
                self.data[number], at = chunks.data[at:at + 32], at + 32

    def of(self, key):
        number = self.numbers[key]
        expect(number in self.data, "the digest is not there")
        return self.data[number]


def state_of(plan, chain, data, with_sums):
    """w, the moments and, of a later piece, the sums."""
    one = plan.chains[chain].fibre
    shape = len(one.rows), len(one.cols)
    copies = 3 if plan.job.optimiser == 2 else 2
    shown = plan.model.linear_of(one) is not None
    size = 4 * shape[0] * shape[1]
    if len(data) != size * (copies + (with_sums and shown)):
        raise NotProven("the state has another length")
    parts = [data[i:i + size] for i in range(0, len(data), size)]
    state = [np.frombuffer(x, "<f4").reshape(shape) for x in parts[:copies]]
    products = np.frombuffer(parts[-1], "<i4").reshape(shape).astype(np.int64) \
        if with_sums and shown else None
    return state, [products, None]


def follower_at(plan, claim, theta, digests):
    """What follows the claim's chain, standing before its step."""
    c, h, job = claim.chain, claim.step, plan.job
    out = Follower(plan, np.zeros(plan.model.count, F))
    out.theta, out.h = theta, h
    out.states[c], out.sums[c] = state_of(plan, c, claim.state, claim.piece > 0)
    for _ in range(h):
        out.p1, out.p2 = out.p1 * F(job.beta1), out.p2 * F(job.beta2)
    one = plan.chains[c].fibre
    out.bounds = {}
    if bounded(job) and plan.model.linear_of(one) is not None:
        out.bounds[c] = Bound(plan.model, one.rows, theta, one.parameter)
        for step in range(h):
            out.bounds[c].advance(job, plan.lease, step)
    peer = plan.peer(c, h) if claim.piece == 0 else None
    if peer is not None:
        key = (peer, min(h, plan.chains[peer].steps), 0)
        expect(digests.of(key) == b3.b3(claim.peer), "the other fibre's state")
        out.states[peer] = state_of(plan, peer, claim.peer, False)[0]
    return out


def opened_part(job, share, i, data):
    opening = openings.decode(job, share, SimpleNamespace(step=i, position=0), data)
    expect(opening.witness == 0, "a part has no witness")
    expect(openings.hashes_hold(job, share, i, opening), "the miner did not commit to this")
    return openings.opened_chunks(job, opening)[0]


def link_holds(plan, claim, theta, digests, share):
    c, h, lease = claim.chain, claim.step, plan.lease
    at_end = h == lease.steps
    if (h, claim.piece) == (0, 0) and not at_end:
        one = plan.chains[c].fibre
        p = plan.model.parameters[one.parameter]
        w = theta[p.offset + one.rows[:, None] * p.cols + one.cols[None, :]]
        zeros = np.zeros_like(w)
        start = [w] + [zeros] * (2 if plan.job.optimiser == 2 else 1)
        if digests.of((c, 0, 0)) != b3.b3(b"".join(x.astype("<f4").tobytes() for x in start)):
            return False
    expect(digests.of((c, h, claim.piece)) == b3.b3(claim.state), "another state")
    if at_end:
        follower = Follower(plan, np.zeros(plan.model.count, F))
        follower.theta, follower.states[c] = theta, state_of(plan, c, claim.state, False)[0]
        chunks = opened_part(plan.job, share, share.steps - 1, claim.part)
        return follower.end(c, chunks) and chunks.finite
    follower = follower_at(plan, claim, theta, digests)
    chunks = opened_part(plan.job, share, h - share.first_step, claim.part)
    good = follower.follow(c, claim.piece, chunks, None) and chunks.finite
    if not good:
        return False
    if claim.piece + 1 < plan.chains[c].pieces:
        return digests.of((c, h, claim.piece + 1)) == b3.b3(follower.bytes_before(
            c, claim.piece + 1))
    after = b"".join(x.astype("<f4").tobytes() for x in follower.next[c])
    return digests.of((c, h + 1, 0)) == b3.b3(after)


def decide_update(reader, jobs):
    job, lease, share = take_share(reader, jobs)
    if is_gpt(job):
        raise Malformed("this reference follows MLPs only")
    claim = take_claim(reader.bytes(1 << 21))
    header = take_header(claim.header, lease)
    theta = take_opened(reader, 4 * published_floats(job))
    train = take_opened(reader, len(job.train))
    reader.end()
    check_share(job, lease, share)
    expect(train is None, "an MLP's weights need no data")
    expect(ed25519.verify(lease.miner_key, message(lease.id, header.seed, header.front),
                          header.signature), "the miner did not sign the answer")
    weights, opened = floats_of(lease.theta_root, theta, published_floats(job))
    plan = Plan(job, lease, header.seed, job.thread_blocks, weights, None)
    expect(len(header.features) == len(plan.scales), "witnesses")
    try:
        plan.name(header.features)
        expect(claim.chain < len(plan.chains), "no such link")
        at_end = claim.step == lease.steps
        chain = plan.chains[claim.chain]
        exists = claim.chain < len(plan.draw.fibres) and claim.piece == 0 if at_end else \
            claim.step < chain.steps and claim.piece < chain.pieces
        of_share = share.index + 1 == lease.shares if at_end else \
            0 <= claim.step - share.first_step < share.steps
        expect(exists and of_share and share.lease_id == lease.id, "no such link")
        expect(opened == chunks_read(plan, claim, at_end), "other chunks of θ")
        digests = Digests(header.root, plan.digests(), claim.digests)
        holds = link_holds(plan, claim, weights, digests, share)
    except Malformed as missing:
        raise NotProven("a chunk is missing") from missing
    expect(not holds, "the weights moved as their gradient says")
    return lease.pool_key
