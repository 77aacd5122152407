"""Golden threads: answers of honest leases and of leases with one lie (PROTOCOL 11).

The bytes are too many to keep, so the file has their hash: a prover must make the same ones, and an
auditor find the same.
"""
from copy import copy

import numpy as np

import b3
import records
import thread_check
import toy
from gn1 import F
from thread_prover import Prover

BLOCKS = 7


class Stage:
    """Lease 0 0 of a job, run once, and run again with lies."""

    def __init__(self, job):
        self.job, self.theta = job, job.program.initial_theta(job)
        self.lease = toy.make_lease(job, 0, 0, 0, records.theta_root(self.theta), toy.START_MS)
        self.runs = toy.run_lease(job, self.lease, self.theta, toy.MINERS[0])
        walk, self.states = job.program.Lease(job, self.theta, 0, 0), []
        for _ in range(self.lease.steps):
            self.states.append(walk.state.copy())
            walk.step(job.train)

    def lying(self, lies):
        """Runs whose committed bytes have these changes: (step, position, offset, xor); position
        -1 is state_after, -2 the delta."""
        runs = [copy(run) for run in self.runs]
        for run in runs:
            run.trees = {}
            for name in ("tensors", "roots", "digests"):
                setattr(run, name, list(map(copy, getattr(run, name))))
        for h, position, offset, xor in lies:
            run = runs[h // self.lease.steps_per_share]
            self._lie(run, h - run.share.first_step, position, offset, xor)
            run.share.trace_root = b3.b3k(
                records.share_key(self.lease.id, run.share.first_step), b"".join(run.digests))
            run.share.sign(toy.MINERS[0])
        return runs

    def _lie(self, run, i, position, offset, xor):
        def changed(data):
            new = bytes(a ^ b for a, b in zip(data[offset:], xor))
            return data[:offset] + new + data[offset + len(xor):]
        run.share = copy(run.share)
        if position == -1:
            run.state_after = changed(run.state_after)
            run.share.state_after = b3.b3k(records.STATE_KEY, run.state_after)
        elif position == -2:
            run.delta = changed(run.delta)
            run.share.delta_root = b3.b3(run.delta)
        else:
            run.tensors[i][position] = changed(run.tensors[i][position])
            key = records.step_key(self.lease.id, run.share.first_step + i)
            run.roots[i][position] = b3.b3k(key, run.tensors[i][position])
            run.digests[i] = records.step_digest(key, run.roots[i], run.losses[i])

    def prover(self, runs, seed):
        return Prover(self.job, self.lease, runs, self.states, seed, BLOCKS, toy.MINERS[0])

    def judge(self, runs, seed, answer):
        return thread_check.judge(self.job, self.lease, [run.share for run in runs], seed, BLOCKS,
                                  self.theta, self.runs[0].train, answer)


def lies(stage, seed):
    """name, the changes: one of each kind of tensor that a fibre or a block reads."""
    plan = stage.prover(stage.runs, seed).plan
    model, one = plan.model, plan.draw.fibres[0]
    index = model.linear_of(one)

    def tile(name, i, row, col):
        """Offset of an element of an int8 tensor."""
        rows = model.tensors[model.position(name, i)][2]
        return col // 64 * (-(-rows // 16) * 1024) + row * 64 + col % 64
    row, col = int(one.rows[0]), int(one.cols[0])
    at = model.position
    yield "x", [(0, at("X", index), tile("X", index, 3, col), b"\x07")]
    yield "g2", [(1, at("G2", index), tile("G2", index, 2, row), b"\x11")]
    yield "w", [(1, at("W", index), tile("W", index, row, col), b"\x01")]
    yield "sw", [(2, at("sw", index), 4 * row + 3, b"\x80")]
    yield "scale", [(2, at("sw", index), 4 * row + 2, b"\x80")]
    f, vector = next((f, x) for f, x in enumerate(plan.draw.fibres)
                     if model.parameters[x.parameter].name == "b")
    p = model.parameters[vector.parameter]
    yield "b", [(1, at("b", p.index), 4 * int(vector.rows[0]), b"\x01")]
    runs = -(-model.rows // 32)
    place = int(vector.rows[0]) // 64 * runs * 256
    yield "pb", [(0, at("PB", p.index), place + 2, b"\x40")]
    yield "pb inf", [(1, at("PB", p.index), place + 2, b"\x80\x7f")]
    last = stage.lease.steps - 1
    parameter = model.parameters[one.parameter]
    place = parameter.offset + row * parameter.cols + col
    yield "after", [(last, -1, 4 * place, b"\x01")]
    yield "delta", [(last, -2, -(-model.count // 128) + place, b"\x01")]
    drawn = next(b for b in plan.blocks if b.kind == "drawn")
    yield "block", [(drawn.step, drawn.position, 0, b"\x01" * len(
        stage.runs[0].tensors[0][drawn.position]))]
    if not model.gpt:
        return
    pair = plan.draw.pair
    cols = plan.draw.fibres[pair.positions].cols
    place = pair.row * stage.job.width + int(cols[0])
    yield "pair", [(pair.step, at("R", 0), 4 * place, b"\x01")]
    place = int(cols[0]) // 64 * model.rows + pair.row % stage.job.context
    yield "d0", [(0, at("D", 0), 256 * place + 2, b"\x10")]
    if stage.job.clip > 0:
        parameters = len(model.parameters)
        yield "f", [(1, at("cf", 0), 4 * parameters + 2, b"\x08")]
        yield "c", [(1, at("cf", 0), 4 * 5 + 2, b"\x08")]
        units = model.positions["CQ", vector.parameter]
        yield "cq", [(1, units, 4 * (int(vector.rows[0]) // 64), b"\x04")]


def put(g, name, case, seed, changes, answer, found):
    patches = (f"{h}.{position}:{offset}:{xor[:16].hex()}:{len(xor)}"
               for h, position, offset, xor in changes)
    g.put(f"thread {name} {case}", seed, *patches, "|", len(answer), b3.b3(answer), "|", found[0],
          found[1].replace(" ", "."))


def put_job(g, name, job, seeds):
    stage = Stage(job)
    g.put(f"job {name}", job.encode())
    g.put(f"lease {name}", stage.lease.encode())
    for seed in seeds:
        prover = stage.prover(stage.runs, seed)
        answer = prover.prove()
        found = stage.judge(stage.runs, seed, answer)
        assert found[0] == thread_check.VALID
        put(g, name, f"honest.{seed[0]}", seed, [], answer, found)
    put_signed(g, name, stage, seed, prover)
    put_spoiled(g, name, stage, seed, answer)
    for case, changes in lies(stage, seed):
        runs = stage.lying(changes)
        answer = stage.prover(runs, seed).prove()
        found = stage.judge(runs, seed, answer)
        assert found[0] == thread_check.WRONG, (name, case)
        put(g, name, case, seed, changes, answer, found)


def put_signed(g, name, stage, seed, prover):
    """What the miner signs has one lie: a digest, a witness, a block's step or witness."""
    count = len(prover.digests)
    for i in (0, count // 3, 2 * count // 3, count - 1):
        kept = prover.digests[i]
        prover.digests[i] = bytes([kept[0] ^ 1]) + kept[1:]
        found = stage.judge(stage.runs, seed, prover.answer())
        prover.digests[i] = kept
        g.put(f"signed {name} digest.{i}", seed, found[0], found[1].replace(" ", "."))
    for i, scale in enumerate(prover.plan.scales):
        kept, one = prover.features[i], prover.plan.draw.fibres[scale.fibre]
        if kept not in one.cols:
            continue
        prover.features[i] = int(one.cols[(kept - one.cols[0] + 1) % len(one.cols)])
        found = stage.judge(stage.runs, seed, prover.answer())
        g.put(f"signed {name} feature.{i}.{prover.features[i]}", seed, found[0],
              found[1].replace(" ", "."))
        prover.features[i] = kept
    prover.claims[0] = prover.claims[0][0], prover.claims[0][1] + 1
    found = stage.judge(stage.runs, seed, prover.answer())
    g.put(f"signed {name} claim.0", seed, found[0], "-")
    assert found[0] == thread_check.UNUSABLE


def put_spoiled(g, name, stage, seed, answer):
    n = len(answer)
    for offset in (0, 40, 70, 200, n // 3, n // 2, n - 1):
        bad = bytearray(answer)
        bad[offset] ^= 4
        assert stage.judge(stage.runs, seed, bytes(bad))[0] == thread_check.UNUSABLE, offset
        g.put(f"spoiled {name} {offset}", seed, thread_check.UNUSABLE)


def put_all(g, sgd, adamw, model, tied):
    g.put("# thread JOB CASE", "seed step.position:offset:xor:bytes … (-1 state_after, -2 delta; "
          "xor repeats) | bytes, their b3 | what is found: link chain step piece, end chain, "
          "block j")
    g.put("# signed JOB WHAT", "seed, what is found when the miner signs for that")
    put_job(g, "sgd", sgd, [bytes([s]) * 32 for s in range(3)])
    put_job(g, "adamw", adamw, [bytes([s]) * 32 for s in range(3)])
    put_job(g, "gpt", model, [bytes([1]) * 32])
    put_job(g, "tied", tied, [bytes([s]) * 32 for s in range(2)])
