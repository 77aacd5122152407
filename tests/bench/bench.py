"""Runs the benchmark programs; prints one JSON document to stdout, progress and tables to stderr.

`machine` says where the numbers hold. `--only` measures one part; some take minutes, and are
measured only when named.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

import bench_summary

# As step_profile has them, with a batch and steps enough for a median.
MLP = ("784,512,512,10", 128, 300)
MODELS = (MLP, ("gpt:256,128,4,512,4,128", 8, 20), ("gpt:256,768,12,3072,1,1024", 1, 6),
          ("1024,4096,4096,1000", 4096, 3))
WIDTHS = (("gpt:256,512,8,2048,1,1024", 1, 20), ("gpt:256,1024,16,4096,1,1024", 1, 12),
          ("gpt:256,2048,16,8192,1,1024", 1, 8), ("gpt:256,4096,32,16384,1,1024", 1, 4),
          ("gpt:256,4096,32,16384,1,1024", 4, 3), ("1024,1024,1024,1000", 1024, 20),
          ("2048,2048,2048,1000", 1024, 12), ("4096,4096,4096,1000", 1024, 6))


# Shape, batch and steps of leases of which a thread is asked for.
THREADS = (("256,768,12,3072,1,1024", 1, 20), ("256,128,4,512,4,128", 8, 20))


SLOW = ("width", "quality", "market", "large")  # minutes; measured only when named


def say(text):
    print(text, file=sys.stderr, flush=True)


def output(*command):
    """First line of what a command prints; None where it cannot run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return (done.stdout or done.stderr).splitlines()[0].strip()
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def version(package):
    return output("dpkg-query", "-W", "-f", "${Version}", package)


def machine(build):
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", info)
    flags = re.search(r"flags\s*: (.*)", info)
    wanted = {"avx2", "avx_vnni", "avx512f", "avx512_vnni"}
    cache = (build / "CMakeCache.txt").read_text()
    compiler = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.*)$", cache, re.M).group(1)
    return {
        "cpu": model.group(1) if model else platform.processor(),
        "cpu_flags": sorted(wanted & set(flags.group(1).split())) if flags else [],
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "system": platform.platform(),
        "commit": output("git", "rev-parse", "HEAD"),
        "changed_files": bool(output("git", "status", "--porcelain", "--untracked-files=no")),
        "compiler": output(compiler, "--version"),
        "build_type": re.search(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", cache, re.M).group(1) or "Release",
        "peers": {"onednn": version("libdnnl-dev"), "b3sum": version("b3sum"),
                  "google_benchmark": version("libbenchmark-dev"),
                  "pytorch": version("python3-torch"), "openblas": version("libopenblas0-pthread")},
    }


def google(program, pattern, min_time):
    """Rows of a Google Benchmark program by name, times in microseconds."""
    say(f"bench: {pattern} ...")
    done = subprocess.run(
        [program, f"--benchmark_filter={pattern}", "--benchmark_format=json",
         f"--benchmark_min_time={min_time}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, check=False)
    if done.returncode != 0:
        return {"failed": f"{program.name} ended with {done.returncode}"}
    to_us = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}
    known = {"name", "family_index", "per_family_instance_index", "run_name", "run_type",
             "repetitions", "repetition_index", "threads", "iterations", "real_time", "cpu_time",
             "time_unit", "aggregate_name", "aggregate_unit"}
    rows = {}
    for row in json.loads(done.stdout)["benchmarks"]:
        out = {"real_us": round(row["real_time"] * to_us[row["time_unit"]], 2),
               "cpu_us": round(row["cpu_time"] * to_us[row["time_unit"]], 2)}
        for key, value in row.items():
            if key not in known:
                out[key] = round(value, 6) if isinstance(value, float) else value
        if "bytes_per_second" in out:
            out["gb_s"] = round(out.pop("bytes_per_second") / 1e9, 3)
        rows[row["name"]] = out
    return rows


def threads(program, quick):
    """What a thread of a lease costs its miner and its auditor, one thread each."""
    rows = {}
    for shape, batch, steps in THREADS:
        say(f"bench: a thread of a lease of gpt:{shape} ...")
        done = subprocess.run([program, shape, str(batch), str(4 if quick else steps)],
                              stdout=subprocess.PIPE, text=True, check=False)
        rows[f"thread gpt:{shape}"] = (json.loads(done.stdout) if done.returncode == 0
                                       else {"failed": f"ended with {done.returncode}"})
    return rows


def audited(build, quick):
    """What audits at the shipped rates cost a miner, by a real pool, with and without them."""
    say("bench: a miner with and without audits ...")
    script = pathlib.Path(__file__).with_name("audited_miner.py")
    done = subprocess.run([sys.executable, script, "--build", build,
                           "--rounds", "31" if quick else "101"],
                          stdout=subprocess.PIPE, text=True, check=False)
    return {"miner": json.loads(done.stdout) if done.returncode == 0
            else {"failed": f"ended with {done.returncode}"}}


def products(program, threads, quick):
    say(f"bench: int8 products beside oneDNN, {threads} thread(s) ...")
    # oneDNN would take every core otherwise.
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    process = subprocess.Popen([program, str(threads)], stdout=subprocess.PIPE, text=True,
                               env=environment)
    timeout = 30 if quick else 900
    stopped = False
    try:
        text, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        text, _ = process.communicate()
        stopped = True
    rows = [json.loads(line) for line in text.splitlines(keepends=True)
            if line.startswith("{") and line.endswith("\n")]
    if stopped:
        rows.append({"stopped": f"the remaining shapes, after {timeout} s"})
    return rows if stopped or process.returncode == 0 else {
        "failed": f"ended with {process.returncode}"}


def profile(program, models, quick, threads=1):
    """One step of each model with its proof and without, and where its time goes."""
    rows = []
    for model, batch, steps in models:
        say(f"bench: a step of {model}, {threads} thread(s) ...")
        done = subprocess.run([program, model, str(batch), str(threads),
                               str(max(2, steps // 5) if quick else steps)],
                              stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            return {"failed": f"step_profile {model} ended with {done.returncode}"}
        rows.append(json.loads(done.stdout))
    return rows


def profiles(program, quick):
    rows = profile(program, MODELS[:3] if quick else MODELS, quick)
    if "failed" in rows or (os.cpu_count() or 1) < 2:
        return rows
    more = profile(program, [MLP], quick, threads=2)
    return more if "failed" in more else rows + more


def json_lines(name, *arguments):
    """Rows of a Python program beside this one."""
    peer = pathlib.Path(__file__).with_name(name)
    done = subprocess.run([sys.executable, peer, *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 77:
        return {"skipped": done.stderr.strip()}
    if done.returncode != 0:
        return {"failed": f"{name}: {done.stderr[-500:]}"}
    return [json.loads(line) for line in done.stdout.splitlines()]


def memory(program):
    say("bench: memory of a step beside PyTorch's ...")
    return json_lines("step_memory.py", "--ours", program)


def pytorch(program, quick):
    rows = []
    for model, batch, steps in [MLP] if quick else MODELS:
        say(f"bench: a step of {model} beside PyTorch's ...")
        done = json_lines("torch_peer.py", "--ours", program, "--model", model, "--batch", batch,
                          "--steps", max(1, steps // 8), "--turns", 5 if steps > 5 else 2)
        if isinstance(done, dict):
            return done
        rows += done
    return rows


def gpus(program, build, quick):
    """Each GPU's products beside cuBLASLt's, its step and its BLAKE3."""
    say("bench: GPUs ...")
    found = os.environ.get("LD_LIBRARY_PATH")
    environment = {**os.environ, "LD_LIBRARY_PATH": f"{build}:{found}" if found else str(build)}
    done = subprocess.run([program, "0.2" if quick else "1"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, env=environment)
    say(done.stderr.strip())
    if done.returncode == 77:
        return {"skipped": done.stderr.strip()}
    if done.returncode != 0:
        return {"failed": done.stderr.strip()[-500:]}
    return [json.loads(line) for line in done.stdout.splitlines()]


def quality(build, quick):
    say("bench: language models' validation loss, minutes ...")
    peer = pathlib.Path(__file__).with_name("lm_quality.py")
    done = subprocess.run([sys.executable, peer, "--build", build, *(["--quick"] if quick else [])],
                          stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == 77:
        return {"skipped": "a package is missing; see above"}
    return json.loads(done.stdout) if done.returncode == 0 else {
        "failed": f"lm_quality.py ended with {done.returncode}"}


def market(program, quick):
    """Every strategy of a thief, at every job that is shipped, against the pool as it settles."""
    jobs = 12 if quick else 200
    say(f"bench: every theft in every shipped job, {jobs} times each, minutes ...")
    done = subprocess.run([program, "--gtest_filter=Economy.LeavesNo*"], stdout=subprocess.PIPE,
                          text=True, check=False,
                          env={**os.environ, "GEMMINE_JOBS": str(jobs)})
    rows, name = {}, None
    for line in done.stdout.splitlines():
        if found := re.match(r"  job (\S+): (\d+) leases", line):
            name = found.group(1)
            rows[name] = {"leases": int(found.group(2)), "strategies": []}
        elif found := re.match(r"  (\S.*?) +([+-]\d+\.\d+) \+- (\d+\.\d+)$", line):
            rows[name]["strategies"].append(
                {"name": found.group(1), "profit": float(found.group(2)),
                 "error": float(found.group(3))})
    if done.returncode != 0:
        rows["failed"] = "a theft pays; " + done.stdout[-500:]
    return rows


def large(build, quick):
    """One lease of the large job that is shipped, by a real pool and miner."""
    say("bench: a lease of the large job, minutes ...")
    peer = pathlib.Path(__file__).with_name("large_lease.py")
    done = subprocess.run([sys.executable, peer, "--build", build,
                           *(["--steps", "10"] if quick else [])], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {"failed": done.stderr[-500:]}


def build_programs(build, names):
    say(f"bench: building {' '.join(names)} ...")
    done = subprocess.run(["ninja", "-C", build, *names], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        say(done.stdout)
        sys.exit("bench: the benchmarks do not build (is libbenchmark-dev installed?)")


def main():
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="shorter and rougher")
    parser.add_argument("--only", choices=["audit", "step", "profile", "memory", "pytorch",
                                           "blake3", "products", "gpu", *SLOW],
                        help=f"one part; {', '.join(SLOW)}, minutes each, run only when named")
    options = parser.parse_args()
    build = options.build.resolve()
    if options.only == "quality":
        build_programs(build, ["lm_quality", "gemmine"])
    elif options.only == "market":
        build_programs(build, ["sim_test"])
    elif options.only == "large":
        build_programs(build, ["programs"])
    else:
        build_programs(build, ["gemmine_bench", "matmul_bench", "step_profile", "gpu_bench",
                               "thread_bench", "programs"])
    folder = build / "tests/bench"
    bench, matmul = folder / "gemmine_bench", folder / "matmul_bench"
    step = folder / "step_profile"
    min_time = 0.1 if options.quick else 0.5

    parts = {
        "audit": lambda: {**google(bench, "bm_(admission|opened_blocks|replay)", min_time),
                          **threads(folder / "thread_bench", options.quick),
                          **audited(build, options.quick)},
        "step": lambda: google(bench, "bm_step", min_time),
        "profile": lambda: profiles(step, options.quick),
        "memory": lambda: memory(step),
        "pytorch": lambda: pytorch(step, options.quick),
        "blake3": lambda: google(bench, "bm_(bytes|tiles)", min_time),
        "products": lambda: {f"threads_{n}": products(matmul, n, options.quick)
                             for n in (1, 2) if n <= (os.cpu_count() or 1)},
        "gpu": lambda: gpus(folder / "gpu_bench", build, options.quick),
        "width": lambda: profile(step, WIDTHS, options.quick),
        "quality": lambda: quality(build, options.quick),
        "market": lambda: market(build / "tests/sim_test", options.quick),
        "large": lambda: large(build, options.quick),
    }
    document = {"machine": machine(build)}
    for name, part in parts.items():
        if options.only == name or options.only is None and name not in SLOW:
            document[name] = part()
    print(json.dumps(document, indent=2))
    say("\n" + bench_summary.summary(document))
    failed = [name for name, part in document.items() if isinstance(part, dict) and
              ("failed" in part or any("failed" in rows for rows in part.values()
                                       if isinstance(rows, dict)))]
    if failed:
        say(f"bench: failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
