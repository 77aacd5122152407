#!/usr/bin/env python3
"""The data of gcide-gpt.toml: the GNU Collaborative International Dictionary of English.

gcide-gpt.py [FOLDER] puts its one file there, here into data/gcide beside this script, where the
job looks for it. It comes out of Debian's package dict-gcide, which is unpacked and not installed:
it would bring a dictionary server along that nobody asked for.
"""
import pathlib
import subprocess
import sys
import tempfile

NAME = "gcide.dict.dz"
FOLDER = pathlib.Path(__file__).resolve().parent / "data/gcide"


def run(*command, cwd):
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd)
    except FileNotFoundError:
        sys.exit(f"gcide-gpt: there is no {command[0]}; this needs Debian")
    except subprocess.CalledProcessError as error:
        sys.exit(f"gcide-gpt: {command[0]} says: {error.stderr.strip()}\n"
                 "gcide-gpt: try: apt-get update")


def make(folder=FOLDER):
    """Writes what is not there yet; a file that has its name is whole."""
    if (folder / NAME).is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        place = pathlib.Path(place)
        run("apt-get", "download", "dict-gcide", cwd=place)
        run("dpkg-deb", "--extract", *place.glob("*.deb"), "out", cwd=place)
        (place / "out/usr/share/dictd" / NAME).rename(folder / NAME)


if __name__ == "__main__":
    make(*map(pathlib.Path, sys.argv[1:2]))
