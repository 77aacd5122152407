"""What proofs are made of (PROTOCOL 12.1): leases, shares, records with receipts, chunks."""
import struct
from types import SimpleNamespace

import numpy as np

import b3
import ed25519
import openings
import records
from openings import Cursor, Malformed, take_chunks
from records import u8, u32, u64

LEASE_BYTES, SHARE_BYTES = 296, 248


class NotProven(Exception):
    """Nothing follows from the file."""


class Reader(Cursor):
    def bytes(self, limit):
        count = self.number("I")
        if count > limit:
            raise Malformed("blob")
        return self.take(count)

    def end(self):
        if self.at != len(self.data):
            raise Malformed("trailing bytes")


def expect(holds, why):
    if not holds:
        raise NotProven(why)


def read_lease(data):
    names = ("job_id", "pool_key", "miner_key", "round", "slot", "serial", "theta_root", "steps",
             "steps_per_share", "issued_ms", "deadline_ms", "coin_commit", "batch_commit",
             "signature")
    out = records.Lease(**dict(zip(names, struct.unpack("<32s32s32sIIQ32sIIQQ32s32s64s", data))))
    if not 1 <= out.steps_per_share <= out.steps or out.shares > 4096:
        raise Malformed("lease")
    return out


def take_job(reader, jobs):
    encoded = reader.bytes(1024)
    if encoded not in jobs:
        raise Malformed("job")
    return jobs[encoded]


def take_lease(reader, jobs):
    return take_job(reader, jobs), read_lease(reader.blob(LEASE_BYTES))


def read_share(data):
    names = ("lease_id", "index", "first_step", "steps", "state_before", "state_after",
             "trace_root", "loss", "macs", "delta_root", "signature")
    values = list(struct.unpack("<32sIII32s32s32s4sQ32s64s", data))
    values[7] = np.frombuffer(values[7], "<f4")[0]
    return records.Share(**dict(zip(names, values)))


def take_share(reader, jobs):
    job, lease = take_lease(reader, jobs)
    return job, lease, read_share(reader.blob(SHARE_BYTES))


def check_lease(job, lease):
    expect(lease.job_id == job.id, "job")
    expect(lease.round < job.rounds and lease.slot < job.slots
           and lease.steps == job.steps_per_lease, "fit")
    expect(ed25519.verify(lease.pool_key, lease.id, lease.signature), "the pool's signature")


def check_share(job, lease, share):
    check_lease(job, lease)
    expect(share.lease_id == lease.id and share.index < lease.shares, "lease")
    first, end = lease.steps_of(share.index)
    last = share.index + 1 == lease.shares
    expect((share.first_step, share.steps) == (first, end - first)
           and share.macs == share.steps * job.program.macs_per_step(job)
           and np.isfinite(share.loss) and last == (share.delta_root != records.ZERO), "share")
    expect(ed25519.verify(lease.miner_key, share.id, share.signature), "the miner's signature")


def take_record(reader):
    """A record with its receipt (8.1): what the pool said, and cannot take back."""
    kind, body = reader.number("B"), reader.bytes(1 << 20)
    seq, time_ms, before, signature = struct.unpack("<QQ32s64s", reader.take(112))
    head = b3.domain("ledger", before + u64(seq) + u64(time_ms) + u8(kind) + records.blob(body))
    return SimpleNamespace(kind=kind, body=body, seq=seq, time_ms=time_ms, before=before, head=head,
                           signature=signature)


def check_head(head, pool_key):
    message = b3.domain("head", u64(head.seq) + u64(head.time_ms) + head.head)
    expect(ed25519.verify(pool_key, message, head.signature), "the pool's signature of a head")


def put_chunks(data, offsets):
    """The chunks that hold the bytes at `offsets`."""
    ranges = openings.ranges_of({o // 1024 for o in offsets})
    tree = b3.Tree(b3.PLAIN, data)
    siblings = tree.siblings(ranges)
    return (u32(len(ranges)) + b"".join(u32(a) + u32(b) for a, b in ranges) + u32(len(siblings))
            + b"".join(siblings) + records.blob(tree.selected(ranges)))


def bytes_of(address, chunks, offsets):
    """The bytes there; the chunks are of the string with that address and hold nothing else."""
    expect(b3.proof_root(b3.PLAIN, chunks.total, chunks.ranges, chunks.siblings,
                         chunks.data) == address, "other bytes")
    numbers = [c for a, b in chunks.ranges for c in range(a, b)]
    expect({o // 1024 for o in offsets} == set(numbers), "other chunks")
    place = {c: k for k, c in enumerate(numbers)}
    return bytes(chunks.data[1024 * place[o // 1024] + o % 1024] for o in offsets)


def published_floats(job):
    """θ, and the outer velocity if there is one (10.13)."""
    return job.program.parameter_count(job) * (2 if getattr(job, "outer_momentum", 0) > 0 else 1)


def take_slice(reader, job):
    """The parameters of a chunk of weights: first and number."""
    first, count = 256 * reader.number("I"), job.program.parameter_count(job)
    if first >= count:
        raise Malformed("chunk")
    return first, min(256, count - first)


def published_offsets(job, first, count):
    whole = job.program.parameter_count(job)
    starts = range(0, published_floats(job), whole)
    return [4 * (start + first) + i for start in starts for i in range(4 * count)]
