"""Manual pages have everything that --help has, of every command, and are sound man(7)."""
import gzip
import pathlib
import re
import sys
import unittest

import tools

sys.path.insert(0, str(tools.SOURCE / "package"))
import completions  # noqa: E402


def plain(roff):
    """What a reader sees of a page, without its layout."""
    text = re.sub(r"\\f[BIR]", "", roff)
    for name, character in ((r"\-", "-"), (r"\(aq", "'"), (r"\(ga", "`"), (r"\(ha", "^"),
                            (r"\(ti", "~"), (r"\&", ""), (r"\e", "\\")):
        text = text.replace(name, character)
    return text


def page_of(program):
    path = tools.PAGES / f"man/man1/{program}.1.gz"
    return gzip.decompress(path.read_bytes()).decode()


def section(page, words):
    """The lines about one command; those about the program itself for no words."""
    name = r"\.SH OPTIONS" if len(words) == 1 else r"\.SS " + re.escape(" ".join(words))
    found = re.search(rf"^{name}\n(.*?)(?=^\.S[HS] |\Z)", page, re.M | re.S)
    return found[1] if found else ""


def missing(text, lines):
    """Options of a --help that are no term of these lines of a page."""
    terms = re.findall(r"^\.TP\n(.+)$", lines, re.M)
    there = {name.split(" ")[0] for term in terms for name in term.split(", ")}
    return [name for name in tools.options_of(text) if name not in there]


class Manual(tools.Product):
    def test_every_option_of_help_is_in_its_page(self):
        seen = 0
        for program in tools.PROGRAMS:
            page = plain(page_of(program))
            for words, below, text in tools.places(program):
                if words and below:
                    continue  # `job` alone is nothing that can be typed
                seen += len(tools.options_of(text))
                self.assertEqual(missing(text, section(page, (program, *words))), [],
                                 (program, words))
        self.assertGreater(seen, 80)

    def test_an_option_that_a_page_forgot_is_found(self):
        page = plain(page_of("gemmine"))
        text = tools.help_of("gemmine", "mine")
        lines = section(page, ("gemmine", "mine"))
        self.assertEqual(missing(text, lines.replace("\n--throttle ", "\n--throttel ")),
                         ["--throttle"])
        lines = section(page, ("gemmine", "train")).replace("\njob\n", "\nfile\n")
        self.assertEqual(missing(tools.help_of("gemmine", "train"), lines), ["job"])

    def test_every_exit_code_of_help_is_in_its_page(self):
        for program in tools.PROGRAMS:
            codes = re.findall(r"^ +(\d+)  (\S.*)$", tools.help_of(program), re.M)
            self.assertIn("0", dict(codes))
            page = plain(page_of(program))
            for code, meaning in codes:
                self.assertIn(f".TP\n.B {code}\n{meaning}\n", page)

    def test_every_variable_of_ours_is_in_a_page(self):
        rooms = ("kernels", "verifier", "pool", "miner")
        read = {name for room in rooms for path in (tools.SOURCE / room).rglob("*.cc")
                for name in re.findall(r'getenv\("(\w+)"\)|variable\("(\w+)"\)|'
                                       r'envname\("(\w+)"\)', path.read_text())
                for name in name if name}
        self.assertIn("GEMMINE_CPU", read)
        pages = "".join(plain(page_of(program)) for program in tools.PROGRAMS)
        for name in read - {"HOME", "WATCHDOG_PID"}:
            self.assertIn(name, pages)

    def test_pages_know_nobodys_home(self):
        for program in tools.PROGRAMS:
            page = page_of(program)
            self.assertNotIn(str(pathlib.Path.home()) + "/", page)
            self.assertNotIn("HOME-OF-THE-READER", page)
        self.assertIn("default: ~/.local/share/gemmine", plain(page_of("gemmine")))

    @tools.needs("mandoc")
    def test_mandoc_has_no_complaint(self):
        for program in tools.PROGRAMS:
            done = tools.run("mandoc", "-T", "lint", "-W", "warning",
                             tools.PAGES / f"man/man1/{program}.1.gz")
            self.assertEqual(done.stdout, "", program)

    @tools.needs("man")
    def test_groff_has_no_complaint(self):
        for program in tools.PROGRAMS:
            done = tools.run("man", "--warnings=w", "-E", "UTF-8", "-l",
                             tools.PAGES / f"man/man1/{program}.1.gz")
            self.assertEqual(done.stderr, "", program)
            self.assertIn(f"{program} - ", done.stdout)

    def test_what_completions_know_of_values_is_there(self):
        names = {name for program in tools.PROGRAMS for _, _, text in tools.places(program)
                 for name in tools.options_of(text)}
        for key in completions.VALUES:
            self.assertIn(key if isinstance(key, str) else key[-1], names)


if __name__ == "__main__":
    unittest.main(verbosity=2)
