"""Proof files of pools whose own records speak against them (PROTOCOL 12.8 – 12.10)."""
import copy
from types import SimpleNamespace

import audit
import proof_cases
import proofs
import records
import toy
from ledger_reader import ANSWER, CHALLENGE, CLOSE, COMPLETE, DRAW, FULL, FUND, IMMEDIATE, REDRAW, \
    SHARE, STOP, TICKET, VERDICT
from records import blob, u8, u32, u64

S0 = b"\x63" * 32
ANSWER_MS = 500


class Log:
    """A pool's ledger, record by record."""

    def __init__(self):
        self.seq, self.time_ms, self.head, self.packed = 10, 1000, None, []

    def say(self, kind, body):
        out = proof_cases.record(self.seq, kind, body, self.head, self.time_ms)
        self.packed.append(u64(self.seq) + u64(self.time_ms) + u8(kind) + blob(body))
        out.seq, self.head, self.seq = self.seq, out.head, self.seq + 1
        return out


def log_lease(log, job, serial):
    """A complete lease of a batch of two, with shares of no work."""
    secret, s1 = bytes([serial]) * 32, audit.coin_commit(S0)
    lease = records.Lease(
        job_id=job.id, pool_key=toy.public(toy.POOL), miner_key=toy.public(toy.MINERS[0]), round=0,
        slot=serial % job.slots, serial=serial, theta_root=records.ZERO, steps=job.steps_per_lease,
        steps_per_share=job.steps_per_share, issued_ms=1, deadline_ms=2,
        coin_commit=audit.coin_commit(secret), batch_commit=audit.coin_commit(s1)).sign(toy.POOL)
    out = SimpleNamespace(lease=lease, secret=secret, ids=[], data=blob(lease.encode()))
    for i in range(lease.shares):
        share = records.Share(
            lease_id=lease.id, index=i, first_step=0, steps=0, state_before=records.ZERO,
            state_after=records.ZERO, trace_root=records.ZERO, loss=0, macs=0,
            delta_root=records.ZERO).sign(toy.MINERS[0])
        out.ids.append(share.id)
        out.data += log.say(SHARE, blob(share.encode())).data
    out.data += close(log, lease, secret).data
    return out


def close(log, lease, secret):
    return log.say(CLOSE, lease.id + u8(COMPLETE) + secret + records.ZERO + bytes(64))


def challenge(log, lease_id, why, question):
    return log.say(CHALLENGE, lease_id + u8(why) + u8(1) + question + u32(ANSWER_MS))


def verdict(lease_id, kind, outcome, digest, share_id=records.ZERO, step=0):
    return records.Verdict(lease_id=lease_id, index=0, share_id=share_id, kind=kind,
                           outcome=outcome, step=step, time_ms=0, proof=records.ZERO,
                           auditor_key=toy.public(toy.POOL), digest=digest,
                           detail="").sign(toy.POOL)


def coin(case, data):
    return proof_cases.seal(proofs.UNFAIR_COIN, toy.public(toy.POOL) + u8(case) + data)


def coin_cases(log, job):
    job = copy.copy(job)
    one, other = log_lease(log, job, 1), log_lease(log, job, 2)
    s1 = audit.coin_commit(S0)
    key = toy.public(toy.MINERS[0])
    draw = log.say(DRAW, job.id + key + u64(0) + u32(2) + u8(FULL) + s1 + bytes(64))
    seed = audit.share_seed(s1, one.ids + other.ids)
    drawn = (one, other)[audit.tickets(job, 2, seed)[0][0]].lease.id
    own = audit.share_seed(one.secret, one.ids)

    def immediate(question):
        return coin(3, one.data + challenge(log, one.lease.id, IMMEDIATE, question).data)

    def ticket(question):
        return coin(4, blob(job.encode()) + draw.data + one.data + other.data
                    + challenge(log, drawn, TICKET, question).data)

    def redraw(s0):
        return coin(5, draw.data + log.say(REDRAW, job.id + key + u64(0) + s0).data)
    twice = copy.copy(other.lease)
    twice.coin_commit = one.lease.coin_commit
    twice.sign(toy.POOL)
    leases = [blob(x.encode()) for x in (one.lease, other.lease, twice)]
    return {"coin_secret": coin(1, leases[0] + close(log, one.lease, S0).data),
            "coin_secret_honest": coin(1, leases[0] + close(log, one.lease, one.secret).data),
            "coin_twice": coin(2, leases[0] + leases[2]),
            "coin_twice_honest": coin(2, leases[0] + leases[1]),
            "coin_immediate": immediate(S0),
            "coin_immediate_honest": immediate(audit.thread_seed(own, one.lease.id, 0)),
            "coin_ticket": ticket(S0),
            "coin_ticket_honest": ticket(audit.thread_seed(seed, drawn, 0)),
            "coin_redraw": redraw(s1), "coin_redraw_honest": redraw(S0)}


def verdict_cases(run, proof, acquitting):
    """proof, acquitting: files of kind 1 about the run's lease."""
    lease_id = run.lease.id

    def valid(kind, inner):
        said = verdict(lease_id, kind, records.VALID, records.ZERO)
        return proof_cases.seal(proofs.FALSE_VERDICT, u8(0) + blob(said.encode()) + blob(inner))

    def invalid(job, digest, step=1):
        said = verdict(lease_id, records.REPLAY, records.INVALID, digest, run.share.id, step)
        return proof_cases.seal(proofs.FALSE_VERDICT, u8(1) + blob(said.encode())
                                + proof_cases.put_share(job, run) + b"".join(run.digests))
    return invalid, {"valid": valid(records.REPLAY, proof),
                     "valid_thread_honest": valid(records.THREAD, proof),
                     "valid_honest": valid(records.REPLAY, acquitting)}


def replayed_cases(job, runs, lied):
    """Words that a replay decides. runs: a lease's; lied: its first share with a wrong step 1."""
    log, lease, run = Log(), runs[0].lease, runs[0]

    def about(wrong, digest, step=1):
        said = verdict(lease.id, records.REPLAY, records.INVALID, digest, wrong.share.id, step)
        return proof_cases.seal(proofs.FALSE_VERDICT, u8(1) + blob(said.encode())
                                + proof_cases.put_share(job, wrong) + b"".join(wrong.digests))

    def valid(last):
        said = records.Verdict(
            lease_id=lease.id, index=last.share.index, share_id=last.share.id,
            kind=records.REPLAY, outcome=records.VALID, step=records.NO_STEP, time_ms=0,
            proof=records.ZERO, auditor_key=toy.public(toy.POOL), digest=records.ZERO,
            detail="").sign(toy.POOL)
        return proof_cases.seal(proofs.FALSE_VERDICT, u8(2) + blob(said.encode())
                                + proof_cases.put_share(job, last))

    def stop(step):
        said = log.say(STOP, job.id + lease.id + u32(step) + u8(1))
        return proof_cases.seal(proofs.FALSE_VERDICT, u8(3) + proof_cases.put_lease(job, lease)
                                + said.data)
    cheat = copy.copy(runs[-1])
    cheat.share = copy.copy(cheat.share)
    cheat.share.state_after = S0
    cheat.share.sign(toy.MINERS[0])
    return {"invalid": about(run, S0), "invalid_end": about(run, S0, records.NO_STEP),
            "invalid_honest": about(lied, run.digests[1]),
            "valid": valid(cheat), "valid_honest": valid(runs[-1]), "stop": stop(1)}


def answer_cases(log, lease):
    """Of one challenge: silence, an answer, and a pool that denies it."""
    asked = challenge(log, lease.id, TICKET, S0)
    first = len(log.packed)

    def silence():
        rest = log.packed[first:]
        return proof_cases.seal(proofs.UNANSWERED, u8(0) + blob(lease.encode()) + asked.data
                                + u32(len(rest)) + b"".join(map(blob, rest)) + last.signature)

    def deny(answer):
        said = verdict(lease.id, records.UNANSWERED, records.UNDECIDED, S0)
        word = log.say(VERDICT, blob(said.encode()))
        shown = u8(1) + answer.data if answer else u8(0)
        return proof_cases.seal(proofs.UNANSWERED, u8(1) + toy.public(toy.POOL) + asked.data + shown
                                + word.data)
    log.time_ms += ANSWER_MS
    last = log.say(FUND, b"")
    out = {"silence_early_honest": silence(), "denied_early": deny(None)}
    del log.packed[first:]
    log.head, log.seq = asked.head, asked.seq + 1
    log.time_ms += 1
    last = log.say(FUND, b"")
    out["silence"] = silence()
    log.time_ms -= 1
    answer = log.say(ANSWER, lease.id + u64(asked.seq) + records.ZERO + u64(5) + bytes(64))
    log.time_ms += 1
    last = log.say(FUND, b"")
    # Its answer was logged in time, before a record of a later time: the order of times is not
    # looked at here.
    out["silence_honest"] = silence()
    out.update({"denied": deny(answer), "denied_honest": deny(None)})
    return out


def cases(job, run, files):
    """files: of proof_cases.miner_cases, about the run's lease."""
    log = Log()
    invalid, out = verdict_cases(run, files["block"], files["block_honest"])
    out.update({"invalid": invalid(job, run.digests[1]),
                "invalid_end": invalid(job, run.share.state_after, records.NO_STEP),
                "invalid_honest": invalid(job, S0)})
    out.update(coin_cases(log, job))
    out.update(answer_cases(log, log_lease(log, job, 3).lease))
    return out
