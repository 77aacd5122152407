"""One PTX instruction as one C++ statement over tests/cuda/ptx/ptx_scalar.h and ptx_runtime.h.

A form that is not in these tables ends the translation: that is the lint against instructions
nobody has thought about (approximations, flush-to-zero, other roundings among them).
"""
import re

from ptx_parse import PtxError, bytes_of, split_operands

REGISTER = {"pred": "bool", "b8": "u8", "b16": "u16", "u16": "u16", "s16": "u16", "b32": "u32",
            "u32": "u32", "s32": "u32", "f32": "u32", "b64": "u64", "u64": "u64", "s64": "u64",
            "f64": "u64"}
SPECIAL = {f"%{name}.{axis}": f"{place}.{axis}" for axis in "xyz"
           for name, place in (("tid", "thread_index()"), ("ntid", "block_size()"),
                               ("ctaid", "block_index()"), ("nctaid", "grid_size()"))}
SPECIAL |= {"%laneid": "lane_index()", "WARP_SZ": "32u"}
INTEGER = {"s16", "s32", "s64", "u16", "u32", "u64"}
BITS = {"pred", "b16", "b32", "b64"}
# opcode without its type -> (function, operands, types)
PLAIN = {
    "add": ("add", 2, INTEGER), "sub": ("sub", 2, INTEGER), "mul.lo": ("mul_lo", 2, INTEGER),
    "mul.hi": ("mul_hi", 2, INTEGER), "mul.wide": ("mul_wide", 2, INTEGER),
    "mad.lo": ("mad_lo", 3, INTEGER), "mad.hi": ("mad_hi", 3, INTEGER),
    "div": ("div", 2, INTEGER), "rem": ("rem", 2, INTEGER),
    "add.rn": ("add", 2, {"f32"}), "sub.rn": ("sub", 2, {"f32"}), "mul.rn": ("mul", 2, {"f32"}),
    "fma.rn": ("fma", 3, {"f32"}), "div.rn": ("div", 2, {"f32"}), "rcp.rn": ("rcp", 1, {"f32"}),
    "sqrt.rn": ("sqrt", 1, {"f32"}),
    "min": ("min", 2, INTEGER | {"f32"}), "max": ("max", 2, INTEGER | {"f32"}),
    "neg": ("neg", 1, INTEGER | {"f32"}), "abs": ("abs", 1, INTEGER | {"f32"}),
    "and": ("bit_and", 2, BITS), "or": ("bit_or", 2, BITS), "xor": ("bit_xor", 2, BITS),
    "not": ("bit_not", 1, BITS),
    "popc": ("popc", 1, BITS), "clz": ("clz", 1, BITS), "brev": ("brev", 1, BITS),
}
ORDERED = {"eq": "==", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
           "lo": "<", "ls": "<=", "hi": ">", "hs": ">="}
CACHE = {"volatile", "relaxed", "weak", "gpu", "cta", "sys", "nc", "cg", "ca", "cs", "lu", "wb",
         "wt", "acquire", "release", "ptr"}


def register(name):
    return "R_" + re.sub(r"\W", "", name)


class Writer:
    """Writes the statements of one kernel; `symbols` are the module's constants."""

    def __init__(self, kernel, symbols):
        self.kernel, self.symbols = kernel, symbols

    # ---- Operands -------------------------------------------------------------------------------

    def raw(self, text):
        """Bits of a register, a special register, a literal, or an address."""
        if text in SPECIAL:
            return SPECIAL[text]
        if text.startswith("!"):
            return f"!{self.raw(text[1:])}"
        if text in self.kernel.registers:
            return register(text)
        if match := re.fullmatch(r"0([fFdD])([0-9a-fA-F]+)", text):
            return f"0x{match[2]}u" + ("ll" if match[1] in "dD" else "")
        if re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)U?", text):
            return f"0x{int(text.rstrip('U'), 0) & (1 << 64) - 1:x}ull"
        if text in self.kernel.shared:
            return f"u64{{kSharedBase + {self.kernel.shared[text]}u}}"
        if text in self.kernel.local:
            return f"address_of(L_{text})"
        if text in self.symbols:
            return f"address_of(G_{text})"
        raise PtxError(f"operand {text}")

    def value(self, kind, text):
        """The bits as a type; plain casts where they do, they compile faster than get<>()."""
        if kind[0] == "f":
            return f"get<{kind}>({self.raw(text)})"
        if REGISTER.get(self.kernel.registers.get(text)) == kind.replace("b", "u"):
            return self.raw(text)
        return f"{kind}({self.raw(text)})"

    def put(self, target, expression, kind="f32"):
        """Assigns; `kind` other than f32 promises that the expression is an integer."""
        if target == "_":
            return f"static_cast<void>({expression});"
        cell = REGISTER[self.kernel.registers[target]]
        if kind[0] == "f":
            return f"{register(target)} = put<{cell}>({expression});"
        return f"{register(target)} = {cell}({expression});"

    def address(self, text):
        match = re.fullmatch(r"\[ ?([%$\w]+) ?(?:\+ ?(-?\w+))? ?\]", text)
        if not match:
            raise PtxError(f"address {text}")
        base = self.raw(match[1])
        return f"{base} + {self.raw(match[2])}" if match[2] else base

    # ---- Instructions ---------------------------------------------------------------------------

    def statement(self, s):
        opcode = s.opcode.replace(".uni", "")
        parts, ops = opcode.split("."), s.operands
        kind, stem = parts[-1], ".".join(parts[:-1])
        if stem in PLAIN and kind in PLAIN[stem][2]:
            name, count, _ = PLAIN[stem]
            if count != len(ops) - 1:
                raise PtxError(f"{count} operands")
            values = ", ".join(self.value(kind, x) for x in ops[1:])
            return self.put(ops[0], f"{name}<{kind}>({values})", kind)
        method = getattr(self, "op_" + parts[0], None)
        text = method(parts, kind, ops) if method else None
        if text is None:
            raise PtxError("instruction")
        return text

    def op_mad(self, parts, kind, ops):
        if parts[1] == "wide" and kind in ("s32", "u32"):
            wide = kind[0] + "64"
            return self.put(ops[0], f"mad_wide<{kind}, {wide}>({self.value(kind, ops[1])}, "
                                    f"{self.value(kind, ops[2])}, {self.value(wide, ops[3])})")

    def op_shl(self, parts, kind, ops):
        if len(parts) == 2:
            return self.put(ops[0], f"{parts[0]}<{kind}>({self.value(kind, ops[1])}, "
                                    f"{self.value('u32', ops[2])})", kind)
    op_shr = op_shl

    def op_shf(self, parts, kind, ops):
        direction = {"l": "left", "r": "right"}[parts[1]]
        values = ", ".join(self.value("u32", x) for x in ops[1:])
        return self.put(ops[0], f"shf(Direction::{direction}, Amount::{parts[2]}, {values})")

    def op_lop3(self, parts, kind, ops):
        if len(parts) == 2:
            return self.put(ops[0], f"lop3({', '.join(self.value('u32', x) for x in ops[1:])})")

    def op_prmt(self, parts, kind, ops):
        if len(parts) == 2:
            return self.put(ops[0], f"prmt({', '.join(self.value('u32', x) for x in ops[1:])})")

    def op_bfe(self, parts, kind, ops):
        return self.put(ops[0], f"bfe<{kind}>({self.value(kind, ops[1])}, "
                                f"{', '.join(self.value('u32', x) for x in ops[2:])})")

    def op_bfi(self, parts, kind, ops):
        values = [self.value(kind, x) for x in ops[1:3]] + [self.value("u32", x) for x in ops[3:]]
        return self.put(ops[0], f"bfi<{kind}>({', '.join(values)})")

    def op_bfind(self, parts, kind, ops):
        if parts == ["bfind", "shiftamt", "u32"]:
            return self.put(ops[0], f"bfind_shiftamt({self.value('u32', ops[1])})", kind)

    def op_dp4a(self, parts, kind, ops):
        values = ", ".join(self.value("u32", x) for x in ops[1:])
        return self.put(ops[0], f"dp4a<{parts[1]}, {parts[2]}>({values})")

    def op_setp(self, parts, kind, ops):
        if len(parts) != 3 or "|" in ops[0]:
            return None
        a, b, name = self.value(kind, ops[1]), self.value(kind, ops[2]), parts[1]
        unordered = f"unordered({a}, {b})"
        if name in ORDERED:
            return self.put(ops[0], f"{a} {ORDERED[name]} {b}", "pred")
        if name == "ne":
            test = f"{a} != {b}"
            return self.put(ops[0], f"{test} && !{unordered}" if kind[0] == "f" else test)
        if kind[0] == "f" and name in ("nan", "num"):
            return self.put(ops[0], unordered if name == "nan" else f"!{unordered}")
        if kind[0] == "f" and name in ("neu", "equ", "ltu", "leu", "gtu", "geu"):
            return self.put(ops[0], f"{a} {ORDERED.get(name[:2], '!=')} {b} || {unordered}")
        return None

    def op_selp(self, parts, kind, ops):
        return self.put(ops[0], f"{self.raw(ops[3])} ? {self.value(kind, ops[1])} : "
                                f"{self.value(kind, ops[2])}")

    def op_mov(self, parts, kind, ops):
        if len(parts) != 2:
            return None
        if kind == "pred":
            return self.put(ops[0], self.raw(ops[1]), "pred")
        whole = "u" + kind[1:]
        if ops[0].startswith("{"):
            names = split_operands(ops[0][1:-1])
            width = int(kind[1:]) // len(names)
            return " ".join(self.put(name, f"static_cast<u{width}>({self.raw(ops[1])} >> "
                                           f"{width * i})") for i, name in enumerate(names))
        if ops[1].startswith("{"):
            names = split_operands(ops[1][1:-1])
            width = int(kind[1:]) // len(names)
            return self.put(ops[0], " | ".join(
                f"static_cast<{whole}>({whole}{{{self.value(f'u{width}', name)}}} << {width * i})"
                for i, name in enumerate(names)))
        return self.put(ops[0], f"{whole}({self.raw(ops[1])})", whole)

    def op_cvt(self, parts, kind, ops):
        target, source, middle = parts[-2], parts[-1], set(parts[1:-2])
        rounding = next((x for x in middle if re.fullmatch(r"r[nzmp]i?", x)), "")
        floats = (target[0] == "f") + (source[0] == "f")
        if middle - {rounding, "sat"} or {target, source} & {"f16", "bf16", "f64"}:
            return None
        if floats == 2 and rounding not in ("", "rni", "rzi", "rmi", "rpi"):
            return None
        if target[0] == "f" and floats == 1 and rounding != "rn":
            return None
        if floats == 2 or (floats and "sat" in middle and target[0] == "f"):
            return None
        letter = rounding[1] if rounding.endswith("i") else "0"
        saturate = "true" if "sat" in middle else "false"
        return self.put(ops[0], f"cvt<{target}, {source}>({self.value(source, ops[1])}, "
                                f"'{letter}', {saturate})")

    def op_cvta(self, parts, kind, ops):
        if "shared" in parts:
            name = "shared_of" if "to" in parts else "generic_of"
            return self.put(ops[0], f"{name}({self.raw(ops[1])})")
        return self.put(ops[0], self.raw(ops[1]))

    def memory(self, parts):
        """(space, vector length) of ld and st."""
        rest = [x for x in parts[1:-1] if x not in CACHE and not x.startswith(("L1::", "L2::"))]
        vector = int(rest.pop()[1:]) if rest and re.fullmatch(r"v[248]", rest[-1]) else 1
        space = rest[0] if rest else "generic"
        if len(rest) > 1 or space not in ("param", "shared", "global", "local", "const",
                                          "generic"):
            raise PtxError("space of memory")
        return space, vector

    def cells(self, operand):
        return split_operands(operand[1:-1]) if operand.startswith("{") else (operand,)

    def where(self, space, operand, size):
        name = "shared_at" if space == "shared" else "global_at"
        return f"{name}({self.address(operand)}, {size})"

    def op_ld(self, parts, kind, ops):
        space, vector = self.memory(parts)
        names, size = self.cells(ops[0]), bytes_of(kind)
        if len(names) != vector:
            return None
        if space == "param":
            match = re.fullmatch(r"\[ ?(\w+) ?(?:\+ ?(\d+))? ?\]", ops[1])
            offset = self.kernel.params[match[1]][0] + int(match[2] or 0)
            place = f"arguments + {offset}"
        else:
            place = self.where(space, ops[1], size * vector)
        loads = " ".join(f"const {kind} v{i} = load<{kind}>(at + {i * size});"
                         for i in range(vector))
        puts = " ".join(self.put(name, f"v{i}", kind) for i, name in enumerate(names))
        return f"{{ const char* const at = {place}; {loads} {puts} }}"

    def op_st(self, parts, kind, ops):
        space, vector = self.memory(parts)
        names, size = self.cells(ops[1]), bytes_of(kind)
        if space == "param" or len(names) != vector:
            return None
        stores = " ".join(f"store<{kind}>(at + {i * size}, {self.value(kind, name)});"
                          for i, name in enumerate(names))
        return f"{{ char* const at = {self.where(space, ops[0], size * vector)}; {stores} }}"

    def op_atom(self, parts, kind, ops):
        rest = [x for x in parts[1:-1] if x not in CACHE]
        space = rest[0] if len(rest) > 1 else "generic"
        if kind[0] == "f" or rest[-1] not in ("add", "and", "or", "xor", "min", "max", "exch",
                                              "cas"):
            return None
        values = ", ".join(self.value(kind, x) for x in ops[2:])
        return self.put(ops[0], f"atomic_{rest[-1]}<{kind}>("
                                f"{self.where(space, ops[1], bytes_of(kind))}, {values})")

    def op_red(self, parts, kind, ops):
        return self.op_atom(parts, kind, ("_",) + ops)

    def op_bra(self, parts, kind, ops):
        return f"goto {ops[0].replace('$', 'B_')};"

    def op_ret(self, parts, kind, ops):
        return "return;"
    op_exit = op_ret

    def op_bar(self, parts, kind, ops):
        if parts[1:] == ["warp", "sync"]:
            return f"warp_barrier({self.value('u32', ops[0])});"
        if "sync" in parts and ops == ("0",):
            return "barrier();"
        return None
    op_barrier = op_bar

    def op_membar(self, parts, kind, ops):
        return "fence();"
    op_fence = op_membar

    def op_shfl(self, parts, kind, ops):
        target, _, predicate = ops[0].partition("|")
        values = ", ".join(self.value("u32", x) for x in ops[1:])
        flag = f"&{register(predicate)}" if predicate else "nullptr"
        return self.put(target, f"shuffle('{parts[2][0]}', {values}, {flag})")

    def op_vote(self, parts, kind, ops):
        if parts[1] != "sync" or parts[2] not in ("ballot", "any", "all"):
            return None
        return self.put(ops[0], f"vote_{parts[2]}({self.raw(ops[1])}, "
                                f"{self.value('u32', ops[2])})")

    def op_redux(self, parts, kind, ops):
        return self.put(ops[0], f"redux<{kind}, {parts[2].title()}>({self.value(kind, ops[1])}, "
                                f"{self.value('u32', ops[2])})")

    def op_cp(self, parts, kind, ops):
        rest = [x for x in parts if not x.startswith("L2::")]
        if rest == ["cp", "async", "commit_group"]:
            return "copy_commit();"
        if rest == ["cp", "async", "wait_group"]:
            return f"copy_wait<{int(ops[0])}>();"
        if rest == ["cp", "async", "wait_all"]:
            return "copy_commit(); copy_wait<0>();"
        if rest[:2] != ["cp", "async"] or rest[3:] != ["shared", "global"] or ops[2] != "16":
            return None
        real = self.value("u32", ops[3]) if len(ops) > 3 else "16"
        return f"copy_async({self.where('shared', ops[0], 16)}, {self.address(ops[1])}, {real});"

    def op_ldmatrix(self, parts, kind, ops):
        if parts[1:4] != ["sync", "aligned", "m8n8"] or kind != "b16":
            return None
        names = self.cells(ops[0])
        if parts[4] != f"x{len(names)}":
            return None
        targets = ", ".join("&" + register(x) for x in names)
        return (f"{{ u32* const d[] = {{{targets}}}; load_matrix<{len(names)}>(d, "
                f"{self.address(ops[1])}, {'true' if 'trans' in parts else 'false'}); }}")

    def op_mma(self, parts, kind, ops):
        match = re.fullmatch(r"mma\.sync\.aligned\.m(16|8)n8k(32|16)\.row\.col\.s32\.s8\.s8\.s32",
                             ".".join(parts))
        if not match:
            return None
        groups = [self.cells(x) for x in ops]
        targets = ", ".join("&" + register(x) for x in groups[0])
        sources = "; ".join(
            f"const u32 {name}[] = {{{', '.join(self.value('u32', x) for x in group)}}}"
            for name, group in zip("abc", groups[1:]))
        return (f"{{ u32* const d[] = {{{targets}}}; {sources}; "
                f"matrix_mma<{match[1]}, {match[2]}>(d, a, b, c); }}")
