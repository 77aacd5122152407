"""Static gates of the CUDA kernels: what nvcc emits and ptxas assigns, against gates.json.

  gates.py             compiles for every target; exit 1 names each gate that fails, 77: no nvcc
  gates.py --update    rewrites gates.json

Never allowed: spills, stack, local memory, approximate or contracted arithmetic (lints.py). From
the table: registers at most, blocks per multiprocessor at least, and exact instruction counts.
Registers belong to one nvcc release; with another one only blocks per multiprocessor are held.
"""
import argparse
import json
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[1:1] = [str(HERE.parent), str(HERE.parent / "ptx")]

import lints  # noqa: E402  (paths of ours first)
import occupancy  # noqa: E402
import toolchain  # noqa: E402
from ptx_parse import PtxError, parse  # noqa: E402

TABLE = HERE / "gates.json"


def inspect(text, path, report):
    """{mangled: {threads, registers, …, counts, complaints}} of one target."""
    found = {}
    for kernel in parse(text, path).kernels:
        found[kernel.name] = {
            **report[kernel.name], "threads": kernel.threads, "counts": lints.counts(kernel),
            "complaints": lints.lint(kernel)}
    return found


def measure(compiler, folder, architecture):
    path = toolchain.emit_ptx(compiler, architecture, pathlib.Path(folder, f"{architecture}.ptx"))
    report = toolchain.assemble(compiler, architecture, path)
    return inspect(path.read_text(), f"compute_{architecture}.ptx", report)


def measure_all(compiler):
    """{architecture: {short name: facts}}."""
    with tempfile.TemporaryDirectory() as folder:
        every = toolchain.in_parallel(lambda a: measure(compiler, folder, a),
                                      toolchain.ARCHITECTURES)
    return with_launches(dict(zip(toolchain.ARCHITECTURES, every)))


def with_launches(every, launches=None):
    """Short names for mangled ones, and what the host asks for at a launch."""
    names = toolchain.readable(sorted({name for facts in every.values() for name in facts}))
    launches = launches or toolchain.launches()
    out = {}
    for architecture, facts in every.items():
        row = out[architecture] = {}
        for name, fact in facts.items():
            threads, shared = launches.get(names[name], (0, 0))  # (0, 0): not in kernel_list.h
            row[names[name]] = {**fact, "launched": threads, "dynamic_shared": shared}
    return out


def row_of(architecture, fact):
    shared = fact["shared"] + fact["dynamic_shared"]
    return {"registers": fact["registers"], "shared": shared,
            "blocks": occupancy.blocks_per_sm(architecture, fact["registers"],
                                              fact["launched"], shared),
            **fact["counts"]}


def judge_kernel(where, fact, wanted, row, same_release):
    """Complaints about one kernel on one target."""
    found = [f"{where}: {text}" for text in fact["complaints"]]
    if fact["spill"] or fact["stack"]:
        found.append(f"{where}: {fact['spill']} bytes spilled, {fact['stack']} bytes of stack")
    if fact["threads"] != fact["launched"]:
        found.append(f"{where}: __launch_bounds__ of {fact['threads']} threads, launched with "
                     f"{fact['launched']}")
    if same_release and row["registers"] > wanted["registers"]:
        found.append(f"{where}: {row['registers']} registers, {wanted['registers']} allowed")
    if row["shared"] > wanted["shared"]:
        found.append(f"{where}: {row['shared']} bytes shared, {wanted['shared']} allowed")
    if row["blocks"] < wanted["blocks"] or not row["blocks"]:
        found.append(f"{where}: {row['blocks']} blocks per multiprocessor, "
                     f"{wanted['blocks']} wanted")
    for name in sorted((row.keys() | wanted.keys()) - {"registers", "shared", "blocks"}):
        if row.get(name, 0) != wanted.get(name, 0):
            found.append(f"{where}: {row.get(name, 0)} {name}, {wanted.get(name, 0)} expected")
    return found


def judge(measured, table, release):
    """Every complaint, in words; empty: all gates hold."""
    found = []
    for architecture, facts in measured.items():
        for name in sorted(facts.keys() ^ table["kernels"].keys()):
            where = "the table" if name in facts else "the code"
            found.append(f"sm_{architecture} {name}: not in {where}")
        for name in sorted(facts.keys() & table["kernels"].keys()):
            entry = table["kernels"][name]
            row = row_of(architecture, facts[name])
            wanted = entry["targets"].get(str(architecture))
            where = f"sm_{architecture} {name}"
            if wanted is None:
                found.append(f"{where}: not in the table")
            else:
                found += judge_kernel(where, facts[name], wanted, row, release == table["nvcc"])
    return found


def make_table(measured, release):
    kernels = {}
    for architecture, facts in measured.items():
        for name, fact in facts.items():
            entry = kernels.setdefault(name, {
                "threads": fact["launched"], "dynamic_shared": fact["dynamic_shared"],
                "targets": {}})
            entry["targets"][str(architecture)] = row_of(architecture, fact)
    return {"nvcc": release, "kernels": dict(sorted(kernels.items()))}


def layout(table):
    """JSON with one line per kernel and target, so that a change reads well."""
    lines = ['{', f'  "nvcc": {json.dumps(table["nvcc"])},', '  "kernels": {']
    for i, (name, entry) in enumerate(table["kernels"].items()):
        lines.append(f'    {json.dumps(name)}: {{"threads": {entry["threads"]}, '
                     f'"dynamic_shared": {entry["dynamic_shared"]}, "targets": {{')
        rows = [f'      "{target}": {json.dumps(row)}' for target, row in entry["targets"].items()]
        lines += [",\n".join(rows), "    }}" + ("," if i + 1 < len(table["kernels"]) else "")]
    return "\n".join([*lines, "  }", "}", ""])


def show(measured, table):
    for name, entry in table["kernels"].items():
        cells = []
        for target, row in entry["targets"].items():
            if name in measured.get(int(target), {}):
                share = occupancy.warps_share(int(target), row["blocks"], entry["threads"])
                cells.append(f"sm_{target} {row['registers']}r {row['blocks']}b {share}%")
        print(f"{name}: {entry['threads']} threads, {entry['dynamic_shared']} B dynamic; "
              + ", ".join(cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    compiler = toolchain.nvcc()
    release = toolchain.release(compiler)
    try:
        measured = measure_all(compiler)
    except PtxError as error:
        sys.exit(str(error))
    if args.update:
        TABLE.write_text(layout(make_table(measured, release)))
    old = json.loads(TABLE.read_text())
    show(measured, old)
    if release != old["nvcc"]:
        print(f"nvcc {release}, the table is of {old['nvcc']}: registers are not compared")
    complaints = judge(measured, old, release)
    if complaints:
        sys.exit("\n".join(complaints) + "\nIf this is meant: gates.py --update, and say why.")


if __name__ == "__main__":
    main()
