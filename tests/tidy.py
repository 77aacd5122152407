"""The rules no compiler knows: sizes, include direction, purity, banned words, orphans, tables.

tidy.py [--root DIR] [--build DIR] prints `path:line: rule: advice` and exits 1 for any breach; the
build's compile_commands.json says what is compiled. tests/tidy_selftest.py plants one of each.
"""
import argparse
import json
import pathlib
import re
import sys

LINES_MAX, COLUMNS_MAX = 400, 100
RANK = {"kernels": 0, "verifier": 1, "pool": 2, "miner": 3, "tests": 4}
ROOMS = ("kernels/", "verifier/", "pool/", "miner/")
SERVER = ("pool/core", "pool/server", "pool/store")
FORBIDDEN_EDGES = [  # Upward edges follow from RANK.
    *((user, used) for user in ("miner", "pool/client") for used in SERVER[1:]),
    *((user, "pool/client") for user in SERVER),
    # Ways to compute the same bits, independent of each other.
    ("kernels/cpu", "kernels/cuda"), ("kernels/cuda", "kernels/cpu"),
    ("kernels/cpu", "kernels/reference"), ("kernels/cuda", "kernels/reference")]
# Every room by floor: an include goes to a lower one. The longest name that fits a path is its
# room; "kernels/" itself is the top of its house, where the engines are made.
FLOORS = [
    {"kernels/base/"}, {"kernels/cli/", "kernels/hash/", "kernels/numbers/"}, {"kernels/model/"},
    {"kernels/engine.h"},
    {"kernels/reference/", "kernels/cpu/matmul/", "kernels/cpu/passes/", "kernels/cuda/",
     "kernels/cuda/arch/"},
    {"kernels/cpu/", "kernels/cuda/device/", "kernels/cuda/host/"}, {"kernels/cuda/plugin/"},
    {"kernels/"},
    {"verifier/records/"}, {"verifier/ledger/", "verifier/merge/"}, {"verifier/audit/"},
    {"verifier/thread/"}, {"verifier/proof/"}, {"verifier/known/"},
    {"verifier/cli/"}, {"verifier/main.cc"},
    {"pool/log/", "pool/wire/"}, {"pool/blobs/", "pool/core/", "pool/net/"},
    {"pool/client/", "pool/config/", "pool/store/"}, {"pool/auditor/", "pool/data/", "pool/relay/"},
    {"pool/server/", "pool/auditor/cli/"}, {"pool/cli/", "pool/auditor/main.cc"}, {"pool/main.cc"},
    {"miner/bench/"}, {"miner/"}, {"miner/cli/"}, {"miner/main.cc"}]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# No disk, socket, thread, clock or log.
PURE = re.compile(r"verifier/(?!known/)|pool/(core|wire)/")
IMPURE_OURS = re.compile(
    r"kernels/base/(cores|f(d|iles|older)|output|random|task_queue|thread|user_f)|"
    r"verifier/known/|pool/(net|store|server|client|data|log/(?!events\.h))")
IMPURE = re.compile(
    r"(thread|chrono|fstream|iostream|filesystem|mutex|shared_mutex|condition_variable|future|"
    r"ctime|unistd\.h|uv\.h|openssl/ssl\.h|(sys|netinet|arpa|spdlog)/.*)$")
CPP = {".h", ".cc", ".cu", ".cuh"}
TEXT = CPP | {".py", ".sh", ".cmake", ".js", ".css", ".txt", ".md", ".toml", ".json", ".html",
              ".yml", ".service", ""}
SKIPPED = re.compile(r"^(\.git|\.cache|build.*|data|node_modules|__pycache__|vendor|corpus)$")

# Word, where it does not apply (by path), what to write instead. Comments and strings are gone.
BANNED = [
    # Private constructors need `unique_ptr<T>(new T)`; the RAII of libuv's handles: pool/net/loop*.
    (r"^(?!.*unique_ptr<.*\(\s*new\b).*(?<!operator )\bnew\b\s*[\w(:]", "^pool/net/loop",
     "an owner"),
    (r"(?<!operator )(?<!= )\bdelete\b", r"^pool/net/loop", "ownership by value or unique_ptr"),
    (r"\bstd::c(out|err|log)\b|\bf?printf\s*\(",
     r"(^|/)main\w*\.cc$|/cli/|/check\.h$|^tests/",
     "the log, or a returned string"),
    (r"\busing namespace\b(?! \w+_impl;)", r"", "a qualified name"),
    (r"\bshared_ptr\b", r"", "one owner"),
    (r"\bdynamic_cast\b", r"", "an enum or a virtual function"),
    (r"\bthrow\b", r"^tests/", "Result<T>"),
]
CATCH, BOUNDARY = re.compile(r"\bcatch\s*\("), re.compile(r"// boundary: .+ throws")
LATER = re.compile(r"\b(FIX[M]E|X[X]X|TO[D]O)\b")
ENUM = re.compile(r"enum class (\w+)[^{;]*\{([^}]*)\}")
MACHINE_PATH = re.compile(r"(?<![\w./~-])/(work|root|tmp/(wt|b)|home/\w+)/")
# Tables of PROTOCOL.md that must exist as soon as the enum does.
REQUIRED_TABLES = ("MessageType", "WireError")

breaches = []


def breach(path, line, rule, advice):
    breaches.append(f"{path}:{line}: {rule}: {advice}")


def bare(source):
    """C++ without comments and literals, line for line. 1'000 is a number, not a literal."""
    token = re.compile(r"(?P<keep>^[ \t]*#[ \t]*include[^\n]*)|//[^\n]*|/\*.*?\*/|"
                       r'R"(\w*)\(.*?\)\2"|"(?:\\.|[^"\\\n])*"|' r"(?<!\w)'(?:\\.|[^'\\\n])+'",
                       re.M | re.S)
    return token.sub(lambda m: m["keep"] or "\n" * m[0].count("\n"), source)


def check_text(path, text):
    lines = text.split("\n")
    sized = re.search(r"(\.(h|cc|cu|cuh|py|sh|cmake|js|css)|(^|/)(run|CMakeLists\.txt))$", path)
    if sized and len(lines) > LINES_MAX + 1:
        breach(path, LINES_MAX + 1, "lines", f"{len(lines) - 1} of {LINES_MAX}; split at a seam")
    for number, line in enumerate(lines, 1):
        if sized and len(line) > COLUMNS_MAX:
            breach(path, number, "columns", f"{len(line)} columns of {COLUMNS_MAX}")
        if line != line.rstrip():
            breach(path, number, "whitespace", "trailing")
        if LATER.search(line):
            breach(path, number, "later", "do it, or write an issue")
        if MACHINE_PATH.search(line):
            breach(path, number, "machine-path", "a path of one machine; make it relative")


def room_of(path):
    return max((room for room in FLOOR if path.startswith(room)), key=len, default=None)


def check_floor(path, number, target):
    room, used = room_of(path), room_of(target)
    if room and used and room != used and FLOOR[used] >= FLOOR[room]:
        breach(path, number, "floor", f"{room} stands beside or below {used}")
    elif path.startswith(ROOMS) and not room:
        breach(path, number, "floor", "this room has no floor in tests/tidy.py")


def check_include(path, number, target, quoted):
    room, wanted = path.split("/")[0], target.split("/")[0]
    if quoted:
        if wanted not in RANK:
            breach(path, number, "include", f'"{target}": include from the root of the project')
        elif RANK[wanted] > RANK[room]:
            breach(path, number, "direction", f"{room} must not see {wanted}")
        check_floor(path, number, target)
        for user, used in FORBIDDEN_EDGES:
            if path.startswith(user + "/") and target.startswith(used + "/"):
                breach(path, number, "direction", f"{user} must not see {used}")
    if target == "uv.h" and not path.startswith(("pool/net/loop", "tests/")):
        breach(path, number, "uv", "libuv stays in pool/net/loop*")
    if target.startswith(("spdlog/", "fmt/")) and path != "pool/log/console.cc":
        breach(path, number, "spdlog", "it stays in pool/log/console.cc; make an Event")
    if target.startswith("kernels/cli/") and not re.search(
            r"(^|/)cli/|/main\w*\.cc$|^tests/", path):
        breach(path, number, "programs", "what programs share is for main.cc and cli/ alone")
    pure = PURE.match(path) and not re.search(r"/main\w*\.cc$|/cli/", path)
    if pure and (IMPURE_OURS if quoted else IMPURE).match(target):
        breach(path, number, "purity", f"a pure room takes bytes and a time; {target} is neither")


def check_cpp(path, text):
    boundary = BOUNDARY.search(text) or path.startswith("tests/")
    if path.endswith(".h") and "#pragma once" not in text:
        breach(path, 1, "header", "#pragma once")
    code = re.sub(r"\(\n\s*(new\b[^\n]*)", r"(\1\n", bare(text))
    for number, line in enumerate(code.split("\n"), 1):
        include = re.match(r'\s*#\s*include\s+([<"])([^>"]+)', line)
        if include:
            check_include(path, number, include[2], include[1] == '"')
            continue
        for word, exempt, instead in BANNED:
            if re.search(word, line) and not (exempt and re.search(exempt, path)):
                breach(path, number, "banned", f"{line.strip()[:60]} -> {instead}")
        if CATCH.search(line) and not boundary:
            breach(path, number, "banned", "catch without `// boundary: <library> throws`")


def check_orphans(paths, cmake, build):
    """Every .cc is compiled: its folder is known to CMake, and in a build it really was."""
    entries = json.loads(build.read_text()) if build else []
    compiled = {re.sub(r".*/(?=(kernels|verifier|pool|miner)/)", "", e["file"]) for e in entries}
    for path in (p for p in paths if p.endswith(".cc")):
        folder, _, name = path.rpartition("/")
        if path.startswith("tests/unit/"):
            known = name.endswith("_test.cc") and f"gemmine_unit_tests({folder[11:]} " in cmake
        else:
            word = folder.removeprefix("tests/")
            program = folder.endswith("/cli") and folder != "kernels/cli"
            if name.startswith("main") or program:  # Parts of a program.
                word = path.replace("/cli/" + name, "/main.cc")
            known = re.search(rf"(?<![\w/]){re.escape(word)}(?!\w)", cmake)
        if not known:
            breach(path, 1, "orphan", "no CMakeLists.txt knows it")
        elif compiled and path.startswith(ROOMS) and "/cuda/" not in path and path not in compiled:
            breach(path, 1, "orphan", "the build does not compile it")


def enums(texts):
    """{name: {enumerator: value}} of every enum class in the rooms' headers."""
    found = {}
    for path, text in texts.items():
        header = path.endswith(".h") and path.startswith(ROOMS)
        for name, body in ENUM.findall(bare(text)) if header else []:
            value, members = -1, {}
            for key, number in re.findall(r"(\w+)\s*(?:=\s*(0x[0-9a-fA-F]+|\d+))?\s*(?:,|$)", body):
                value = int(number, 0) if number else value + 1
                members[key.lower()] = value
            found[name] = members
    return found


def check_tables(texts):
    """`| 0x10 | JOB |` rows equal an enum; the table's header or its best match says which one."""
    path = "verifier/PROTOCOL.md"
    row = re.compile(r"^\|\s*`?(0x[0-9a-fA-F]+|\d+)`?\s*\|\s*`?([A-Za-z_]\w*)`?\s*\|")
    tables, header = [], ""
    for number, line in enumerate(texts.get(path, "").split("\n"), 1):
        if not line.startswith("|"):
            header = ""
        elif match := row.match(line):
            if header is not None:
                tables, header = [*tables, (number, header, {})], None
            tables[-1][2][match[2].lower()] = int(match[1], 0)
        elif header is not None:
            header += line
    for name, members in enums(texts).items():
        named = [t for t in tables if f"`{name}`" in t[1]]
        if not named and name in REQUIRED_TABLES and path in texts:
            named = sorted(tables, key=lambda t: -len(t[2].keys() & members.keys()))[:1]
            if not named or not named[0][2].keys() & members.keys():
                breach(path, 1, "table", f"there is no table of `{name}`")
                continue
        for number, _, rows in named:
            for key, value in sorted(rows.items() ^ members.items()):
                where = "table" if (key, value) in rows.items() else "code"
                breach(path, number, "table", f"`{name}`: {key} = {value:#x} only in the {where}")


def check(root, build=None):
    breaches.clear()
    texts = {}
    for file in sorted(root.rglob("*")):
        path = file.relative_to(root)
        if file.suffix in TEXT and file.is_file() and not any(map(SKIPPED.match, path.parts)):
            texts[str(path)] = file.read_bytes().decode("utf-8", "replace")
    cmake = "\n".join(text for path, text in texts.items() if path.endswith("CMakeLists.txt"))
    cpp = [path for path in texts if pathlib.Path(path).suffix in CPP]
    for path, text in texts.items():
        check_text(path, text)
        if path in cpp and path.split("/")[0] in RANK:
            check_cpp(path, text)
        elif path in cpp:
            breach(path, 1, "room", "C++ lives in kernels, verifier, pool, miner or tests")
    check_orphans(cpp, cmake, build and build / "compile_commands.json")
    check_tables(texts)
    return breaches


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent)
    parser.add_argument("--build", type=pathlib.Path)
    args = parser.parse_args()
    found = check(args.root.resolve(), args.build)
    sys.exit("\n".join(found) or None)


if __name__ == "__main__":
    main()
