"""Plants mistakes in the PTX of single kernels and demands that the PTX tests notice each.

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
PRODUCT_TESTS = "*EqualsTheTripleLoop*"
STEP_TESTS = "EmulatedCpu.*"
GPT_TESTS = "EmulatedGpt.MakesTheReferencesTensors"


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


def rotate_by_6(text):
    return re.sub(r"(mov\.[bu]32\s+%\w+, )7;", r"\g<1>6;", text)


def forget_the_root(text):
    """The flags of a parent that is the root become those of any parent."""
    return re.sub(r"(selp\.b32\s+%\w+, )28, 20,", r"\g<1>20, 20,", text)


def halve_a_constant(text):
    """65536 of PROTOCOL 2.4 becomes 32768."""
    return text.replace("0f47800000", "0f47000000")


def leave_out_the_root(text):
    return re.sub(r"sqrt\.rn\.f32", "abs.f32", text)


def fill_with_what_is_there(text):
    """The zeros after a head's features, and in rows that do not exist, are not asked for."""
    return re.sub(r"(selp\.b32\s+%\w+, )16, 0,", r"\g<1>16, 16,", text)


def weigh_by_62(text):
    """63 of PROTOCOL 10.4, where it is a factor."""
    return re.sub(r"(mul\.rn\.f32\s+%\w+, %\w+, )0f427C0000", r"\g<1>0f42780000", text)


def take_the_least(text):
    return re.sub(r"\.max\.u32", ".min.u32", text)


def see_one_key_more(text):
    """j <= i + 1."""
    return re.sub(r"(setp\.gt\.u32\s+%\w+, %\w+, %\w+);", lambda m: as_greater_equal(m[0]), text)


def as_greater_equal(text):
    return text.replace("setp.gt", "setp.ge")


def take_the_other_half(text):
    """Of each Philox word: PROTOCOL 2.5."""
    return re.sub(r"(shr\.u32\s+%\w+, %\w+, )16;", r"\g<1>15;", text)


def shuffle_from_elsewhere(text):
    return text.replace("shfl.sync.down", "shfl.sync.up")


def lose_a_lane(text):
    """The ballot's bits, one place on."""
    return re.sub(r"(vote\.sync\.ballot\.b32\s+(%\w+), [^;]*;)", r"\1 shl.b32 \2, \2, 1;", text)


def find_the_wrong_bit(text):
    return re.sub(r"brev\.b32", "mov.b32", text)


def store_beside(text):
    """A sum of the first row's, two columns on."""
    return re.sub(r"(st\.shared\.v2\.u32\s+\[%\w+\+16)416\]", r"\g<1>424]", text)


def subtract_the_other_way(text):
    return re.sub(r"(sub\.rn\.f32\s+%\w+, )(%\w+), (%\w+);", r"\1\3, \2;", text, count=1)


# Kernel, mistake, and what must be seen: a word of the tests' output, or of the translation's.
PLANTS = (
    ("gemm_int32", swap_registers_of_a, "FAILED"),
    ("gemm_int32", lose_the_sums, "FAILED"),
    ("gemm_int32", swap_loaded_matrices, "FAILED"),
    ("gemm_int32", drop_barriers, "FAILED"),
    ("gemm_int32", wait_for_too_little, "FAILED|still in flight"),
    ("gemm_int32", read_past_shared, "shared address out of range"),
    ("gemm_int32", misalign_copies, "misaligned shared access"),
    ("gemm_int32", approximate, "unknown: ex2.approx.ftz.f32"),
    ("gemm_weight_gradient", drop_barriers, "FAILED"),
    ("transpose", drop_barriers, "FAILED"),
    ("quantise_rows", drop_barriers, "FAILED"),
    ("stochastic_rows", halve_a_constant, "FAILED"),
    ("stochastic_columns", halve_a_constant, "FAILED"),
    ("hash_groups", rotate_by_6, "FAILED"),
    ("hash_groups", forget_the_root, "FAILED"),
    ("update_adamw", leave_out_the_root, "FAILED"),
)
# The same of a gpt's kernels.
GPT_PLANTS = (
    ("attention_forward", swap_registers_of_a, "FAILED"),
    ("attention_forward", drop_barriers, "FAILED"),
    ("attention_forward", fill_with_what_is_there, "FAILED"),
    ("attention_forward", weigh_by_62, "FAILED"),
    ("attention_forward", take_the_least, "FAILED"),
    ("attention_by_query", swap_loaded_matrices, "FAILED"),
    ("attention_by_query", halve_a_constant, "FAILED"),
    ("attention_by_query", store_beside, "FAILED"),
    ("attention_by_query", take_the_least, "FAILED"),
    ("attention_by_key", lose_the_sums, "FAILED"),
    ("attention_by_key", drop_barriers, "FAILED"),
    ("attention_by_key", fill_with_what_is_there, "FAILED"),
    ("attention_by_key", see_one_key_more, "FAILED"),
    ("quantise_columns", drop_barriers, "FAILED"),
    ("round_head_gradients", take_the_other_half, "FAILED"),
    ("norm_rows", shuffle_from_elsewhere, "FAILED"),
    ("norm_gradient_rows", subtract_the_other_way, "FAILED"),
    ("loss_logits", drop_barriers, "FAILED"),
    ("token_gradient", lose_a_lane, "FAILED"),
    ("token_gradient", find_the_wrong_bit, "FAILED"),
    ("square_units", shuffle_from_elsewhere, "FAILED"),
    ("clip_factor", leave_out_the_root, "FAILED"),
)


class Bench:
    def __init__(self, compiler, program, folder):
        self.program, self.folder = program, folder
        self.text = toolchain.emit_ptx(compiler, ARCHITECTURE, folder / "nvcc.ptx").read_text()
        self.whole = ptx_library.build(self.text, folder, "whole")

    def outcome(self, tests, *changed):
        """What the tests say with the changed libraries put before the whole one; "": passed."""
        done = ptx_test.run(self.program, ":".join(map(str, [*changed, self.whole])), tests,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout if done.returncode else ""

    def check(self, plant):
        """None, or what was missed."""
        kernel, change, wanted = plant
        tests = (GPT_TESTS if plant in GPT_PLANTS
                 else PRODUCT_TESTS if kernel == "gemm_int32" else STEP_TESTS)
        name = f"{kernel}_{change.__name__}"
        begin, end = toolchain.kernel_span(self.text, kernel)
        changed = self.text[:begin] + change(self.text[begin:end]) + self.text[end:]
        if changed == self.text:
            return f"{name}: found nothing to change in the PTX"
        try:
            library = ptx_library.build(changed, self.folder, name, f"{len(kernel)}{kernel}E")
            said = self.outcome(tests, library)
        except PtxError as error:
            said = str(error)
        noticed = re.search(wanted, said) is not None
        print(f"{name}: {'noticed' if noticed else 'MISSED'}", flush=True)
        return None if noticed else f"{name}: no '{wanted}' in:\n{said}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    args = parser.parse_args()
    compiler = toolchain.nvcc()
    folder = args.folder / "planted"
    folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(compiler, args.program, folder)
    missed = [text for text in toolchain.in_parallel(bench.check, PLANTS + GPT_PLANTS) if text]
    if said := bench.outcome(f"{PRODUCT_TESTS}:{STEP_TESTS}:{GPT_TESTS}"):
        missed.append(f"nothing planted: must pass, but\n{said}")
    sys.exit("\n".join(missed) or None)


if __name__ == "__main__":
    main()
