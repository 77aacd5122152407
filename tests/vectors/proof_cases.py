"""Proof files for the golden files, of honest and of cheating miners and pools (PROTOCOL 12)."""
import copy
from types import SimpleNamespace

import numpy as np

import audit
import b3
import ed25519
import openings
import proof_parts
import proofs
import proofs_miner
import records
import toy
from ledger_reader import DELTA, FUND, MERGE
from records import blob, u8, u16, u32, u64


def seal(kind, fields):
    return proofs.MAGIC + u8(kind) + fields


def put_lease(job, lease):
    return blob(job.encode()) + blob(lease.encode())


def put_share(job, run):
    return put_lease(job, run.lease) + blob(run.share.encode())


def lie(job, run, miner, step, position, byte, flip=1):
    """The run of a miner who commits to a tensor with one byte changed, and signs."""
    run = copy.copy(run)
    run.share, run.trees = copy.copy(run.share), {}
    run.tensors, run.roots = [list(t) for t in run.tensors], [list(r) for r in run.roots]
    data = bytearray(run.tensors[step][position])
    data[byte] ^= flip
    run.tensors[step][position] = bytes(data)
    first, lease_id = run.share.first_step, run.lease.id
    key = records.step_key(lease_id, first + step)
    run.roots[step][position] = b3.b3k(key, bytes(data))
    run.digests = list(run.digests)
    run.digests[step] = records.step_digest(key, run.roots[step], run.losses[step])
    run.share.trace_root = b3.b3k(records.share_key(lease_id, first), b"".join(run.digests))
    run.share.sign(miner)
    return run


def put_choice(choice):
    delta = choice.position is None
    return (u32(choice.step) + u8(delta) + u16(0 if delta else choice.position) + u32(choice.row)
            + u32(choice.col) + u32(choice.group))


def block(job, run, choice, witness=None):
    """Kind 1. witness: the value that the miner named in an answer, and the seed he signed with."""
    i = openings.step_of(run.share, choice)
    strings = openings.own_strings(run, i)
    chunks, theta = openings.own_chunks(job, strings), b""
    if choice.position is None:
        openings.check_delta(job, chunks, run.theta, choice.row)
        first = 4 * 128 * choice.row
        data = records.theta_bytes(run.theta)
        last = min(first + 4 * 128, 4 * job.program.parameter_count(job))
        theta = proof_parts.put_chunks(data, range(first, last))
    else:
        made = audit.BLOCKS[job.program].Block(job, chunks, run.share.first_step, run.lease, choice)
        made.check(witness and witness[0])
    value = proofs_miner.NO_WITNESS if witness is None else witness[0]
    opening = openings.open_read(run, i, strings, chunks.read, value)
    named = u8(0)
    if witness is not None:
        number = proofs_miner.scale_number(job, choice)
        named = u8(1) + named_witness(run, i, choice.position, number, value, witness[1])
    return seal(proofs.BLOCK, put_share(job, run) + put_choice(choice) + blob(opening) + theta
                + named)


def named_witness(run, i, position, number, value, seed):
    """An answer that names the witness of one scale, signed with `seed`."""
    answer = (run.lease.id + u8(proofs_miner.WITNESSES) + u32(run.share.first_step + i)
              + u16(position) + u8(0) + u64(number) + u32(1) + u32(0) + u32(value))
    message = b3.domain("answer", run.lease.id + u64(77) + b3.b3(answer) + u64(len(answer)))
    return blob(answer) + u64(77) + ed25519.sign(seed, message)


def scale_case(job, run, honest, step, position, number, element, signer):
    """Kind 2 of a scale: the element exceeds it or, with a signer, was named as its witness."""
    strings = openings.own_strings(honest, step)
    strings[openings.TENSOR, position + 1] = run.tensors[step][position + 1]
    chunks = openings.own_chunks(job, strings)
    named = SimpleNamespace(lease_id=run.lease.id, step=run.share.first_step + step,
                            position=position, value=element) if signer else None
    shown = SimpleNamespace(number=number, element=element, named=None)
    proofs_miner.judge_scale(job, run.lease, run.share, step, position, shown, None, chunks)
    opening = openings.open_read(run, step, strings, chunks.read, proofs_miner.NO_WITNESS)
    run.trees.clear()
    said = u8(1) + named_witness(run, step, position, number, element, signer) if named else u8(0)
    return seal(proofs.BLOCK_BY_ANOTHER, put_share(job, run) + u32(step) + u16(position) + u8(1)
                + u32(number) + u32(element) + said + blob(opening))


def block_by_another(job, run, honest, step, position, chunk):
    """Kind 2, from the tensors of an honest run."""
    strings = openings.own_strings(honest, step)
    chunks = openings.own_chunks(job, strings)
    proofs_miner.derive_chunk(job, chunks, run.lease, run.share, step, position, chunk)
    opening = openings.open_read(run, step, strings, chunks.read, proofs_miner.NO_WITNESS)
    tree = b3.Tree(b3.keyed(records.step_key(run.lease.id, run.share.first_step + step)),
                   run.tensors[step][position])
    claimed = tree.root() if tree.chunks == 1 else b3.pack(tree.node(chunk, chunk + 1))
    path = b"".join(tree.siblings([(chunk, chunk + 1)]))
    run.trees.clear()
    return seal(proofs.BLOCK_BY_ANOTHER, put_share(job, run) + u32(step) + u16(position)
                + u8(0) + u32(chunk) + claimed + path + blob(opening))


def record(seq, kind, body, before=None, time_ms=None):
    """A record with the pool's receipt."""
    before, at = before or b3.b3(u64(seq)), u64(seq) + u64(time_ms or 1000 + seq)
    head = b3.domain("ledger", before + at + u8(kind) + blob(body))
    signature = ed25519.sign(toy.POOL, b3.domain("head", at + head))
    return SimpleNamespace(data=u8(kind) + blob(body) + at + before + signature,
                           signed=at + head + signature, head=head, signature=signature)


def merge(job, published, row, chunk, after, repair=False):
    """Kind 4 of round 0, which the pool says gave `after`; a repair takes all of it out again."""
    ids = [runs[0].lease.id for runs in row]
    after = records.theta_bytes(after)
    first = 256 * chunk
    count = min(256, job.program.parameter_count(job) - first)
    places = proof_parts.published_offsets(job, first, count)
    before = b3.b3(records.theta_bytes(published))
    listed, none = u32(len(ids)) + b"".join(ids), u32(0)
    said = record(40, MERGE, job.id + u32(0) + before + b3.b3(after)
                  + (none + listed if repair else listed + none))
    out = blob(job.encode()) + toy.public(toy.POOL) + u32(chunk) + said.data
    out += proof_parts.put_chunks(records.theta_bytes(published), places)
    out += proof_parts.put_chunks(after, places)
    blocks = (job.program.parameter_count(job) + 127) // 128
    for i, runs in enumerate(row):
        delta = runs[-1].delta
        offsets = [*range(first // 128, -(-(first + count) // 128)),
                   *range(blocks + first, blocks + first + count)]
        out += record(30 + i, DELTA, ids[i] + b3.b3(delta)).data
        out += proof_parts.put_chunks(delta, offsets)
    return seal(proofs.MERGE, out)


def theta0(job, theta, chunk, lease):
    first = 256 * chunk
    count = min(256, job.program.parameter_count(job) - first)
    data = records.theta_bytes(theta)
    changed = copy.copy(lease)
    changed.theta_root = b3.b3(data)
    changed.sign(toy.POOL)
    return seal(proofs.THETA0, put_lease(job, changed) + u32(chunk)
                + proof_parts.put_chunks(data, proof_parts.published_offsets(job, first, count)))


def miner_cases(job, runs, places):
    """name: file. `places` names the position of each tensor."""
    run, miner = runs[0][0][0], toy.MINERS[0]
    x1 = places["x_hidden"]
    at = SimpleNamespace(step=1, position=x1, row=0, col=0, group=0)
    wrong = lie(job, run, miner, 1, x1, 5)
    scale = lie(job, run, miner, 1, x1 + 1, 2, 0x80)
    named = copy.copy(at)
    named.group = 3
    own = audit.BLOCKS[job.program].Block(
        job, openings.own_chunks(job, openings.own_strings(run, 1)), 0, run.lease,
        named).lowest_witness()
    # The scale of row 3, half and twice as large.
    small = lie(job, run, miner, 1, x1 + 1, 4 * 3 + 2, 0x80)
    large = lie(job, run, miner, 1, x1 + 1, 4 * 3 + 3, 0x01)
    last, block_25 = runs[1][1][2], SimpleNamespace(step=0, position=None, row=3, col=0, group=0)
    forged = copy.copy(last)
    forged.share, delta = copy.copy(last.share), bytearray(last.delta)
    delta[-128 * 20] ^= 1
    forged.delta, forged.trees = bytes(delta), {}
    forged.share.delta_root = b3.b3(forged.delta)
    forged.share.sign(toy.MINERS[1])
    count = job.program.parameter_count(job)
    forged_block = SimpleNamespace(**vars(block_25))
    forged_block.row = (count - 128 * 20) // 128
    return {"block": block(job, wrong, at), "block_honest": block(job, run, at),
            "block_scale": block(job, scale, at),
            "block_witness": block(job, run, named, ((own + 1) % 37, miner)),
            "block_witness_honest": block(job, run, named, (own, miner)),
            "block_witness_unsigned": block(job, run, named, ((own + 1) % 37, toy.POOL)),
            "block_delta": block(job, forged, forged_block),
            "block_delta_honest": block(job, last, block_25),
            "scale": scale_case(job, small, run, 1, x1, 3, own, None),
            "scale_honest": scale_case(job, run, run, 1, x1, 3, own, None),
            "scale_named": scale_case(job, large, run, 1, x1, 3, own, miner),
            "scale_named_honest": scale_case(job, run, run, 1, x1, 3, own, miner),
            "scale_named_unsigned": scale_case(job, large, run, 1, x1, 3, own, toy.POOL),
            "another": block_by_another(job, wrong, run, 1, x1, 0),
            "another_honest": block_by_another(job, run, run, 1, x1, 0)}


def model_cases(job, runs, positions):
    """Of language models: one tensor of floats, one of int8, each told by somebody else too."""
    run, out = runs[0][0][0], {}
    for name, position in positions.items():
        wrong = lie(job, run, toy.MINERS[0], 0, position, 2)
        at = SimpleNamespace(step=0, position=position, row=0, col=0, group=0)
        out[name] = block(job, wrong, at)
        out[name + "_another"] = block_by_another(job, wrong, run, 0, position, 0)
        out[name + "_another_honest"] = block_by_another(job, run, run, 0, position, 0)
    return out


def pool_cases(job, thetas, runs):
    wrong = thetas[1].copy()
    wrong[300] = np.nextafter(wrong[300], np.float32(9))
    first, lease = thetas[0].copy(), runs[0][0][0].lease
    first[300] += np.float32(1)
    public = toy.public(toy.POOL)
    fund = [record(7, FUND, job.id + u64(amount)) for amount in (1, 2)]
    other = record(8, FUND, job.id + u64(3))
    next_ = record(8, FUND, job.id + u64(3), fund[0].head)

    def heads(*words):
        return seal(proofs.EQUIVOCATION, public + b"".join(words))
    back = job.merge(thetas[1], [], [row[-1].delta for row in runs[0]])
    return {"merge": merge(job, thetas[0], runs[0], 1, wrong),
            "merge_beside": merge(job, thetas[0], runs[0], 0, wrong),
            "merge_honest": merge(job, thetas[0], runs[0], 1, thetas[1]),
            "repair": merge(job, thetas[1], runs[0], 1, wrong, True),
            "repair_honest": merge(job, thetas[1], runs[0], 1, back, True),
            "theta0": theta0(job, first, 1, lease), "theta0_beside": theta0(job, first, 0, lease),
            "theta0_honest": theta0(job, thetas[0], 1, lease),
            "heads": heads(u8(0) + fund[0].signed, u8(0) + fund[1].signed),
            "heads_records": heads(u8(1) + fund[0].data, u8(1) + fund[1].data),
            "heads_left": heads(u8(0) + fund[0].signed, u8(1) + other.data),
            "heads_one": heads(u8(0) + fund[0].signed, u8(1) + fund[0].data),
            "heads_next": heads(u8(0) + fund[0].signed, u8(1) + next_.data)}


def put_all(g, cases, jobs):
    """Each file with what the reference decides, and changed ones: offset, xor, decision."""
    public = toy.public(toy.POOL)
    for name, data in cases.items():
        proven = proofs.decide(data, public, jobs)
        acquitted = name.endswith(("_honest", "_unsigned", "_beside", "_one", "_next"))
        assert proven != acquitted, name
        g.put(f"proof {name}", int(proven), data)
        assert not proofs.decide(data, toy.public(toy.AUDITOR), jobs), name
        n = len(data)
        for k, offset in enumerate((0, 16, 40, n // 3, n // 2, 2 * n // 3, n - 40, n - 1)):
            bad = bytearray(data)
            bad[offset] ^= 1 << k
            decided = proofs.decide(bytes(bad), public, jobs)
            # A fibre that does not start from θ is wrong, whatever else the file shows.
            assert not decided or name == "update_start", (name, k)
            g.put(f"changed {name} {k}", name, offset, 1 << k, int(decided))
