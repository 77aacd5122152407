"""Completions for bash, zsh and fish, made of what programs say about their own command lines."""

# What a value is, where its type does not tell: words to choose from, a folder, a file, or what
# nobody but the user knows. (program, option) goes before option.
ENGINES = ("cpu", "cuda:0", "check:cpu", "check:cuda:0")
VALUES = {
    "--engine": ENGINES,
    "--pool": "own", "--pin": "own", "--pool-key": "own", "--head": "own", "--account": "own",
    "--name": "own", "--prompt": "own", "--listen": "own", "--relay": "own",
    "--kind": ("csv", "jsonl", "npy", "npz", "idx", "images", "text", "tokens"),
    "--label-column": "own", "--features": "own", ("gemmine", "predict", "--out"): "file",
    "--data": "folder", "--out": "folder", "--bundles": "folder", "--blobs": "folder",
    ("gemmine-pool", "data"): "folder", ("gemmine-pool", "to"): "folder",
    ("gemmine-pool", "export", "--job"): "own",
    ("gemmine-verify", "--data"): "file",
}


def kind_of(words, option):
    """"none" for a flag, "own", "file", "folder", or the words to choose from."""
    if not option["value"]:
        return "none"
    if option["value"].startswith("NUMBER"):
        return "own"
    name = option["names"][-1]
    for key in ((*words, name), (words[0], name), name):
        if key in VALUES:
            return VALUES[key]
    return "file"


def is_positional(option):
    return not option["names"][0].startswith("-")


def tree(command, words):
    """(words, command) of every place where something can be typed, the program's own first."""
    yield words, command
    for each in command["commands"]:
        yield from tree(each, [*words, each["name"]])


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def one_line(text):
    return text.split("\n")[0]


# ---- bash ---------------------------------------------------------------------------------------

BASH = """# bash completion for {name}                                -*- shell-script -*-
# Made by package/pages.py of what {name} says about itself.

{function}() {{
  local cur prev words cword
  _init_completion -n := || return
  local place="" valued="" word i
  for ((i = 1; i < cword; i++)); do
    word=${{words[i]}}
    case $place in
{valued}
      *) valued="" ;;
    esac
    if [[ $word == -* ]]; then
      [[ " $valued " != *" $word "* ]] || i=$((i + 1))
      continue
    fi
    case "$place $word" in
{places}
    esac
  done
  # --option=value is one word here.
  local option=$prev value=$cur
  if [[ $cur == --*=* ]]; then
    option=${{cur%%=*}} value=${{cur#*=}}
  fi
  case "$place $option" in
{values}
  esac
  if [[ $cur == -* ]]; then
    case $place in
{options}
    esac
    return
  fi
  case $place in
{words}
  esac
}} && complete -F {function} {name}
"""


def bash_value(kind):
    if kind == "own":
        return "return"
    if isinstance(kind, tuple):
        return (f'mapfile -t COMPREPLY < <(compgen -W "{" ".join(kind)}" -- "$value"); '
                '__ltrim_colon_completions "$value"; return')
    filter_by = " -d" if kind == "folder" else ""
    return f"cur=$value; _filedir{filter_by}; return"


def bash_arms(rows, indent):
    return "\n".join(f"{' ' * indent}{pattern}) {action} ;;" for pattern, action in rows if action)


def bash(program):
    name = program["name"]
    valued, places, values, options, arguments = [], [], [], [], []
    for words, command in tree(program, [name]):
        place = quoted(" ".join(words[1:]))
        takers = [o for o in command["options"] if o["value"] and not is_positional(o)]
        names = " ".join(n for o in takers for n in o["names"])
        valued.append((place, f'valued="{names}"' if names else ""))
        if len(words) > 1:
            before = " ".join(words[1:-1])
            places.append((quoted(f"{before} {words[-1]}"), f"place={place}"))
        for option in takers:
            patterns = "|".join(quoted(f"{' '.join(words[1:])} {n}") for n in option["names"])
            values.append((patterns, bash_value(kind_of(words, option))))
        every = " ".join(n for o in command["options"] if not is_positional(o)
                         for n in o["names"] if n.startswith("--"))
        options.append((place, f'mapfile -t COMPREPLY < <(compgen -W "{every}" -- "$cur")'))
        below = " ".join(each["name"] for each in command["commands"])
        if below:
            arguments.append((place, f'mapfile -t COMPREPLY < <(compgen -W "{below}" -- "$cur")'))
        elif any(is_positional(o) for o in command["options"]):
            kinds = {kind_of(words, o) for o in command["options"] if is_positional(o)}
            arguments.append((place, "_filedir -d" if kinds == {"folder"} else "_filedir"))
    return BASH.format(
        name=name, function="_" + name.replace("-", "_"), valued=bash_arms(valued, 6),
        places=bash_arms(places, 6), values=bash_arms(values, 4), options=bash_arms(options, 6),
        words=bash_arms(arguments, 4))


# ---- zsh ----------------------------------------------------------------------------------------

def zsh_text(text):
    for character in "\\[]:":
        text = text.replace(character, "\\" + character)
    return one_line(text)


def zsh_action(words, option):
    kind = kind_of(words, option)
    name = zsh_text(option["names"][-1].lstrip("-"))
    if kind == "none":
        return ""
    if isinstance(kind, tuple):
        return f":{name}:({' '.join(each.replace(':', chr(92) + ':') for each in kind)})"
    return f":{name}:" + {"own": " ", "file": "_files", "folder": "_files -/"}[kind]


def zsh_option(words, option):
    names, text = option["names"], zsh_text(option["help"])
    action = zsh_action(words, option)
    if is_positional(option):
        return quoted(action if option["required"] else ":" + action)
    if option["repeated"]:
        return " ".join(quoted(f"*{name}[{text}]{action}") for name in names)
    every = " ".join(names)
    return " ".join(quoted(f"({every}){name}[{text}]{action}") for name in names)


def zsh_function(words):
    return "_" + "_".join(words).replace("-", "_")


def zsh(program):
    lines = [f"#compdef {program['name']}",
             f"# Made by package/pages.py of what {program['name']} says about itself.", ""]
    for words, command in reversed(list(tree(program, [program["name"]]))):
        options = [zsh_option(words, option) for option in command["options"]]
        lines += [f"{zsh_function(words)}() {{"]
        if not command["commands"]:
            lines += ["  _arguments -s -S \\", *(f"    {each} \\" for each in options),
                      "    && return"]
        else:
            lines += ["  local line state", "  local -a commands=("]
            lines += [f"    {quoted(each['name'] + ':' + zsh_text(each['help']))}"
                      for each in command["commands"]]
            lines += ["  )", "  _arguments -C \\", *(f"    {each} \\" for each in options),
                      "    '1: :->command' '*:: :->rest' && return",
                      "  case $state in", "    command) _describe command commands ;;",
                      "    rest)", "      case $line[1] in"]
            lines += [f"        {each['name']}) {zsh_function([*words, each['name']])} ;;"
                      for each in command["commands"]]
            lines += ["      esac ;;", "  esac"]
        lines += ["}", ""]
    name = zsh_function([program["name"]])
    return "\n".join([*lines, f'{name} "$@"', ""])


# ---- fish ---------------------------------------------------------------------------------------

def fish_quoted(text):
    return "'" + one_line(text).replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish_condition(words, command):
    """True where this command was typed, and none below it."""
    seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in words[1:])
    below = " ".join(each["name"] for each in command["commands"])
    if len(words) == 1:
        return "__fish_use_subcommand"
    return seen + (f"; and not __fish_seen_subcommand_from {below}" if below else "")


def fish_option(words, option):
    kind = kind_of(words, option)
    value = {"none": "", "own": " -x", "file": " -r -F",
             "folder": " -x -a '(__fish_complete_directories)'"}
    out = value[kind] if isinstance(kind, str) else f" -x -a '{' '.join(kind)}'"
    if is_positional(option):
        return out.replace(" -x", "").replace(" -r", "")
    names = [f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}"
             for name in option["names"]]
    return "".join(names) + out + f" -d {fish_quoted(option['help'])}"


def fish(program):
    name = program["name"]
    lines = [f"# Made by package/pages.py of what {name} says about itself.",
             f"complete -c {name} -f"]
    for words, command in tree(program, [name]):
        condition = fish_quoted(fish_condition(words, command))
        for each in command["commands"]:
            lines.append(f"complete -c {name} -n {condition} -a {each['name']} "
                         f"-d {fish_quoted(each['help'])}")
        for option in command["options"]:
            words_of_it = fish_option(words, option)
            if words_of_it:
                lines.append(f"complete -c {name} -n {condition}{words_of_it}")
    return "\n".join(lines) + "\n"


SHELLS = {  # of the shell: where its file lies, and what makes it
    "bash": (lambda name: f"bash-completion/completions/{name}", bash),
    "zsh": (lambda name: f"zsh/vendor-completions/_{name}", zsh),
    "fish": (lambda name: f"fish/vendor_completions.d/{name}.fish", fish),
}
