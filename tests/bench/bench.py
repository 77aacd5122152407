"""Runs the benchmark programs and prints one JSON document; progress goes to stderr.

Google Benchmark's rows and matmul_bench's become short tables; `machine` says where they hold.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import subprocess
import sys


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


def profile(program, quick):
    """One step of the demo's model with its proof and without, and where its time goes."""
    say("bench: a step, pass by pass ...")
    rows = []
    for threads in sorted({1, min(2, os.cpu_count() or 1)}):
        done = subprocess.run([program, "784,512,512,10", "256", str(threads),
                               "60" if quick else "300"],
                              stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            return {"failed": f"step_profile ended with {done.returncode}"}
        rows.append(json.loads(done.stdout))
    return rows


def pytorch(program, quick):
    say("bench: the same step in PyTorch ...")
    peer = pathlib.Path(__file__).with_name("torch_peer.py")
    done = subprocess.run([sys.executable, peer, "--ours", program, "--steps",
                           "10" if quick else "40"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 77:
        return {"skipped": done.stderr.strip()}
    return json.loads(done.stdout) if done.returncode == 0 else {"failed": done.stderr[-500:]}


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


def build_programs(build, names):
    say(f"bench: building {' '.join(names)} ...")
    done = subprocess.run(["ninja", "-C", build, *names], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        say(done.stdout)
        sys.exit("bench: the benchmarks do not build (is libbenchmark-dev installed?)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="shorter and rougher")
    parser.add_argument("--only", choices=["audit", "step", "profile", "pytorch", "blake3",
                                           "products", "gpu", "quality"],
                        help="quality, which takes minutes, runs only when named")
    options = parser.parse_args()
    build = options.build.resolve()
    if options.only == "quality":
        build_programs(build, ["lm_quality", "gemmine"])
        document = {"machine": machine(build), "quality": quality(build, options.quick)}
        print(json.dumps(document, indent=2))
        return 1 if "failed" in document["quality"] else 0
    build_programs(build, ["gemmine_bench", "matmul_bench", "step_profile", "gpu_bench"])
    folder = build / "tests/bench"
    bench, matmul = folder / "gemmine_bench", folder / "matmul_bench"
    step = folder / "step_profile"
    min_time = 0.1 if options.quick else 0.5

    parts = {
        "audit": lambda: google(bench, "bm_(admission|spot_check|replay)", min_time),
        "step": lambda: google(bench, "bm_step", min_time),
        "profile": lambda: profile(step, options.quick),
        "pytorch": lambda: pytorch(step, options.quick),
        "blake3": lambda: google(bench, "bm_(bytes|tiles)", min_time),
        "products": lambda: {f"threads_{n}": products(matmul, n, options.quick)
                             for n in (1, 2) if n <= (os.cpu_count() or 1)},
        "gpu": lambda: gpus(folder / "gpu_bench", build, options.quick),
    }
    document = {"machine": machine(build)}
    for name, part in parts.items():
        if options.only in (None, name):
            document[name] = part()
    print(json.dumps(document, indent=2))
    failed = [name for name, part in document.items() if "failed" in str(part)]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
