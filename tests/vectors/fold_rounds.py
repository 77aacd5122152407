"""Rules of rounds and of settlement (PROTOCOL 8.5, 13); see fold_rules.py."""
from types import SimpleNamespace

import audit
from b3 import domain
from ledger_reader import (ASKED, COMPLETE, FULL, IDLE, JOB_ENDED, NO_SIGNATURE, PAID, must,
                           signed)


def merge(fold, r, body):
    b = body.fields("job_id:d round:I before:d root:d")
    leases, out = body.digests(4096), body.digests(4096)
    body.end()
    j = fold.job_of(b.job_id)
    must(not j.finished and b.round == j.round and b.before == j.roots[-1], "round")
    if leases:
        must(not fold.ended(j) and leases == j.slots, "ended or slots")
        must(all(fold.leases[i].closed == COMPLETE for i in leases), "not complete")
    else:
        must(0 < len(out) == min(4096, len(j.to_subtract)), "no repair")
    must(out == sorted(set(out)) and set(out) <= set(j.to_subtract), "taken out")
    must(len(out) == 4096 or all(i in out for i, seq in j.to_subtract.items() if seq < j.round_seq),
         "left in")

    def change():
        for i in leases:
            fold.leases[i].merged = True
        for i in out:
            del j.to_subtract[i]
            fold.leases[i].subtracted = True
        if leases:
            j.roots.append(b.root)
            j.round += 1
        else:
            j.roots[-1] = b.root
            for i in filter(None, j.slots):
                fold.leases[i].set_aside = True
        j.round_seq, j.slots = r.seq, [None] * len(j.slots)
    return [change], []


def draw(fold, r, body):
    b = body.fields("job_id:d key:d batch:Q leases:I reason:B s1:d said:s")
    body.end()
    must(FULL <= b.reason <= IDLE, "reason")
    batch = fold.batch_of(b.job_id, b.key, b.batch)
    j = fold.jobs[b.job_id]
    must(batch.tickets is None and batch.settled is None and batch.open == 0, "drawn or open")
    must(b.leases == len(batch.leases) >= 1 and not fold.members[b.key].banned, "leases or ban")
    must(audit.coin_commit(b.s1) == batch.commit, "secret")
    must(b.reason == ASKED or b.said == NO_SIGNATURE, "signature")
    must({FULL: len(batch.leases) == batch.size, ASKED: b.leases >= j.terms.first_batch,
          JOB_ENDED: fold.ended(j),
          IDLE: r.time_ms >= batch.last_close + 10 * j.terms.lease_ms}[b.reason], "no reason")
    if b.reason == ASKED:
        signed(b.key, domain("settle", batch.commit), b.said)
    seed = audit.share_seed(b.s1, [s.id for i in batch.leases for s in fold.leases[i].shares])
    drawn = [SimpleNamespace(place=place, kind=kind, challenge=None,
                             seed=audit.thread_seed(seed, batch.leases[place], n))
             for n, (place, kind) in enumerate(audit.tickets(j.terms, b.leases, seed))]
    return [lambda: vars(batch).update(tickets=drawn, s1=b.s1, seed=seed)], []


def redraw(fold, r, body):
    b = body.fields("job_id:d key:d batch:Q s0:d")
    body.end()
    batch = fold.batch_of(b.job_id, b.key, b.batch)
    must(batch.tickets is not None and batch.settled is None and batch.redrawn is None, "state")
    must(audit.coin_commit(b.s0) == batch.s1, "secret")
    silent = fold.silent_tickets(batch)
    must(silent, "not silent")
    at = audit.silent_ticket(b.s0, batch.seed, len(silent))
    return [lambda: vars(batch).update(redrawn=silent[at])], []


def settle(fold, r, body):
    b = body.fields("job_id:d key:d batch:Q outcome:B paid:I")
    body.end()
    outcome, paid, spent = fold.settlement(b.job_id, b.key, b.batch)
    must((b.outcome, b.paid) == (outcome, len(paid)), "outcome")
    batch, j, entries = fold.batches[b.job_id, b.key, b.batch], fold.jobs[b.job_id], []
    fee = j.gross * j.terms.fee_ppm // 10**6
    for i in paid:
        entries += [("escrow:" + b.job_id.hex(), -j.gross), ("fee:" + fold.fee_account, fee),
                    ("account:" + fold.leases[i].account, j.gross - fee)]

    def change():
        for i in (i for i in batch.leases if b.outcome != PAID and i not in paid):
            x = fold.leases[i]
            if not x.right and not x.wrong:
                fold.strike(x, r.seq)
        batch.settled, batch.paid, batch.spent = outcome, len(paid), int(spent)
        j.unsettled -= len(batch.leases)
    return [change], entries


def stop(fold, r, body):
    b = body.fields("job_id:d lease_id:d step:I reason:B")
    body.end()
    j, x = fold.job_of(b.job_id), fold.lease_of(b.lease_id)
    must(b.reason == 1 and not fold.ended(j), "reason or ended")
    must((x.terms.job_id, x.terms.round, x.terms.theta_root) == (b.job_id, j.round, j.roots[-1]),
         "lease")
    first = len(x.shares) * x.terms.steps_per_share
    must(first <= b.step < min(first + x.terms.steps_per_share, x.terms.steps), "step")
    must(not j.to_subtract and fold.all_looked_at(b.job_id), "not replayed or not repaired")
    return [lambda: vars(j).update(stopped=True)], []


def finish(fold, r, body):
    b = body.fields("job_id:d root:d")
    body.end()
    j = fold.job_of(b.job_id)
    must(not j.finished and fold.ended(j) and j.open == 0 and j.unsettled == 0, "not yet")
    must(not j.to_subtract, "wrong, and not taken out")
    must(b.root == j.roots[-1], "root")
    escrow = "escrow:" + b.job_id.hex()
    rest = fold.accounts.get(escrow, 0)
    return [lambda: vars(j).update(finished=True)], [(escrow, -rest), ("external", rest)]
