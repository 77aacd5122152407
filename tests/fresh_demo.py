#!/usr/bin/env python3
"""A tree that never built its tests can still build all that the demo starts."""

import pathlib
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent.parent


def main():
    with tempfile.TemporaryDirectory(prefix="gemmine-fresh-") as folder:
        subprocess.run(["cmake", "-G", "Ninja", "-S", SOURCE, "-B", folder, "-DGEMMINE_TESTS=OFF",
                        "-DGEMMINE_CUDA=OFF"], check=True, stdout=subprocess.DEVNULL)
        for program in ["gemmine", "gemmine-pool", "gemmine-audit", "gemmine-verify",
                        "tests/gemmine-adversary"]:
            known = subprocess.run(["ninja", "-C", folder, "-t", "query", program],
                                   capture_output=True, text=True, check=False)
            if known.returncode != 0:
                sys.exit(f"{program} is not built there, where the demo looks for it: "
                         f"{known.stderr.strip()}")
    print("ok")


if __name__ == "__main__":
    main()
