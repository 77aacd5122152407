"""The two ledgers of the golden files: a whole job, and one with a ban and a rollback."""
import itertools

import audit
import b3
import records
import toy


def _verdict(run, kind, outcome, seed, t, step=records.NO_STEP, detail=""):
    return records.Verdict(
        lease_id=run.share.lease_id, index=run.share.index, share_id=run.share.id, kind=kind,
        outcome=outcome, step=step, time_ms=t, auditor_key=toy.public(seed),
        detail=detail).sign(seed)


class Script:
    """Appends what pool, miners and auditors do, one millisecond after another."""

    def __init__(self, job):
        self.job, self.ledger, self.t = job, records.Ledger(), toy.START_MS
        self.valid = {}  # shares with a valid verdict by the pool, by key (7.2)

    def now(self):
        self.t += 1
        return self.t

    def start(self, theta, fund):
        self.ledger.genesis(self.now(), toy.public(toy.POOL), "house")
        self.ledger.job(self.now(), self.job, b3.b3(records.theta_bytes(theta)))
        self.ledger.fund(self.now(), self.job.id, fund)
        for seed, account in zip(toy.MINERS, toy.ACCOUNTS):
            self.ledger.member(self.now(), toy.public(toy.POOL), seed, account, 1)

    def lease(self, lease):
        self.ledger.lease(max(self.now(), lease.issued_ms), lease)
        self.t = max(self.t, lease.issued_ms)

    def share(self, run):
        """Logs a share and the pool's verdict where 7.2 demands one."""
        key, lease = run.lease.miner_key, run.lease
        seed = audit.challenge_seed(audit.lease_secret(toy.MASTER, lease.serial), run.share.id)
        kind = audit.audit_kind(self.job, seed, self.valid.get(key, 0))
        self.ledger.share(self.now(), run.share)
        if kind != records.NONE:
            self.ledger.verdict(self.now(), _verdict(run, kind, records.VALID, toy.POOL, self.t))
            self.valid[key] = self.valid.get(key, 0) + 1

    def close(self, lease, reason):
        secret = audit.lease_secret(toy.MASTER, lease.serial)
        self.ledger.close(self.now(), lease.id, reason, secret)

    def finish_lease(self, runs):
        self.ledger.delta(self.now(), runs[0].lease.id, runs[-1].share.delta_root)
        self.close(runs[0].lease, records.COMPLETE)

    def whole_lease(self, runs):
        self.lease(runs[0].lease)
        for run in runs:
            self.share(run)
        self.finish_lease(runs)

    def merge(self, round_, theta, rows):
        self.ledger.merge(self.now(), self.job.id, round_, b3.b3(records.theta_bytes(theta)),
                          [r[0].lease.id for r in rows])

    def write(self, g):
        for seq, packed in enumerate(self.ledger.records):
            g.put(f"record {seq}", packed)
            g.put(f"head {seq}", self.ledger.heads[seq])
            g.put(f"signature {seq}", self.ledger.signature(seq, toy.POOL))
        for account, amount in sorted(self.ledger.accounts.items()):
            g.put(f"balance {account}", amount)
        assert sum(self.ledger.accounts.values()) == 0


def complete(g, job, thetas, runs):
    """Shares of the two slots interleave; an independent auditor agrees once."""
    s = Script(job)
    s.start(thetas[0], 1_000_000)
    for round_, row in enumerate(runs):
        for shares in row:
            s.lease(shares[0].lease)
        for turn in itertools.zip_longest(*row):
            for run in filter(None, turn):
                s.share(run)
        run = row[0][1]
        s.ledger.verdict(s.now(), _verdict(run, records.REPLAY, records.VALID, toy.AUDITOR, s.t,
                                           detail="an auditor agrees"))
        for shares in row:
            s.finish_lease(shares)
        s.merge(round_, thetas[round_ + 1], row)
    s.ledger.finish(s.now(), job.id, b3.b3(records.theta_bytes(thetas[-1])))
    s.write(g)


def ban(g, job, thetas, runs):
    """Slot 1 of round 0 is found out after the merge: ban, rollback, and the slot is run again."""
    s = Script(job)
    s.start(thetas[0], 500_000)
    for shares in runs[0]:
        s.whole_lease(shares)
    s.merge(0, thetas[1], runs[0])
    good, bad = runs[1][0], runs[0][1]
    s.whole_lease(good)
    bad_lease = bad[0].lease
    s.ledger.verdict(s.now(), _verdict(bad[2], records.REPLAY, records.INVALID, toy.POOL, s.t, 4,
                                       "state_after differs"))
    s.ledger.ban(s.now(), bad_lease.miner_key, bad_lease.id)
    s.ledger.rollback(s.now(), job.id, 0, bad_lease.id)
    again = toy.make_lease(job, 0, 1, 7, thetas[0], s.now() + 5000, toy.MINERS[0],
                           steps_per_share=1)
    redone = toy.run_lease(job, again, thetas[0], toy.MINERS[0])
    s.whole_lease(redone)
    theta = records.merge(thetas[0], [runs[0][0][-1].delta, redone[-1].delta], job.slots)
    s.merge(0, theta, [runs[0][0], redone])
    abandoned = toy.make_lease(job, 1, 0, 8, theta, s.now(), toy.MINERS[0])
    s.lease(abandoned)
    s.close(abandoned, records.ABANDONED)
    s.write(g)
