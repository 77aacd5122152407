"""ptx2cpp.py IN.ptx OUT.cc: nvcc's PTX as C++ that runs on the fibers of tests/cuda/cudasim.h.

Every statement carries a #line of the PTX, so that reports of the engine and the sanitizers point
there. Anything unknown ends the translation with exit code 1 and the PTX line.
"""
import pathlib
import sys

import ptx_ops
from ptx_parse import PtxError, parse

POISON = "static_cast<{}>(0x5a5a5a5a5a5a5a5aull)"  # registers start undefined, not zero


def declarations(kernel):
    groups = {}
    for name, kind in kernel.registers.items():
        groups.setdefault(ptx_ops.REGISTER[kind], []).append(ptx_ops.register(name))
    for kind, names in groups.items():
        start = "false" if kind == "bool" else POISON.format(kind)
        yield f"  [[maybe_unused]] {kind} {', '.join(f'{name} = {start}' for name in names)};"
    for name, (count, alignment) in kernel.local.items():
        yield f"  alignas({alignment}) char L_{name}[{count}];"


def function(kernel, symbols, path):
    writer = ptx_ops.Writer(kernel, symbols)
    yield f"static void k_{kernel.name}([[maybe_unused]] const char* arguments) {{"
    yield from declarations(kernel)
    for statement in kernel.body:
        if statement.label:
            yield f"{statement.label.replace('$', 'B_')}:;"
            continue
        try:
            text = writer.statement(statement)
        except (PtxError, KeyError, IndexError) as error:
            raise PtxError(f"{path}:{statement.line}: unknown: {statement.text} "
                           f"({error})") from error
        if statement.guard:
            text = f"if ({writer.raw(statement.guard)}) {{ {text} }}"
        yield f'#line {statement.line} "{path}"\n  {text}'
    yield "}"


def translate(text, path, only=None):
    """C++ of the kernels in `text`, or of those whose mangled name contains `only`."""
    module = parse(text, path)
    out = ['#include "tests/cuda/ptx/ptx_runtime.h"', "namespace gemmine::ptx {"]
    for name, (kind, count, init, alignment) in module.constants.items():
        out.append(f"alignas({alignment}) static {kind} G_{name}[{count}] = {{{init}}};")
    rows = []
    for kernel in module.kernels:
        if only and only not in kernel.name:
            continue
        out += function(kernel, module.constants, path)
        params = ", ".join(f"{{{offset}, {size}}}" for offset, size in kernel.params.values())
        out.append(f"static const Param p_{kernel.name}[] = {{{params or '{0, 0}'}}};")
        rows.append(f'    {{"{kernel.name}", k_{kernel.name}, {kernel.static_shared}, '
                    f"{kernel.threads}, p_{kernel.name}, {len(kernel.params)}}},")
    out += ['extern "C" const Kernel ptx_kernels[];', "const Kernel ptx_kernels[] = {", *rows,
            "    {nullptr, nullptr, 0, 0, nullptr, 0}};", "}  // namespace gemmine::ptx", ""]
    return "\n".join(out)


def main():
    source, target = map(pathlib.Path, sys.argv[1:])
    try:
        target.write_text(translate(source.read_text(), source.name))
    except PtxError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
