"""Plants what the gates are against, in PTX text or in a copy of the table; each must be named.

Exit 77: there is no nvcc.
"""
import copy
import pathlib
import re
import sys
import tempfile

import gates
import toolchain

ARCHITECTURE = 80
PRODUCT, ROUNDED, HEADS = "gemm_int32", "loss_rows", "attention_by_key"


def within(name, pattern, replacement):
    """A change of the first match inside one kernel."""
    def change(text):
        begin, end = toolchain.kernel_span(text, name)
        body = re.sub(pattern, replacement, text[begin:end], count=1)
        return text[:begin] + body + text[end:]
    return change


# Kernel that must be complained of, change of the PTX, what the complaint says.
IN_PTX = (
    (ROUNDED, within(ROUNDED, r"div\.rn\.f32", "div.approx.f32"), "approximate"),
    (ROUNDED, within(ROUNDED, r"add\.rn\.f32", "add.rn.ftz.f32"), "approximate"),
    (ROUNDED, within(ROUNDED, r"add\.rn\.f32", "add.f32"), "may be contracted"),
    (ROUNDED, within(ROUNDED, r"add\.rn\.f32", "add.rz.f32"), "rounds another way"),
    (ROUNDED, within(ROUNDED, r"mul\.rn\.f32\s+(%\w+), (%\w+), (\S+);",
                     r"fma.rn.f32 \1, \2, \3, \2;"), "contracted"),
    (PRODUCT, within(PRODUCT, r"mma\.sync[^;]*;", ""), "31 mma, 32 expected"),
    (PRODUCT, within(PRODUCT, r"ldmatrix[^;]*;", ""), "11 ldmatrix, 12 expected"),
    (PRODUCT, within(PRODUCT, r"cp\.async\.cg[^;]*;", ""), "11 cp_async, 12 expected"),
    (PRODUCT, within(PRODUCT, r"bar\.sync[^;]*;", ""), "0 barriers, 1 expected"),
    (HEADS, within(HEADS, r"mma\.sync[^;]*;", ""), "63 mma, 64 expected"),
    (HEADS, within(HEADS, r"bar\.sync[^;]*;", ""), "8 barriers, 9 expected"),
    (PRODUCT, within(PRODUCT, r"\.maxntid 256", ".maxntid 512"), "launched with 256"),
)


def change_row(table, name, key, value):
    table["kernels"][name]["targets"][str(ARCHITECTURE)][key] += value


def rename(table):
    table["kernels"]["gone"] = table["kernels"].pop(ROUNDED)


# Change of the table: as if the code had grown since it was written.
IN_TABLE = (
    (PRODUCT, lambda t: change_row(t, PRODUCT, "registers", -1), "allowed"),
    (PRODUCT, lambda t: change_row(t, PRODUCT, "blocks", 1), "blocks per multiprocessor"),
    (PRODUCT, lambda t: change_row(t, PRODUCT, "shared", -1), "bytes shared"),
    (ROUNDED, rename, "not in the table"),
    ("gone", rename, "not in the code"),
)


class Bench:
    """The kernels of one architecture, and what the gates say of them after a change."""

    def __init__(self, compiler, folder):
        self.compiler, self.folder = compiler, pathlib.Path(folder)
        self.release = toolchain.release(compiler)
        path = toolchain.emit_ptx(compiler, ARCHITECTURE, self.folder / "nvcc.ptx")
        self.text = path.read_text()
        self.report = toolchain.assemble(compiler, ARCHITECTURE, path)
        self.launches = toolchain.launches()
        # A table of this very compiler, so that the gates hold whatever release it is.
        self.table = gates.make_table(self.facts(), self.release)

    def facts(self, text=None, report=None):
        found = gates.inspect(text or self.text, "planted.ptx", report or self.report)
        return gates.with_launches({ARCHITECTURE: found}, self.launches)

    def complaints(self, text=None, table=None, report=None):
        return gates.judge(self.facts(text, report), table or self.table, self.release)

    def spilled(self):
        """What ptxas says when it may use no more than 32 registers."""
        path = self.folder / "free.ptx"  # launch bounds would win over the limit
        path.write_text(re.sub(r"(?m)^\.(maxntid|minnctapersm).*$", "", self.text))
        return toolchain.assemble(self.compiler, ARCHITECTURE, path, ["-maxrregcount=32"])


def verdict(what, name, wanted, said):
    hits = [line for line in said if line.startswith(f"sm_{ARCHITECTURE} {name}:")]
    if any(wanted in line for line in hits):
        return None
    return f"{what}: nothing about {name} says '{wanted}': {said or 'no complaint'}"


def main():
    compiler = toolchain.nvcc()
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(compiler, folder)
        if said := bench.complaints():
            missed.append(f"as it is: {said}")
        for i, (name, change, wanted) in enumerate(IN_PTX):
            changed = change(bench.text)
            if changed == bench.text:
                missed.append(f"PTX {i}: nothing to change")
            missed.append(verdict(f"PTX {i}", name, wanted, bench.complaints(text=changed)))
        for i, (name, change, wanted) in enumerate(IN_TABLE):
            table = copy.deepcopy(bench.table)
            change(table)
            missed.append(verdict(f"table {i}", name, wanted, bench.complaints(table=table)))
        said = bench.complaints(report=bench.spilled())
        missed.append(verdict("32 registers", PRODUCT, "bytes spilled", said))
    missed = [text for text in missed if text]
    print(f"{len(IN_PTX) + len(IN_TABLE) + 1} planted, {len(missed)} missed")
    sys.exit("\n".join(missed) or None)


if __name__ == "__main__":
    main()
