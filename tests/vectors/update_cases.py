"""Proof files about updates (PROTOCOL 12.4): links cut out of answers to threads."""
import openings
import proof_cases
import proof_parts
import proofs
import records
import threads
import toy
from records import blob, u8, u32


def header_of(prover):
    """The front of the answer, up to and with its signature."""
    answer = prover.answer()
    return answer[:32 * 3 + 2 + 4 * len(prover.features) + 2 + 8 * len(prover.claims) + 64]


def part_of(prover, h, wanted):
    """The part of step h that has the link, or of the end that has the chain."""
    plan, cursor, last = prover.plan, openings.Cursor(prover.body), prover.lease.steps
    for step in range(last):
        for links in plan.parts(step):
            part = cursor.take(cursor.number("I"))
            if step == h and wanted in links:
                return part
        for block in plan.blocks:
            if block.kind in ("drawn", "norm") and block.step == step:
                cursor.take(cursor.number("I"))
    for chains in plan.ends():
        part = cursor.take(cursor.number("I"))
        if h == last and wanted[0] in chains:
            return part
    raise AssertionError("no such link")


def digest_chunks(prover, keys):
    numbers = prover.plan.digests()
    data = b"".join(prover.digests)
    return proof_parts.put_chunks(data, [32 * numbers[key] for key in keys])


def claim(stage, prover, chain, h):
    """The first piece of a link at step h, or the end of the chain, with the state before it."""
    plan, model, count = prover.plan, prover.plan.model, prover.plan.model.count
    one, at_end = plan.chains[chain].fibre, h == stage.lease.steps
    p = model.parameters[one.parameter]
    places = (p.offset + one.rows[:, None] * p.cols + one.cols[None, :]).ravel()
    if at_end:
        state = b"".join(x.astype("<f4").tobytes() for x in prover.follower.states[chain])
    else:
        copies = len(stage.states[h]) // count
        state = b"".join(stage.states[h][places + k * count].astype("<f4").tobytes()
                         for k in range(copies))
    keys = [(chain, h, 0)] if at_end else [(chain, h, 0), (chain, h + 1, 0)]
    peer = None if at_end else plan.peer(chain, h)
    shown = b""
    if peer is not None:
        other = plan.chains[peer].fibre
        q = model.parameters[other.parameter]
        of = (q.offset + other.rows[:, None] * q.cols + other.cols[None, :]).ravel()
        shown = b"".join(stage.states[h][of + k * count].astype("<f4").tobytes()
                         for k in range(len(stage.states[h]) // count))
        keys.append((peer, h, 0))
    out = blob(header_of(prover)) + u32(h) + u32(chain) + u32(0) + blob(state) + blob(shown)
    out += blob(digest_chunks(prover, keys)) + blob(part_of(prover, h, (chain, 0)))
    theta = [4 * int(place) for place in places] if at_end or h == 0 else []
    return out, theta


def update(stage, runs, prover, chain, h):
    """Kind 3."""
    claimed, theta = claim(stage, prover, chain, h)
    run = runs[min(h, stage.lease.steps - 1) // stage.lease.steps_per_share]
    opened = u8(0)
    if theta:
        opened = u8(1) + proof_parts.put_chunks(records.theta_bytes(stage.theta), theta)
    return proof_cases.seal(proofs.UPDATE, proof_cases.put_share(stage.job, run) + blob(claimed)
                            + opened + u8(0))


def cases(job):
    """Of one lease with one lie each; chain 0 is a tile of the first layer's weights."""
    stage = threads.Stage(job)
    seed = b"\x05" * 32

    def proven(changes):
        runs = stage.lying(changes)
        prover = threads.Prover(job, stage.lease, runs, stage.states, seed, job.thread_blocks,
                                toy.MINERS[0])
        prover.prove()
        return runs, prover
    lies, last = dict(threads.lies(stage, seed)), stage.lease.steps
    honest = proven([])
    vector = next(c for c, one in enumerate(honest[1].plan.draw.fibres)
                  if honest[1].plan.model.parameters[one.parameter].vector)
    out = {"update_honest": update(stage, *honest, 0, 1),
           "update_start_honest": update(stage, *honest, 0, 0),
           "update_end_honest": update(stage, *honest, 0, last),
           "update_bias_honest": update(stage, *honest, vector, 1)}
    for name, what, chain, h in (("update", "w", 0, 1), ("update_rows_beside", "g2", 0, 1),
                                 ("update_bias", "b", vector, 1), ("update_end", "after", 0, last),
                                 ("update_delta", "delta", 0, last)):
        runs, prover = proven(lies[what])
        out[name] = update(stage, runs, prover, chain, h)
    runs, prover = proven([])
    first = prover.plan.digests()[0, 0, 0]
    prover.digests[first] = bytes([prover.digests[first][0] ^ 1]) + prover.digests[first][1:]
    out["update_start"] = update(stage, runs, prover, 0, 0)
    prover.miner = toy.POOL
    out["update_start_unsigned"] = update(stage, runs, prover, 0, 0)
    return out
