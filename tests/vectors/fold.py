"""The ledger's meaning: every rule of PROTOCOL 8 and 13, record by record.

Fold.apply() takes a packed record, and raises Refused for one that breaks a rule; it has then
changed nothing. Leases, shares and verdicts are read back from their bytes.
"""
import audit
from b3 import domain
from fold_rules import RULES
from ledger_reader import (COMPLETE, FINED, FORFEITED, GENESIS, I64_MAX, IMMEDIATE, OPEN, PAID,
                           POST, RIGHT, SILENT, STOP, WRONG, Reader, must)
from records import VALID, ZERO, i64, text, u16, u64


class Fold:
    """jobs: what the caller knows of them, by id: a job's bytes are not read back here."""

    def __init__(self, known_jobs):
        self.known = {job.id: job for job in known_jobs}
        self.head, self.seq, self.time, self.serial = ZERO, 0, 0, 0
        self.pool_key = self.fee_account = self.post = None
        self.jobs, self.leases, self.members, self.accounts = {}, {}, {}, {}
        self.challenges, self.proofs, self.batches, self.right = {}, {}, {}, {}
        self.coin_commits, self.batch_commits = set(), {}

    def apply(self, packed):
        frame = Reader(packed)
        r = frame.fields("seq:Q time_ms:Q kind:B")
        r.body = frame.blob(2**20)
        frame.end()
        must(r.seq == self.seq, "seq")
        must(self.time <= r.time_ms <= 2**60, "time")
        must(GENESIS <= r.kind <= STOP, "kind")
        must((r.kind == GENESIS) == (self.seq == 0), "genesis")
        must(self.post is None or r.kind == POST, "the post is missing")
        if r.kind == POST:
            must(self.post == r.body, "the post differs")
            self.post = None
        else:
            # Rules come first, and the changes last, as a list of what to do then.
            changes, entries = RULES[r.kind](self, r, Reader(r.body))
            post = self._post(r.seq, entries)
            for change in changes:
                change()
            self.post = post
        self.head = domain("ledger", self.head + packed)
        self.seq, self.time = r.seq + 1, r.time_ms

    def _post(self, cause, entries):
        """The post that must follow (8.4). The balances change at once."""
        sums = {}
        for account, amount in entries:
            sums[account] = sums.get(account, 0) + amount
        sums = {a: v for a, v in sorted(sums.items()) if v}
        assert sum(sums.values()) == 0
        after = {a: self.accounts.get(a, 0) + v for a, v in sums.items()}
        must(all(-I64_MAX - 1 <= v <= I64_MAX and (v >= 0 or a == "external")
                 for a, v in after.items()), "a balance")
        self.accounts.update(after)
        if not sums:
            return None
        return u64(cause) + u16(len(sums)) + b"".join(text(a) + i64(v) for a, v in sums.items())

    # What follows from the records so far

    def job_of(self, job_id):
        must(job_id in self.jobs, "no such job")
        return self.jobs[job_id]

    def lease_of(self, lease_id):
        must(lease_id in self.leases, "no such lease")
        return self.leases[lease_id]

    def batch_of(self, job_id, key, number):
        must((job_id, key, number) in self.batches, "no such batch")
        return self.batches[job_id, key, number]

    def batch_for(self, lease):
        return self.batches[lease.terms.job_id, lease.terms.miner_key, lease.batch]

    def ended(self, job):
        return job.stopped or job.round == job.terms.rounds

    def shares_until(self, lease):
        """In time (6.2)."""
        member = self.members[lease.terms.miner_key]
        challenged = member.challenged_ms - lease.challenged_before
        job = self.jobs[lease.terms.job_id].terms
        return lease.terms.deadline_ms + min(challenged, job.lease_ms)

    def immediate_seed(self, lease, secret):
        """The seed of thread audit 0, or None when the coin calls for none (7.2)."""
        seed = audit.share_seed(secret, [s.id for s in lease.shares])
        job = self.jobs[lease.terms.job_id].terms
        if audit.audited_at_once(job, seed, lease.right_before):
            return audit.thread_seed(seed, lease.terms.id, 0)
        return None

    def may_complete(self, lease, secret):
        if self.members[lease.terms.miner_key].banned or lease.wrong or lease.delta_root is None:
            return False
        asked = self.immediate_seed(lease, secret)
        passed = any(self.challenges[c].why == IMMEDIATE and self.challenges[c].outcome == VALID
                     for c in lease.challenges)
        return asked is None or lease.replayed or passed

    def strike(self, lease, seq):
        """Nothing is to be built on it (8.6)."""
        j, t = self.jobs[lease.terms.job_id], lease.terms
        if lease.merged and not lease.subtracted:
            j.to_subtract.setdefault(t.id, seq)
        elif (lease.closed == COMPLETE and not lease.set_aside and not self.ended(j)
              and j.slots[t.slot] == t.id):
            j.slots[t.slot] = None

    def all_looked_at(self, job_id):
        """All that is merged, and not settled or of the last four rounds (8.5, stop)."""
        leases = [x for x in self.leases.values() if x.merged and x.terms.job_id == job_id
                  and not x.subtracted and x.terms.id not in self.jobs[job_id].to_subtract
                  and (self.batch_for(x).settled is None
                       or x.terms.round + 4 >= self.jobs[job_id].round)]
        return all(x.replayed for x in leases)

    def ticket_status(self, batch, ticket):
        lease = self.leases[batch.leases[ticket.place]]
        if lease.wrong:
            return WRONG
        if lease.replayed:
            return RIGHT
        outcome = None if ticket.challenge is None else self.challenges[ticket.challenge].outcome
        return OPEN if outcome is None else RIGHT if outcome == VALID else SILENT

    def silent_tickets(self, batch):
        status = [self.ticket_status(batch, t) for t in batch.tickets]
        must(OPEN not in status, "a ticket is open")
        return [i for i, s in enumerate(status) if s == SILENT]

    def settlement(self, job_id, key, number):
        """Outcome, lease ids paid, whether a silence is spent (13.6)."""
        batch, job = self.batch_of(job_id, key, number), self.jobs[job_id].terms
        must(batch.leases and batch.settled is None, "empty or settled")
        must(batch.open == 0, "a lease is open")
        if self.members[key].banned:
            return FORFEITED, [], False
        must(batch.tickets is not None, "not drawn")
        drawn = {t.place for t in batch.tickets}
        failed = sum(self.ticket_status(batch, t) == WRONG for t in batch.tickets)
        failed += sum(self.leases[x].wrong for i, x in enumerate(batch.leases) if i not in drawn)
        if failed >= 2:
            return FORFEITED, [], False
        silent, count = self.silent_tickets(batch), len(batch.leases)
        right = [x for x in batch.leases if not self.leases[x].wrong]
        if failed == 1:
            if silent or batch.redrawn is not None:
                return FORFEITED, [], False
            lost = max(1, -(-job.fail_ppm * count // 10**6))
            return FINED, right[:count - lost], False
        if batch.redrawn is None:
            must(not silent, "silent, and not redrawn")
            return PAID, right, False
        ticket = batch.tickets[batch.redrawn]
        must(self.ticket_status(batch, ticket) == RIGHT, "the redrawn ticket")
        mine = [b for (j, k, _), b in self.batches.items() if (j, k) == (job_id, key)]
        free = 1 + sum(b.paid for b in mine) // job.silent_free > sum(b.spent for b in mine)
        replayed = batch.leases[ticket.place]
        return PAID, [x for x in right if free or x != replayed], True
