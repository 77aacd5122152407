"""What the PTX of GN-1 kernels must not contain, and what is counted in it."""
import collections

# Instructions that have no correctly rounded form, whatever their suffix.
INEXACT = {"ex2", "lg2", "sin", "cos", "tanh", "rsqrt"}
INEXACT_SUFFIX = {"approx", "ftz", "full"}
OTHER_ROUNDING = {"rz", "rm", "rp", "rna"}
OTHER_FLOAT = {"f16", "f16x2", "bf16", "bf16x2", "f64", "tf32", "f32x2"}
ROUNDED = {"add", "sub", "mul", "div", "rcp", "sqrt"}


def lint(kernel):
    """Complaints about one kernel of ptx_parse, each with its PTX line."""
    found = []
    for s in kernel.instructions():
        name, *rest = s.opcode.split(".")
        kinds = set(rest)
        floating = "f32" in kinds
        if name in INEXACT or kinds & INEXACT_SUFFIX:
            found.append(f"line {s.line}: approximate: {s.text}")
        elif kinds & OTHER_FLOAT:
            found.append(f"line {s.line}: not binary32: {s.text}")
        elif floating and kinds & OTHER_ROUNDING:
            found.append(f"line {s.line}: rounds another way: {s.text}")
        elif floating and name in ("fma", "mad"):
            found.append(f"line {s.line}: contracted: {s.text}")
        elif floating and name in ROUNDED and "rn" not in kinds:
            found.append(f"line {s.line}: may be contracted: {s.text}")
        elif name in ("atom", "red") and floating:
            found.append(f"line {s.line}: sums in any order: {s.text}")
    return found


def counts(kernel):
    """How often the instructions occur that the design of a kernel fixes."""
    found = collections.Counter()
    for s in kernel.instructions():
        parts = s.opcode.split(".")
        if parts[0] in ("mma", "ldmatrix"):
            found[parts[0]] += 1
        elif parts[:2] == ["cp", "async"] and "shared" in parts:
            found["cp_async"] += 1
        elif parts[0] in ("bar", "barrier") and "warp" not in parts:
            found["barriers"] += 1
    return dict(sorted(found.items()))
