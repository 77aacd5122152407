"""Lies that a verifier finds only where it looks at what is neither quantised nor committed (10.8,
10.11): everything else about them is right.
"""
from types import SimpleNamespace

import numpy as np

import gn1
import gpt
import openings
from gpt_values import Values
from openings import STATE_BEFORE, TENSOR, TRAIN

LARGEST = b"\xff\xff\x7f\x7f"  # of the finite f32


class Forger:
    """The strings of one step, to be changed."""

    def __init__(self, job, run, step):
        self.job, self.step, self.patches = job, step, []
        self.strings = {(TENSOR, p): data for p, data in enumerate(run.tensors[step])}
        self.strings |= {(STATE_BEFORE, 0): run.state_before, (TRAIN, 0): run.train}
        self.place = {t[:2]: p for p, t in enumerate(gpt.tensors(job))}
        self.step_id = gn1.step_id(job, run.lease.round, run.lease.slot,
                                   run.share.first_step + step)

    def values(self):
        def chunk(key, i):
            return self.strings[key][1024 * i:1024 * i + 1024]
        return Values(self.job, openings.Chunks(self.job, chunk), self.step_id)

    def put(self, tensor, at, new):
        key = TENSOR, self.place[tensor]
        old = self.strings[key][at:at + len(new)]
        self.patches.append((*key, at, bytes(a ^ b for a, b in zip(old, new))))
        self.strings[key] = self.strings[key][:at] + new + self.strings[key][at + len(new):]

    def put_float(self, tensor, row, col, new):
        width = gpt.tensors(self.job)[self.place[tensor]][3]
        self.put(tensor, 4 * int(row * width + col), new)

    def choice(self, tensor, row, col):
        return SimpleNamespace(step=self.step, position=self.place[tensor], row=row, col=col,
                               group=0)


def infinite_score(job, run, name):
    """A score of −∞ leaves m as it was, and adds nothing to an l that knows of it."""
    for row in range(job.context // 16):
        for a in range(job.heads):
            forger = Forger(job, run, 1)
            last = np.array([16 * row + 15])  # of whose key no other row of the tile knows
            s, _ = forger.values().scores(0, a, last, last)
            if s[0, 0] < 0 and s[0, 0] < forger.values().maxima(0, last, a)[0, 0]:
                forger.put_float(("sk", 0), last[0], a, LARGEST)
                with np.errstate(over="ignore"):
                    values = forger.values()
                    assert values.scores(0, a, last, last)[0][0, 0] == -np.inf
                    l = values.sums(0, last, a)[0, 0]
                if name == "l":
                    forger.put_float(("l", 0), last[0], a, l.tobytes())
                return forger.choice((name, 0), row, a), forger.patches
    raise AssertionError("no such score")


def logit_of_nan(job, run):
    """0·∞: what a maximum passes over if it compares with > alone."""
    forger, head = Forger(job, run, 1), 4 * job.blocks
    z = forger.values().logits(np.arange(16), np.arange(job.vocabulary))
    row, col = 5, next(c for c in range(1, len(z[0])) if not (z.argmax(axis=1) == c).any())
    assert (z.max(axis=1) > 0).all() and job.width == 64  # a row is one run of bytes
    forger.put(("X", head), 64 * row, bytes(64))
    tile = col // 16  # W has one column of tiles
    forger.put(("W", head), 1024 * tile + 64 * (col % 16), bytes(64))
    forger.put_float(("sx", head), row, 0, LARGEST)
    forger.put_float(("sw", head), col, 0, LARGEST)
    forger.put_float(("mu", 0), row, 0, bytes(4))
    return forger.choice(("mu", 0), 0, 0), forger.patches


def lies(job, run):
    """(case, choice, [(source, position, offset, xor)])."""
    for name in ("m", "l"):
        yield (name + "_infinite", *infinite_score(job, run, name))
    yield ("mu_nan", *logit_of_nan(job, run))
