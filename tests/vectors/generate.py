"""Writes the golden files: `generate.py DIRECTORY`. Text, a `key = token token …` a line.

Bytes are hex, f32 is eight hex digits of its bits, integers are decimal, `-` is no bytes.
"""
import pathlib
import sys
from types import SimpleNamespace

import numpy as np

import audit
import b3
import ed25519
import gn1
import gpt_openings
import ledger_complete
import ledger_settle
import proof_cases
import proofs as proof_decider
import record_cases
import records
import sheets
import threads
import toy
import toy_gpt
import update_cases
from gn1 import F


class Golden:
    def __init__(self, purpose):
        self.lines = ["# " + purpose + " Written by tests/vectors/generate.py; append only."]

    def put(self, key, *values):
        self.lines.append(key + " = " + " ".join(token(v) for v in values))

    def text(self):
        return "\n".join(self.lines) + "\n"


def token(value):
    if isinstance(value, (bytes, bytearray)):
        return value.hex() or "-"
    if isinstance(value, (np.floating, np.ndarray)):  # a float32, or an array of just one
        assert value.dtype == F and value.size == 1
        return f"{int(gn1.bits(value).reshape(-1)[0]):08x}"
    assert isinstance(value, (str, int, np.integer))
    return str(value)


def bit_tokens(array):
    return [f"{int(b):08x}" for b in gn1.bits(array).reshape(-1)]


def spread(count, seed):
    """`count` uint32 words that look random and are a formula."""
    return gn1.philox(seed, np.arange(count), 0, 0, 0)[0]


def numerics():
    g = Golden("Numerics GN-1 (PROTOCOL 1.5, 2).")
    for seed, c in ((0, (0, 0, 0, 0)), (2**64 - 1, (2**32 - 1,) * 4),
                    (0x299F31D0A4093822, (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344))):
        g.put(f"philox {seed} " + " ".join(map(str, c)),
              *(f"{int(w):08x}" for w in gn1.philox(seed, *c)))
    words = spread(48, 1).astype(np.float64) / 2**32
    x = np.concatenate([[0.0, -0.0, 1, -1, 88, 89, 1e30, -87, -88, -1e30, 0.34657359, -0.34657359,
                         1e-30, -1e-45], words * 175 - 87]).astype(F)
    g.put("exp in", *bit_tokens(x))
    g.put("exp out", *bit_tokens(gn1.exp(x)))
    x = np.concatenate([[1.0, 0.70710677, 0.70710683, 1.4142135, 1.4142137, 2, 1.17549435e-38,
                         3.4e38, 0.99999994, 1.0000001, 256],
                        2.0 ** (words * 40 - 20)]).astype(F)
    g.put("log in", *bit_tokens(x))
    g.put("log out", *bit_tokens(gn1.log(x)))
    x = np.concatenate([[0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997, 4194303, -4194303, 62.5,
                         63.5, 1e-40, -0.0], words * 200 - 100]).astype(F)
    g.put("rni in", *bit_tokens(x))
    g.put("rni out", *gn1.rni(x))
    quantise(g)
    u = gn1.stochastic_bits(0xA5A5A5A55A5A5A5A, range(3), range(300), 300, 16 * 2 + 7, 41)
    g.put("sr_bits 3x300 seed=11936128518282651050 tensor=39 step=41", u.astype("<u2").tobytes())
    for n in (1, 31, 33, 100, 4096, 4097, 9000):
        v = (spread(n, n).astype(F) * gn1.f32("0x1p-31") - F(1)).astype(F)
        g.put(f"rowsum {n}", gn1.rowsum(v))
        g.put(f"longsum {n}", gn1.longsum(v))
        g.put(f"colsum {n}", gn1.colsum(v[:, None])[0])
    return g


def quantise(g):
    """Rows of 48 values, each one group: RN, SR with u = low half of spread(48, 2), and s."""
    base = (spread(48, 3).astype(F) * gn1.f32("0x1p-31") - F(1)).astype(F)
    u = spread(48, 2) & gn1.U32(0xFFFF)
    g.put("quantise u", *u)
    rows = {"plain": base, "zero": base * F(0), "tiny": base * gn1.f32("0x1p-101"),
            "edge": np.concatenate([base[1:] * F(0), [gn1.f32("0x1p-100")]]),
            "above": np.concatenate([base[1:] * F(0), [gn1.f32("0x1.000002p-100")]]),
            "huge": base * gn1.f32("0x1p+127"), "outlier": np.concatenate([base[1:], [F(1e6)]])}
    for name, v in rows.items():
        s, inv = gn1.scale_of_max(gn1.group_max(v[None], 1))
        g.put(f"quantise {name} in", *bit_tokens(v))
        g.put(f"quantise {name} scale inv", s[0], inv[0])
        g.put(f"quantise {name} rn", gn1.round_nearest(v, inv).tobytes())
        g.put(f"quantise {name} sr", gn1.stochastic_round(v, inv, u).tobytes())


def hashes():
    g = Golden("Tile order, roots, multiproofs, deltas, signatures (PROTOCOL 1.4, 4, 6.4, 8.3).")
    for rows, cols in ((1, 1), (16, 64), (17, 65), (100, 150), (33, 200)):
        q = (spread(rows * cols, 5) % gn1.U32(127)).astype(np.int64) - 63
        data = gn1.tensor_bytes(q.astype(np.int8).reshape(rows, cols))
        g.put(f"tile_root {rows} {cols}", len(data), b3.b3k(b"\x05" * 32, data))
    data = spread(5000, 6).astype("<u4").tobytes()[:19999]
    tree = b3.Tree(b3.PLAIN, data)
    g.put("proof root", b3.b3(data))
    for ranges in ([(0, 1)], [(19, 20)], [(3, 5), (7, 8), (16, 19)], [(0, 20)], [(0, 16)]):
        name = ",".join(f"{a}-{b}" for a, b in ranges)
        g.put(f"proof {name}", *(tree.siblings(ranges) or ["-"]))
    for i in range(3):
        seed, message = bytes([i + 1]) * 32, b3.b3(bytes([i]))
        g.put(f"sign {i}", seed, ed25519.public_key(seed), message, ed25519.sign(seed, message))
    theta = (spread(300, 7).astype(F) * gn1.f32("0x1p-31") - F(1)).astype(F)
    step = (spread(300, 8).astype(F) * gn1.f32("0x1p-36") - gn1.f32("0x1p-5")).astype(F)
    step[128:256] = F(0)
    step[0], step[256] = F(255.99), gn1.f32("0x1p-45")
    deltas = [records.make_delta((theta + step * F(k)).astype(F), theta, 8) for k in (1, -0.5, 0)]
    g.put("delta theta", *bit_tokens(theta))
    g.put("delta step", *bit_tokens(step))
    for k, delta in enumerate(deltas):
        g.put(f"delta bytes {k}", delta)
    g.put("delta merged", *bit_tokens(records.merge(theta, deltas, 3)))
    g.put("delta taken out", *bit_tokens(records.merge(theta, deltas[:2], 2, deltas[1:])))
    g.put("delta clamped", records.make_delta((theta + step).astype(F), theta, -3))
    return g


def write_job(g, job, thetas, runs):
    g.put("job", job.encode())
    g.put("job_id", job.id)
    program = job.program
    g.put("macs_per_step", program.macs_per_step(job))
    for r, row in enumerate(runs):
        g.put(f"theta_root {r}", b3.b3(records.theta_bytes(thetas[r])))
        for slot, shares in enumerate(row):
            lease = shares[0].lease
            g.put(f"lease {r} {slot}", lease.encode())
            g.put(f"lease_id {r} {slot}", lease.id)
            g.put(f"secret {r} {slot}", toy.lease_secret(lease.serial))
            for run in shares:
                i, first = run.share.index, run.share.first_step
                for k, digest in enumerate(run.digests):
                    g.put(f"step {r} {slot} {first + k}", run.losses[k], digest)
                    if (r, slot) == (0, 0) or (r, slot) == (1, 1) and k == 0:
                        g.put(f"roots {r} {slot} {first + k}", *run.roots[k])
                g.put(f"trace {r} {slot} {i}", run.share.trace_root, run.share.state_after)
                g.put(f"share {r} {slot} {i}", run.share.encode())
                g.put(f"share_id {r} {slot} {i}", run.share.id)
            g.put(f"delta {r} {slot}", shares[-1].share.delta_root)
    write_late_lease(g, job, thetas[0], runs[1][1][0].lease)
    g.put("theta_root final", b3.b3(records.theta_bytes(thetas[-1])))
    before, after = (program.evaluate(job, theta, job.test) for theta in (thetas[0], thetas[-1]))
    g.put("correct", before[0], *after)


def write_late_lease(g, job, theta, lease):
    """The lease's place in the schedule and its data, from the first θ: a step knows no merge."""
    running = job.program.Lease(job, theta, lease.round, lease.slot)
    for h in range(job.steps_per_lease):
        loss, out = running.step(job.train)
        key = records.step_key(lease.id, h)
        roots = job.program.tensor_roots(job, key, out)
        g.put(f"late {lease.round} {lease.slot} {h}", loss,
              records.step_digest(key, roots, loss), records.state_root(running.state))


# What draws tickets of every kind, and more threads than a small batch has leases.
TICKET_JOB = SimpleNamespace(threads=5, replays_ppm=2_400_000)


def coin(job, runs):
    g = Golden("The coins, tickets and blocks of audits (PROTOCOL 7.1 – 7.3, 13.4), for job_sgd.")
    lease, secret = runs[0][0][0].lease, toy.lease_secret(0)
    ids = [run.share.id for run in runs[0][0]]
    g.put("secret", secret)
    g.put("coin_commit", audit.coin_commit(secret))
    g.put("share_ids", *ids)
    seed = audit.share_seed(secret, ids)
    g.put("seed 0", seed)
    g.put("thread 0", lease.id, audit.thread_seed(seed, lease.id, 0))
    g.put("thread 1", lease.id, audit.thread_seed(seed, lease.id, 1))
    seeds = [seed] + [bytes([i]) * 32 for i in range(1, 24)]
    for i, seed in enumerate(seeds):
        g.put(f"draw {i}", seed, *(audit.draw(seed, n) for n in range(4)))
        g.put(f"at once {i}", *(int(audit.audited_at_once(job, seed, n)) for n in (0, 1)))
        for leases in (1, 3, 20):
            g.put(f"tickets {i} {leases}",
                  *(x for ticket in audit.tickets(TICKET_JOB, leases, seed) for x in ticket))
        g.put(f"silent {i}", *(audit.silent_ticket(secret, seed, n) for n in (1, 2, 7)))
        for last, steps in ((False, 2), (True, 1)):
            for j in range(job.thread_blocks):
                c = audit.choose_block(job, seed, j, steps, last)
                position = -1 if c.position is None else c.position
                g.put(f"block {i} {int(last)} {j}", c.step, position, c.row, c.col, c.group)
    return g


def openings(job, runs):
    g = Golden("Openings, and the verdicts of corrupted ones (PROTOCOL 6.5, 7.4), for job_sgd.")
    g.put("# opening NAME", "round slot share | step position (-1: delta) row col group | bytes")
    g.put("# corrupt NAME N", "opening | offset xor cut append(hex) | outcome")
    places = {(l, n): p for p, (l, n, _, _) in enumerate(gn1.tensors(job))}
    cases = {"x_first": (0, 0, 0, 1, (0, gn1.X), 2, 0, 0),
             "x_hidden": (0, 1, 1, 0, (1, gn1.X), 1, 0, 5),
             "w": (1, 0, 1, 0, (1, gn1.W), 1, 0, 3), "g1_last": (0, 0, 1, 1, (2, gn1.G1), 0, 0, 7),
             "g1_hidden": (1, 1, 2, 0, (1, gn1.G1), 2, 0, 0),
             "g2_last": (1, 0, 0, 1, (2, gn1.G2), 1, 0, 9),
             "g2_hidden": (0, 0, 0, 0, (0, gn1.G2), 0, 0, 20),
             "sums_last": (0, 1, 0, 1, (2, gn1.PB), 0, 0, 0),
             "sums_hidden": (1, 0, 1, 0, (1, gn1.PB), 1, 0, 0),
             "delta": (1, 1, 2, 0, None, 25, 0, 0)}
    for name, (r, slot, i, step, place, row, col, group) in cases.items():
        run = runs[r][slot][i]
        choice = audit.SimpleNamespace(step=step, position=None if place is None else places[place],
                                       row=row, col=col, group=group)
        data = audit.make_opening(job, run, choice)
        position = -1 if place is None else choice.position
        g.put(f"opening {name}", r, slot, i, step, position, row, col, group, data)
        corrupt(g, name, job, run, choice, data)
    return g


def corrupt(g, name, job, run, choice, data):
    """One change each; the reference says which verdict it must get."""
    n = len(data)
    changes = [(0, 0, 0, b""), (0, 0, 1, b""), (0, 0, 0, b"\0"), (3, 0x80, 0, b""), (0, 1, 0, b""),
               (4, 1, 0, b""), (6, 4, 0, b""), (10, 1, 0, b""), (n - 1, 1, 0, b""),
               (n // 2, 16, 0, b""), (n // 3, 2, 0, b""), (0, 0, n // 2, b"")]
    for k, (offset, flip, cut, tail) in enumerate(changes):
        if offset == 0 and flip == 1 and choice.position is None:
            continue
        bad = bytearray(data)
        bad[offset] ^= flip
        bad = bytes(bad[:n - cut]) + tail
        outcome = audit.check_opening(job, run, choice, bad)
        assert (outcome == records.VALID) == (bad == data), (name, k)
        g.put(f"corrupt {name} {k}", name, offset, flip, cut, tail, outcome)


def proofs(golden, model_file, job, thetas, runs, models):
    """Proof files of job_sgd and of language models (PROTOCOL 12)."""
    places = {(l, n): p for p, (l, n, _, _) in enumerate(gn1.tensors(job))}
    cases = proof_cases.miner_cases(job, runs, {"x_hidden": places[1, gn1.X]})
    cases.update(proof_cases.pool_cases(job, thetas, runs))
    cases.update(record_cases.cases(job, runs[0][0][0], cases))
    cases.update(update_cases.cases(job))
    proof_cases.put_all(golden, cases, {job.encode(): job})
    lied = proof_cases.lie(job, runs[0][0][0], toy.MINERS[0], 1, 0, 0)
    for name, data in record_cases.replayed_cases(job, runs[0][0], lied).items():
        published = {records.theta_root(thetas[0]): thetas[0]}
        public, jobs = toy.public(toy.POOL), {job.encode(): job}
        assert not proof_decider.decide(data, public, jobs), name
        proven = proof_decider.decide(data, public, jobs, published)
        assert proven != name.endswith("_honest"), name
        golden.put(f"replayed {name}", int(proven), data)
    model, model_runs = models["job_gpt"]
    where = {t[:2]: p for p, t in enumerate(model.program.tensors(model))}
    cases = proof_cases.model_cases(model, model_runs, {"model_max": where["m", 0]})
    proof_cases.put_all(model_file, cases, {model.encode(): model})


def everything():
    files = {"numerics": numerics(), "hashes": hashes(),
             "sheets": Golden("Sheets: how rows became records (PROTOCOL 6.7).")}
    sheets.put_all(files["sheets"])
    for optimiser, name in ((gn1.SGD, "job_sgd"), (gn1.ADAMW, "job_adamw")):
        job = toy.job(optimiser)
        thetas, runs = toy.run_job(job)
        files[name] = Golden("A whole toy job, step by step (PROTOCOL 3, 4, 6).")
        write_job(files[name], job, thetas, runs)
        if optimiser == gn1.SGD:
            of_sgd = job, thetas, runs
            files["coin"] = coin(job, runs)
            files["openings"] = openings(job, runs)
            files["ledger_complete"] = Golden("A ledger from genesis to finish (PROTOCOL 8).")
            ledger_complete.write(files["ledger_complete"], job, thetas, runs)
    files["ledger_settle"] = Golden("Settlement, and records that are refused (PROTOCOL 8, 13).")
    ledger_settle.write(files["ledger_settle"])
    job = toy.job_of_300_classes()
    files["job_classes"] = Golden("A toy job whose labels have two bytes (PROTOCOL 3.2).")
    write_job(files["job_classes"], job, *toy.run_job(job))
    models = {}
    for tied, name in ((False, "job_gpt"), (True, "job_gpt_tied")):
        job = toy_gpt.job(tied)
        files[name] = Golden("A whole toy language model, step by step (PROTOCOL 10).")
        thetas, runs = toy.run_job(job)
        write_job(files[name], job, thetas, runs)
        models[name] = job, runs
    files["openings_gpt"] = Golden("Openings of language models (PROTOCOL 10.11).")
    gpt_openings.put_all(files["openings_gpt"], models)
    files["proofs"] = Golden("Proofs, and what is proven (PROTOCOL 12), for job_sgd.")
    files["proofs_gpt"] = Golden("Proofs, and what is proven (PROTOCOL 12), for job_gpt.")
    proofs(files["proofs"], files["proofs_gpt"], *of_sgd, models)
    files["threads"] = Golden("Threads, and what is found (PROTOCOL 11).")
    threads.put_all(files["threads"], of_sgd[0], toy.job(gn1.ADAMW),
                    toy_gpt.job(False, context=32), toy_gpt.job(True, steps_per_share=2,
                                                                clip=F(0.05)))
    return {name + ".txt": g.text() for name, g in files.items()}


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in everything().items():
        (directory / name).write_text(text)


if __name__ == "__main__":
    main()
