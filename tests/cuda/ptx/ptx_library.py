"""The PTX of the CUDA kernels, translated and compiled into a library that ptx_kernels.cc loads."""
import pathlib
import subprocess
import sys

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent))

import ptx2cpp  # noqa: E402  (a path of ours first)
import toolchain  # noqa: E402

# Registers have their addresses taken by warp operations, so points-to analysis finds nothing.
COMPILE = ("g++", "-std=c++20", "-O1", "-fno-tree-pta", "-fno-strict-aliasing",
           "-ffp-contract=off", "-fPIC", "-shared", "-w", "-I", str(toolchain.ROOT))


def build(ptx_text, folder, name, only=None):
    """Returns the path of the library made of `ptx_text`; `only`: of kernels whose mangled name
    contains this. Raises PtxError."""
    folder = pathlib.Path(folder)
    ptx = folder / f"{name}.ptx"
    ptx.write_text(ptx_text)
    source, library = folder / f"{name}.cc", folder / f"{name}.so"
    source.write_text(ptx2cpp.translate(ptx_text, str(ptx), only))
    subprocess.run([*COMPILE, str(source), "-o", str(library)], check=True)
    return library
