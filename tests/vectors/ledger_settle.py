"""A ledger in which everything happens that settlement is for, and every rule is broken once.

Nobody trained these leases: the fold looks at digests only.
"""
import gn1
import toy
from b3 import b3
from ledger_reader import (ANSWER, ASKED, BAN, CANCELLED, CHALLENGE, CLOSE, COMPLETE, DELTA,
                           DESCENT, DRAW, EXPIRED, FINED, FINISH, FORFEITED, FULL, FUND, GENESIS,
                           IDLE, IMMEDIATE, JOB, JOB_ENDED, LEASE, MEMBER, MERGE, PAID, PROOF,
                           REDRAW, REJECTED, SETTLE, SHARE, STOP, TICKET, VERDICT)
from ledgers import Script
from records import (INVALID, REPLAY, THREAD, UNANSWERED, UNDECIDED, VALID, ZERO, blob, text, u8,
                     u16, u32, u64)

ALICE, BOB = toy.MINERS
A, B = toy.public(ALICE), toy.public(BOB)
OTHER = b3(b"something else")


def jobs():
    """One of many rounds of a single slot; one of two slots that stops."""
    fields = dict(replays_ppm=0, first_audits=0, now_ppm=0, silent_free=1000)
    return (toy.job(gn1.SGD, name="toy-settle", slots=1, rounds=30, threads=1, **fields),
            toy.job(gn1.SGD, name="toy-stop", **(fields | dict(first_audits=1, threads=2,
                                                              replays_ppm=1500000))))


def write(g):
    job, stops = jobs()
    s = Script(g, [job, stops], toy.START_MS)
    s.refused(FUND, job.id + u64(5))
    s.refused(GENESIS, u16(1) + toy.public(toy.POOL) + text("house"))
    s.begin((job, b3(b"theta")), (stops, b3(b"theta too")))
    s.refused(JOB, blob(job.encode()) + OTHER)
    s.refused(FUND, OTHER + u64(5))
    members(s)
    leases(s, job)
    shares(s, job)
    ends(s, job)
    audited_at_once(s, stops)
    silence(s, job)
    faults(s, job)
    repair(s, job)
    ban(s, job)
    stop(s, stops)
    unfair(s, job)
    s.write_balances()


def members(s):
    s.refused(MEMBER, s.member(ALICE, "alice", 1))
    s.refused(MEMBER, s.member(ALICE, "not ok", 2))
    forged = bytearray(s.member(ALICE, "alice", 2))
    forged[35] ^= 1  # another account than the one she signed
    s.refused(MEMBER, bytes(forged))


def leases(s, job):
    first = s.lease(job, 0, ALICE)
    s.refused(LEASE, blob(first.encode()))
    s.push(CLOSE, s.abandon_body(first))
    good = s.make_lease(job, 0, BOB)
    for changes in (dict(round=1), dict(slot=1), dict(theta_root=OTHER), dict(steps=4),
                    dict(steps_per_share=0), dict(miner_key=toy.public(toy.AUDITOR)),
                    dict(issued_ms=good.issued_ms - 1), dict(deadline_ms=good.deadline_ms - 1),
                    dict(deadline_ms=good.issued_ms + 2**40 + 1), dict(serial=first.serial),
                    dict(coin_commit=first.coin_commit), dict(coin_commit=first.batch_commit),
                    dict(coin_commit=good.batch_commit), dict(batch_commit=first.coin_commit),
                    dict(batch_commit=first.batch_commit), dict(job_id=OTHER)):
        s.refused(LEASE, blob(s.make_lease(job, 0, BOB, **changes).encode()))
    stranger = s.make_lease(job, 0, BOB, pool_key=A).sign(ALICE)
    s.refused(LEASE, blob(stranger.encode()))
    s.refused(LEASE, blob(s.make_lease(job, 0, BOB).sign(BOB).encode()))


def shares(s, job):
    lease = s.lease(job, 0, ALICE)
    late = job.lease_ms + 1
    body = s.make_share(job, lease, 0)
    s.refused(SHARE, blob(body.encode()), wait=late)
    for changes in (dict(index=1), dict(steps=1), dict(first_step=1), dict(macs=1),
                    dict(loss=float("nan")), dict(delta_root=OTHER), dict(lease_id=OTHER)):
        s.refused(SHARE, blob(s.make_share(job, lease, 0, **changes).encode()))
    s.refused(SHARE, blob(s.make_share(job, lease, 0).sign(BOB).encode()))
    s.refused(DELTA, lease.id + OTHER)
    s.push(SHARE, blob(body.encode()))
    s.refused(SHARE, blob(body.encode()))
    s.refused(SHARE, blob(s.make_share(job, lease, 1, state_before=OTHER).encode()))
    # What the pool asks the key in the meantime is added to its time.
    s.refused(CHALLENGE, s.challenge_body(job, lease, DESCENT, 2, OTHER, more_ms=-1))
    s.refused(CHALLENGE, s.challenge_body(job, lease, DESCENT, 7, OTHER))
    s.refused(CHALLENGE, s.challenge_body(job, lease, IMMEDIATE, 1, OTHER))
    s.refused(CHALLENGE, s.challenge_body(job, lease, TICKET, 1, OTHER))
    asked = s.push(CHALLENGE, s.challenge_body(job, lease, DESCENT, 2, OTHER))
    s.refused(CHALLENGE, s.challenge_body(job, lease, DESCENT, 2, OTHER))
    s.refused(ANSWER, s.answer_body(lease, asked, BOB))
    s.refused(ANSWER, s.answer_body(lease, asked + 1))
    s.push(ANSWER, s.answer_body(lease, asked))
    s.refused(ANSWER, s.answer_body(lease, asked))
    s.t = lease.deadline_ms + job.answer_ms - 10
    s.push(SHARE, blob(s.make_share(job, lease, 1).encode()))
    s.refused(SHARE, blob(s.make_share(job, lease, 2).encode()), wait=10)
    s.push(SHARE, blob(s.make_share(job, lease, 2).encode()))
    s.refused(CLOSE, s.close_body(lease, COMPLETE))
    s.push(DELTA, lease.id + s.fold.leases[lease.id].shares[-1].delta_root)
    s.refused(CLOSE, s.close_body(lease, EXPIRED), wait=job.lease_ms)  # it is complete
    s.push(CLOSE, s.close_body(lease, COMPLETE))
    s.refused(CLOSE, s.close_body(lease, COMPLETE))
    s.refused(MERGE, s.merge_body(job, [OTHER]))
    s.refused(MERGE, s.merge_body(job, [lease.id], [lease.id]))
    s.merge(job)
    s.refused(FINISH, job.id + s.fold.jobs[job.id].roots[-1])


def ends(s, job):
    lease = s.lease(job, 0, BOB)
    s.refused(MERGE, s.merge_body(job, [lease.id]))
    s.refused(CLOSE, s.close_body(lease, EXPIRED))
    s.refused(CLOSE, s.close_body(lease, CANCELLED))
    s.refused(CLOSE, s.close_body(lease, REJECTED))
    s.refused(CLOSE, s.close_body(lease, REJECTED, proof=OTHER))
    s.refused(CLOSE, s.close_body(lease, 4))
    s.refused(CLOSE, s.close_body(lease, 6))
    wrong = bytearray(s.abandon_body(lease))
    wrong[40] ^= 1  # another secret
    s.refused(CLOSE, bytes(wrong))
    s.t = lease.deadline_ms + 1
    s.refused(SHARE, blob(s.make_share(job, lease, 0).encode()))
    s.push(CLOSE, s.close_body(lease, EXPIRED))
    lease = s.lease(job, 0, ALICE)
    s.train(job, lease)
    address = s.prove(lease)
    s.refused(PROOF, u8(1) + lease.id + address + u32(5))
    s.refused(PROOF, u8(3) + ZERO + OTHER + u32(5))
    s.refused(BAN, A + lease.id + address)
    s.refused(CLOSE, s.close_body(lease, EXPIRED, proof=address), wait=job.lease_ms)
    s.push(CLOSE, s.close_body(lease, REJECTED, proof=address))


def audited_at_once(s, job):
    lease = s.lease(job, 0, ALICE)
    s.train(job, lease)
    s.refused(CLOSE, s.close_body(lease, COMPLETE))
    asked = s.fold.immediate_seed(s.fold.leases[lease.id], toy.lease_secret(lease.serial))
    silence_ = s.verdict_body(lease, UNANSWERED, UNDECIDED, digest=asked)
    s.refused(VERDICT, silence_)
    seq = s.push(CHALLENGE, s.challenge_body(job, lease, IMMEDIATE, 1, asked))
    s.refused(CHALLENGE, s.challenge_body(job, lease, IMMEDIATE, 1, OTHER))
    s.refused(VERDICT, silence_)
    s.refused(VERDICT, s.verdict_body(lease, THREAD, VALID, digest=asked))
    for outcome in (VALID, INVALID):
        s.refused(VERDICT, s.verdict_body(lease, UNANSWERED, outcome, digest=asked),
                  wait=job.answer_ms)
    s.push(ANSWER, s.answer_body(lease, seq))
    s.refused(VERDICT, silence_, wait=job.answer_ms)
    s.push(VERDICT, s.verdict_body(lease, THREAD, UNDECIDED, digest=asked))
    s.refused(VERDICT, s.verdict_body(lease, THREAD, VALID, digest=asked))
    s.refused(CLOSE, s.close_body(lease, COMPLETE))
    for changes in (dict(index=1), dict(share_id=OTHER), dict(step=3), dict(digest=OTHER),
                    dict(proof=OTHER), dict(outcome=UNDECIDED)):
        s.refused(VERDICT, s.verdict_body(lease, REPLAY, VALID, **changes))
    s.push(VERDICT, s.verdict_body(lease, REPLAY, VALID, toy.AUDITOR))
    s.refused(CLOSE, s.close_body(lease, COMPLETE))  # a stranger's word
    s.replay(lease)
    s.push(CLOSE, s.close_body(lease, COMPLETE))


def silence(s, job):
    """Alice's first batch: silent, within what is free; the second: beyond it."""
    s.refused(DRAW, s.draw_body(job, A, 0, FULL))
    s.refused(DRAW, s.draw_body(job, A, 0, JOB_ENDED))
    last = s.fold.batches[job.id, A, 0].last_close
    s.refused(DRAW, s.draw_body(job, A, 0, IDLE), wait=last + 10 * job.lease_ms - 1 - s.t)
    open_ = s.lease(job, 0, ALICE)
    s.refused(DRAW, s.draw_body(job, A, 0, ASKED))
    s.push(CLOSE, s.abandon_body(open_))
    s.push(MEMBER, s.member(ALICE, "carol", 2))
    s.whole_lease(job, 0, ALICE)
    s.merge(job)
    good = s.draw_body(job, A, 0, FULL)
    s.refused(DRAW, good[:72] + u32(1) + good[76:])
    s.refused(DRAW, good[:-32] + OTHER)
    s.refused(SETTLE, s.batch_body(job, A, 0) + u8(PAID) + u32(2))
    s.refused(REDRAW, s.batch_body(job, A, 0) + toy.batch_secrets(job.id, A, 0)[0])
    for number, paid in ((0, 2), (1, 2)):
        while number and len(s.fold.batches.get((job.id, A, 1), BATCHLESS).leases) < 3:
            s.whole_lease(job, 0, ALICE)
            s.merge(job)
        batch = s.draw(job, A, number, FULL)
        s.refused(DRAW, s.draw_body(job, A, number, FULL))
        s.refused(REDRAW, s.batch_body(job, A, number) + toy.batch_secrets(job.id, A, number)[0])
        s.judge_open(job, batch, UNDECIDED)
        s.refused(SETTLE, s.batch_body(job, A, number) + u8(PAID) + u32(paid))
        s.refused(REDRAW, s.batch_body(job, A, number) + OTHER)
        s.redraw(job, A, number)
        s.refused(REDRAW, s.batch_body(job, A, number) + toy.batch_secrets(job.id, A, number)[0])
        s.refused(SETTLE, s.batch_body(job, A, number) + u8(PAID) + u32(paid))
        s.replay(s.terms_of(batch, batch.tickets[batch.redrawn]))
        s.refused(SETTLE, s.batch_body(job, A, number) + u8(PAID) + u32(paid + 1))
        s.refused(SETTLE, s.batch_body(job, A, number) + u8(FINED) + u32(paid))
        assert s.settle(job, A, number) == (PAID, paid)
        s.refused(SETTLE, s.batch_body(job, A, number) + u8(PAID) + u32(paid))


BATCHLESS = toy.SimpleNamespace(leases=())


def faults(s, job):
    """One bad lease, merged and found: a fine, and its delta is taken out again."""
    mine = []
    for _ in range(3):
        mine.append(s.whole_lease(job, 0, ALICE))
        s.merge(job)
    batch = s.draw(job, A, 2, FULL)
    bad = s.terms_of(batch, batch.tickets[0])
    address = s.prove(bad)
    claimed = s.fold.leases[bad.id].shares[-1]
    for changes in (dict(), dict(proof=OTHER), dict(digest=claimed.state_after),
                    dict(digest=claimed.delta_root), dict(digest=OTHER, step=3),
                    dict(digest=OTHER, step=5), dict(kind=THREAD, digest=OTHER)):
        s.refused(VERDICT, s.verdict_body(bad, REPLAY, INVALID, **changes))
    another = next(x for x in mine if x.id != bad.id)
    s.refused(VERDICT, s.verdict_body(another, REPLAY, INVALID, proof=address))
    s.push(VERDICT, s.verdict_body(bad, REPLAY, INVALID, proof=address, step=4))
    s.refused(BAN, A + bad.id + address)
    s.refused(SETTLE, s.batch_body(job, A, 2) + u8(PAID) + u32(3))
    assert s.settle(job, A, 2) == (FINED, 1)
    struck = sorted(s.fold.jobs[job.id].to_subtract)
    assert bad.id in struck and len(struck) == 2  # nobody pays for another, nor vouches for it
    paid = next(x.id for x in mine if x.id not in struck)
    fresh = s.whole_lease(job, 0, ALICE)
    s.refused(MERGE, s.merge_body(job, [fresh.id], [paid]))
    s.refused(MERGE, s.merge_body(job, [fresh.id], [bad.id, bad.id]))
    s.merge(job)  # they were struck when this round was open already
    fresh = s.whole_lease(job, 0, ALICE)
    s.refused(MERGE, s.merge_body(job, [fresh.id]))
    s.refused(MERGE, s.merge_body(job, [fresh.id], [bad.id]))
    s.merge(job, struck)
    fresh = s.whole_lease(job, 0, ALICE)
    s.refused(MERGE, s.merge_body(job, [fresh.id], [bad.id]))
    s.merge(job)


def repair(s, job):
    """What a wrong lease added is taken out of the current weights: the round begins again."""
    bad = s.whole_lease(job, 0, ALICE)
    s.merge(job)
    s.refused(MERGE, s.merge_body(job, []))
    s.replay(bad, INVALID)
    open_ = s.lease(job, 0, ALICE)
    s.push(SHARE, blob(s.make_share(job, open_, 0).encode()))
    s.refused(CLOSE, s.close_body(open_, CANCELLED))
    good = s.merge_body(job, [], [bad.id])
    s.refused(MERGE, s.merge_body(job, []))
    s.refused(MERGE, good[:36] + OTHER + good[68:])
    s.repair(job, [bad.id])
    s.refused(MERGE, s.merge_body(job, [], [bad.id]))
    s.refused(SHARE, blob(s.make_share(job, open_, 1).encode()))
    s.push(CLOSE, s.close_body(open_, CANCELLED))
    aside = s.whole_lease(job, 0, ALICE)
    number = s.fold.leases[aside.id].batch
    s.refused(DRAW, s.draw_body(job, A, number, FULL))
    said = s.draw_body(job, A, number, ASKED)
    s.refused(DRAW, said[:-64] + bytes(64))
    s.refused(DRAW, said[:-64] + s.draw_body(job, A, 0, ASKED)[-64:])
    s.refused(DRAW, said[:84] + u8(IDLE) + said[85:], wait=10 * job.lease_ms)
    batch = s.draw(job, A, number, ASKED)
    s.judge_open(job, batch)
    s.settle(job, A, number)
    s.merge(job)


def ban(s, job):
    """Bob's two leases are both wrong, the second before it was merged."""
    first = s.whole_lease(job, 0, BOB)
    s.merge(job)
    second = s.whole_lease(job, 0, BOB)
    proofs = [s.prove(first), s.prove(second, kind=3)]
    s.push(VERDICT, s.verdict_body(first, REPLAY, INVALID, proof=proofs[0]))
    s.refused(BAN, B + first.id + proofs[0])
    s.push(VERDICT, s.verdict_body(second, REPLAY, INVALID, proof=proofs[1]))
    s.refused(MERGE, s.merge_body(job, [second.id]))
    s.refused(BAN, A + first.id + proofs[0])
    s.refused(BAN, B + first.id + proofs[1])
    open_ = s.lease(job, 0, BOB)
    s.push(BAN, B + first.id + proofs[0])
    s.refused(BAN, B + first.id + proofs[0])
    s.refused(SETTLE, s.batch_body(job, B, 0) + u8(PAID) + u32(2))
    s.refused(DRAW, s.draw_body(job, B, 0, FULL))
    assert s.settle(job, B, 0) == (FORFEITED, 0)
    s.push(CLOSE, s.close_body(open_, CANCELLED))
    s.refused(LEASE, blob(s.make_lease(job, 0, BOB).encode()))


def stop(s, job):
    """One lease diverges; who had a whole one is paid."""
    lease = s.lease(job, 1, ALICE)
    s.push(SHARE, blob(s.make_share(job, lease, 0).encode()))
    body = job.id + lease.id
    for step, reason in ((1, 1), (4, 1), (2, 2)):
        s.refused(STOP, body + u32(step) + u8(reason))
    s.push(STOP, body + u32(3) + u8(1))
    s.refused(STOP, body + u32(3) + u8(1))
    s.refused(SHARE, blob(s.make_share(job, lease, 1).encode()))
    root = s.fold.jobs[job.id].roots[-1]
    s.refused(FINISH, job.id + root)
    s.push(CLOSE, s.close_body(lease, CANCELLED))
    s.refused(FINISH, job.id + root)
    s.refused(LEASE, blob(s.make_lease(job, 1, ALICE).encode()))
    batch = s.draw(job, A, 0, JOB_ENDED)
    assert len(batch.tickets) in (3, 4) and batch.tickets[0].seed != batch.tickets[1].seed
    s.refused(SETTLE, s.batch_body(job, A, 0) + u8(FORFEITED) + u32(0))
    assert s.settle(job, A, 0) == (PAID, 1)  # it was replayed before
    s.refused(FINISH, job.id + OTHER)
    s.push(FINISH, job.id + root)
    s.refused(FINISH, job.id + root)
    s.refused(FUND, job.id + u64(1))


def unfair(s, job):
    """A challenge that no coin drew: nobody can tell before the secret is out."""
    lease = s.lease(job, 0, ALICE)
    s.train(job, lease)
    s.push(CHALLENGE, s.challenge_body(job, lease, IMMEDIATE, 1, OTHER))
    s.refused(CLOSE, s.close_body(lease, COMPLETE))
    s.refused(CLOSE, s.abandon_body(lease))
