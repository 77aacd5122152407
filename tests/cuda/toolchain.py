"""nvcc and ptxas for the tests of the CUDA back end: PTX text and what ptxas says about it."""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "kernels" / "cuda" / "plugin" / "kernels.cu"
ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
FLAGS = ("-std=c++20", "-O3", "-fmad=false", "-I", str(ROOT))
JOBS = 2
SKIPPED = 77


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(SKIPPED)


def nvcc():
    """The path of nvcc; without one the test ends as skipped."""
    places = [shutil.which("nvcc"), "/usr/local/cuda/bin/nvcc"]
    if "GEMMINE_NVCC" in os.environ:
        places = [os.environ["GEMMINE_NVCC"]]
    found = next((p for p in places if p and pathlib.Path(p).is_file()), None)
    if not found:
        skip("there is no nvcc; install the CUDA Toolkit 13 to check the CUDA kernels")
    if not SOURCE.is_file():
        skip(f"there is no {SOURCE.relative_to(ROOT)}")
    return found


def release(compiler):
    text = subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True)
    return re.search(r"release ([\d.]+)", text.stdout)[1]


def emit_ptx(compiler, architecture, target, source=SOURCE):
    """Writes what nvcc makes of the kernels for compute_<architecture>."""
    subprocess.run([compiler, *FLAGS, f"-arch=compute_{architecture}", "-ptx", str(source), "-o",
                    str(target)], check=True)
    return target


def assemble(compiler, architecture, ptx, options=()):
    """{mangled name: {registers, stack, spill, shared}} of ptxas -v."""
    tool = pathlib.Path(compiler).resolve().parent / "ptxas"
    done = subprocess.run([str(tool), "-v", "-O3", f"-arch=sm_{architecture}", *options, str(ptx),
                           "-o", os.devnull], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"ptxas for sm_{architecture} failed:\n{done.stderr}")
    return parse_report(done.stderr)


def parse_report(text):
    found = {}
    for part in re.split(r"Compiling entry function ", text)[1:]:
        name = re.match(r"'(\w+)'", part)[1]
        stack, stores, loads = map(int, re.search(
            r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads",
            part).groups())
        shared = re.search(r"(\d+) bytes smem", part)
        found[name] = {"registers": int(re.search(r"Used (\d+) registers", part)[1]),
                       "stack": stack, "spill": stores + loads,
                       "shared": int(shared[1]) if shared else 0}
    return found


def readable(names):
    """{mangled: short name without namespaces and parameters}."""
    text = subprocess.run(["c++filt", *names], check=True, capture_output=True, text=True).stdout
    short = {}
    for name, plain in zip(names, text.splitlines()):
        plain = re.sub(r"\(anonymous namespace\)::", "", plain)
        plain = re.sub(r"^void ", "", plain).split("(")[0] if "<" not in plain else re.sub(
            r"^void ", "", plain).partition(">(")[0] + ">"
        short[name] = re.sub(r"\b\w+::", "", plain)
    return short


def launches():
    """{short name: (threads, dynamic shared bytes)} of every kernel in kernel_list.h."""
    text = ('#include <cstdio>\n#include "kernels/cuda/kernel_list.h"\n'
            "int main() {\n"
            "  gemmine::kernels::cuda::Kernels::visit([]<class K>() {\n"
            '    std::printf("%s %u %u\\n", K::kName.data(), K::kBlock.threads,\n'
            "                K::kBlock.shared_bytes);\n  });\n}\n")
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder, "launches")
        subprocess.run(["g++", "-std=c++20", "-I", str(ROOT), "-x", "c++", "-", "-o",
                        str(program)], input=text, text=True, check=True)
        done = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    rows = (line.split() for line in done.stdout.splitlines())
    return {name: (int(threads), int(shared)) for name, threads, shared in rows}


def kernel_span(text, name):
    """Where the body of the kernel of this short name begins and ends."""
    entry = re.search(rf"\.entry \w*\d{name}E\w*\(", text)
    return entry.start(), text.index("\n}", entry.end())


def in_parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(function, items))
