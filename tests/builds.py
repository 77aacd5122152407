"""One program, built by other compilers and at other levels, must print the same on every CPU path.

  builds.py --program state_root --build DIR

Builds the target in DIR/{gcc-O0,gcc-O3,clang} and runs it for each instruction set this machine
has (GEMMINE_CPU) with one and two threads. Every standard output must be equal. 77: cannot.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIPPED = 77
VARIANTS = {
    "gcc-O0": ["-DCMAKE_CXX_COMPILER=g++", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O0"],
    "gcc-O3": ["-DCMAKE_CXX_COMPILER=g++", "-DCMAKE_BUILD_TYPE=Release",
               "-DCMAKE_CXX_FLAGS_RELEASE=-O3 -DNDEBUG"],
    "clang": ["-DCMAKE_CXX_COMPILER=clang++", "-DCMAKE_BUILD_TYPE=Release"],
}
# GEMMINE_CPU, and the flag of /proc/cpuinfo without which it cannot run here.
PATHS = {"portable": "", "avx2": " avx2 ", "avx512": " avx512_vnni "}


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(SKIPPED)


def quietly(*command):
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(*command, done.stdout, done.stderr, sep="\n")
        sys.exit(1)
    return done.stdout


def build(name, folder, program):
    quietly("cmake", "-G", "Ninja", "-S", str(ROOT), "-B", str(folder), *VARIANTS[name])
    if f"\n{program}: " not in quietly("ninja", "-C", str(folder), "-t", "targets", "all"):
        skip(f"there is no target {program}")
    quietly("ninja", "-C", str(folder), program)
    return next(file for file in folder.rglob(program) if file.is_file())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    args = parser.parse_args()
    for tool in ("clang++", "g++", "ninja"):
        if not shutil.which(tool):
            skip(f"{tool} is not installed; ./run test installs it")

    features = pathlib.Path("/proc/cpuinfo").read_text() + " "
    paths = [path for path, flag in PATHS.items() if flag in features]
    outputs = {}
    for name in VARIANTS:
        program = build(name, args.build.resolve() / name, args.program)
        for path in paths:
            for threads in "12":
                command = [str(program), "--threads", threads]
                done = subprocess.run(command, check=False, capture_output=True, text=True,
                                      errors="replace",
                                      env=os.environ | {"GEMMINE_CPU": path})
                label = f"{name} {path} {threads} threads"
                print(f"{label:28} {done.stdout.strip() or done.stderr.strip()}")
                if done.returncode or not done.stdout:
                    print(f"exit status {done.returncode}")
                    return 1
                outputs.setdefault(done.stdout, []).append(label)
    if len(outputs) > 1:
        print(f"{len(outputs)} different answers; there must be one")
        return 1
    print(f"one answer from {len(VARIANTS)} builds and the paths {', '.join(paths)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
