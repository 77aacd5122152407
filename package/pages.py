#!/usr/bin/env python3
"""Manual pages and completions of our programs, made of `PROGRAM --describe`.

pages.py --changelog FILE --out DIR PROGRAM... writes DIR/man/man1/NAME.1.gz and the completions
where bash, zsh and fish look for them below DIR. Version and date are the changelog's newest, so
that the same input gives the same bytes.
"""
import argparse
import email.utils
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys

import completions
import manual

HOME = "/HOME-OF-THE-READER"  # so that nobody's own home gets into a page
EXAMPLES = "/usr/share/gemmine/"  # where a package has what a clone has in configs


def describe(program):
    clean = {"HOME": HOME, "PATH": os.defpath, "LC_ALL": "C"}
    text = subprocess.run([program, "--describe"], check=True, stdout=subprocess.PIPE, text=True,
                          env=clean).stdout
    return json.loads(text.replace(HOME, "~").replace("configs/", EXAMPLES))


def newest(changelog):
    """(version, YYYY-MM-DD) of a Debian changelog's first entry."""
    text = changelog.read_text()
    version = re.match(r"gemmine \(([^)]+)\)", text)
    date = re.search(r"^ -- .*>  (.+)$", text, re.M)
    if not version or not date:
        sys.exit(f"{changelog}: the first entry has no version or no date")
    return version[1], email.utils.parsedate_to_datetime(date[1]).date().isoformat()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--changelog", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("programs", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    version, date = newest(args.changelog)
    for path in args.programs:
        program = describe(path.resolve())
        page = manual.page(program, version, date).encode()
        write(args.out / f"man/man1/{program['name']}.1.gz", gzip.compress(page, mtime=0))
        for place, make in completions.SHELLS.values():
            write(args.out / place(program["name"]), make(program).encode())


if __name__ == "__main__":
    main()
