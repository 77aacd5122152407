"""PTX text as data: kernels with their parameters, registers, memory and statements.

Whatever nvcc has not been seen to write is an error that names the line; nothing is skipped.
"""
import dataclasses
import re


class PtxError(Exception):
    """A line this reader or the translator does not know."""


@dataclasses.dataclass
class Statement:
    line: int
    text: str
    label: str = ""       # set: the statement is this label
    guard: str = ""       # "%p1" or "!%p1"
    opcode: str = ""
    operands: tuple = ()


@dataclasses.dataclass
class Kernel:
    name: str
    line: int
    params: dict = dataclasses.field(default_factory=dict)     # name -> (offset, bytes)
    registers: dict = dataclasses.field(default_factory=dict)  # %r1 -> b32
    shared: dict = dataclasses.field(default_factory=dict)     # name -> offset
    local: dict = dataclasses.field(default_factory=dict)      # name -> (bytes, alignment)
    static_shared: int = 0
    threads: int = 0                                           # .maxntid, 0 when not given
    body: list = dataclasses.field(default_factory=list)

    def instructions(self):
        return (s for s in self.body if s.opcode)


@dataclasses.dataclass
class Module:
    path: str
    target: str = ""
    kernels: list = dataclasses.field(default_factory=list)
    constants: dict = dataclasses.field(default_factory=dict)  # name -> (type, count, init, align)


def bytes_of(type_name):
    return int(re.sub(r"\D", "", type_name)) // 8


def align_up(value, alignment):
    return (value + alignment - 1) // alignment * alignment


def split_operands(text):
    """Splits at commas outside of {} and []."""
    parts, depth, current = [], 0, ""
    for char in text:
        depth += (char in "{[") - (char in "}]")
        if char == "," and not depth:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    return tuple(parts + [current.strip()]) if current.strip() else tuple(parts)


VARIABLE = re.compile(r"^(?:\.visible |\.extern |\.weak )*\.(?P<space>shared|local|global|const) "
                      r"(?:\.align (?P<align>\d+) )?\.(?P<type>\w+) (?P<name>[\w$%]+)"
                      r"(?:\[(?P<count>\d*)\])?(?: ?= ?\{?(?P<init>[^{}]*)\}?)?$")
PARAM = re.compile(r"^\.param (?:\.align (?P<align>\d+) )?\.(?P<type>\w+)"
                   r"(?: \.ptr(?: \.\w+)?(?: \.align \d+)?)? (?P<name>[\w$]+)"
                   r"(?:\[(?P<count>\d+)\])?$")
INSTRUCTION = re.compile(r"^(?:@(?P<guard>!?%\w+) )?(?P<opcode>[a-z][\w.:]*)(?: (?P<rest>.*))?$")
IGNORED = (".version", ".address_size", ".file", ".loc", ".pragma", ".section")


def place(match, table, position):
    """Puts a .shared variable behind the ones before it; returns the end."""
    alignment = int(match["align"] or bytes_of(match["type"]))
    position = align_up(position, alignment)
    table[match["name"]] = position
    count = 1 if match["count"] is None else int(match["count"] or 0)
    return position + bytes_of(match["type"]) * count


class Reader:
    def __init__(self, text, path):
        self.path = path
        # Comments go, newlines stay, so that positions still give line numbers.
        text = re.sub(r"//[^\n]*", "", text)
        self.text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
        self.module = Module(path)
        self.shared, self.shared_end, self.extern = {}, 0, []

    def fail(self, line, text):
        raise PtxError(f"{self.path}:{line}: unknown: {text}")

    def tokens(self):
        """(line, text) of statements, labels, and lone braces."""
        current, start, line, depth = "", 1, 1, 0
        for char in self.text:
            if not current.strip():
                start = line
            line += char == "\n"
            body = current.strip()
            if char == "{" and not body:
                yield start, "{"
                current = ""
            elif char == "{" and body.endswith(")") or char == "{" and ".entry" in body:
                yield start, " ".join(body.split())
                yield start, "{"
                current = ""
            elif char == "}" and not body and not depth:
                yield start, "}"
                current = ""
            elif char == ";":
                yield start, " ".join(body.split())
                current = ""
            elif char == ":" and re.fullmatch(r"[$\w]+", body):
                yield start, body + ":"
                current = ""
            elif char == "\n" and body.startswith((".version", ".target", ".address_size",
                                                    ".file", ".loc", ".pragma")):
                yield start, " ".join(body.split())
                current = ""
            else:
                depth += (char == "{") - (char == "}")
                current += char

    def read(self):
        kernel, depth = None, 0
        for line, text in self.tokens():
            if text == "{":
                depth += 1
            elif text == "}":
                depth -= 1
                if depth == 0:
                    self.finish(kernel)
                    kernel = None
            elif depth:
                self.inside(kernel, line, text)
            elif ".entry " in text:
                kernel = self.entry(line, text)
            else:
                self.outside(line, text)
        return self.module

    def outside(self, line, text):
        match = VARIABLE.match(text)
        if text.startswith(".target"):
            self.module.target = text.split()[1]
        elif match and match["space"] == "shared" and text.startswith(".extern"):
            self.extern.append(match)
        elif match and match["space"] == "shared":
            self.shared_end = place(match, self.shared, self.shared_end)
        elif match and match["space"] in ("global", "const"):
            self.module.constants[match["name"]] = (
                match["type"], int(match["count"] or 1), match["init"] or "0",
                int(match["align"] or bytes_of(match["type"])))
        elif text and not text.startswith(IGNORED):
            self.fail(line, text)

    def entry(self, line, text):
        match = re.match(r"^(?:\.\w+ )*\.entry (\w+) ?\((.*?)\)(.*)$", text)
        if not match:
            self.fail(line, text)
        kernel = Kernel(match[1], line)
        end = 0
        for part in split_operands(match[2]):
            param = PARAM.match(part)
            if not param:
                self.fail(line, part)
            size = bytes_of(param["type"])
            end = align_up(end, int(param["align"] or size))
            size *= int(param["count"] or 1)
            kernel.params[param["name"]] = (end, size)
            end += size
        for numbers in re.findall(r"\.(?:max|req)ntid ([\d, ]+)", match[3]):
            kernel.threads = 1
            for number in numbers.split(","):
                kernel.threads *= int(number)
        return kernel

    def inside(self, kernel, line, text):
        variable = VARIABLE.match(text)
        if text.endswith(":"):
            kernel.body.append(Statement(line, text, label=text[:-1]))
        elif text.startswith(".reg"):
            kind, names = re.match(r"^\.reg \.(\w+) (.*)$", text).groups()
            for name in split_operands(names):
                many = re.match(r"^(%\w+?)<(\d+)>$", name)
                every = [f"{many[1]}{i}" for i in range(int(many[2]))] if many else [name]
                kernel.registers.update(dict.fromkeys(every, kind))
        elif variable and variable["space"] == "shared":
            kernel.body.append(Statement(line, text))
        elif variable and variable["space"] == "local":
            kernel.local[variable["name"]] = (
                bytes_of(variable["type"]) * int(variable["count"] or 1),
                int(variable["align"] or 1))
        elif not text.startswith((".loc", ".pragma")):
            match = INSTRUCTION.match(text)
            if not match:
                self.fail(line, text)
            kernel.body.append(Statement(line, text, guard=match["guard"] or "",
                                         opcode=match["opcode"],
                                         operands=split_operands(match["rest"] or "")))

    def finish(self, kernel):
        kernel.shared, end = dict(self.shared), self.shared_end
        for statement in kernel.body:
            if not statement.opcode and not statement.label:
                end = place(VARIABLE.match(statement.text), kernel.shared, end)
        kernel.body = [s for s in kernel.body if s.opcode or s.label]
        # Module-level shared memory belongs to the kernels that name it.
        words = {w for s in kernel.instructions() for w in re.findall(r"[\w$]+", s.text)}
        if not words & kernel.shared.keys():
            end = 0
        for match in self.extern:
            end = align_up(end, int(match["align"] or 1)) if match["name"] in words else end
            kernel.shared[match["name"]] = end
        kernel.static_shared = end
        self.module.kernels.append(kernel)


def parse(text, path):
    return Reader(text, path).read()
