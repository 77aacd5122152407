"""The toy jobs of the golden files: their data, keys, leases and shares."""
from types import SimpleNamespace

import numpy as np

import audit
import b3
import ed25519
import gn1
import records
import sheets

POOL, AUDITOR = b"\x01" * 32, b"\x0a" * 32
MINERS = [b"\x02" * 32, b"\x03" * 32]  # by slot
MASTER = b"\x07" * 32
WIDTHS = (37, 48, 24, 10)
START_MS = 1_800_000_000_000
ACCOUNTS = ["alice", "bob"]


def public(seed):
    return ed25519.public_key(seed)


def data_blob(first, count, classes=WIDTHS[-1]):
    """Records first … first+count−1: feature byte i of the stream is a formula, so is the label."""
    k = WIDTHS[0]
    i = np.arange(first * k, (first + count) * k, dtype=np.int64)
    features = (i * i * 7 + i * 13 + (i >> 8) * 31) % 256
    r = np.arange(first, first + count)
    labels = (r * 7 + r // 10) % classes
    bytes_of_labels = [labels[:, None] >> 8 * i & 255 for i in range(2 if classes > 256 else 1)]
    return np.concatenate([features.reshape(count, k), *bytes_of_labels], 1).astype(np.uint8)


TRAIN, TEST = data_blob(0, 200), data_blob(200, 50)
SHEET = sheets.encode(sheets.toy_sheet(WIDTHS[0], WIDTHS[-1]))


def job(optimiser, **changes):
    fields = dict(
        name="toy-sgd" if optimiser == gn1.SGD else "toy-adamw", widths=WIDTHS,
        train_address=b3.b3(TRAIN.tobytes()), n_train=200,
        test_address=b3.b3(TEST.tobytes()), n_test=50,
        feature_scale=gn1.f32("0x1p-7"), feature_shift=gn1.F(-1), sheet_address=b3.b3(SHEET),
        optimiser=optimiser,
        batch=33, steps_per_lease=5, steps_per_share=2, slots=2, rounds=2,
        init_seed=0x0123456789ABCDEF, data_seed=0xFEDCBA9876543210, sr_seed=0xA5A5A5A55A5A5A5A,
        batch_leases=3, first_batch=2, threads=1, thread_blocks=4, replays_ppm=750000,
        first_audits=1, now_ppm=200000, fail_ppm=600000, silent_free=2, lease_ms=600000,
        answer_ms=30000, delta_max=2, price_per_tmac=10**10, fee_ppm=15000, warmup=3,
        program=gn1, train=TRAIN, test=TEST)
    if optimiser == gn1.SGD:
        fields.update(lr=gn1.F(0.05), beta1=gn1.F(0.9), beta2=gn1.F(0), eps=gn1.F(0),
                      wd=gn1.F(0.0005))
    else:
        fields.update(lr=gn1.F(0.003), beta1=gn1.F(0.9), beta2=gn1.F(0.999), eps=gn1.F(1e-8),
                      wd=gn1.F(0.01))
    fields.update(changes)
    return records.Job(**fields)


def job_of_300_classes():
    """Labels of two bytes (3.2)."""
    train, test = data_blob(0, 200, 300), data_blob(200, 50, 300)
    return job(gn1.SGD, name="toy-classes", widths=(37, 24, 300), train=train, test=test,
               train_address=b3.b3(train.tobytes()), test_address=b3.b3(test.tobytes()))


def lease_secret(serial):
    return b3.b3k(MASTER, records.u64(serial))


def batch_secrets(job_id, key, number):
    """s0 and s1 of a key's batch (13.2)."""
    s0 = b3.b3k(MASTER, job_id + key + records.u64(number))
    return s0, audit.coin_commit(s0)


def make_lease(job_, round_, slot, serial, theta_root, issued_ms, miner=None, batch=0,
               steps_per_share=None):
    key = public(miner or MINERS[slot])
    lease = records.Lease(
        job_id=job_.id, pool_key=public(POOL), miner_key=key,
        round=round_, slot=slot, serial=serial, theta_root=theta_root,
        steps=job_.steps_per_lease, steps_per_share=steps_per_share or job_.steps_per_share,
        issued_ms=issued_ms, deadline_ms=issued_ms + job_.lease_ms,
        coin_commit=audit.coin_commit(lease_secret(serial)),
        batch_commit=audit.coin_commit(batch_secrets(job_.id, key, batch)[1]))
    return lease.sign(POOL)


def run_share(job_, lease, running, index, theta, miner):
    """Runs share `index` on `running` (a Lease of the job's program) and signs it."""
    first, end = lease.steps_of(index)
    steps = end - first
    run = SimpleNamespace(lease=lease, theta=theta, train=job_.train.tobytes(), delta=b"",
                          state_before=running.state_bytes(), digests=[], roots=[], losses=[],
                          tensors=[], trees={})
    before, total, program = records.state_root(running.state), None, job_.program
    for h in range(first, end):
        loss, out = running.step(job_.train)
        key = records.step_key(lease.id, h)
        roots = program.tensor_roots(job_, key, out)
        total = loss if total is None else total + loss
        run.losses.append(loss)
        run.roots.append(roots)
        run.digests.append(records.step_digest(key, roots, loss))
        run.tensors.append(program.committed(job_, out))
    run.state_after = running.state_bytes()
    delta_root = records.ZERO
    if end == lease.steps:
        run.delta = records.make_delta(running.theta, theta[:len(running.theta)], job_.delta_max)
        delta_root = b3.b3(run.delta)
    run.share = records.Share(
        lease_id=lease.id, index=index, first_step=first, steps=steps, state_before=before,
        state_after=records.state_root(running.state),
        trace_root=b3.b3k(records.share_key(lease.id, first), b"".join(run.digests)),
        loss=total / gn1.F(steps), macs=program.macs_per_step(job_) * steps,
        delta_root=delta_root).sign(miner)
    return run


def run_lease(job_, lease, theta, miner):
    running = job_.program.Lease(job_, theta, lease.round, lease.slot)
    return [run_share(job_, lease, running, i, theta, miner)
            for i in range(lease.shares)]


def run_job(job_):
    """Thetas by round (the last is final) and runs[round][slot] = list of share runs.

    One lease has shares of another size than the others.
    """
    thetas, runs = [job_.program.initial_theta(job_)], []
    for round_ in range(job_.rounds):
        row = []
        for slot in range(job_.slots):
            serial = round_ * job_.slots + slot
            root = records.theta_root(thetas[-1])
            lease = make_lease(job_, round_, slot, serial, root, START_MS + 1000 * serial,
                               steps_per_share=3 if (round_, slot) == (1, 0) else None)
            row.append(run_lease(job_, lease, thetas[-1], MINERS[slot]))
        runs.append(row)
        thetas.append(job_.merge(thetas[-1], [r[-1].delta for r in row]))
    return thetas, runs
