"""Golden openings of language models (PROTOCOL 10.11): every kind of check, and what is refused.

The bytes are too many to keep, so the file has their hash: a prover must make the same ones. With
them go what each opening reads, changed openings, and lies: openings whose hashes all hold, because
the committed bytes themselves were changed. So only what 10.11 says of values can refuse a lie.
"""
from copy import copy
from types import SimpleNamespace

import numpy as np

import audit
import b3
import block_gpt
import gn1
import gpt
import gpt_guards
import gpt_shape
import openings
import records
import toy
import toy_gpt
from openings import TENSOR, TRAIN

LIES_PER_OBJECT = 2
FLOATS = (lambda old: old ^ 1, lambda old: 0x7F7FFFFF, lambda old: 0x7F800000, lambda old: 0,
          lambda old: old ^ 0x80000000, lambda old: 0x7FC00001, lambda old: 1,
          lambda old: old ^ 0x00400000)
TOKENS = (lambda old: 0xFF, lambda old: old ^ 0x40)
BYTES = 2 * (lambda old: old ^ 1, lambda old: 0x80, lambda old: old ^ 0x0C, lambda old: 0)


def kind_of(job, tensor):
    """Checks of one kind read the same tensors."""
    name, index = tensor[:2]
    if name in ("X", "W", "G1", "G2"):
        return name, "head" if index == 4 * job.blocks else index % 4
    if name == "CQ":
        of, i, _ = gpt_shape.parameters(job)[index]
        return name, of, "head" if i == 4 * job.blocks else i % 4 * (of in ("W", "b"))
    if name == "PB":
        return name, index % 4
    if name in ("R", "N", "gain", "shift", "PG", "PS"):
        return name, index if index == 0 else 1 + index % 2
    return (name, index == job.blocks) if name == "D" else name


def cases(job, wanted=None):
    """(name, choice) of one tile of each kind, another corner of the matrix each time."""
    chosen = {}
    for position in block_gpt.checks(job):
        tensor = gpt.tensors(job)[position]
        if wanted is None or tensor[0] in wanted:
            chosen[kind_of(job, tensor)] = position  # the last: backward it is the first block
    for n, position in enumerate(chosen.values()):
        tensor = gpt.tensors(job)[position]
        tile_rows, tile_cols = block_gpt.grid(tensor)
        words = gn1.philox(11, n, tile_rows, tile_cols, 0)
        row, col = (int(w) % tiles for w, tiles in zip(words, (tile_rows, tile_cols)))
        group = int(words[2]) % block_gpt.groups(job, tensor, row, col) * gpt.is_int8(tensor)
        step = 0 if block_gpt.of_first_step(tensor) else 1
        yield f"{tensor[0]}_{tensor[1]}", SimpleNamespace(step=step, position=position, row=row,
                                                          col=col, group=group)


def used(job, run, choice, opening):
    """Which floats, or bytes of the data, are read, by object."""
    opened = {o.key: dict(zip([c for a, b in o.ranges for c in range(a, b)],
                              [o.data[i:i + 1024] for i in range(0, len(o.data), 1024)]))
              for o in opening.objects}
    chunks = openings.Chunks(job, lambda key, i: opened[key][i])
    block_gpt.Block(job, chunks, run.share.first_step, run.lease, choice).check(opening.witness)
    return {key: np.unique(np.concatenate(at)) for key, at in chunks.used.items()}


def lies(job, run, choice, data):
    """([(source, position, offset in the object's string, xor)], the outcome)."""
    honest = openings.decode(job, run.share, choice, data)
    places, count = used(job, run, choice, honest), 0
    for o in honest.objects:
        order = [c for a, b in o.ranges for c in range(a, b)]
        unit = 1 if o.key[0] == TRAIN or o.key not in places else 4
        for i in range(LIES_PER_OBJECT):
            w, v = (int(x) for x in gn1.philox(12, choice.position, o.key[1], count, 0)[:2])
            if o.key in places:
                at = unit * int(places[o.key][w % len(places[o.key])])
            else:
                at = min(1024 * order[w % len(order)] + v % 1024, o.total - 1)
            change = TOKENS[i] if o.key[0] == TRAIN else (FLOATS if unit == 4 else BYTES)[count % 8]
            place = 1024 * order.index(at // 1024) + at % 1024
            old = int.from_bytes(o.data[place:place + unit], "little")
            xor = (change(old) ^ old).to_bytes(unit, "little")
            yield told(job, run, choice, honest, [(*o.key, at, xor)])
            count += 1
    if gpt.is_int8(gpt.tensors(job)[choice.position]):
        yield told(job, run, choice, honest, [zero_scale(job, run, choice, honest)])


def zero_scale(job, run, choice, honest):
    """The scale of the drawn group is 0, and its witness, mostly, is not."""
    block = block_gpt.Block(job, None, run.share.first_step, run.lease, choice)
    width = gpt.tensors(job)[choice.position + 1][3]
    row, col = (int(side[0]) for side in block.along(0))
    at = row
    if block.name in ("Q", "K", "HO"):
        at = row * width + col * job.heads // job.width
    elif block.name in ("V", "GO"):
        at = row // job.context * width + col
    elif block.name == "G2":
        at = col
    o = next(x for x in honest.objects if x.key == (TENSOR, choice.position + 1))
    order = [c for a, b in o.ranges for c in range(a, b)]
    place = 1024 * order.index(at // 256) + at % 256 * 4
    return *o.key, 4 * at, o.data[place:place + 4]


def told(job, run, choice, honest, patches):
    """The outcome when what was committed to has these changes."""
    bad = copy(honest)
    bad.objects = [copy(o) for o in honest.objects]
    for source, position, at, xor in patches:
        o = next(x for x in bad.objects if x.key == (source, position))
        order = [c for a, b in o.ranges for c in range(a, b)]
        place = 1024 * order.index(at // 1024) + at % 1024
        new = bytes(a ^ b for a, b in zip(o.data[place:], xor))
        o.data = o.data[:place] + new + o.data[place + len(xor):]
    return patches, openings.judge(job, run.lease, run.share, choice, bad, run.theta,
                                   block_gpt.Block)


def check_exact(job, run, choice, data):
    """One chunk more or less than what is read is malformed, whatever the bytes."""
    honest = openings.decode(job, run.share, choice, data)
    for o in honest.objects:
        own = {c for a, b in o.ranges for c in range(a, b)}
        more = own | {next((c for c in range(b3.chunk_count(o.total)) if c not in own), 0)}
        for other in (more, own - {max(own)}):
            if other in (own, set()):
                continue
            changed_, bad = copy(o), copy(honest)
            changed_.ranges = openings.ranges_of(other)
            changed_.siblings = [bytes(32)] * b3.sibling_count(o.total, changed_.ranges)
            changed_.data = bytes(b3.selected_bytes(o.total, changed_.ranges))
            bad.objects = [changed_ if x is o else x for x in honest.objects]
            outcome = audit.check_opening(job, run, choice, openings.encode(bad))
            assert outcome == records.MALFORMED, (choice, o.key)


def changed(job, run, choice, data):
    """(offset, xor, the outcome) of one byte changed."""
    n = len(data)
    for offset, flip in ((0, 0), (3, 0x80), (0, 1), (4, 1), (n - 1, 1), (n // 2, 16), (n // 3, 2)):
        bad = bytearray(data)
        bad[offset] ^= flip
        yield offset, flip, audit.check_opening(job, run, choice, bytes(bad))


def put_opening(g, key, job, run, choice):
    """What an honest prover sends, and what becomes of it when bytes of it change."""
    data, share = audit.make_opening(job, run, choice), run.share
    g.put("opening " + key, run.lease.round, run.lease.slot, share.index, choice.step,
          choice.position, choice.row, choice.col, choice.group, len(data), b3.b3(data))
    opening = openings.decode(job, share, choice, data)
    g.put("reads " + key, *(f"{o.key[0]}.{o.key[1]}:" + ",".join(
        f"{a}-{b}" for a, b in o.ranges) for o in opening.objects))
    outcomes = list(changed(job, run, choice, data))
    assert [o for _, _, o in outcomes[:2]] == [records.VALID, records.MALFORMED]
    g.put("changed " + key, *(f"{a}:{b}:{o}" for a, b, o in outcomes))
    return data


def put_lies(g, key, told_):
    g.put("lies " + key, *("+".join(f"{s}.{p}:{at}:{xor.hex()}" for s, p, at, xor in patches)
                           + f":{outcome}" for patches, outcome in told_ if any(patches[0][3])))


def put_blocks(g, name, job):
    """What the coin draws; the group of an f32 tensor is ignored, and 0 here."""
    for seed in range(8):
        for last, steps in ((0, 3), (1, 1)):
            drawn = [audit.choose_block(job, bytes([seed]) * 32, j, steps, last)
                     for j in range(job.thread_blocks)]
            g.put(f"blocks {name} {seed} {last}", *(
                f"{c.step}:{-1 if c.position is None else c.position}:{c.row}:{c.col}:"
                f"{c.group * has_groups(job, c)}" for c in drawn))


def has_groups(job, choice):
    return choice.position is not None and gpt.is_int8(gpt.tensors(job)[choice.position])


def put_job(g, name, job, run, wanted=None):
    for case, choice in cases(job, wanted):
        data = put_opening(g, f"{name} {case}", job, run, choice)
        put_lies(g, f"{name} {case}", lies(job, run, choice, data))
        check_exact(job, run, choice, data)


def put_guards(g, name, job, run):
    for case, choice, patches in gpt_guards.lies(job, run):
        data = put_opening(g, f"{name} {case}", job, run, choice)
        honest = openings.decode(job, run.share, choice, data)
        lie = told(job, run, choice, honest, patches)
        assert lie[1] == records.INVALID
        put_lies(g, f"{name} {case}", [lie])


def wide_run(g, job):
    theta = gpt.initial_theta(job)
    root = records.theta_root(theta)
    lease = toy.make_lease(job, 0, 0, 0, root, toy.START_MS)
    running = gpt.Lease(job, theta, 0, 0)
    run = toy.run_share(job, lease, running, 0, theta, toy.MINERS[0])
    g.put("job", job.encode())
    g.put("lease 0 0", lease.encode())
    g.put("share 0 0 0", run.share.encode())
    return run


def put_all(g, runs_of):
    """runs_of: {golden file: (job, runs)} of the language models of other golden files."""
    g.put("# opening JOB CASE", "round slot share | step position row col group | bytes, their b3")
    g.put("# reads JOB CASE", "source.position:first-last,…")
    g.put("# changed JOB CASE", "offset:xor:outcome")
    g.put("# blocks JOB SEED'S_BYTE LAST", "step:position (-1: delta):row:col:group, by j")
    g.put("# lies JOB CASE", "source.position:offset in its string:xor, more with +, :outcome")
    for name, (job, runs) in runs_of.items():
        put_blocks(g, name, job)
        put_job(g, name, job, runs[1][1][0])
    put_guards(g, "job_gpt", runs_of["job_gpt"][0], runs_of["job_gpt"][1][1][1][0])
    job = toy_gpt.wide_job()
    put_job(g, "openings_gpt", job, wide_run(g, job), ("X", "shift", "Q", "V", "R", "HO", "GO",
                                                       "G1", "G2", "delta", "D"))
