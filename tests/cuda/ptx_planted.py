"""Plants mistakes in the PTX of the int8 product and demands that the PTX tests notice each.

  ptx_planted.py --program cuda_ptx_test --folder DIR

They stand for wrong asm operands, which the emulated source cannot have. Exit 77: no nvcc.
"""
import argparse
import pathlib
import re
import subprocess
import sys

import ptx_library
import ptx_test
import toolchain
from ptx_parse import PtxError

ARCHITECTURE = 80
KERNEL = "gemm_int32"
TESTS = "*EqualsTheTripleLoop*"


def swap_registers_of_a(text):
    return re.sub(r"(mma\.sync[^{]*\{[^}]*\}, *\{ *%\w+, *)(%\w+)(, *)(%\w+)", r"\1\4\3\2", text)


def lose_the_sums(text):
    """"=r" where "+r" belongs: what is added to is not what was there."""
    return re.sub(r"(mma\.sync.*\{ *)(%\w+), *(%\w+)(, *%\w+, *%\w+ *\};)", r"\1\3, \2\4", text)


def swap_loaded_matrices(text):
    return re.sub(r"(ldmatrix[^{]*\{ *)(%\w+)(, *)(%\w+)", r"\1\4\3\2", text)


def drop_barriers(text):
    return re.sub(r"(bar|barrier)\.sync\s+0;", "", text)


def wait_for_too_little(text):
    return re.sub(r"(cp\.async\.wait_group )1;", r"\g<1>2;", text)


def read_past_shared(text):
    return re.sub(r"(ldmatrix[^;]*\[%\w+)\]", r"\1+49152]", text)


def misalign_copies(text):
    return re.sub(r"(cp\.async\.cg\.shared\.global \[%\w+)\]", r"\1+8]", text)


def approximate(text):
    return re.sub(r"\n(\s*bar\.sync)", r"\n\tex2.approx.ftz.f32 %f1, %f1;\n\1", text, count=1)


# Mistake, and what must be seen: a word of the output of the tests, or of the translation.
PLANTS = (
    (swap_registers_of_a, "FAILED"),
    (lose_the_sums, "FAILED"),
    (swap_loaded_matrices, "FAILED"),
    (drop_barriers, "FAILED"),
    (wait_for_too_little, "FAILED|still in flight"),
    (read_past_shared, "shared address out of range"),
    (misalign_copies, "misaligned shared access"),
    (approximate, "unknown: ex2.approx.ftz.f32"),
)


def outcome(text, program, folder, name):
    """Everything a run on this PTX says, "" when it passes."""
    try:
        library = ptx_library.build(text, folder, name, KERNEL)
    except PtxError as error:
        return str(error)
    done = ptx_test.run(program, library, TESTS, stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT, text=True)
    return done.stdout if done.returncode else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    args = parser.parse_args()
    compiler = toolchain.nvcc()
    folder = args.folder / "planted"
    folder.mkdir(parents=True, exist_ok=True)
    text = toolchain.emit_ptx(compiler, ARCHITECTURE, folder / "nvcc.ptx").read_text()
    missed = []
    if said := outcome(text, args.program, folder, "as_it_is"):
        missed.append(f"as_it_is: must pass, but\n{said}")

    def check(plant):
        change, wanted = plant
        changed = change(text)
        if changed == text:
            return f"{change.__name__}: found nothing to change in the PTX"
        said = outcome(changed, args.program, folder, change.__name__)
        noticed = re.search(wanted, said) is not None
        print(f"{change.__name__}: {'noticed' if noticed else 'MISSED'}")
        return None if noticed else f"{change.__name__}: no '{wanted}' in:\n{said}"

    missed += filter(None, toolchain.in_parallel(check, PLANTS))
    sys.exit("\n".join(missed) or None)


if __name__ == "__main__":
    main()
