"""Answers to threads, of who is honest and of who lies; thread_check.py judges them."""
import numpy as np

import audit
import b3
import ed25519
import openings
import records
from gn1 import F
from openings import DELTA, STATE_AFTER
from records import u16, u32
from thread import Follower, Plan
from thread_check import message
from thread_draw import NO_FEATURE


def witness(plan, states, scale):
    """The lowest feature that attains the scale of the drawn row, before the drawn step."""
    one = plan.draw.fibres[scale.fibre]
    p = plan.model.parameters[one.parameter]
    first = p.offset + one.rows[scale.row] * p.cols
    row = np.abs(states[scale.step][first:first + p.cols])
    if not row.max() > F(2.0 ** -100):
        return NO_FEATURE
    return int(np.flatnonzero(row / F(63) == row.max() / F(63))[0])


class Prover:
    """runs: of the shares; states: before each step, of the honest lease."""

    def __init__(self, job, lease, runs, states, seed, count, miner):
        self.job, self.lease, self.runs, self.miner = job, lease, runs, miner
        theta, self.train = runs[0].theta, runs[0].train
        self.plan = Plan(job, lease, seed, count, theta, self.train)
        self.features = [witness(self.plan, states, s) for s in self.plan.scales]
        self.plan.name(self.features)
        self.follower = Follower(self.plan, theta)
        self.claims = [(0, 0)] * len(self.plan.blocks)
        self.digests, self.body, self.waiting = [], b"", {}

    def run_at(self, h):
        run = self.runs[h // self.lease.steps_per_share]
        return run, h - run.share.first_step

    def put(self, data):
        self.body += records.blob(data)

    def opened(self, h, look, ends=False):
        run, i = self.run_at(h)
        strings = openings.own_strings(run, i)
        if ends:
            run.trees = {k: t for k, t in run.trees.items() if k[0][0] not in (STATE_AFTER, DELTA)}
        chunks = openings.own_chunks(self.job, strings)
        look(chunks)
        return openings.open_read(run, i, strings, chunks.read, 0)

    def block(self, j, h, tokens):
        run, i = self.run_at(h)
        strings = openings.own_strings(run, i)
        chunks = openings.own_chunks(self.job, strings)
        choice = self.follower.choose(j, tokens, openings.own_chunks(self.job, strings))
        choice.step = i
        made = audit.BLOCKS[self.job.program].Block
        first, lease = run.share.first_step, self.lease
        named = made(self.job, openings.own_chunks(self.job, strings), first, lease,
                     choice).lowest_witness()
        made(self.job, chunks, first, lease, choice).check(named)
        self.claims[j] = (h, named)
        return openings.open_read(run, i, strings, chunks.read, named)

    def prove(self):
        plan, follower = self.plan, self.follower
        for h in range(self.lease.steps):
            tokens = plan.model.tokens(self.lease, h, self.train)
            for links in plan.parts(h):
                def look(chunks, links=links):
                    for c, piece in links:
                        self.digests.append(b3.b3(follower.bytes_before(c, piece)))
                        follower.follow(c, piece, chunks, tokens)
                self.put(self.opened(h, look))
            follower.end_step()
            for j, block in enumerate(plan.blocks):
                if block.kind in ("drawn", "norm"):
                    if block.step == h:
                        self.put(self.block(j, h, tokens))
                elif follower.step_of(block) == h:
                    self.waiting[j] = self.block(j, h, tokens)
        last = self.lease.steps - 1
        for chains in plan.ends():
            self.put(self.opened(last, lambda chunks, of=chains: [follower.end(c, chunks)
                                                                 for c in of], ends=True))
        for j in sorted(self.waiting):
            self.put(self.waiting[j])
        self.digests += [b3.b3(follower.bytes_before(c, 0)) for c in range(len(plan.chains))]
        return self.answer()

    def answer(self):
        digests = b"".join(self.digests)
        front = self.lease.id + self.plan.seed + b3.b3(digests) + u16(len(self.features))
        front += b"".join(map(u32, self.features)) + u16(len(self.claims))
        front += b"".join(u32(h) + u32(w) for h, w in self.claims)
        signed = ed25519.sign(self.miner, message(self.lease.id, self.plan.seed, front))
        return front + signed + digests + self.body
