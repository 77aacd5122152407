"""Manual pages in man(7), made of what programs say about their own command lines."""
import re

# What `man -k` shows, and what no --help tells: files and variables.
ABOUT = {
    "gemmine": "train other people's models and be paid for it",
    "gemmine-pool": "lease training steps to strangers, check what they send, pay for it",
    "gemmine-audit": "watch a gemmine pool and compute again what it claims",
    "gemmine-verify": "judge files of a gemmine pool and its miners",
}
FILES = {
    "gemmine": [
        ("~/.local/share/gemmine", "The miner's key, downloads, checkpoints and receipts; "
         "$XDG_DATA_HOME instead of ~/.local/share where it is set."),
        ("/etc/gemmine/mine.conf", "The command line of gemmine.service, which works in "
         "/var/lib/gemmine."),
        ("~/.local/share/gemmine-relay", "What `gemmine relay` keeps of a pool's downloads."),
        ("/etc/gemmine/relay.conf", "The command line of gemmine-relay.service, which works in "
         "/var/lib/gemmine-relay.")],
    "gemmine-pool": [
        ("/etc/gemmine/pool.toml", "The configuration of gemmine-pool.service, which keeps keys, "
         "ledger and blobs in /var/lib/gemmine-pool."),
        ("/etc/gemmine/pool.conf", "Further words of its command line."),
        ("/usr/share/gemmine/jobs", "Example jobs.")],
    "gemmine-audit": [
        ("~/.local/share/gemmine-audit", "The auditor's key, downloads and evidence."),
        ("/etc/gemmine/audit.conf", "The command line of gemmine-audit.service, which works in "
         "/var/lib/gemmine-audit.")],
    "gemmine-verify": [],
}
KNOWN_POOLS = ("~/.local/state/gemmine/pools", "What pools have signed, so that one that "
               "contradicts itself is found; $XDG_STATE_HOME instead of ~/.local/state where it "
               "is set.")
SERVICES = ("gemmine", "gemmine-pool", "gemmine-audit")
ENVIRONMENT = {  # what it does, and to which programs
    "GEMMINE_CPU": ("portable, avx2 or avx512: the instructions that the cpu engine uses, instead "
                    "of the best that this machine has. The results are the same.", tuple(ABOUT)),
    "GEMMINE_RELAY": ("The address of a `gemmine relay` to download from, where --relay names "
                      "none.", ("gemmine", "gemmine-audit")),
    "NO_COLOR": ("Where it is set and not empty, the log has no colours on a terminal either.",
                 SERVICES),
    "NOTIFY_SOCKET": ("Where a service manager hears that the program is ready, alive "
                      "(WATCHDOG_USEC) and stopping; see sd_notify(3).", SERVICES),
}


def roff(text):
    """A line of text as man(7) wants it, hyphens as they are typed."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    for plain, name in (("'", "\\(aq"), ("`", "\\(ga"), ("^", "\\(ha"), ("~", "\\(ti")):
        text = text.replace(plain, name)
    text = "".join(c if c < "\x7f" else f"\\[u{ord(c):04X}]" for c in text)
    return "\\&" + text if text.startswith(".") else text


def prose(text):
    """Paragraphs are filled, indented lines are left as they are."""
    kind = None
    for line in text.split("\n"):
        new = "gap" if not line.strip() else "literal" if line.startswith(" ") else "filled"
        if kind == "literal" and new != "literal":
            yield ".EE"
        if new == "literal" and kind != "literal":
            yield from (".PP", ".EX")
        if new == "filled" and kind in ("gap", "literal"):
            yield ".PP"
        if new != "gap":
            yield roff(line)
        kind = new
    if kind == "literal":
        yield ".EE"


def value_of(option):
    """What stands behind an option: NUMBER, TEXT, and whether it may be repeated."""
    word = option["value"].split(":")[0]
    return f" \\fI{roff(word)}\\fR" if word else ""


def is_positional(option):
    return not option["names"][0].startswith("-")


def term(option):
    names = ", ".join(f"\\fB{roff(name)}\\fR" for name in option["names"])
    return names if is_positional(option) else names + value_of(option)


def notes(option):
    """What the help text of an option leaves to the columns of --help."""
    _, _, bounds = option["value"].partition(":")
    default = option["default"]
    yield from [bounds] * bool(bounds)
    yield from ["required"] * option["required"]
    yield from ["may be given again"] * option["repeated"]
    yield from [f"default: {default}"] * bool(default)


def options(command):
    for option in command["options"]:
        yield from (".TP", term(option))
        text = "; ".join(notes(option))
        help_text = option["help"].replace("\n", " ")
        yield roff(help_text + (f" ({text})" if text else ""))


def commands(command, words):
    """(words, command) of everything that can be typed, in the order of --help."""
    for each in command["commands"]:
        typed = [*words, each["name"]]
        if each["commands"]:
            yield from commands(each, typed)
        else:
            yield typed, each


def synopsis(words, command):
    line = f".B {roff(' '.join(words))}"
    parts = []
    for option in command["options"]:
        if is_positional(option):
            parts.append(f"\\fI{roff(option['names'][0])}\\fR")
        elif option["required"]:
            parts.append(f"\\fB{roff(option['names'][-1])}\\fR{value_of(option)}")
    return line + "\n" + " ".join(["[\\fIOPTIONS\\fR]", *parts])


def tagged(rows):
    for name, text in rows:
        yield from (".TP", f".I {roff(name)}", roff(text))


def page(program, version, date):
    """The whole page; `program` is what `PROGRAM --describe` prints."""
    name = program["name"]
    about, _, codes = program["help"].partition("\n\nExit codes:\n")
    about, _, first_steps = about.partition("\n\nStart here:")
    lines = [f'.TH {name.upper()} 1 "{date}" "gemmine {version}" "User Commands"',
             ".SH NAME", f"{roff(name)} \\- {roff(ABOUT[name])}", ".SH SYNOPSIS"]
    typed = [synopsis(words, command) for words, command in commands(program, [name])]
    lines += "\n.PP\n".join(typed).split("\n")
    lines += [".SH DESCRIPTION", *prose(about), ".SH OPTIONS", *options(program),
              ".SH COMMANDS"]
    for words, command in commands(program, [name]):
        lines += [f".SS {roff(' '.join(words))}", *prose(command["help"]), *options(command)]
        if command["footer"]:
            lines += [".PP", *prose(command["footer"].strip("\n"))]
    lines += [".SH EXIT STATUS"]
    for code, meaning in re.findall(r"^ *(\d+)  (.+)$", codes, re.M):
        lines += [".TP", f".B {code}", roff(meaning)]
    lines += [".SH ENVIRONMENT"]
    for variable, (text, programs) in ENVIRONMENT.items():
        if name in programs:
            lines += [".TP", f".B {variable}", roff(text)]
    known = [] if name == "gemmine-pool" else [KNOWN_POOLS]
    lines += [".SH FILES", *tagged([*FILES[name], *known])]
    if first_steps:
        steps = re.sub(r"\n +", "\n", first_steps).strip().split("\n")
        lines += [".SH EXAMPLES", ".EX", *map(roff, steps), ".EE"]
    others = sorted(set(ABOUT) - {name})
    lines += [".SH SEE ALSO", ",\n".join(f".BR {roff(each)} (1)" for each in others)
              .replace(" (1),", " (1),")]
    lines += ["The pages in /usr/share/doc/gemmine: getting started, and PROTOCOL.md."]
    return "\n".join(lines) + "\n"
