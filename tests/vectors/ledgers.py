"""What pool, miners and auditors log, one record after another: the hand that writes the golden
ledgers. fold.py decides what may be written; ledger_complete.py and ledger_settle.py are the plots.
"""
import ed25519
import toy
from b3 import b3, domain
from fold import Fold
from ledger_reader import (ABANDONED, ANSWER, ASKED, CHALLENGE, CLOSE, COMPLETE, DELTA, DRAW, FUND,
                           GENESIS, IMMEDIATE, JOB, LEASE, MEMBER, MERGE, NO_SIGNATURE, OPEN, POST,
                           PROOF, REDRAW, SETTLE, SHARE, TICKET, VERDICT, Refused)
from records import (INVALID, NO_STEP, REPLAY, THREAD, UNANSWERED, UNDECIDED, VALID, ZERO, Share,
                     Verdict, blob, text, u8, u16, u32, u64)

HOUSE = "house"


class Script:
    """Time goes on by a millisecond with every record, and further when told so."""

    def __init__(self, golden, jobs, start_ms):
        self.g, self.fold, self.t = golden, Fold(jobs), start_ms
        self.seeds = {toy.public(s): s for s in toy.MINERS}
        self.signatures, self.refusals, self.serial = [], 0, 100

    def packed(self, kind, body):
        return u64(self.fold.seq) + u64(self.t) + u8(kind) + blob(body)

    def push(self, kind, body):
        """Logs a record, and the post that must follow. Returns its seq."""
        seq, packed = self.fold.seq, self.packed(kind, body)
        self.fold.apply(packed)
        self.g.put(f"record {seq}", packed)
        self.g.put(f"head {seq}", self.fold.head)
        self.g.put(f"signature {seq}", ed25519.sign(toy.POOL, domain(
            "head", u64(seq) + u64(self.t) + self.fold.head)))
        self.t += 1
        if self.fold.post is not None:
            self.push(POST, self.fold.post)
        return seq

    def refused(self, kind, body, wait=0):
        """A record that breaks one rule, here and now (or later): it must change nothing."""
        self.t += wait
        packed, head = self.packed(kind, body), self.fold.head
        self.t -= wait
        try:
            self.fold.apply(packed)
        except Refused as rule:
            assert self.fold.head == head
            self.g.put(f"refused {self.refusals}", self.fold.seq, packed,
                       str(rule).replace(" ", "_"))
            self.refusals += 1
        else:
            raise AssertionError(f"accepted: kind {kind}")

    def write_balances(self):
        for account, amount in sorted(self.fold.accounts.items()):
            self.g.put(f"balance {account}", amount)
        assert sum(self.fold.accounts.values()) == 0

    # Bodies

    def member(self, seed, account, counter):
        key = toy.public(seed)
        message = domain("member", toy.public(toy.POOL) + key + u64(counter) + text(account))
        return key + text(account) + u64(counter) + ed25519.sign(seed, message)

    def begin(self, *jobs, fund=1_000_000):
        self.push(GENESIS, u16(2) + toy.public(toy.POOL) + text(HOUSE))
        for job, theta_root in jobs:
            self.push(JOB, blob(job.encode()) + theta_root)
            self.push(FUND, job.id + u64(fund))
        for seed, account in zip(toy.MINERS, toy.ACCOUNTS):
            self.push(MEMBER, self.member(seed, account, 1))

    def make_lease(self, job, slot, seed, /, **changes):
        """In the key's batch that has room, or in a new one."""
        key, state, self.serial = toy.public(seed), self.fold.jobs[job.id], self.serial + 1
        mine = [b for (i, k, _), b in self.fold.batches.items() if (i, k) == (job.id, key)]
        room = [n for n, b in enumerate(mine)
                if b.tickets is None and b.open + len(b.leases) < b.size]
        lease = toy.make_lease(job, state.round, slot, self.serial, state.roots[-1], self.t, seed,
                               room[0] if room else len(mine))
        vars(lease).update(changes)
        return lease.sign(toy.POOL)

    def lease(self, job, slot, seed):
        lease = self.make_lease(job, slot, seed)
        self.push(LEASE, blob(lease.encode()))
        return lease

    def make_share(self, job, lease, index, /, **changes):
        """Nobody ran it: the fold looks at digests only."""
        first, end = lease.steps_of(index)
        seed = self.seeds[lease.miner_key]
        digest = [b3(lease.id + u32(index) + bytes([i])) for i in range(3)]
        before = self.fold.leases[lease.id].shares[-1].state_after if index else b3(b"theta")
        share = Share(lease_id=lease.id, index=index, first_step=first, steps=end - first,
                      state_before=before, state_after=digest[0], trace_root=digest[1], loss=1.5,
                      macs=job.program.macs_per_step(job) * (end - first),
                      delta_root=digest[2] if end == lease.steps else ZERO)
        vars(share).update(changes)
        return share.sign(seed)

    def train(self, job, lease):
        for index in range(lease.shares):
            self.push(SHARE, blob(self.make_share(job, lease, index).encode()))
        self.push(DELTA, lease.id + self.fold.leases[lease.id].shares[-1].delta_root)

    def close_body(self, lease, reason, proof=ZERO, abandon=NO_SIGNATURE):
        return (lease.id + u8(reason) + toy.lease_secret(lease.serial) + proof + abandon)

    def abandon_body(self, lease):
        seed = self.seeds[lease.miner_key]
        return self.close_body(lease, ABANDONED,
                               abandon=ed25519.sign(seed, domain("abandon", lease.id)))

    def verdict_body(self, lease, kind, outcome, seed=toy.POOL, /, **changes):
        shares = self.fold.leases[lease.id].shares
        verdict = Verdict(lease_id=lease.id, index=len(shares) - 1, share_id=shares[-1].id,
                          kind=kind, outcome=outcome, step=NO_STEP, time_ms=self.t,
                          auditor_key=toy.public(seed), proof=ZERO, digest=ZERO, detail="")
        vars(verdict).update(changes)
        return blob(verdict.sign(seed).encode())

    def challenge_body(self, job, lease, why, what, question, more_ms=0):
        return lease.id + u8(why) + u8(what) + question + u32(job.answer_ms + more_ms)

    def answer_body(self, lease, challenge, seed=None):
        address, size = b3(lease.id + u64(challenge)), 1000
        body = lease.id + u64(challenge) + address + u64(size)
        return body + ed25519.sign(seed or self.seeds[lease.miner_key], domain("answer", body))

    def merge_body(self, job, leases, taken_out=(), root=None):
        state = self.fold.jobs[job.id]
        root = root or b3(state.roots[-1])
        return (job.id + u32(state.round) + state.roots[-1] + root + u32(len(leases))
                + b"".join(leases) + u32(len(taken_out)) + b"".join(taken_out))

    def batch_body(self, job, key, number):
        return job.id + key + u64(number)

    def draw_body(self, job, key, number, reason):
        leases = self.fold.batches[job.id, key, number].leases
        s1 = toy.batch_secrets(job.id, key, number)[1]
        said = ed25519.sign(self.seeds[key], domain("settle", self.fold.batches[
            job.id, key, number].commit)) if reason == ASKED else NO_SIGNATURE
        return self.batch_body(job, key, number) + u32(len(leases)) + u8(reason) + s1 + said

    # What happens again and again

    def replay(self, lease, outcome=VALID, **changes):
        if outcome == INVALID:
            changes.setdefault("digest", b3(b"what the replay got"))
        self.push(VERDICT, self.verdict_body(lease, REPLAY, outcome, **changes))

    def prove(self, lease, kind=1):
        address = b3(b"proof" + lease.id)
        self.push(PROOF, u8(kind) + lease.id + address + u32(500))
        return address

    def thread(self, job, lease, why, question, outcome=VALID):
        """A thread audit; undecided: the miner says nothing."""
        seq = self.push(CHALLENGE, self.challenge_body(job, lease, why, 1, question))
        if outcome == UNDECIDED:
            self.t += job.answer_ms
            self.push(VERDICT, self.verdict_body(lease, UNANSWERED, outcome, digest=question))
            return
        self.push(ANSWER, self.answer_body(lease, seq))
        self.push(VERDICT, self.verdict_body(lease, THREAD, outcome, digest=question))

    def finish_lease(self, job, lease):
        """Whole and with its delta: what its coin demands, and its close."""
        asked = self.fold.immediate_seed(self.fold.leases[lease.id],
                                         toy.lease_secret(lease.serial))
        if asked is not None:
            self.thread(job, lease, IMMEDIATE, asked)
        self.push(CLOSE, self.close_body(lease, COMPLETE))

    def whole_lease(self, job, slot, seed):
        lease = self.lease(job, slot, seed)
        self.train(job, lease)
        self.finish_lease(job, lease)
        return lease

    def merge(self, job, taken_out=(), root=None):
        slots = self.fold.jobs[job.id].slots
        self.push(MERGE, self.merge_body(job, slots, taken_out, root))

    def repair(self, job, taken_out):
        self.push(MERGE, self.merge_body(job, [], taken_out))

    def draw(self, job, key, number, reason):
        self.push(DRAW, self.draw_body(job, key, number, reason))
        return self.fold.batches[job.id, key, number]

    def terms_of(self, batch, ticket):
        return self.fold.leases[batch.leases[ticket.place]].terms

    def judge(self, job, batch, ticket, outcome=VALID):
        lease = self.terms_of(batch, ticket)
        if ticket.kind == REPLAY:
            self.replay(lease, outcome)
        else:
            self.thread(job, lease, TICKET, ticket.seed, outcome)

    def judge_open(self, job, batch, outcome=VALID):
        """Every ticket that is still open; a replay's that may not be silent is right."""
        for ticket in batch.tickets:
            if self.fold.ticket_status(batch, ticket) == OPEN:
                silent_replay = outcome == UNDECIDED and ticket.kind == REPLAY
                self.judge(job, batch, ticket, VALID if silent_replay else outcome)

    def redraw(self, job, key, number):
        s0 = toy.batch_secrets(job.id, key, number)[0]
        self.push(REDRAW, self.batch_body(job, key, number) + s0)

    def settle(self, job, key, number):
        outcome, paid, _ = self.fold.settlement(job.id, key, number)
        self.push(SETTLE, self.batch_body(job, key, number) + u8(outcome) + u32(len(paid)))
        return outcome, len(paid)
