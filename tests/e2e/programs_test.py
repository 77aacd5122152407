"""What is true of all our programs: exit codes, options, and what they are linked to."""
import pathlib
import re
import subprocess
import unittest

import base

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ("gemmine", "gemmine-pool", "gemmine-audit", "gemmine-verify")
LISTED = re.compile(r"^ +(\d+)  (\S.*)$", re.M)  # of --help
ROW = re.compile(r"^\| (\d+) \| (.+) \|$", re.M)  # of README.md
CODE = re.compile(r"^  (\w+) = (\d+),$", re.M)  # of the enum
MEANING = re.compile(r'\{ExitCode::(\w+), "([^"]+)"\}')
NO_NUMBERS = ("nan", "inf", "1e999", "7x", "true", "-1e9", "0x1F", "")


class ExitCodes(base.EndToEnd):
    def test_readme_help_and_enum_agree(self):
        header = (SOURCE / "kernels/base/exit_code.h").read_text()
        numbers = {name: int(number) for name, number in CODE.findall(header)}
        enum = {numbers[name]: text for name, text in MEANING.findall(header)}
        self.assertEqual(len(enum), len(numbers), "a code without a meaning")
        readme = (SOURCE / "README.md").read_text().split("## Exit codes", 1)[1]
        table = {int(number): text for number, text in ROW.findall(readme.split("\n## ")[0])}
        self.assertEqual(table, enum)
        used = {}
        for program in PROGRAMS:
            listed = self.run_program(program, "--help").stdout.split("Exit codes:", 1)[1]
            listed = {int(number): text for number, text in LISTED.findall(listed)}
            self.assertEqual(listed, {code: enum.get(code) for code in listed}, program)
            self.assertIn(0, listed)
            used |= listed
        self.assertEqual(used, enum, "a code that no program ends with")


class Options(base.EndToEnd):
    def commands(self):
        """Program, words of the command, its help; for every command of every program."""
        for program in PROGRAMS:
            pending = [()]
            while pending:
                words = pending.pop()
                text = self.run_program(program, *words, "--help").stdout
                commands = re.findall(r"^  ([a-z]+)  ", text.partition("Subcommands:")[2], re.M)
                pending += [(*words, command) for command in commands]
                if words and not commands:
                    yield program, words, text

    def test_every_number_refuses_what_is_none(self):
        seen = 0
        for program, words, text in self.commands():
            self.assertNotRegex(text, r"\b(U?INT|FLOAT)\b", "an option read by no rule of ours")
            for option in re.findall(r"(--[a-z-]+) NUMBER", text):
                seen += 1
                for value in NO_NUMBERS:
                    done = self.run_program(program, *words, f"{option}={value}")
                    self.assertEqual(done.returncode, 2, (program, words, option, value))
                    self.assertIn(option, done.stderr)
        self.assertGreater(seen, 12)

    def test_every_command_names_an_unknown_option(self):
        for program, words, _ in self.commands():
            done = self.run_program(program, *words, "--helq")
            self.assertEqual(done.returncode, 2)
            self.assertIn("there is no option --helq; did you mean --help?", done.stderr)


class Links(base.EndToEnd):
    def needed(self, program):
        dynamic = subprocess.run(["readelf", "-d", base.BUILD / program], text=True, check=True,
                                 capture_output=True).stdout
        return set(re.findall(r"Shared library: \[(lib[a-z+_]+)", dynamic))

    def test_the_judge_of_files_has_no_network_in_it(self):
        network = {"libuv", "libssl", "libsqlite", "libspdlog"}
        self.assertFalse(self.needed("gemmine-verify") & network)
        self.assertIn("libcrypto", self.needed("gemmine-verify"))
        self.assertLessEqual({"libuv", "libssl"}, self.needed("gemmine-audit"))  # would be seen


if __name__ == "__main__":
    unittest.main(verbosity=2)
