"""Proofs from what a pool signed and logged: coins, verdicts, answers (PROTOCOL 12.8 – 12.10)."""
import struct
from types import SimpleNamespace

import audit
import b3
import ed25519
import proofs_replayed
import records
from ledger_reader import ANSWER, CHALLENGE, CLOSE, COMPLETE, DRAW, IMMEDIATE, REDRAW, SHARE, \
    STOP, TICKET, VERDICT
from openings import Malformed
from proof_parts import LEASE_BYTES, SHARE_BYTES, Reader, check_head, check_lease, \
    check_share, expect, read_lease, read_share, take_lease, take_record, take_share
from records import INVALID, NO_STEP, REPLAY, THREAD, UNANSWERED, VALID

OF_THREAD = 1  # what a challenge asks for
MAGIC_BYTES = 16


def take_said(reader, kind, form):
    """A record of that kind and the fields of its body."""
    record = take_record(reader)
    if record.kind != kind or len(record.body) != struct.calcsize("<" + form):
        raise Malformed("record")
    return record, struct.unpack("<" + form, record.body)


def check_lease_of(lease, pool_key):
    expect(lease.pool_key == pool_key
           and ed25519.verify(pool_key, lease.id, lease.signature), "the pool's lease")


def take_close(reader):
    record, (lease_id, reason, secret, _, _) = take_said(reader, CLOSE, "32sB32s32s64s")
    if not 1 <= reason <= 5:
        raise Malformed("close")
    return record, lease_id, reason, secret


def take_challenge(reader):
    record, (lease_id, why, what, question, answer_ms) = take_said(reader, CHALLENGE, "32sBB32sI")
    if not (1 <= why <= 3 and 1 <= what <= 4):
        raise Malformed("challenge")
    return SimpleNamespace(record=record, lease_id=lease_id, why=why, what=what, question=question,
                           due=record.time_ms + answer_ms)


def take_draw(reader):
    record, (job_id, key, batch, leases, reason, s1, _) = take_said(reader, DRAW, "32s32sQIB32s64s")
    if not 1 <= reason <= 4:
        raise Malformed("draw")
    return SimpleNamespace(record=record, job_id=job_id, key=key, batch=batch, leases=leases, s1=s1)


def take_logged(reader):
    """A complete lease: its records, and its shares' ids."""
    lease = read_lease(reader.blob(LEASE_BYTES))
    logged, ids = [], []
    for i in range(lease.shares):
        record = take_record(reader)
        body = Reader(record.body)
        share = read_share(body.blob(SHARE_BYTES))
        body.end()
        if record.kind != SHARE or share.lease_id != lease.id or share.index != i:
            raise Malformed("share")
        logged.append(record)
        ids.append(share.id)
    close, lease_id, reason, secret = take_close(reader)
    if lease_id != lease.id or reason != COMPLETE:
        raise Malformed("close")
    return SimpleNamespace(lease=lease, ids=ids, secret=secret, close=close,
                           records=logged + [close])


def check_logged(logged, pool_key):
    check_lease_of(logged.lease, pool_key)
    for record in logged.records:
        check_head(record, pool_key)


def wrong_secret(reader, pool_key):
    lease = read_lease(reader.blob(LEASE_BYTES))
    record, lease_id, _, secret = take_close(reader)
    reader.end()
    check_lease_of(lease, pool_key)
    check_head(record, pool_key)
    expect(lease_id == lease.id and audit.coin_commit(secret) != lease.coin_commit, "its secret")


def used_twice(reader, pool_key):
    a, b = (read_lease(reader.blob(LEASE_BYTES)) for _ in range(2))
    reader.end()
    check_lease_of(a, pool_key)
    check_lease_of(b, pool_key)
    coins = {a.coin_commit, b.coin_commit}
    other = (a.job_id, a.miner_key) != (b.job_id, b.miner_key)
    expect(a.id != b.id and (
        a.serial == b.serial or len(coins) == 1 or a.batch_commit == b.coin_commit
        or b.batch_commit == a.coin_commit or a.batch_commit == b.batch_commit and other),
        "nothing in common")


def wrong_immediate(reader, pool_key):
    logged, asked = take_logged(reader), take_challenge(reader)
    reader.end()
    check_logged(logged, pool_key)
    check_head(asked.record, pool_key)
    lease_id = logged.lease.id
    expect((asked.lease_id, asked.why, asked.what) == (lease_id, IMMEDIATE, OF_THREAD), "another")
    seed = audit.share_seed(logged.secret, logged.ids)
    expect(asked.question != audit.thread_seed(seed, lease_id, 0), "it is drawn")


def wrong_ticket(reader, pool_key, jobs):
    encoded = reader.bytes(1024)
    if encoded not in jobs:
        raise Malformed("job")
    job, draw = jobs[encoded], take_draw(reader)
    if not 1 <= draw.leases <= 1024:
        raise Malformed("draw")
    batch = [take_logged(reader) for _ in range(draw.leases)]
    asked = take_challenge(reader)
    reader.end()
    check_head(draw.record, pool_key)
    check_head(asked.record, pool_key)
    expect(draw.job_id == job.id, "job")
    for logged in batch:
        check_logged(logged, pool_key)
        lease = logged.lease
        expect((lease.job_id, lease.miner_key, lease.batch_commit)
               == (draw.job_id, draw.key, audit.coin_commit(draw.s1)), "another batch's lease")
    order = [0] + [logged.close.seq for logged in batch] + [draw.record.seq, asked.record.seq]
    ids = [logged.lease.id for logged in batch]
    expect(all(a < b for a, b in zip(order, order[1:])) and len(set(ids)) == len(ids), "order")
    expect((asked.why, asked.what) == (TICKET, OF_THREAD) and asked.lease_id in ids, "no ticket")
    seed = audit.share_seed(draw.s1, [i for logged in batch for i in logged.ids])
    drawn = [(ids[lease], audit.thread_seed(seed, ids[lease], number))
             for number, (lease, kind) in enumerate(audit.tickets(job, len(batch), seed))
             if kind == THREAD]
    expect((asked.lease_id, asked.question) not in drawn, "it is drawn")


def wrong_redraw(reader, pool_key):
    draw = take_draw(reader)
    record, (job_id, key, batch, s0) = take_said(reader, REDRAW, "32s32sQ32s")
    reader.end()
    check_head(draw.record, pool_key)
    check_head(record, pool_key)
    expect((job_id, key, batch) == (draw.job_id, draw.key, draw.batch), "another batch")
    expect(audit.coin_commit(s0) != draw.s1, "its secret")


def decide_unfair_coin(reader, jobs):
    pool_key, case = reader.take(32), reader.number("B")
    cases = {1: wrong_secret, 2: used_twice, 3: wrong_immediate, 5: wrong_redraw}
    if case == 4:
        wrong_ticket(reader, pool_key, jobs)
    elif case in cases:
        cases[case](reader, pool_key)
    else:
        raise Malformed("case")
    return pool_key


# Kind 8: verdicts

def read_verdict(data):
    reader = Reader(data)
    lease_id, index, share_id = struct.unpack("<32sI32s", reader.take(68))
    kind, outcome, step, time_ms = struct.unpack("<BBIQ", reader.take(14))
    auditor, proof, digest = (reader.take(32) for _ in range(3))
    detail = reader.take(reader.number("H"))
    if len(detail) > 200 or not all(0x20 <= c <= 0x7E for c in detail) \
            or not 1 <= kind <= 3 or outcome not in (0, 1, 3):
        raise Malformed("verdict")
    out = records.Verdict(lease_id=lease_id, index=index, share_id=share_id, kind=kind,
                          outcome=outcome, step=step, time_ms=time_ms, auditor_key=auditor,
                          proof=proof, digest=digest, detail=detail.decode())
    out.signature = reader.take(64)
    reader.end()
    return out


def false_valid(reader, jobs, verdict, decide_inner):
    inner = reader.bytes(2 << 20)
    reader.end()
    if len(inner) <= MAGIC_BYTES or not 1 <= inner[MAGIC_BYTES] <= 3:
        raise Malformed("inner")
    expect((verdict.outcome, verdict.kind) == (VALID, REPLAY), "no such word")
    at = Reader(inner[MAGIC_BYTES + 1:])
    at.bytes(1024)
    lease = read_lease(at.blob(LEASE_BYTES))
    expect(decide_inner(inner, verdict.auditor_key, jobs), "nothing is proven")
    expect(lease.id == verdict.lease_id, "another lease")


def false_invalid(reader, jobs, verdict, thetas):
    job, lease, share = take_share(reader, jobs)
    digests = [reader.take(32) for _ in range(share.steps)]
    reader.end()
    expect((verdict.outcome, verdict.kind) == (INVALID, REPLAY) and verdict.digest != records.ZERO,
           "no such word")
    check_share(job, lease, share)
    expect((lease.pool_key, lease.id, share.id)
           == (verdict.auditor_key, verdict.lease_id, verdict.share_id), "another share")
    root = b3.b3k(records.share_key(lease.id, share.first_step), b"".join(digests))
    expect(root == share.trace_root, "digests")
    index = verdict.step - share.first_step
    if verdict.step == NO_STEP:
        known = verdict.digest in (share.state_after, share.delta_root)
    else:
        known = not 0 <= index < share.steps or verdict.digest == digests[index]
    if not known:
        proofs_replayed.check_invalid(job, lease, share, verdict, thetas)


def doubted(reader, jobs, verdict, thetas):
    job, lease, share = take_share(reader, jobs)
    reader.end()
    right = verdict.outcome == VALID
    expect(verdict.kind == REPLAY and (right or verdict.outcome == INVALID
                                       and verdict.digest != records.ZERO), "no such word")
    check_share(job, lease, share)
    expect((lease.pool_key, lease.id, share.id)
           == (verdict.auditor_key, verdict.lease_id, verdict.share_id), "another share")
    if right:
        expect(share.index + 1 == lease.shares, "not the last")
        proofs_replayed.check_valid(job, lease, share, thetas)
    elif verdict.step == NO_STEP or 0 <= verdict.step - share.first_step < share.steps:
        proofs_replayed.check_invalid(job, lease, share, verdict, thetas)


def doubted_stop(reader, jobs, thetas):
    job, lease = take_lease(reader, jobs)
    record, (job_id, lease_id, step, reason) = take_said(reader, STOP, "32s32sIB")
    reader.end()
    if reason != 1:
        raise Malformed("stop")
    check_lease(job, lease)
    check_head(record, lease.pool_key)
    expect((job_id, lease_id) == (job.id, lease.id), "another lease")
    if step < lease.steps:
        proofs_replayed.check_stop(job, lease, step, thetas)
    return lease.pool_key


def decide_false_verdict(reader, jobs, decide_inner, thetas):
    form = reader.number("B")
    if form == 3:
        return doubted_stop(reader, jobs, thetas)
    verdict = read_verdict(reader.bytes(1 << 10))
    if form == 0:
        false_valid(reader, jobs, verdict, decide_inner)
    elif form == 1:
        false_invalid(reader, jobs, verdict, thetas)
    elif form == 2:
        doubted(reader, jobs, verdict, thetas)
    else:
        raise Malformed("form")
    expect(ed25519.verify(verdict.auditor_key, verdict.id, verdict.signature), "signature")
    return verdict.auditor_key


# Kind 9: answers

def is_answer(kind, body, asked):
    if kind != ANSWER or len(body) != 144:
        return False
    lease_id, seq = struct.unpack("<32sQ", body[:40])
    return (lease_id, seq) == (asked.lease_id, asked.record.seq)


def silence(reader):
    lease, asked = read_lease(reader.blob(LEASE_BYTES)), take_challenge(reader)
    packed = [reader.bytes((1 << 20) + 64) for _ in range(reader.number("I"))]
    signature = reader.take(64)
    reader.end()
    check_lease_of(lease, lease.pool_key)
    check_head(asked.record, lease.pool_key)
    expect(asked.lease_id == lease.id, "another lease")
    head, seq, time_ms = asked.record.head, asked.record.seq, 0
    for record in packed:
        at = Reader(record)
        number, time_ms, kind = struct.unpack("<QQB", at.take(17))
        body = at.bytes(1 << 20)
        at.end()
        expect(number == seq + 1, "a record is missing")
        expect(not is_answer(kind, body, asked) or time_ms > asked.due, "it was answered")
        head, seq = b3.domain("ledger", head + record), number
    check_head(SimpleNamespace(seq=seq, time_ms=time_ms, head=head, signature=signature),
               lease.pool_key)
    expect(time_ms > asked.due, "its time is not over")
    return lease.pool_key


def denied(reader):
    pool_key, asked, answer = reader.take(32), take_challenge(reader), None
    flag = reader.number("B")
    if flag > 1:
        raise Malformed("flag")
    if flag:
        answer = take_record(reader)
    denial = take_record(reader)
    body = Reader(denial.body)
    verdict = read_verdict(body.bytes(1 << 10))
    body.end()
    reader.end()
    if denial.kind != VERDICT:
        raise Malformed("verdict")
    for record in [asked.record, denial] + ([answer] if answer else []):
        check_head(record, pool_key)
    expect((verdict.kind, verdict.auditor_key, verdict.lease_id, verdict.digest)
           == (UNANSWERED, pool_key, asked.lease_id, asked.question), "another word")
    early = denial.seq > asked.record.seq and denial.time_ms <= asked.due
    had = answer and is_answer(answer.kind, answer.body, asked) and answer.time_ms <= asked.due \
        and answer.seq < denial.seq
    expect(early or had, "nothing contradicts it")
    return pool_key


def decide_unanswered(reader, _):
    form = reader.number("B")
    if form > 1:
        raise Malformed("form")
    return denied(reader) if form else silence(reader)
