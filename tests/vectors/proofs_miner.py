"""Proofs against a miner: a block of a step (PROTOCOL 12.2, 12.3)."""
import struct
from types import SimpleNamespace

import numpy as np

import audit
import b3
import ed25519
import openings
import records
from openings import Malformed
from proof_parts import NotProven, bytes_of, check_share, expect, published_floats, take_chunks, \
    take_share
from records import u64

NO_WITNESS = 0xFFFFFFFF
WITNESSES = 4  # what a question about witnesses asks for
QUESTION_BYTES = 52


def take_choice(reader, job, lease, share):
    step, delta, position, row, col, group = struct.unpack("<IBHIII", reader.take(19))
    program, blocks = job.program, audit.BLOCKS[job.program]
    choice = SimpleNamespace(step=step, position=position, row=row, col=col, group=group)
    if delta == 1:
        count = (program.parameter_count(job) + 127) // 128
        if share.index + 1 != lease.shares or (step, position, col, group) != (0,) * 4 \
                or row >= count:
            raise Malformed("delta")
        choice.position = None
        return choice
    check_choice(job, share, choice)
    tensor = program.tensors(job)[position]
    if delta or group >= (blocks.groups(job, tensor, row, col) if program.is_int8(tensor) else 1):
        raise Malformed("group")
    return choice


def check_choice(job, share, choice):
    blocks = audit.BLOCKS[job.program]
    if choice.position not in blocks.checks(job) or choice.step >= share.steps:
        raise Malformed("tensor")
    tensor = job.program.tensors(job)[choice.position]
    rows, cols = blocks.grid(tensor)
    if choice.row >= rows or choice.col >= cols or (blocks.of_first_step(tensor) and choice.step):
        raise Malformed("tile")


def scale_number(job, choice):
    """The drawn group's place among the scales of its tensor."""
    name, index, rows, cols = job.program.tensors(job)[choice.position][:4]
    block = audit.BLOCKS[job.program].Block(job, None, 0,
                                            SimpleNamespace(round=0, slot=0), choice)
    if hasattr(block, "by_column"):
        return block.group
    own_rows, own_cols = block.group
    row, col = int(own_rows[0]), int(own_cols[0])
    if name in ("Q", "K", "HO"):
        return row * job.heads + col // (job.width // job.heads)
    if name in ("V", "GO"):
        return row // job.context * cols + col
    return col if name == "G2" else row


def take_witness(reader, job, choice):
    """The witness that the miner named in an answer of his, and what he signed."""
    answer = reader.bytes(1 << 12)
    seq, signature = struct.unpack("<Q64s", reader.take(72))
    if len(answer) <= QUESTION_BYTES:
        raise Malformed("answer")
    lease_id, asked, step, position, level, first, count = struct.unpack(
        "<32sBIHBQI", answer[:QUESTION_BYTES])
    scales = job.program.tensors(job)[choice.position + 1]
    if asked != WITNESSES or count == 0 or first + count > scales[2] * scales[3] \
            or position != choice.position and position + 1 >= len(job.program.tensors(job)) \
            or len(answer) != QUESTION_BYTES + 4 * count:
        raise Malformed("answer")
    number = scale_number(job, choice) - first
    if not 0 <= number < count:
        raise Malformed("another group's")
    at = QUESTION_BYTES + 4 * number
    message = b3.domain("answer", lease_id + u64(seq) + b3.b3(answer) + u64(len(answer)))
    return SimpleNamespace(lease_id=lease_id, step=step, position=position, message=message,
                           signature=signature, value=struct.unpack("<I", answer[at:at + 4])[0])


def decide_block(reader, jobs):
    job, lease, share = take_share(reader, jobs)
    choice = take_choice(reader, job, lease, share)
    opening = openings.decode(job, share, choice, reader.bytes(2**21 - 4096))
    theta, named = None, None
    if choice.position is None:
        theta = take_chunks(reader, 4 * published_floats(job))
    is_int8 = choice.position is not None and job.program.is_int8(
        job.program.tensors(job)[choice.position])
    with_witness = reader.number("B")
    if with_witness > 1 or (with_witness and not is_int8):
        raise Malformed("witness")
    if with_witness:
        named = take_witness(reader, job, choice)
    elif choice.group != 0:
        raise Malformed("a group without a witness")
    reader.end()
    if opening.witness != (named.value if named else NO_WITNESS):
        raise Malformed("another witness")
    check_share(job, lease, share)
    i = openings.step_of(share, choice)
    if named:
        expect((named.lease_id, named.step, named.position)
               == (lease.id, share.first_step + i, choice.position), "another tensor's witness")
        expect(ed25519.verify(lease.miner_key, named.message, named.signature), "witness")
    expect(openings.hashes_hold(job, share, i, opening), "the miner did not commit to this")
    expect(not block_holds(job, lease, share, choice, opening, theta, named), "it is right")
    return lease.pool_key


def block_holds(job, lease, share, choice, opening, theta, named):
    chunks, held = openings.opened_chunks(job, opening)
    try:
        if choice.position is None:
            first = 128 * choice.row
            count = min(128, job.program.parameter_count(job) - first)
            raw = bytes_of(lease.theta_root, theta, range(4 * first, 4 * (first + count)))
            own = np.zeros(job.program.parameter_count(job), np.float32)
            own[first:first + count] = np.frombuffer(raw, "<f4")
            good = openings.check_delta(job, chunks, own, choice.row)
        else:
            block = audit.BLOCKS[job.program].Block(job, chunks, share.first_step, lease, choice)
            expect(not named or named.value < block.length, "no index of the group")
            good = block.check(named.value if named else None)
    except Malformed as missing:
        raise NotProven("a chunk is missing") from missing
    expect(chunks.read == held, "other chunks")
    return good and chunks.finite


def decide_block_by_another(reader, jobs):
    job, lease, share = take_share(reader, jobs)
    step, position, chunk = struct.unpack("<IHI", reader.take(10))
    check_choice(job, share, SimpleNamespace(step=step, position=position, row=0, col=0))
    total = openings.total_bytes(job, (openings.TENSOR, position))
    if chunk >= b3.chunk_count(total):
        raise Malformed("chunk")
    claimed = reader.take(32)
    path = [reader.take(32) for _ in range(b3.sibling_count(total, [(chunk, chunk + 1)]))]
    at_step = SimpleNamespace(step=step, position=position)
    opening = openings.decode(job, share, at_step, reader.bytes(2**21 - 4096))
    reader.end()
    if opening.witness != NO_WITNESS:
        raise Malformed("witness")
    check_share(job, lease, share)
    expect(openings.hashes_hold(job, share, step, opening), "the miner did not commit to this")
    mode = b3.keyed(records.step_key(lease.id, share.first_step + step))
    root = opening.step[32 * position:32 * position + 32]
    expect(root_above(mode, b3.chunk_count(total), chunk, claimed, path) == root, "claimed")
    chunks, held = openings.opened_chunks(job, opening)
    try:
        own = derive_chunk(job, chunks, lease, share, step, position, chunk)
    except Malformed as missing:
        raise NotProven("a chunk is missing") from missing
    expect(chunks.read == held, "other chunks")
    if own is not None and chunks.finite:
        alone = b3.chunk_count(total) == 1
        cv = mode.hash(own) if alone else b3.pack(mode.chunk_cvs(own, chunk)[0])
        expect(cv != claimed, "it is right")
    return lease.pool_key


def derive_chunk(job, chunks, lease, share, step, position, chunk):
    """The bytes of a chunk as its inputs give them; None when nothing can stand there."""
    blocks, tensor = audit.BLOCKS[job.program], job.program.tensors(job)[position]
    rows, cols = tensor[2:]
    if job.program.is_int8(tensor):
        tile_rows = openings.tile_shape(rows, cols)[0]
        choice = SimpleNamespace(step=step, position=position, row=chunk % tile_rows,
                                 col=chunk // tile_rows, group=0)
        block = blocks.Block(job, chunks, share.first_step, lease, choice)
        scales = block.scales(block.r, block.c)
        q = openings.rounded(block.values(block.r, block.c), scales, block.bits(block.r, block.c))
        if q is None:
            return None
        tile = np.zeros((16, 64), np.int8)
        tile[:len(block.r), :len(block.c)] = q
        return tile.tobytes()
    choice = SimpleNamespace(step=step, position=position, row=0, col=0, group=0)
    block = blocks.Block(job, chunks, share.first_step, lease, choice)
    places = [divmod(e, cols) for e in range(256 * chunk, min(256 * chunk + 256, rows * cols))]
    out = [block.values(np.array([row]), np.array([col]))[0, 0] for row, col in places]
    return np.array(out, "<f4").tobytes()


def root_above(mode, chunks, chunk, cv, path):
    """The root over a chunk's chaining value and the siblings of its multiproof."""
    def walk(first, last):
        if last - first == 1:
            return b3.unpack(cv)
        middle, root = first + b3.left_chunks(last - first), (first, last) == (0, chunks)
        if chunk >= middle:
            left = b3.unpack(rest.pop(0))
            return mode.parent(left, walk(middle, last), root)
        left = walk(first, middle)
        return mode.parent(left, b3.unpack(rest.pop(0)), root)
    rest = list(path)
    return b3.pack(walk(0, chunks))
