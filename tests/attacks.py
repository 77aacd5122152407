"""The table of attacks in verifier/README.md has all 34, and names only tests that exist."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CPP_TEST = re.compile(r"\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)")


def tests():
    out = set()
    for path in (ROOT / "tests").rglob("*_test.cc"):
        out.update(".".join(found) for found in CPP_TEST.findall(path.read_text()))
    for path in (ROOT / "tests").rglob("*.py"):
        out.update(re.findall(r"def (test_\w+)", path.read_text()))
    return out


def faults(text, known):
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", text.split("## The 34 attacks")[-1], re.M)
    if [int(number) for number, _ in rows] != list(range(1, 35)):
        yield "there are not 34 rows in order"
    for number, row in rows:
        named = re.findall(r"`(\w+\.\w+|test_\w+)`", row)
        yield from (f"row {number}: there is no test {name}" for name in named if name not in known)
        without = any(words in row for words in ("does not apply", "| as 6 |"))
        if not named and not without:
            yield f"row {number} names no test, and does not say that it does not apply"


def main():
    known = tests()
    assert list(faults("## The 34 attacks\n| 1 | a | b | `No.Such` | c |\n", known)), "the check"
    found = list(faults((ROOT / "verifier/README.md").read_text(), known))
    for fault in found:
        print(f"verifier/README.md: {fault}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
