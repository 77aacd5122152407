"""clang-format over every source, clang-tidy over the rooms. 77: the tool is missing.

  style.py format [--fix]         sources differ from .clang-format (or are rewritten)
  style.py lint --build DIR       clang-tidy with .clang-tidy; what passed is remembered in DIR
                                  by its content, its headers' and its command line's
           [--commits N]          only what the last N commits changed, or nobody committed
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ("kernels", "verifier", "pool", "miner")
LATELY_MAX = 100  # files that one run of the suite lints
SUFFIXES = (".h", ".cc", ".cu", ".cuh")
SKIPPED = 77


def sources():
    folders = [ROOT / name for name in (*ROOMS, "tests") if (ROOT / name).is_dir()]
    files = (file for folder in folders for file in folder.rglob("*"))
    return sorted(file for file in files if file.suffix in SUFFIXES)


def require(tool):
    if not shutil.which(tool):
        print(f"SKIPPED: {tool} is not installed; ./run test installs it")
        sys.exit(SKIPPED)


def layout(fix):
    require("clang-format")
    mode = ["-i"] if fix else ["--dry-run", "-Werror"]
    done = subprocess.run(["clang-format", "--style=file", *mode, *sources()], check=False)
    if done.returncode and not fix:
        print("./run format repairs this")
    return done.returncode


def closure(file, seen):
    """Our own headers that `file` includes, directly or not; the system's do not change."""
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', file.read_text(), re.M):
        header = ROOT / name
        if header.is_file() and header not in seen:
            seen.add(header)
            closure(header, seen)
    return seen


def fingerprint(file, command, version):
    key = hashlib.sha256(version + (ROOT / ".clang-tidy").read_bytes() + command.encode())
    for part in [file, *sorted(closure(file, set()))]:
        key.update(part.read_bytes() + b"\0")
    return key.hexdigest()


def changed(commits):
    """Sources that the last `commits` commits touched (a header stands for its .cc), or None when
    the history does not say."""
    def git(*arguments):
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], check=False,
                              capture_output=True, text=True)
        return done.stdout.splitlines() if done.returncode == 0 else None

    if git("rev-parse", "--verify", f"HEAD~{commits}") is None:
        return None
    # A file that only moved is no other text.
    rows = git("diff", "--name-status", "-M100%", f"HEAD~{commits}", "--") or []
    names = {row.split("\t")[-1] for row in rows if not row.startswith(("D", "R100"))}
    names.update(git("ls-files", "--others", "--exclude-standard") or [])
    return {name[:-2] + ".cc" if name.endswith(".h") else name for name in names}


def lint(build, commits):
    require("clang-tidy")
    entries = [(pathlib.Path(entry["file"]), entry["command"])
               for entry in json.loads((build / "compile_commands.json").read_text())]
    entries = [(file, command) for file, command in entries if file.is_relative_to(ROOT)
               and file.relative_to(ROOT).parts[0] in ROOMS]

    def touched(recent):
        return sum(str(file.relative_to(ROOT)) in recent for file, _ in entries)

    # A change that goes through the whole house is looked at by its last commits here, and whole
    # by `./run lint`: all of it would take a quarter of an hour.
    recent = changed(commits) if commits else None
    while recent is not None and commits > 1 and touched(recent) > LATELY_MAX:
        commits //= 2
        recent = changed(commits)
    version = subprocess.run(["clang-tidy", "--version"], check=True, capture_output=True).stdout
    passed = build / "lint-passed"
    passed.mkdir(exist_ok=True)
    jobs, fresh, older = [], 0, 0
    for file, command in entries:
        if recent is not None and str(file.relative_to(ROOT)) not in recent:
            older += 1
            continue
        mark = passed / fingerprint(file, command, version)
        if mark.exists():
            fresh += 1
        else:
            jobs.append((file, mark))

    def check(job):
        # g++'s command lines may silence warnings that clang does not have.
        command = ["clang-tidy", "-p", str(build), "--quiet",
                   "--extra-arg=-Wno-unknown-warning-option", str(job[0])]
        return job, subprocess.run(command, check=False, capture_output=True, text=True)

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (file, mark), done in pool.map(check, jobs):
            if done.returncode == 0:
                mark.touch()
                continue
            failed += 1
            print(f"{file.relative_to(ROOT)}:\n{done.stdout}", flush=True)
            if not done.stdout:
                print(done.stderr)
    rest = f", {older} not changed lately (./run lint looks at them)" if older else ""
    print(f"clang-tidy: {len(jobs)} checked, {fresh} unchanged since they passed, {failed} failed"
          + rest)
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("format").add_argument("--fix", action="store_true")
    linter = verbs.add_parser("lint")
    linter.add_argument("--build", type=pathlib.Path, required=True)
    linter.add_argument("--commits", type=int, default=0, help="0: every source")
    args = parser.parse_args()
    if args.verb == "format":
        return layout(args.fix)
    return lint(args.build.resolve(), args.commits)


if __name__ == "__main__":
    sys.exit(main())
