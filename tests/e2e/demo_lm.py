"""A language model, trained by many: a pool, four miners of unequal speed and an auditor, here.

One miner is killed midway and another one joins. Every claim of the report is checked; the exit
code is 1 and names what does not hold.
"""
import argparse
import pathlib
import runpy
import signal
import sys
import tempfile
import time

import cluster
import demo
import demo_report
import ledgerfile

JOB = demo.ROOT / "configs/jobs/austen-gpt.toml"
FUND = 1_000_000_000
# Percent of a device's time that its owner gives: gemmine mine --throttle.
MINERS = {"emma": 100, "fanny": 60, "anne": 40, "harriet": 25}
KILLED, JOINED = "harriet", "elinor"
CHANGES = {"lease_ms": 20_000}  # the killed miner's slot is free again after that
QUICK = {"rounds": 4, "steps_per_lease": 16}
PROMPT = "It is a truth "
PAGE = 76


class Progress(demo.Progress):
    def line(self, status, job, result):
        self.last_line = time.monotonic()
        self.say(f"{self.seconds():6.1f} s  round {self.round} of {job['rounds']}   "
                 f"validation loss {result['loss']:.3f}   "
                 f"leases {status['leases']['complete']} ({status['leases']['audited']} audited, "
                 f"{status['leases']['wrong']} wrong)   "
                 f"{status['macs_per_second'] / 1e9:.1f} GMAC/s")


def start(c):
    c.start_pool()
    processes = {name: c.miner(name, "--throttle", percent).start()
                 for name, percent in MINERS.items()}
    processes["auditor"] = c.auditor("auditor", "--json", rate=0.1).start()
    return processes


def follow(c, processes, progress):
    """Until the pool ends; at half of the rounds one miner is killed and another one joins."""
    pool, expected = c.processes["pool"], (*MINERS, "auditor")
    while pool.running():
        status = c.status()
        progress.show(status)
        if progress.seconds() > demo.TIME_MAX_S:
            raise cluster.Failure(f"not finished after {demo.TIME_MAX_S} s\n{pool.tail()}")
        rounds = status["jobs"][0]["rounds"] if status.get("jobs") else demo.TIME_MAX_S
        if JOINED not in processes and progress.round >= rounds // 2:
            processes[KILLED].kill(signal.SIGKILL)
            processes[JOINED] = c.miner(JOINED).start()
            expected = (*(name for name in MINERS if name != KILLED), JOINED, "auditor")
            progress.say(f"{progress.seconds():6.1f} s  {KILLED} was killed (kill -9), "
                         f"{JOINED} joins")
        for name in expected:
            if processes[name].popen.poll() not in (None, 0):
                raise cluster.Failure(f"{name} ended badly\n{processes[name].tail()}")
        time.sleep(0.1)
    progress.show(c.status())
    progress.clear()
    if pool.popen.returncode != 0:
        raise cluster.Failure(f"the pool ended with {pool.popen.returncode}\n{pool.tail()}")
    return {name: processes[name].wait(120) for name in expected}


def collect(c, path, codes, alone, offline, sample):
    ledger, job = ledgerfile.Ledger(path), c.status()["jobs"][0]
    escrow = demo_report.escrow_of(ledger, FUND)
    losses = [entry["loss"] for entry in sorted(job["accuracy"], key=lambda e: e["round"])]
    final = ledger.final_theta()
    root = final.hex() if final else None
    names = (*MINERS, JOINED)
    miners = demo_report.miners_of(ledger, names)
    model = c.folder / "model.safetensors"
    # Who is dead or slow leaves questions unanswered, which decides nothing.
    wrongly = [v for v in ledger.verdicts if v.outcome not in ("valid", "undecided")]
    checks = {
        "every round was merged and the job finished": bool(final) and job["finished"],
        "the validation loss fell below 60 % of the start's":
            len(losses) > 1 and losses[-1] < 0.6 * losses[0],
        "every miner had a share accepted, the one that joined too":
            all(miners[name]["shares"] > 0 for name in names),
        "no miner was found wrong": not wrongly,
        "miners and auditor ended cleanly": set(codes.values()) == {0},
        "escrow spent = tokens credited + fee":
            escrow["spent"] == escrow["credited"] + escrow["fee"],
        "nothing is left in escrow": escrow["left"] == 0,
        "the sum over all accounts is 0": escrow["sum_of_accounts"] == 0,
        "training alone gives the same state root":
            root is not None and root == demo_report.last_json(alone).get("state_root"),
        "the model was exported, and writes": model.is_file() and len(sample) > len(PROMPT),
        "offline: ledger and merges, one share and its replay are valid":
            [step["exit_code"] for step in offline[:3]] == [0, 0, 0],
        "offline: a ledger that was written anew is refused": offline[-1]["exit_code"] == 10,
    }
    return {"losses": losses, "miners": miners, "escrow": escrow, "state_root": root,
            "verdicts": demo_report.verdicts_of(ledger, c.pool_key), "sample": sample,
            "steps": shares_of(ledger), "model": str(model), "offline": offline, "checks": checks}


def shares_of(ledger):
    """Steps of each miner's shares: the pool sizes them by speed."""
    out = {}
    for share in ledger.shares:
        name = ledger.members[ledger.leases[share.lease_id].miner]
        out.setdefault(name, []).append(share.steps)
    return out


def span_of(numbers):
    return "-".join(str(n) for n in sorted({min(numbers), max(numbers)}))


def text(facts, seconds):
    lines = ["", "=" * 78, "  Report".ljust(52) + f"{seconds:.1f} s of run time", "=" * 78]
    lines += demo_report.table("Model", [
        ["validation loss at the start", f"{facts['losses'][0]:.4f}"],
        ["validation loss at the end", f"{facts['losses'][-1]:.4f}"],
        ["state root", facts["state_root"]], ["safetensors", facts["model"]]])
    lines += demo_report.table("Work", [["miner", "given", "shares", "steps a share", "tokens"]] + [
        [name, f"{MINERS.get(name, 100)} %", m["shares"], span_of(facts["steps"].get(name, [0])),
         m["tokens"]] for name, m in facts["miners"].items()], header=True)
    lines += demo_report.table("Verdicts", list(map(list, facts["verdicts"].items())))
    lines += demo_report.table("Escrow", [[name.replace("_", " "), amount]
                                          for name, amount in facts["escrow"].items()])
    lines += ["", "-- The model writes ".ljust(78, "-")]
    for line in facts["sample"].splitlines():
        lines += ["  " + line[at:at + PAGE] for at in range(0, max(1, len(line)), PAGE)]
    lines += ["", "-- Verified offline; repeat it with ".ljust(78, "-")]
    lines += [f"  {'ok ' if step['exit_code'] == step['expected'] else 'NO '} "
              f"(exit {step['exit_code']:2d}) {step['command']}" for step in facts["offline"]]
    lines += ["", "-- Claims ".ljust(78, "-")]
    lines += [f"  {'ok ' if holds else 'NO '} {claim}" for claim, holds in facts["checks"].items()]
    return "\n".join(lines)


def run(options, folder):
    progress = Progress()
    runpy.run_path(str(JOB.with_suffix(".py")))["make"]()
    changes = {**CHANGES, **(QUICK if options.quick else {})}
    job = demo.changed_job(JOB, folder, changes)
    with cluster.Cluster(options.build, job, keep=folder, fund=FUND, share_seconds=2,
                         pool_toml="[limits]\nrounds_kept = 0\n") as c:
        progress.say(f"Training {job.stem}: a pool on 127.0.0.1:{c.port}, miners "
                     f"{', '.join(MINERS)} of unequal speed, an auditor.")
        codes = follow(c, start(c), progress)
        progress.say(f"{progress.seconds():6.1f} s  the job is finished; training it once more, "
                     "alone: one order of leases must give the same bits ...")
        alone = c.add("train", [c.program("gemmine"), "train", c.job, "--json"]).start()
        alone.wait(demo.TIME_MAX_S)
        path = c.export("--bundles", folder / "bundles", "--model", folder / "model.safetensors")
        progress.say(f"{progress.seconds():6.1f} s  verifying the exported run offline ...")
        offline = demo.verify_offline(c, path, folder, "emma")
        sample = c.run("gemmine", "sample", "--model", folder / "model.safetensors", "--prompt",
                       PROMPT, "--tokens", 400, "--temperature", 0.7, "--seed", 1).stdout.strip()
        return collect(c, path, codes, alone.text(), offline, sample), progress.seconds()


def main():
    parser = argparse.ArgumentParser(prog="./run demo lm", description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=pathlib.Path, help="folder for ledger, model and logs")
    parser.add_argument("--quick", action="store_true", help="a shorter job, less accurate")
    options = parser.parse_args()
    folder = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="gemmine-demo-"))
    if options.keep and folder.exists() and any(folder.iterdir()):
        sys.exit(f"demo: {folder} is not empty")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        facts, seconds = run(options, folder.resolve())
    except cluster.Failure as failure:
        sys.exit(f"demo: {failure}\ndemo: everything is in {folder}")
    except KeyboardInterrupt:
        sys.exit("\ndemo: stopped; everything is in " + str(folder))
    print(text(facts, seconds))
    broken = [claim for claim, holds in facts["checks"].items() if not holds]
    for claim in broken:
        print(f"demo: DOES NOT HOLD: {claim}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
