"""One lease of the large job that is shipped, from its data to its pay, by a real pool and miner.

The job is configs/jobs/gcide-gpt.toml with one round of one slot; everything else is as it stands.
Prints one JSON line: what it took the miner, its line and the pool.
"""
import argparse
import json
import pathlib
import re
import runpy
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve()
ROOT = HERE.parents[2]
sys.path.append(str(ROOT / "tests/e2e"))
import cluster  # noqa: E402
import ledgerfile  # noqa: E402

JOB = ROOT / "configs/jobs/gcide-gpt.toml"
TIMEOUT_S = 1800


def one_lease(folder, steps):
    """The job with one lease, of fewer steps if asked, and its data where they are."""
    text = JOB.read_text()
    for name, value in (("slots", 1), ("rounds", 1), ("steps_per_lease", steps),
                        ("warmup", steps), ("directory", f'"{JOB.parent / "data/gcide"}"')):
        if value is not None:
            text, found = re.subn(rf"(?m)^{name} = \S+", f"{name} = {value}", text)
            assert found == 1, name
    path = folder / "job.toml"
    path.write_text(text)
    return path


def measure(build, steps):
    runpy.run_path(str(JOB.with_suffix(".py")))["make"]()
    with tempfile.TemporaryDirectory(prefix="gemmine-large-") as place:
        folder = pathlib.Path(place)
        with cluster.Cluster(build, one_lease(folder, steps), keep=folder / "run",
                             fund=10**12) as c:
            pool = c.start_pool(exit_when_finished=True)
            miner = c.miner("miner").start()
            if miner.wait(TIMEOUT_S) != 0 or pool.wait(TIMEOUT_S) != 0:
                raise cluster.Failure(miner.tail() + pool.tail())
            return numbers(ledgerfile.Ledger(c.export()))


def numbers(ledger):
    lease, = ledger.leases.values()
    shares = [s.time_ms for s in ledger.shares]
    delta, = ledger.of("delta")
    own = [v for v in ledger.verdicts if v.outcome == "valid"]
    asked = {r.seq: r for r in ledger.of("challenge")}
    answers = [ledgerfile.Cursor(r.body) for r in ledger.of("answer")]
    sizes = []
    for answer in answers:
        answer.take(32 + 8 + 32)
        sizes.append(answer.number("Q"))
    return {"steps": lease.steps, "macs": sum(s.macs for s in ledger.shares),
            "lease_s": (shares[-1] - lease.issued_ms) / 1000,
            "delta_s": (delta.time_ms - shares[-1]) / 1000,
            "audits": [v.kind for v in own],
            "audited_s": [(v.time_ms - delta.time_ms) / 1000 for v in own],
            "threads_asked": len(asked), "answer_bytes": sizes,
            "settled_s": (ledger.settles[-1].time_ms - delta.time_ms) / 1000,
            "paid": ledger.settles[-1].paid, "losses": [round(s.loss, 4) for s in ledger.shares]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--steps", type=int, help="of the lease, in place of the job's")
    options = parser.parse_args()
    print(json.dumps(measure(options.build.resolve(), options.steps)))


if __name__ == "__main__":
    main()
