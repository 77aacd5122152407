"""A ledger from genesis to finish, of a toy job that was really trained."""
import itertools

import toy
from ledger_reader import (CLOSE, COMPLETE, DELTA, FINISH, FULL, JOB_ENDED, LEASE, PAID, SHARE,
                           VERDICT)
from ledgers import Script
from records import REPLAY, VALID, blob, theta_root


def write(g, job, thetas, runs):
    """Shares of the two slots interleave; an independent auditor agrees once."""
    roots = [theta_root(theta) for theta in thetas]
    s = Script(g, [job], toy.START_MS - 100)
    s.begin((job, roots[0]))
    for round_, row in enumerate(runs):
        for shares in row:
            s.t = shares[0].lease.issued_ms
            s.push(LEASE, blob(shares[0].lease.encode()))
        for turn in itertools.zip_longest(*row):
            for run in filter(None, turn):
                s.push(SHARE, blob(run.share.encode()))
        s.push(VERDICT, s.verdict_body(row[0][0].lease, REPLAY, VALID, toy.AUDITOR,
                                       detail="an auditor agrees"))
        for shares in row:
            lease = shares[0].lease
            if round_ == 0 and lease.slot == 0:
                s.refused(CLOSE, s.close_body(lease, COMPLETE))
            s.push(DELTA, lease.id + shares[-1].share.delta_root)
            s.finish_lease(job, lease)
        s.merge(job, root=roots[round_ + 1])
    for key, reason in ((toy.public(toy.MINERS[0]), FULL), (toy.public(toy.MINERS[1]), JOB_ENDED)):
        s.refused(FINISH, job.id + roots[-1])
        batch = s.draw(job, key, 0, reason)
        s.judge_open(job, batch)
        assert s.settle(job, key, 0) == (PAID, 2)
    s.refused(FINISH, job.id + roots[0])
    s.push(FINISH, job.id + roots[-1])
    s.write_balances()
