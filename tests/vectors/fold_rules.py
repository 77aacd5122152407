"""One rule set for each kind of record (PROTOCOL 8.5, 13): what to do when it is taken, as a list
of calls, and the entries of its post. fold_rounds.py has those of rounds and settlement."""
import math
from types import SimpleNamespace

import audit
from b3 import domain
from fold_rounds import draw, finish, merge, redraw, settle, stop
from ledger_reader import (ABANDONED, ANSWER, ASKED_STATE_NODES, ASKED_THREAD, BAN, CANCELLED,
                           CHALLENGE, CLOSE, COMPLETE, DELTA, DESCENT, DRAW, EXPIRED, FINISH, FUND,
                           GENESIS, I64_MAX, IMMEDIATE, JOB, LEASE, LEASE_BODY, MEMBER, MERGE,
                           NO_SIGNATURE, PROOF, REDRAW, REJECTED, SETTLE, SHARE, SHARE_BODY, STOP,
                           TICKET, VERDICT, VERDICT_BODY, account_ok, must, read_signed, signed)
from records import INVALID, NO_STEP, REPLAY, THREAD, UNANSWERED, UNDECIDED, VALID, ZERO, u64, text


def genesis(fold, r, body):
    b = body.fields("version:H pool_key:d fee_account:a")
    body.end()
    must(b.version == 2 and account_ok(b.fee_account), "version or account")
    return [lambda: vars(fold).update(pool_key=b.pool_key, fee_account=b.fee_account)], []


def job(fold, r, body):
    packed, root = body.blob(1024), body.raw(32)
    body.end()
    job_id = domain("job", packed)
    must(job_id in fold.known and job_id not in fold.jobs, "job")
    terms = fold.known[job_id]
    gross = (terms.price_per_tmac * terms.program.macs_per_step(terms) * terms.steps_per_lease
             // 10**12)
    must(gross <= I64_MAX, "gross")
    state = SimpleNamespace(terms=terms, gross=gross, round=0, round_seq=r.seq, stopped=False,
                            finished=False, roots=[root], slots=[None] * terms.slots, open=0,
                            unsettled=0, to_subtract={})
    return [lambda: fold.jobs.update({job_id: state})], []


def fund(fold, r, body):
    b = body.fields("job_id:d amount:Q")
    body.end()
    must(not fold.job_of(b.job_id).finished and b.amount <= I64_MAX, "fund")
    return [], [("external", -b.amount), ("escrow:" + b.job_id.hex(), b.amount)]


def member(fold, r, body):
    b = body.fields("key:d account:a counter:Q signature:s")
    body.end()
    must(account_ok(b.account), "account")
    known = fold.members.get(b.key)
    must(known is None or b.counter > known.counter, "counter")
    signed(b.key, domain("member", fold.pool_key + b.key + u64(b.counter) + text(b.account)),
           b.signature)
    state = known or SimpleNamespace(banned=False, challenged_ms=0)

    def change():
        state.account, state.counter = b.account, b.counter
        fold.members[b.key] = state
    return [change], []


def lease(fold, r, body):
    t = read_signed(r.body, "lease", LEASE_BODY)
    must(1 <= t.steps_per_share <= t.steps, "steps_per_share")
    must(-(-t.steps // t.steps_per_share) <= 4096, "shares")
    must(t.id not in fold.leases, "twice")
    j = fold.job_of(t.job_id)
    must(not j.finished and not fold.ended(j) and t.round == j.round, "round")
    must(t.theta_root == j.roots[-1] and t.steps == j.terms.steps_per_lease, "theta or steps")
    must(t.slot < len(j.slots) and j.slots[t.slot] is None, "slot")
    must(t.miner_key in fold.members and not fold.members[t.miner_key].banned, "member")
    must(sum(x.closed is None and x.terms.miner_key == t.miner_key
             for x in fold.leases.values()) < 4, "open_leases_max")
    must(t.issued_ms == r.time_ms, "issued")
    must(j.terms.lease_ms <= t.deadline_ms - t.issued_ms <= 2**40, "deadline")
    must(fold.serial <= t.serial < 2**64 - 1, "serial")
    commits = fold.coin_commits | set(fold.batch_commits) | {t.batch_commit}
    must(t.coin_commit not in commits and t.batch_commit not in fold.coin_commits, "commitment")
    mine = [n for (i, k, n) in fold.batches if (i, k) == (t.job_id, t.miner_key)]
    batch_id = fold.batch_commits.get(t.batch_commit, (t.job_id, t.miner_key, len(mine)))
    must(batch_id[:2] == (t.job_id, t.miner_key), "another's batch")
    size = j.terms.batch_leases if batch_id[2] else j.terms.first_batch
    batch = fold.batches.get(batch_id) or SimpleNamespace(
        commit=t.batch_commit, size=size, open=0, leases=[], tickets=None, redrawn=None,
        settled=None, proven=0, paid=0, spent=0)
    must(batch.tickets is None and batch.settled is None, "drawn")
    must(batch.open + len(batch.leases) < batch.size, "full")
    escrow = fold.accounts.get("escrow:" + t.job_id.hex(), 0)
    must(j.gross * (j.open + j.unsettled + 1) <= escrow, "escrow")
    must(t.pool_key == fold.pool_key, "pool")
    signed(t.pool_key, t.id, t.signature)
    owner = fold.members[t.miner_key]
    state = SimpleNamespace(
        terms=t, account=owner.account, batch=batch_id[2], shares=[], delta_root=None,
        right_before=0, challenges=[], closed=None, replayed=False, right=False, wrong=False,
        proof=None, subtracted=False,
        merged=False, set_aside=False, challenged_before=owner.challenged_ms)

    def change():
        fold.leases[t.id], fold.batches[batch_id] = state, batch
        fold.batch_commits[t.batch_commit] = batch_id
        fold.coin_commits.add(t.coin_commit)
        fold.serial, j.slots[t.slot] = t.serial + 1, t.id
        batch.open, j.open = batch.open + 1, j.open + 1
    return [change], []


def share(fold, r, body):
    s = read_signed(r.body, "share", SHARE_BODY)
    x = fold.lease_of(s.lease_id)
    j, t = fold.jobs[x.terms.job_id], x.terms
    must(x.closed is None and not fold.ended(j) and not x.set_aside, "closed, ended or aside")
    must(r.time_ms <= fold.shares_until(x), "too late")
    first = len(x.shares) * t.steps_per_share
    end = min(first + t.steps_per_share, t.steps)
    must(s.index == len(x.shares) and first < t.steps, "index")
    must((s.first_step, s.steps) == (first, end - first), "steps")
    must(not x.shares or s.state_before == x.shares[-1].state_after, "chain")
    must(s.macs == s.steps * j.terms.program.macs_per_step(j.terms), "macs")
    must(math.isfinite(s.loss) and (s.delta_root != ZERO) == (end == t.steps), "loss or delta")
    signed(t.miner_key, s.id, s.signature)
    return [lambda: x.shares.append(s)], []


def delta(fold, r, body):
    b = body.fields("lease_id:d root:d")
    body.end()
    x = fold.lease_of(b.lease_id)
    must(x.closed is None and x.delta_root is None, "closed or twice")
    must(x.shares and x.shares[-1].delta_root == b.root != ZERO, "root")
    right = fold.right.get((x.terms.job_id, x.terms.miner_key), 0)
    return [lambda: vars(x).update(delta_root=b.root, right_before=right)], []


def check_proof(fold, address, lease_id):
    must(address in fold.proofs, "proof not logged")
    must(fold.proofs[address] in ((k, lease_id) for k in (1, 2, 3)), "proof of something else")


def prove(fold, x, address):
    if x.proof is None:
        x.proof = address
        fold.batch_for(x).proven += 1


def proof(fold, r, body):
    b = body.fields("kind:B lease_id:d address:d bytes:I")
    body.end()
    must(1 <= b.kind <= 9 and b.bytes <= 2**21, "bounds")
    must(b.address != ZERO and b.address not in fold.proofs, "address")
    must(b.lease_id == ZERO or b.lease_id in fold.leases, "lease")
    must(b.kind > 3 or b.lease_id != ZERO, "names no lease")
    return [lambda: fold.proofs.update({b.address: (b.kind, b.lease_id)})], []


def challenge(fold, r, body):
    b = body.fields("lease_id:d why:B what:B question:d answer_ms:I")
    body.end()
    must(1 <= b.why <= 3 and ASKED_THREAD <= b.what <= ASKED_STATE_NODES, "bounds")
    x = fold.lease_of(b.lease_id)
    j = fold.jobs[x.terms.job_id]
    must(not j.finished and b.answer_ms >= j.terms.answer_ms, "finished or answer_ms")
    asked = [fold.challenges[c] for c in x.challenges]
    must(len(asked) < 256 and all(c.question != b.question for c in asked), "asked before")
    must(b.why == DESCENT or b.what == ASKED_THREAD, "what")
    ticket = None
    if b.why == IMMEDIATE:
        must(x.closed is None and x.delta_root is not None, "not open with its delta")
        must(all(c.why != IMMEDIATE for c in asked), "twice")
    elif b.why == TICKET:
        batch = fold.batch_for(x)
        must(batch.settled is None and batch.tickets is not None, "settled or not drawn")
        found = [t for t in batch.tickets if t.kind == THREAD and t.seed == b.question
                 and batch.leases[t.place] == x.terms.id]
        must(found, "not drawn")
        ticket = found[0]
    else:
        must(x.shares, "no share")

    def change():
        fold.challenges[r.seq] = SimpleNamespace(
            lease_id=b.lease_id, why=b.why, what=b.what, question=b.question,
            due=r.time_ms + b.answer_ms, answered=False, outcome=None)
        x.challenges.append(r.seq)
        fold.members[x.terms.miner_key].challenged_ms += b.answer_ms
        if ticket:
            ticket.challenge = r.seq
    return [change], []


def answer(fold, r, body):
    b = body.fields("lease_id:d challenge:Q address:d bytes:Q signature:s")
    body.end()
    must(b.bytes <= 2**32 and b.challenge in fold.challenges, "no such challenge")
    c = fold.challenges[b.challenge]
    must(c.lease_id == b.lease_id and not c.answered and c.outcome is None, "challenge")
    signed(fold.leases[b.lease_id].terms.miner_key,
           domain("answer", b.lease_id + u64(b.challenge) + b.address + u64(b.bytes)), b.signature)
    return [lambda: vars(c).update(answered=True)], []


def verdict(fold, r, body):
    v = read_signed(r.body, "verdict", VERDICT_BODY, with_text=True)
    must(v.kind in (REPLAY, THREAD, UNANSWERED), "kind")
    must(v.outcome in (VALID, INVALID, UNDECIDED), "outcome")
    x = fold.lease_of(v.lease_id)
    must(v.index < len(x.shares) and x.shares[v.index].id == v.share_id, "share")
    s = x.shares[v.index]
    if v.outcome == INVALID:
        must(v.kind != UNANSWERED, "silence is not wrong")
        must(v.step == NO_STEP or 0 <= v.step - s.first_step < s.steps, "step")
        if v.proof != ZERO:
            check_proof(fold, v.proof, v.lease_id)
        else:
            must(v.kind == REPLAY and v.digest != ZERO, "bare word")
            must(v.step != NO_STEP or v.digest not in (s.state_after, s.delta_root), "as claimed")
    else:
        must(v.index == len(x.shares) - 1, "not the last share")
        must(v.step == NO_STEP and v.proof == ZERO, "step or proof")
        whole = v.digest == ZERO and s.first_step + s.steps == x.terms.steps
        must(v.kind != REPLAY or v.outcome == VALID and whole, "a replay decides")
        must(v.kind != UNANSWERED or v.outcome == UNDECIDED, "silence decides nothing")
    by_pool, c = v.auditor_key == fold.pool_key, None
    if by_pool and v.kind != REPLAY:
        found = [fold.challenges[i] for i in x.challenges
                 if fold.challenges[i].question == v.digest]
        must(found and found[0].outcome is None, "nobody asked, or judged before")
        c = found[0]
        if v.kind == THREAD:
            must(c.what == ASKED_THREAD and c.answered, "no thread's, or no answer")
        else:
            must(not c.answered and r.time_ms >= c.due, "answered, or in time")
    signed(v.auditor_key, v.id, v.signature)

    def change():
        if not by_pool:
            return
        if c:
            c.outcome = v.outcome
        if v.outcome == INVALID:
            find_wrong(fold, x, v, r.seq)
        elif v.outcome == VALID:
            x.replayed = x.replayed or v.kind == REPLAY
            key = (x.terms.job_id, x.terms.miner_key)
            fold.right[key] = fold.right.get(key, 0) + (not x.right)
            x.right = True
    return [change], []


def find_wrong(fold, x, v, seq):
    if v.proof != ZERO:
        prove(fold, x, v.proof)
    if x.wrong:
        return
    x.wrong = True
    fold.right[x.terms.job_id, x.terms.miner_key] = 0
    fold.strike(x, seq)


def close(fold, r, body):
    b = body.fields("lease_id:d reason:B secret:d proof:d abandon:s")
    body.end()
    must(COMPLETE <= b.reason <= CANCELLED, "reason")
    x = fold.lease_of(b.lease_id)
    t, j, batch = x.terms, fold.jobs[x.terms.job_id], fold.batch_for(x)
    must(x.closed is None and audit.coin_commit(b.secret) == t.coin_commit, "closed or secret")
    for c in (fold.challenges[i] for i in x.challenges):
        must(c.why != IMMEDIATE or c.question == fold.immediate_seed(x, b.secret), "unfair coin")
    must((b.reason == REJECTED) == (b.proof != ZERO), "proof")
    must(b.reason == ABANDONED or b.abandon == NO_SIGNATURE, "signature")
    banned = fold.members[t.miner_key].banned
    if b.reason == COMPLETE:
        must(fold.may_complete(x, b.secret), "not complete")
    elif b.reason == EXPIRED:
        must(r.time_ms > fold.shares_until(x), "in time")
        must(not fold.may_complete(x, b.secret), "complete")
    elif b.reason == REJECTED:
        check_proof(fold, b.proof, b.lease_id)
    elif b.reason == ABANDONED:
        signed(t.miner_key, domain("abandon", b.lease_id), b.abandon)
    else:
        unfinished = x.set_aside and x.delta_root is None
        must(fold.ended(j) or banned or x.wrong or unfinished, "cancelled")

    def change():
        x.closed, batch.open, j.open = b.reason, batch.open - 1, j.open - 1
        if b.reason == COMPLETE:
            batch.leases.append(t.id)
            batch.last_close, j.unsettled = r.time_ms, j.unsettled + 1
        elif not x.set_aside:
            j.slots[t.slot] = None
        if b.reason == REJECTED:
            prove(fold, x, b.proof)
    return [change], []


def ban(fold, r, body):
    b = body.fields("key:d lease_id:d proof:d")
    body.end()
    must(b.key in fold.members and not fold.members[b.key].banned, "member")
    x = fold.lease_of(b.lease_id)
    must(x.terms.miner_key == b.key, "another's lease")
    check_proof(fold, b.proof, b.lease_id)
    must(fold.batch_for(x).proven >= 2, "a single fault")
    return [lambda: vars(fold.members[b.key]).update(banned=True)], []


RULES = {GENESIS: genesis, JOB: job, FUND: fund, MEMBER: member, LEASE: lease, SHARE: share,
         VERDICT: verdict, DELTA: delta, CLOSE: close, BAN: ban, MERGE: merge, PROOF: proof,
         FINISH: finish, CHALLENGE: challenge, ANSWER: answer, DRAW: draw, REDRAW: redraw,
         SETTLE: settle, STOP: stop}
