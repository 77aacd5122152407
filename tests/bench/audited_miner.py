"""What audits cost a miner: the same job with and without threads, one after the other.

A small language model, since of a lease and its thread only the ratio counts; the rates are those
of the large job that is shipped. Prints one JSON line.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import sys
import tempfile
import time
import tomllib

HERE = pathlib.Path(__file__).resolve()
ROOT = HERE.parents[2]
sys.path.append(str(ROOT / "tests/e2e"))
import cluster  # noqa: E402
import ledgerfile  # noqa: E402
import toyjob  # noqa: E402

SHIPPED = ROOT / "configs/jobs/gcide-gpt.toml"
TIMEOUT_S = 1800


def run(build, folder, rounds, threads):
    """Leases of one miner, one after the other, until the job ends."""
    rates = tomllib.loads(SHIPPED.read_text())["audit"]
    job = toyjob.write_lm(
        folder / "job", hidden=512, steps_per_lease=48, slots=1, rounds=rounds,
        batch_leases=rates["batch_leases"], first_batch=rates["first_batch"],
        first_audits=rates["first_audits"],
        threads=rates["threads"] if threads else 0,
        replays_ppm=rates["replays_ppm"] if threads else 1_000_000)
    # Without threads the pool replays what it wants to know, which costs the miner nothing.
    toml = f"[audit]\nalways_threads = {str(threads).lower()}\n"
    with cluster.Cluster(build, job, keep=folder / "run", fund=10**12, pool_toml=toml) as c:
        pool = c.start_pool(exit_when_finished=True)
        miner = c.miner("miner").start()
        most = watch(miner, folder / "run" / "miner")
        if miner.wait(TIMEOUT_S) != 0 or pool.wait(TIMEOUT_S) != 0:
            raise cluster.Failure(miner.tail() + pool.tail())
        return {**numbers(ledgerfile.Ledger(c.export()), miner), **most}


def watch(miner, data):
    """The most memory and disk that the miner has until it ends."""
    most = {"memory_bytes": 0, "disk_bytes": 0}
    end = time.monotonic() + TIMEOUT_S
    while miner.running() and time.monotonic() < end:
        disk = 0
        for place, _, files in os.walk(data / "leases"):
            for name in files:
                with contextlib.suppress(FileNotFoundError):
                    disk += os.path.getsize(os.path.join(place, name))
        status = pathlib.Path(f"/proc/{miner.popen.pid}/status")
        with contextlib.suppress(OSError):
            found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
            most["memory_bytes"] = 1024 * int(found.group(1)) if found else most["memory_bytes"]
        most["disk_bytes"] = max(most["disk_bytes"], disk)
        time.sleep(0.1)
    return most


def numbers(ledger, miner):
    shares = [float(e["gmacs"]) / float(e["gmac_per_s"]) for e in miner.events("share")]
    answers = miner.events("thread_answered")
    done = [int(r.time_ms) for r in ledger.of("delta")]
    begun = min(lease.issued_ms for lease in ledger.leases.values())
    return {"leases": len(done), "lease_s": (max(done) - begun) / 1000 / len(done),
            "device_s": sum(shares), "threads": len(answers),
            "answers_s": sum(float(e["seconds"]) for e in answers),
            "answer_bytes": sum(int(e["bytes"]) for e in answers) // max(1, len(answers)),
            "kinds": sorted({v.kind for v in ledger.verdicts})}


def measure(build, rounds):
    out = {}
    for name, threads in (("without", False), ("with", True)):
        with tempfile.TemporaryDirectory(prefix="gemmine-audited-") as place:
            out[name] = run(build, pathlib.Path(place), rounds, threads)
    asked = out["with"]
    out["overhead"] = asked["answers_s"] / asked["device_s"]
    out["overhead_wall"] = asked["lease_s"] / out["without"]["lease_s"] - 1
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=101)
    options = parser.parse_args()
    print(json.dumps(measure(options.build.resolve(), options.rounds)))


if __name__ == "__main__":
    main()
