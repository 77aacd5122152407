"""What tests of the product share: the build, its programs, its pages, an installation of it."""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GEMMINE_BUILD", SOURCE / "build")).resolve()
PAGES = BUILD / "package/pages"
PROGRAMS = ("gemmine", "gemmine-pool", "gemmine-audit", "gemmine-verify")
SERVICES = {"gemmine": ("gemmine", "mine"), "gemmine-pool": ("gemmine-pool", "serve"),
            "gemmine-audit": ("gemmine-audit", "watch"), "gemmine-relay": ("gemmine", "relay")}


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, timeout=120, **options)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def needs(program):
    """Skips a test, and says of what."""
    return unittest.skipUnless(shutil.which(program), f"SKIPPED: there is no {program}")


def help_of(program, *words):
    done = run(BUILD / program, *words, "--help")
    assert done.returncode == 0, (program, words, done.stderr)
    return done.stdout


def places(program):
    """(words, help) of every place of a program where something can be typed; read from --help."""
    pending = [()]
    while pending:
        words = pending.pop()
        text = help_of(program, *words)
        below = re.findall(r"^  ([a-z]+)  ", text.partition("\nSubcommands:\n")[2], re.M)
        pending += [(*words, word) for word in below]
        yield words, below, text


def options_of(text):
    """Every option and argument by its place that a --help lists."""
    _, _, listed = text.partition("\nOptions:\n")
    listed = listed.split("\n\n", 1)[0]
    found = []
    for names in re.findall(r"^  (-\S+)", listed, re.M):
        found += names.split(",")
    _, _, by_place = text.partition("\nPositionals:\n")
    return found + re.findall(r"^  (\w+)\b", by_place.split("\n\n", 1)[0] if by_place else "", re.M)


class Product(unittest.TestCase):
    def folder(self):
        made = tempfile.TemporaryDirectory(prefix="gemmine-product-")
        self.addCleanup(made.cleanup)
        return pathlib.Path(made.name)

    def installed(self):
        """A root folder with all that a package has, as if it were /."""
        root = self.folder()
        done = run("cmake", "--install", BUILD, "--prefix", "/usr",
                   env=os.environ | {"DESTDIR": str(root)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return root
