#!/usr/bin/env python3
"""The data of austen-gpt.toml: the novels of Jane Austen as plain text.

austen-gpt.py [FOLDER] writes one file a novel, here to data/austen beside this script, where the
job looks for them. They come from Debian's package r-cran-janeaustenr, read by R itself, which the
package brings along: each novel is a vector of lines.
"""
import pathlib
import subprocess
import sys

NOVELS = ["emma", "mansfieldpark", "northangerabbey", "persuasion", "prideprejudice",
          "sensesensibility"]
FOLDER = pathlib.Path(__file__).resolve().parent / "data/austen"
WRITE = """
arguments <- commandArgs(trailingOnly = TRUE)
for (novel in arguments[-1]) {
  lines <- getExportedValue("janeaustenr", novel)
  out <- file(file.path(arguments[1], paste0(novel, ".txt.part")), "wb")
  writeLines(lines, out, useBytes = TRUE)
  close(out)
}
"""


def make(folder=FOLDER):
    """Writes what is not there yet; a file that has its name is whole."""
    missing = [novel for novel in NOVELS if not (folder / f"{novel}.txt").is_file()]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    command = ["Rscript", "--vanilla", "-e", WRITE, folder, *missing]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit("austen-gpt: there is no R; try: apt-get install r-cran-janeaustenr")
    except subprocess.CalledProcessError as error:
        sys.exit(f"austen-gpt: R says: {error.stderr.strip()}\n"
                 "austen-gpt: try: apt-get install r-cran-janeaustenr")
    for novel in missing:
        (folder / f"{novel}.txt.part").rename(folder / f"{novel}.txt")


if __name__ == "__main__":
    make(*map(pathlib.Path, sys.argv[1:2]))
