"""One row of the bug reports that people brought: `case.py F19` runs every test whose name has it.

A row is `def test_F19_...` in a class of tests/cases/*_cases.py; the build lists the rows it finds
there as `case.F19`, labelled `cases`. Inputs that people sent are in corpus/, read only.
"""
import pathlib
import re
import shutil
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import base  # noqa: E402  (a path of ours first)


class Case(base.EndToEnd):
    """A fresh folder per test; `corpus` copies the inputs into it, so that nothing is written
    beside the sources."""

    def corpus(self, name):
        copy = self.folder / name
        shutil.copytree(HERE / "corpus" / name, copy)
        return copy

    def refuse(self, code, pattern, program, *arguments, **options):
        done = self.run_program(program, *arguments, **options)
        text = done.stdout + done.stderr
        self.assertEqual(done.returncode, code, text)
        self.assertRegex(text, pattern)
        return text

    def accept(self, program, *arguments, **options):
        done = self.run_program(program, *arguments, **options)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done


def main():
    row = sys.argv[1]
    suite = unittest.TestSuite()
    for file in sorted(HERE.glob("*_cases.py")):
        if re.search(rf"def test_{row}_", file.read_text()):
            module = __import__(file.stem)
            for test in unittest.defaultTestLoader.loadTestsFromModule(module):
                suite.addTests(t for t in test if f"test_{row}_" in t.id())
    if not suite.countTestCases():
        sys.exit(f"there is no case {row}")
    sys.exit(not unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful())


if __name__ == "__main__":
    sys.modules["case"] = sys.modules["__main__"]
    main()
