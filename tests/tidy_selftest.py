"""A check that has never failed is not trusted: plants each breach, and tidy must tell."""
import pathlib
import sys
import tempfile

import tidy

CLEAN = {
    "CMakeLists.txt": "gemmine_library(a FOLDERS kernels kernels/cpu verifier miner)\n"
                      "gemmine_library(b FOLDERS pool pool/client pool/net pool/server)\n"
                      "gemmine_program(x pool/main.cc)\n",
    "tests/CMakeLists.txt": "gemmine_unit_tests(pool gemmine_pool)\n",
    "kernels/good.h": "// new throw shared_ptr: only words\n#pragma once\nint big = 1'000'000;\n"
                      "struct S { S(S&) = delete; const char* s = \"using namespace x\"; };\n",
    "pool/boundary.cc": "// boundary: SQLite throws\nvoid f() { try { g(); } catch (...) {} }\n",
    "pool/net/loop.cc": "#include <uv.h>\n",
    "pool/cli/serve.cc": "int x;\n",
    "pool/main.cc": '#include "pool/server/a.h"\nint main() { std::printf("x"); }\n',
    "pool/messages.h": "#pragma once\nenum class MessageType : uint8_t {\n  hello = 0x01,  // a,\n"
                       "  job = 0x10,\n};\nenum class OpKind { one, two };\n",
    "pool/net/unit.cc": 'std::unique_ptr<A> a(\n  new A);\n#include "kernels/good.h"\n',
    "tests/unit/pool/unit_test.cc": '#include "miner/x.h"\nvoid f() { throw 1; }\n',
    "verifier/PROTOCOL.md": "| type | name |\n|---|---|\n| 0x01 | HELLO |\n| 0x10 | JOB |\n\n"
                            "| `OpKind` | name |\n|---|---|\n| 0 | one |\n| 1 | two |\n",
}

# File, its content, the rule that must speak.
PLANTED = [
    ("kernels/a.cc", "\n" * 401, "lines"),
    ("kernels/a.cc", "//" + "x" * 99 + "\n", "columns"),
    ("kernels/a.cc", "int a; \n", "whitespace"),
    ("kernels/a.cc", "// FIX" + "ME\n", "later"),
    ("kernels/a.cc", "// see /ro" + "ot/x\n", "machine-path"),
    ("README.md", "cd /wor" + "k/main\n", "machine-path"),
    ("kernels/a.h", "int a;\n", "header"),
    ("kernels/a.cc", '#include "a.h"\n', "include"),
    ("kernels/a.cc", '#include "verifier/a.h"\n', "direction"),
    ("verifier/a.cc", '#include "pool/a.h"\n', "direction"),
    ("verifier/cli/a.cc", '#include "pool/client/a.h"\n', "direction"),
    ("verifier/main.cc", '#include "pool/auditor/a.h"\n', "direction"),
    ("pool/a.cc", '#include "miner/a.h"\n', "direction"),
    ("pool/a.cc", '#include "tests/a.h"\n', "direction"),
    ("miner/a.cc", '#include "pool/server/a.h"\n', "direction"),
    ("pool/client/a.cc", '#include "pool/server/a.h"\n', "direction"),
    ("pool/server/a.cc", '#include "pool/client/a.h"\n', "direction"),
    ("kernels/cpu/a.cc", '#include "kernels/cuda/a.h"\n', "direction"),
    ("kernels/cuda/a.h", '#pragma once\n#include "kernels/cpu/a.h"\n', "direction"),
    ("kernels/cuda/host/a.cc", '#include "kernels/reference/a.h"\n', "direction"),
    ("kernels/base/a.h", '#pragma once\n#include "kernels/hash/a.h"\n', "floor"),
    ("kernels/hash/a.cc", '#include "kernels/numbers/a.h"\n', "floor"),
    ("kernels/model/a.h", '#pragma once\n#include "kernels/engine.h"\n', "floor"),
    ("kernels/engine.h", '#pragma once\n#include "kernels/engines.h"\n', "floor"),
    ("kernels/cpu/passes/a.cc", '#include "kernels/cpu/matmul/a.h"\n', "floor"),
    ("kernels/cuda/host/a.cc", '#include "kernels/cuda/device/a.cuh"\n', "floor"),
    ("kernels/cuda/arch/a.cuh", '#include "kernels/cuda/device/a.cuh"\n', "floor"),
    ("kernels/cpu/a.cc", '#include "kernels/self_test.h"\n', "floor"),
    ("verifier/ledger/a.cc", '#include "verifier/merge/a.h"\n', "floor"),
    ("pool/config/a.cc", '#include "pool/data/a.h"\n', "floor"),
    ("miner/bench/a.cc", '#include "miner/a.h"\n', "floor"),
    ("pool/new/a.cc", '#include "kernels/good.h"\n', "floor"),
    ("pool/a.cc", "#include <uv.h>\n", "uv"),
    ("miner/a.cc", "#  include <uv.h>\n", "uv"),
    ("pool/a.cc", "#include <spdlog/spdlog.h>\n", "spdlog"),
    ("miner/a.cc", "#include <fmt/format.h>\n", "spdlog"),
    ("pool/net/a.cc", 'void f() { std::fprintf(stderr, "x"); }\n', "banned"),
    ("pool/a.cc", '#include "kernels/cli/output.h"\n', "programs"),
    ("kernels/a.cc", '#include "kernels/cli/output.h"\n', "programs"),
    ("verifier/a.cc", "#include <thread>\n", "purity"),
    ("verifier/a.cc", '#include "kernels/base/files.h"\n', "purity"),
    ("pool/core/a.cc", "#include <chrono>\n", "purity"),
    ("pool/core/a.cc", '#include "kernels/base/task_queue.h"\n', "purity"),
    ("pool/wire/a.cc", "#include <openssl/ssl.h>\n", "purity"),
    ("verifier/a.cc", "#include <sys/socket.h>\n", "purity"),
    ("verifier/a.h", "#pragma once\n#include <spdlog/spdlog.h>\n", "purity"),
    ("kernels/a.cc", "int* p = new int;\n", "banned"),
    ("kernels/a.cc", "int* p = new (place) int;\n", "banned"),
    ("kernels/a.cc", "void f() { delete p; }\n", "banned"),
    ("kernels/a.cc", "void f() { delete[] p; }\n", "banned"),
    ("kernels/a.cc", "void f() { std::cout << 1; }\n", "banned"),
    ("kernels/a.cc", 'void f() { std::printf("a // b"); }\n', "banned"),
    ("kernels/a.cc", "using namespace std;\n", "banned"),
    ("kernels/a.cc", "std::shared_ptr<int> p;\n", "banned"),
    ("kernels/a.cc", "auto* p = dynamic_cast<A*>(q);\n", "banned"),
    ("kernels/a.cc", "char q = '\"'; void f() { throw 1; } char r = '\"';\n", "banned"),
    ("pool/boundary.cc", "// boundary: SQLite throws\nvoid f() { throw 1; }\n", "banned"),
    ("pool/a.cc", "void f() { try { g(); } catch (...) {} }\n", "banned"),
    ("pool/other/a.cc", "\n", "orphan"),
    ("miner/main.cc", "\n", "orphan"),
    ("miner/cli/a.cc", "\n", "orphan"),
    ("tests/unit/pool/helper.cc", "\n", "orphan"),
    ("tests/unit/miner/a_test.cc", "\n", "orphan"),
    ("tests/sim/sim.cc", "\n", "orphan"),
    ("web/a.cc", "\n", "room"),
    ("verifier/PROTOCOL.md", "| 0x01 | HELLO |\n", "table"),
    ("verifier/PROTOCOL.md", "| 0x01 | HELLO |\n| 0x11 | JOB |\n", "table"),
    ("verifier/PROTOCOL.md", "| 1 | HELLO |\n| 0x10 | JOB |\n| 0x12 | LEASE |\n", "table"),
    ("verifier/PROTOCOL.md", "No table.\n", "table"),
    ("verifier/PROTOCOL.md", CLEAN["verifier/PROTOCOL.md"].replace("two", "three"), "table"),
]


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def told(root, planted, build=None):
    """The breaches of the clean tree with the files of `planted` in it."""
    for path, text in (CLEAN | planted).items():
        write(root, path, text)
    found = list(tidy.check(root, build))
    for path in planted:
        (root / path).unlink()
    return found


def main():
    silent = 0
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        if found := told(root, {}):
            print("a clean tree was blamed:", *found, sep="\n")
            return 1
        for path, text, rule in PLANTED:
            found = told(root, {path: text})
            if not any(line.startswith(path) and f" {rule}: " in line for line in found):
                print(f"tidy did not see the {rule} planted in {path}: {text[:60]!r}")
                silent += 1
        write(root, "b/compile_commands.json", '[{"file": "x/pool/main.cc"}]')
        if not any("pool/net/unit.cc:1: orphan" in line for line in told(root, {}, root / "b")):
            print("tidy did not see that the build leaves out pool/net/unit.cc")
            silent += 1
    print(f"{len(PLANTED) + 1} breaches planted, {silent} unseen")
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
