"""Runs the tests of the emulated CUDA engine on the PTX that nvcc makes for one architecture.

  ptx_test.py --architecture 80 --program cuda_ptx_test --folder DIR

Exit 77: there is no nvcc. The program is what cuda_emulation_test is, but its launches run the
translated PTX.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import time

import ptx_library
import toolchain
from ptx_parse import PtxError

# These look into the emulation of the source, which PTX does not go through, or repeat whole steps
# for what others see in one.
NOT_OF_PTX = ("*Planted*:*FragmentsLie*:*BankConflict*:*GoldenBitsInEverySchedule*:"
              "EmulatedGpt.AnOverflow*")


def run(program, library, tests, **options):
    return subprocess.run([program, f"--gtest_filter={tests}", "--gtest_brief=1"], check=False,
                          env={**os.environ, "GEMMINE_PTX_LIBRARY": str(library)}, **options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", type=int, required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    args = parser.parse_args()
    compiler = toolchain.nvcc()
    args.folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    path = toolchain.emit_ptx(compiler, args.architecture,
                              args.folder / f"nvcc_{args.architecture}.ptx")
    try:
        library = ptx_library.build(path.read_text(), args.folder, f"sm_{args.architecture}")
    except PtxError as error:
        sys.exit(str(error))
    built = time.monotonic()
    done = run(args.program, library, "-" + NOT_OF_PTX)
    print(f"compute_{args.architecture}: PTX, translated and compiled in {built - began:.1f} s, "
          f"run in {time.monotonic() - built:.1f} s")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
