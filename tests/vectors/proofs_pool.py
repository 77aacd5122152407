"""Proofs against a pool: a merge, the first weights, two ledgers (PROTOCOL 12.5 – 12.7)."""
import struct
from types import SimpleNamespace

import numpy as np

import records
from ledger_reader import DELTA, MERGE
from openings import Malformed
from proof_parts import Reader, bytes_of, check_head, check_lease, expect, published_floats, \
    published_offsets, take_chunks, take_job, take_lease, take_record, take_slice


def decide_merge(reader, jobs):
    job, pool_key = take_job(reader, jobs), reader.take(32)
    first, count = take_slice(reader, job)
    record = take_record(reader)
    body = Reader(record.body)
    job_id, _, root, next_root = struct.unpack("<32sI32s32s", body.take(100))
    slots, taken_out = ([body.take(32) for _ in range(body.number("I"))] for _ in range(2))
    body.end()
    if record.kind != MERGE or max(len(slots), len(taken_out)) > 4096:
        raise Malformed("merge")
    ids = slots + taken_out
    total = 4 * published_floats(job)
    weights = [take_chunks(reader, total) for _ in range(2)]
    parameters = job.program.parameter_count(job)
    blocks, deltas = (parameters + 127) // 128, []
    for _ in ids:
        said = take_record(reader)
        if said.kind != DELTA or len(said.body) != 64:
            raise Malformed("delta")
        deltas.append((said, take_chunks(reader, blocks + parameters)))
    reader.end()
    expect(job_id == job.id, "job")
    check_head(record, pool_key)
    for lease_id, (said, _) in zip(ids, deltas):
        expect(said.body[:32] == lease_id, "another lease's delta")
        check_head(said, pool_key)
    places = published_offsets(job, first, count)
    before, after = (np.frombuffer(bytes_of(root, chunks, places), "<f4")
                     for root, chunks in zip((root, next_root), weights))
    places = [*range(first // 128, -(-(first + count) // 128)),
              *range(blocks + first, blocks + first + count)]
    own = [bytes_of(said.body[32:], chunks, places) for said, chunks in deltas]
    expect(len(slots) == job.slots or not slots and taken_out, "slots")
    if not all(records.delta_is_valid(delta, count, job.delta_max) for delta in own):
        return pool_key
    merged = job.merge(before, own[:len(slots)], own[len(slots):])
    expect(not np.isfinite(merged).all() or merged.tobytes() != after.tobytes(), "it is right")
    return pool_key


def decide_theta0(reader, jobs):
    job, lease = take_lease(reader, jobs)
    first, count = take_slice(reader, job)
    chunks = take_chunks(reader, 4 * published_floats(job))
    reader.end()
    check_lease(job, lease)
    expect(lease.round == 0, "round")
    raw = bytes_of(lease.theta_root, chunks, published_offsets(job, first, count))
    whole = records.theta_bytes(job.program.initial_theta(job))
    expect(bytes(whole[o] for o in published_offsets(job, first, count)) != raw, "it is right")
    return lease.pool_key


def take_word(reader):
    form = reader.number("B")
    if form == 1:
        return take_record(reader)
    if form != 0:
        raise Malformed("form")
    seq, time_ms, head, signature = struct.unpack("<QQ32s64s", reader.take(112))
    return SimpleNamespace(seq=seq, time_ms=time_ms, head=head, signature=signature, before=None)


def decide_equivocation(reader, _):
    pool_key = reader.take(32)
    one, other = take_word(reader), take_word(reader)
    reader.end()
    check_head(one, pool_key)
    check_head(other, pool_key)
    split = one.seq == other.seq and one.head != other.head
    left = other.before is not None and one.seq + 1 == other.seq and other.before != one.head
    back = one.seq < other.seq and one.time_ms > other.time_ms
    expect(split or left or back, "they agree")
    return pool_key
