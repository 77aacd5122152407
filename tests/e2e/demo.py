"""The main job, for real and on this machine: a pool, three honest miners, a cheat, an auditor.

Every claim of the final report is checked; the exit code is 1 and names what does not hold.
"""
import argparse
import json
import pathlib
import shlex
import sys
import tempfile
import time

import cluster
import demo_report
import ledgerfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
JOB = ROOT / "configs/jobs/fashion-mnist.toml"
FUND = 10_000_000
ACCURACY_MIN = 0.885
QUICK_ACCURACY_MIN = 0.85
# Leases short enough that the slow miner's does not hold up a round for long; and both leases of a
# key's first batch are replayed, so that every run shows a cheat that is found.
CHANGES = {"rounds": 16, "steps_per_lease": 100, "replays_ppm": 2_000_000}
QUICK = {**CHANGES, "rounds": 6}
TIME_MAX_S = 900  # a demo that hangs is a failed demo
HONEST = ("alice", "bob")
SLOW, SLOW_PERCENT = "carol", 5  # of its device's time; it leaves after one lease
CHEAT = "mallory"
BAR = 30


def changed_job(job, folder, changes):
    """The same job with a few keys of its file changed; its data stay where they are."""
    lines = job.read_text().splitlines()
    directory = next(line for line in lines if line.startswith("directory = ")).split('"')[1]
    changes = {**changes, "directory": json.dumps(str(job.parent / directory))}
    for key, value in changes.items():
        at = next(i for i, line in enumerate(lines) if line.split(" =")[0].strip() == key)
        lines[at] = f"{key} = {value}"
    path = folder / f"{job.stem}-demo.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


class Progress:
    """Lines for what happened; on a terminal a bar under them, rewritten in place."""
    def __init__(self):
        self.terminal = sys.stdout.isatty()
        self.start = time.monotonic()
        self.round = 0
        self.wrong = 0
        self.last_line = 0.0
        self.width = 0

    def seconds(self):
        return time.monotonic() - self.start

    def say(self, text=""):
        self.clear()
        print(text, flush=True)

    def clear(self):
        if self.width:
            print("\r" + " " * self.width + "\r", end="", flush=True)
            self.width = 0

    def show(self, status):
        if not status.get("jobs"):
            return
        job = status["jobs"][0]
        done = {entry["round"]: entry for entry in job["accuracy"]}
        while self.round + 1 in done:
            self.round += 1
            self.line(status, job, done[self.round])
        wrong = [miner for miner in status["miners"] if miner["leases"]["wrong"]]
        for miner in wrong[self.wrong:]:
            self.say(f"{self.seconds():6.1f} s  {miner['account']} was caught: a replay of one of "
                     f"its {miner['leases']['total']} leases has other bits"
                     f"{', its key is banned' if miner['banned'] else ''}")
        self.wrong = max(self.wrong, len(wrong))
        step_count = job["rounds"] * job["slots"] * job["steps_per_lease"]
        part = min(1.0, job["steps"] / step_count)
        if self.terminal:
            text = (f"[{'#' * int(part * BAR):.<{BAR}}] {100 * part:3.0f} %  "
                    f"{status['shares']} shares  "
                    f"{status['macs_per_second'] / 1e9:.1f} GMAC/s  {self.seconds():.0f} s")
            print("\r" + text.ljust(self.width), end="", flush=True)
            self.width = len(text)
        elif time.monotonic() - self.last_line > 10:
            self.last_line = time.monotonic()
            self.say(f"{self.seconds():6.1f} s  {status['shares']} shares, "
                     f"{100 * part:.0f} %")

    def line(self, status, job, result):
        leases = status["leases"]
        recent = job["losses"][-job["slots"]:] or [float("nan")]
        self.last_line = time.monotonic()
        self.say(f"{self.seconds():6.1f} s  round {self.round} of {job['rounds']}   "
                 f"loss {sum(recent) / len(recent):.3f}   "
                 f"test accuracy {100 * result['accuracy']:.2f} %   "
                 f"leases {leases['complete']} ({leases['audited']} audited, "
                 f"{leases['wrong']} wrong, {leases['paid']} paid)   "
                 f"{status['macs_per_second'] / 1e9:.1f} GMAC/s")


def start(c):
    """Everything at once; the slow one and the cheat first, so that they are sure to get work."""
    c.start_pool()
    processes = {SLOW: c.miner(SLOW, "--throttle", SLOW_PERCENT).start(),
                 CHEAT: c.adversary(CHEAT, "wrong-gradient", fraction=0.5, honest_leases=1).start()}
    for name in (SLOW, CHEAT):
        processes[name].wait_for(r" info lease ", timeout=60)
    for name in HONEST:
        processes[name] = c.miner(name).start()
    processes["auditor"] = c.auditor("auditor", "--json", rate=0.25).start()
    return processes


def follow(c, processes, progress):
    pool, slow = c.processes["pool"], processes[SLOW]
    leaves = False
    while pool.running():
        progress.show(c.status())
        if not leaves and any(e["reason"] == "complete" for e in slow.events("lease_closed")):
            leaves = True
            slow.popen.terminate()  # a clean stop: what it had begun since is given back
            progress.say(f"{progress.seconds():6.1f} s  {SLOW} has done one lease at "
                         f"{SLOW_PERCENT} % of its device's time, and leaves")
        if progress.seconds() > TIME_MAX_S:
            raise cluster.Failure(f"not finished after {TIME_MAX_S} s\n{pool.tail()}")
        for name in (*HONEST, SLOW, "auditor"):
            code = processes[name].popen.poll()
            if code not in (None, 0):
                raise cluster.Failure(f"{name} ended with {code}\n{processes[name].tail()}")
        time.sleep(0.1)
    progress.show(c.status())
    progress.clear()
    if pool.popen.returncode != 0:
        raise cluster.Failure(f"the pool ended with {pool.popen.returncode}\n{pool.tail()}")
    return progress.seconds()


def verify_offline(c, ledger, folder, payee):
    """The commands that anyone can repeat on the exported files, and the exit codes they must have.

    The rewritten ledger pays somebody else what is `payee`'s.
    A wrong share is right to be refused, and so is a ledger that was written anew; a proof proves
    something: all of them end in 10.
    """
    bundles, blobs = folder / "bundles", folder / "pool/blobs"
    rewritten = folder / "rewritten.bin"
    bytes_before = ledger.read_bytes()
    bytes_after = bytes_before.replace(payee.encode(), payee[::-1].encode())
    if bytes_before == bytes_after:
        raise cluster.Failure(f"the ledger does not name {payee}")
    rewritten.write_bytes(bytes_after)
    share = next(iter(sorted(bundles.glob("share-*"))), None)
    wrong = next(iter(sorted(bundles.glob("wrong-*"))), None)
    facts = ledgerfile.Ledger(ledger)
    records = blobs / facts.train_address().hex()
    commands = [(0, ["ledger", ledger, "--blobs", blobs])]
    if share:
        commands += [(0, ["share", share]), (0, ["replay", share, "--data", records])]
    if wrong:
        commands += [(10, ["replay", wrong, "--data", records])]
    for proof in facts.proofs[:1]:
        file = folder / f"proof-{proof.lease_id.hex()[:8]}.bin"
        file.write_bytes((blobs / proof.address.hex()).read_bytes())
        commands += [(10, ["proof", file, "--pool-key", c.pool_key])]
    commands += [(10, ["ledger", rewritten])]
    results = []
    for expected, arguments in commands:
        done = c.run("gemmine-verify", *arguments, check=False, timeout=600)
        results.append({"command": shlex.join(["./run", "gemmine-verify", *map(str, arguments)]),
                        "exit_code": done.returncode, "expected": expected,
                        "says": (done.stdout + done.stderr).strip()})
    return results


def parse_options():
    parser = argparse.ArgumentParser(
        prog="./run demo", description="train Fashion-MNIST through a real pool, here")
    parser.add_argument("--build", default="build", help=argparse.SUPPRESS)
    parser.add_argument("--report", type=pathlib.Path, help="also write the report as JSON")
    parser.add_argument("--keep", type=pathlib.Path,
                        help="folder for ledger, model, bundles and logs")
    parser.add_argument("--quick", action="store_true", help="a shorter job, less accurate")
    return parser.parse_args()


def run(options, folder):
    progress = Progress()
    job = changed_job(JOB, folder, QUICK if options.quick else CHANGES)
    with cluster.Cluster(options.build, job, keep=folder, fund=FUND) as c:
        progress.say(f"Training {job.stem}: a pool on 127.0.0.1:{c.port}, miners "
                     f"{', '.join(HONEST)}, {SLOW} (who is slow) and {CHEAT} (who cheats), an "
                     "auditor.")
        processes = start(c)
        seconds = follow(c, processes, progress)
        status = c.status()
        codes = {name: processes[name].wait(120) for name in (CHEAT, SLOW, *HONEST, "auditor")}
        progress.say(f"{progress.seconds():6.1f} s  the job is finished; training it once more, "
                     "alone: one order of leases must give the same bits ...")
        alone = c.add("train", [c.program("gemmine"), "train", c.job, "--json"]).start()
        alone.wait(TIME_MAX_S)
        path = c.export("--bundles", folder / "bundles", "--model", folder / "model.safetensors")
        progress.say(f"{progress.seconds():6.1f} s  verifying the exported run offline ...")
        offline = verify_offline(c, path, folder, CHEAT)
        facts = demo_report.collect(
            ledger=ledgerfile.Ledger(path), status=status, codes=codes, offline=offline,
            seconds=seconds, fund=FUND, folder=folder, honest=(*HONEST, SLOW), cheat=CHEAT,
            pool_key=c.pool_key, alone=alone.text(),
            auditor=processes["auditor"].text(),
            accuracy_min=QUICK_ACCURACY_MIN if options.quick else ACCURACY_MIN)
    return facts


def main():
    options = parse_options()
    folder = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="gemmine-demo-"))
    if options.keep and folder.exists() and any(folder.iterdir()):
        sys.exit(f"demo: {folder} is not empty")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        facts = run(options, folder.resolve())
    except cluster.Failure as failure:
        sys.exit(f"demo: {failure}\ndemo: everything is in {folder}")
    except KeyboardInterrupt:
        sys.exit("\ndemo: stopped; everything is in " + str(folder))
    print(demo_report.text(facts))
    if options.report:
        options.report.write_text(demo_report.as_json(facts))
    broken = [claim for claim, holds in facts["checks"].items() if not holds]
    for claim in broken:
        print(f"demo: DOES NOT HOLD: {claim}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
