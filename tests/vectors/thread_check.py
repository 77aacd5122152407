"""Answers to threads, judged (PROTOCOL 11.9, 11.10)."""
from types import SimpleNamespace

import numpy as np

import audit
import b3
import ed25519
import openings
import records
from openings import Malformed
from thread import Follower, Plan

VALID, WRONG, UNUSABLE = "valid", "wrong", "unusable"


class Wrong(Exception):
    """What was committed to, or signed, is not so."""


def message(lease_id, seed, front):
    return b3.domain("thread", lease_id + seed + b3.b3(front))


class Checker:
    def __init__(self, job, lease, shares, seed, count, theta, train, answer):
        self.job, self.lease, self.shares = job, lease, shares
        self.train, self.answer = train, openings.Cursor(answer)
        self.plan = Plan(job, lease, seed, count, theta, train)
        self._front()
        self.follower = Follower(self.plan, theta)

    def _front(self):
        plan, cursor = self.plan, self.answer
        lease_id, seed, root = cursor.take(32), cursor.take(32), cursor.take(32)
        features = [cursor.number("I") for _ in range(cursor.number("H"))]
        self.claims = [(cursor.number("I"), cursor.number("I")) for _ in range(cursor.number("H"))]
        front, signature = cursor.data[:cursor.at], cursor.take(64)
        if (lease_id, seed) != (self.lease.id, plan.seed):
            raise Malformed("another challenge")
        if len(features) != len(plan.scales) or len(self.claims) != len(plan.blocks):
            raise Malformed("witnesses or blocks")
        if not ed25519.verify(self.lease.miner_key, message(lease_id, seed, front), signature):
            raise Malformed("signature")
        plan.name(features)
        self.numbers = plan.digests()
        self.digests = cursor.take(32 * len(self.numbers))
        if b3.b3(self.digests) != root:
            raise Malformed("digests")

    def _digest_is(self, key, data):
        i = self.numbers[key]
        return self.digests[32 * i:32 * i + 32] == b3.b3(data)

    def _next(self):
        return self.answer.take(self.answer.number("I"))

    def _open(self, data, h):
        share = self.shares[h // self.lease.steps_per_share]
        return openings.decode(self.job, share, SimpleNamespace(
            step=h - share.first_step, position=0), data)

    def _chunks(self, opening):
        held = {o.key: dict(zip((c for a, b in o.ranges for c in range(a, b)),
                                (o.data[i:i + 1024] for i in range(0, len(o.data), 1024))))
                for o in opening.objects}

        def chunk(key, index):
            if index not in held.get(key, {}):
                raise Malformed("a chunk is missing")
            return held[key][index]
        chunks = openings.Chunks(self.job, chunk)
        chunks.held = {key: set(of) for key, of in held.items()}
        return chunks

    def _settle(self, opening, chunks, h, found):
        """After everything was read: is it what was committed to, and nothing else?"""
        share = self.shares[h // self.lease.steps_per_share]
        if opening.witness != 0 or chunks.read != chunks.held:
            raise Malformed("other chunks")
        if not openings.hashes_hold(self.job, share, h - share.first_step, opening):
            raise Malformed("hashes")
        if found is not None:
            raise Wrong(found)

    def check(self):
        for h in range(self.lease.steps):
            tokens = self.plan.model.tokens(self.lease, h, self.train)
            for links in self.plan.parts(h):
                self._part(h, links, tokens)
            self.follower.end_step()
            self._blocks(lambda b, h=h: b.kind in ("drawn", "norm") and b.step == h)
        self._ends()
        self._blocks(lambda b: b.kind in ("star", "least"))
        if self.answer.at != len(self.answer.data):
            raise Malformed("trailing bytes")

    def _part(self, h, links, tokens):
        opening, follower, found = self._open(self._next(), h), self.follower, None
        chunks = self._chunks(opening)
        for c, piece in links:
            good = True
            if h == 0 and piece == 0:
                good = self._digest_is((c, 0, 0), follower.bytes_before(c, 0))
            good = follower.follow(c, piece, chunks, tokens) and chunks.finite and good
            last = piece + 1 == self.plan.chains[c].pieces
            key = (c, h + 1, 0) if last else (c, h, piece + 1)
            after = (b"".join(x.astype("<f4").tobytes() for x in follower.next[c]) if last
                     else follower.bytes_before(c, piece + 1))
            if not (good and self._digest_is(key, after)) and found is None:
                found = f"link {c} {h} {piece}"
        self._settle(opening, chunks, h, found)

    def _ends(self):
        last = self.lease.steps - 1
        for chains in self.plan.ends():
            opening = self._open(self._next(), last)
            chunks, found = self._chunks(opening), None
            for c in chains:
                if not (self.follower.end(c, chunks) and chunks.finite) and found is None:
                    found = f"end {c}"
            self._settle(opening, chunks, last, found)

    def _blocks(self, wanted):
        for j, block in enumerate(self.plan.blocks):
            if not wanted(block):
                continue
            h = self.follower.step_of(block)
            tokens = self.plan.model.tokens(self.lease, h, self.train)
            data = self._next()
            opening = self._open(data, h)
            if self.claims[j] != (h, opening.witness):
                raise Malformed("claim")
            choice = self.follower.choose(j, tokens, self._chunks(opening))
            share = self.shares[h // self.lease.steps_per_share]
            choice.step = h - share.first_step
            outcome = openings.judge(self.job, self.lease, share, choice, opening, None,
                                     audit.BLOCKS[self.job.program].Block)
            if outcome == records.MALFORMED or not openings.hashes_hold(
                    self.job, share, choice.step, opening):
                raise Malformed("block")
            if outcome != records.VALID:
                raise Wrong(f"block {j}")


def judge(job, lease, shares, seed, count, theta, train, answer):
    """(VALID, WRONG or UNUSABLE, what is wrong)."""
    try:
        with np.errstate(all="ignore"):
            Checker(job, lease, shares, seed, count, theta, train, answer).check()
    except Malformed:
        return UNUSABLE, "-"
    except Wrong as wrong:
        return WRONG, str(wrong)
    return VALID, "-"
