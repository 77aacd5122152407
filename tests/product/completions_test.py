"""Completions load in their shells, and complete commands, options and values."""
import os
import pty
import re
import select
import shlex
import subprocess
import time
import unittest

import tools

BASH = "/usr/share/bash-completion/bash_completion"
BASH_SCRIPT = """
source {library}; source {completion}
COMP_LINE={line}; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({words}); COMP_CWORD={last}
{function} && printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# Of every shell: what is typed, and what must be among the choices (or: that there are none).
CHOICES = (
    ("gemmine ", {"mine", "train", "devices"}),
    ("gemmine mi", {"mine"}),
    ("gemmine mine --thr", {"--threads", "--throttle"}),
    ("gemmine mine --engine ", {"cpu", "cuda:0"}),
    ("gemmine mine --throttle 10 --dry", {"--dry-run"}),
    ("gemmine-pool job ", {"check"}),
    ("gemmine-pool job check --min", {"--miners"}),
    ("gemmine-audit watch --rat", {"--rate"}),
    ("gemmine-verify le", {"ledger"}),
)
NO_CHOICES = ("gemmine mine --pool ", "gemmine mine --rounds", "gemmine mine --throttle ")


class Bash(tools.Product):
    def choices(self, line, cwd=None):
        program = line.split(" ")[0]
        # As readline cuts it up: `:` and `=` are words of their own.
        words = re.findall(r"[:=]+|[^\s:=]+", line) + ([""] if line.endswith((" ", "=")) else [])
        script = BASH_SCRIPT.format(
            library=BASH, completion=tools.PAGES / "bash-completion/completions" / program,
            line=shlex.quote(line), words=" ".join(map(shlex.quote, words)), last=len(words) - 1,
            function="_" + program.replace("-", "_"))
        done = tools.run("bash", "--norc", "-c", script, cwd=cwd)
        self.assertEqual(done.stderr, "", line)
        return {choice.strip() for choice in done.stdout.split("\n")} - {""}

    def setUp(self):
        if not os.path.exists(BASH):
            self.skipTest("SKIPPED: there is no bash-completion")

    def test_completes(self):
        for line, wanted in CHOICES:
            self.assertLessEqual(wanted, self.choices(line), line)
        for line in NO_CHOICES:
            self.assertEqual(self.choices(line), set(), line)

    def test_knows_no_command_where_none_can_be(self):
        self.assertNotIn("mine", self.choices("gemmine mine "))
        self.assertNotIn("train", self.choices("gemmine mine --account mine "))
        self.assertEqual(self.choices("gemmine mine --engine=check:cu"), {"cuda:0"})

    def test_completes_files_where_a_file_is_wanted(self):
        folder = self.folder()
        (folder / "job.toml").touch()
        (folder / "jobs").mkdir()
        self.assertEqual(self.choices("gemmine train jo", folder), {"job.toml", "jobs"})
        self.assertEqual(self.choices("gemmine train --model jo", folder), {"job.toml", "jobs"})
        self.assertEqual(self.choices("gemmine mine --data jo", folder), {"jobs"})


@tools.needs("fish")
class Fish(tools.Product):
    def choices(self, line, cwd=None):
        program = line.split(" ")[0]
        done = tools.run("fish", "--no-config", "-c",
                         f"source {tools.PAGES}/fish/vendor_completions.d/{program}.fish; "
                         f"complete -C {shlex.quote(line)}", cwd=cwd,
                         env=os.environ | {"HOME": str(self.folder())})
        self.assertEqual(done.stderr, "", line)
        return {choice.split("\t")[0] for choice in done.stdout.split("\n")} - {""}

    def test_completes(self):
        for line, wanted in CHOICES:
            self.assertLessEqual(wanted, self.choices(line), line)
        for line in NO_CHOICES:
            self.assertEqual(self.choices(line), set(), line)

    def test_completes_files_where_a_file_is_wanted(self):
        folder = self.folder()
        (folder / "job.toml").touch()
        (folder / "jobs").mkdir()
        self.assertEqual(self.choices("gemmine train jo", folder), {"job.toml", "jobs/"})
        self.assertEqual(self.choices("gemmine mine --data jo", folder), {"jobs/"})


@tools.needs("zsh")
class Zsh(tools.Product):
    """zsh completes on a terminal only, so it gets one."""

    def setUp(self):
        home = self.folder()
        leader, follower = pty.openpty()
        self.shell = subprocess.Popen(
            ["zsh", "-f", "-i"], stdin=follower, stdout=follower, stderr=follower, cwd=home,
            start_new_session=True, env=os.environ | {"HOME": str(home), "TERM": "dumb"})
        os.close(follower)
        self.terminal = leader
        self.addCleanup(self.end)
        self.type(f"PS1=; fpath=({tools.PAGES}/zsh/vendor-completions $fpath); "
                  "autoload -Uz compinit; compinit -D -u; unsetopt zle_bracketed_paste; "
                  "setopt no_beep auto_list no_list_ambiguous; LISTMAX=1000; print RE''ADY\n")
        self.until("READY")

    def end(self):
        self.shell.kill()
        self.shell.wait()
        os.close(self.terminal)

    def type(self, text):
        os.write(self.terminal, text.encode())

    def until(self, word, seconds=30):
        """What the terminal shows until it has the word; all of it after the time without."""
        seen, end = "", time.monotonic() + seconds
        while word not in seen and time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.1)[0]:
                seen += os.read(self.terminal, 65536).decode(errors="replace")
        return seen

    def seen_of(self, line):
        """What the terminal shows when TAB was pressed behind it."""
        self.type("\x15" + line + "\t")
        time.sleep(0.3)  # zsh says nothing where it has nothing to say
        self.type("\x15print DO''NE\n")
        seen = self.until("DONE")
        self.assertIn("DONE", seen)
        return seen

    def has(self, seen, line, choice):
        before = line[:len(line) - len(line.split(" ")[-1])]
        listed = re.search(rf"(?<![\w-]){re.escape(choice)}(?![\w-])", seen)
        return listed or before + choice in seen

    def test_completes(self):
        for line, wanted in CHOICES:
            seen = self.seen_of(line)
            for choice in wanted:
                self.assertTrue(self.has(seen, line, choice), (line, choice, seen))
            self.assertFalse(self.has(seen, line, "banana"), (line, seen))
        self.assertFalse(self.has(self.seen_of("gemmine mine --rou"), "gemmine mine --rou",
                                  "--rounds"), "an option of another command")


if __name__ == "__main__":
    unittest.main(verbosity=2)
