"""Proofs against a miner: a block of a step (PROTOCOL 12.2, 12.3)."""
import struct
from types import SimpleNamespace

import numpy as np

import audit
import b3
import ed25519
import gn1
import openings
import records
from openings import Malformed
from proof_parts import NotProven, bytes_of, check_share, expect, published_floats, take_chunks, \
    take_share
from records import u64

NO_WITNESS = 0xFFFFFFFF
WITNESSES = 5  # what a question about witnesses asks for
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


def take_witness(reader, job, position, number):
    """The witness of scale `number` as the miner named it in an answer, and what he signed."""
    answer = reader.bytes(1 << 12)
    seq, signature = struct.unpack("<Q64s", reader.take(72))
    if len(answer) <= QUESTION_BYTES:
        raise Malformed("answer")
    lease_id, asked, step, place, level, first, count = struct.unpack(
        "<32sBIHBQI", answer[:QUESTION_BYTES])
    tensors = job.program.tensors(job)
    if asked != WITNESSES or place >= len(tensors) or not job.program.is_int8(tensors[place]) \
            or level >= 32:
        raise Malformed("question")
    scales = tensors[place + 1][2] * tensors[place + 1][3]
    if count == 0 or first + count > scales or len(answer) != QUESTION_BYTES + 8 * count \
            or not first <= number < first + count:
        raise Malformed("answer")
    at = QUESTION_BYTES + 4 * (count + number - first)
    message = b3.domain("answer", lease_id + u64(seq) + b3.b3(answer) + u64(len(answer)))
    return SimpleNamespace(lease_id=lease_id, step=step, position=place, message=message,
                           signature=signature, value=struct.unpack("<I", answer[at:at + 4])[0])


def check_witness(lease, named, step, position):
    expect((named.lease_id, named.step, named.position) == (lease.id, step, position),
           "another tensor's witness")
    expect(ed25519.verify(lease.miner_key, named.message, named.signature), "witness")


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
        named = take_witness(reader, job, choice.position, scale_number(job, choice))
    elif choice.group != 0:
        raise Malformed("a group without a witness")
    reader.end()
    if opening.witness != (named.value if named else NO_WITNESS):
        raise Malformed("another witness")
    check_share(job, lease, share)
    i = openings.step_of(share, choice)
    if named:
        check_witness(lease, named, share.first_step + i, choice.position)
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
    step, position, form = struct.unpack("<IHB", reader.take(7))
    check_choice(job, share, SimpleNamespace(step=step, position=position, row=0, col=0))
    if form > 1:
        raise Malformed("form")
    shown = (take_scale if form else take_claimed)(reader, job, position)
    at_step = SimpleNamespace(step=step, position=position)
    opening = openings.decode(job, share, at_step, reader.bytes(2**21 - 4096))
    reader.end()
    if opening.witness != NO_WITNESS:
        raise Malformed("witness")
    check_share(job, lease, share)
    expect(openings.hashes_hold(job, share, step, opening), "the miner did not commit to this")
    chunks, held = openings.opened_chunks(job, opening)
    judge = judge_scale if form else judge_claimed
    try:
        right = judge(job, lease, share, step, position, shown, opening, chunks)
    except Malformed as missing:
        raise NotProven("a chunk is missing") from missing
    expect(chunks.read == held, "other chunks")
    expect(not right or not chunks.finite, "it is right")
    return lease.pool_key


def take_claimed(reader, job, position):
    chunk, total = reader.number("I"), openings.total_bytes(job, (openings.TENSOR, position))
    if chunk >= b3.chunk_count(total):
        raise Malformed("chunk")
    claimed = reader.take(32)
    path = [reader.take(32) for _ in range(b3.sibling_count(total, [(chunk, chunk + 1)]))]
    return SimpleNamespace(chunk=chunk, chunks=b3.chunk_count(total), claimed=claimed, path=path)


def judge_claimed(job, lease, share, step, position, shown, opening, chunks):
    """Whether the claimed chunk is what its inputs give."""
    mode = b3.keyed(records.step_key(lease.id, share.first_step + step))
    root = opening.step[32 * position:32 * position + 32]
    expect(root_above(mode, shown.chunks, shown.chunk, shown.claimed, shown.path) == root,
           "not the claimed one")
    own = derive_chunk(job, chunks, lease, share, step, position, shown.chunk)
    if own is None:
        return False
    alone = shown.chunks == 1
    cv = mode.hash(own) if alone else b3.pack(mode.chunk_cvs(own, shown.chunk)[0])
    return cv == shown.claimed


def take_scale(reader, job, position):
    number, element, with_witness = struct.unpack("<IIB", reader.take(9))
    tensors = job.program.tensors(job)
    if with_witness > 1 or not job.program.is_int8(tensors[position]) \
            or number >= tensors[position + 1][2] * tensors[position + 1][3]:
        raise Malformed("scale")
    named = take_witness(reader, job, position, number) if with_witness else None
    if named and named.value != element:
        raise Malformed("another element")
    return SimpleNamespace(number=number, element=element, named=named)


def judge_scale(job, lease, share, step, position, shown, _, chunks):
    """Whether the element is within its scale and, if the miner named it, attains it."""
    if shown.named:
        check_witness(lease, shown.named, share.first_step + step, position)
    blocks, tensor = audit.BLOCKS[job.program], job.program.tensors(job)[position]
    row, col, group = blocks.place_of_scale(job, tensor, shown.number)
    choice = SimpleNamespace(step=step, position=position, row=row, col=col, group=group)
    block = blocks.Block(job, chunks, share.first_step, lease, choice)
    expect(shown.element < block.length, "no index of the group")
    s, v = block.scale_of_group(), block.witness_value(shown.element)
    if np.signbit(s) or (abs(v) > gn1.f32("0x1p-100") if s == 0 else abs(v) / gn1.F(63) > s):
        return False
    if not shown.named:
        return True
    return shown.element == 0 if s == 0 else bool(abs(v) / gn1.F(63) == s)


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
    panels, out = job.program.in_panels(tensor), []
    wide = 64 if panels else cols
    for e in range(256 * chunk, min(256 * chunk + 256, rows * wide * (-(-cols // wide)))):
        row, col = divmod(e, wide)
        if panels:
            row, col = row % rows, row // rows * 64 + col
        out.append(block.element(row, col) if col < cols else 0)
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
