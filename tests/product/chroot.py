"""A bare Debian 12 in a folder, and what is typed in it, each in mounts of its own."""
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

MIRROR = os.environ.get("GEMMINE_MIRROR", "http://deb.debian.org/debian")
LIMIT_S = 3600
# /dev and /proc are the machine's; the mounts end with the command.
INSIDE = """
set -e
mount --bind /dev {root}/dev; mount -t proc proc {root}/proc
mount -t tmpfs tmpfs {root}/run
{binds}
exec chroot {root} /usr/bin/env -i HOME={home} PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
  DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 {more} {become} sh -c {command}
"""


def bootstrap(folder):
    """False where no mirror answers."""
    done = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", folder, MIRROR],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:])
        shutil.rmtree(folder, ignore_errors=True)
    return done.returncode == 0


class Running:
    def __init__(self, system, process, log):
        self.system, self.process, self.log = system, process, log

    def text(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, pattern, seconds=LIMIT_S):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text()):
            if self.process.poll() is not None or time.monotonic() > end:
                self.system.fail(f"no {pattern!r} in what it said", self.text())
            time.sleep(0.2)

    def interrupt(self):
        """What ^C does: it reaches all of the terminal's foreground."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(300)


class System:
    """A copy of `base` that begins with nobody in it; as a context it ends what still runs."""

    def __init__(self, base, root, ccache=None):
        self.root, self.user, self.cwd = root, None, "/"
        self.running, self.binds, self.more = [], [], {}
        subprocess.run(["cp", "-a", base, root], check=True)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        for name, value in os.environ.items():
            if name.lower() in ("http_proxy", "https_proxy", "no_proxy"):
                self.more[name] = value
        if ccache:
            self.bind(ccache, "/ccache")
            self.more |= {"CCACHE_DIR": "/ccache", "CCACHE_READONLY": "1"}

    def bind(self, outside, inside):
        (self.root / inside.lstrip("/")).mkdir(exist_ok=True)
        self.binds.append(f"mount --bind {shlex.quote(str(outside))} {self.root}{inside}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self.running:
            if each.process.poll() is None:
                os.killpg(each.process.pid, signal.SIGKILL)
                each.process.wait()

    def free_port(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    def words(self, command, user):
        become = f"setpriv --reuid={user} --regid={user} --init-groups" if user else ""
        home = "/root"
        if user:
            entry = re.search(rf"^{user}:.*", (self.root / "etc/passwd").read_text(), re.M)[0]
            home = entry.split(":")[5]
        more = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.more.items())
        script = INSIDE.format(root=self.root, binds="\n".join(self.binds), home=home, more=more,
                               become=become, command=shlex.quote(f"cd {self.cwd} && {command}"))
        print(f"{user or 'root'}{'$' if user else '#'} {command}", flush=True)
        return ["unshare", "--mount", "sh", "-c", script]

    def run(self, command, user=None):
        return subprocess.run(self.words(command, user), stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              timeout=LIMIT_S)

    def check(self, command, user=None):
        done = self.run(command, user)
        if done.returncode:
            self.fail(f"`{command}` ended with {done.returncode}", done.stdout)
        return done

    def boot(self, unit):
        """Boots it with this unit, which powers it off; what the unit has said in /opt/said."""
        self.check(f"systemctl -q enable {unit}")
        print(f"booting for {unit}", flush=True)
        done = subprocess.run(["systemd-nspawn", "--quiet", "--register=no", "--keep-unit",
                               "--private-network", "-D", self.root, "--boot"], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.STDOUT, timeout=LIMIT_S)
        said = self.root / "opt/said"
        if not said.exists():
            self.fail("it did not boot", done.stdout)
        return said.read_text(errors="replace")

    def start(self, command, user=None):
        log = self.root.parent / f"{len(self.running)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(self.words("exec " + command, user),
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       start_new_session=True)
        self.running.append(Running(self, process, log))
        return self.running[-1]

    def fail(self, why, said):
        print("\n".join(said.rstrip().split("\n")[-40:]))
        sys.exit(f"bare: {why}")


# ---- A container file, without a container runtime ----------------------------------------------

def steps_of(text):
    """[(instruction, rest)]; lines that end with a backslash go on."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.M))
    return [tuple(line.split(" ", 1)) for line in text.split("\n") if line.strip()]


def copy(step, context, stages, system):
    """COPY [--from=STAGE] SOURCE... TARGET; the context is what git knows of."""
    *words, target = step.split()
    origin = stages[words.pop(0).partition("=")[2]].root if words[0].startswith("--from") else None
    to = system.root / target.lstrip("/")
    if origin is None:
        to.mkdir(parents=True, exist_ok=True)
        subprocess.run(f"git -C {context} ls-files -z | tar -C {context} --null -T - -c | "
                       f"tar -x --no-same-owner -C {to}", shell=True, check=True)
        return
    found = [path for word in words for path in origin.glob(word.lstrip("/"))]
    if not found:
        system.fail(f"COPY {step}: there is no such file", "")
    for path in found:
        shutil.copy(path, to)


def container(file, context, base, folder, ccache):
    """Goes every step of the file; FROM is always the bare Debian. Its end has to answer."""
    stages, system, entry = {}, None, None
    for number, (word, rest) in enumerate(steps_of(file.read_text())):
        if word == "FROM":
            _, _, name = rest.partition(" AS ")
            system = stages[name] = System(base, folder / f"stage{number}", ccache)
        elif word == "RUN":
            system.check(rest)
        elif word == "COPY":
            copy(rest, context, stages, system)
        elif word == "WORKDIR":
            system.cwd = rest
        elif word == "USER":
            system.user = rest
        elif word in ("ENTRYPOINT", "CMD"):
            entry = (entry or []) + re.findall(r'"([^"]+)"', rest)
        elif word not in ("ARG", "VOLUME"):
            sys.exit(f"bare: {file.name}: {word} is not understood here")
    said = system.check(shlex.join(entry), user=system.user).stdout
    if "gemmine mine" not in said:
        system.fail("the container's first words are no help", said)
    for program, user in (("gemmine-pool", "gemmine-pool"), ("gemmine-audit", "gemmine-audit")):
        system.check(f"{program} --version", user=user)
    system.check("gemmine-pool init --data /var/lib/gemmine-pool", user="gemmine-pool")
