#!/usr/bin/env python3
"""Types every getting-started page on a bare Debian 12, from the package or from a clean clone.

bare.py --deb FILE   installs the package, follows configs/getting-started.md as an ordinary user,
                     removes the package again
bare.py --deb FILE --boot    boots it with systemd instead, and runs the services there
bare.py --build DIR  makes a package of the build first
bare.py --clone      clones this repository there and follows the pages with ./run
bare.py --container  goes the steps of package/Containerfile, one by one

Root is needed, debootstrap and a Debian mirror; exit code 77 where one of them is missing. --base
FOLDER keeps the bare system for the next time; --ccache FOLDER shares compiled objects.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import chroot

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PAGE = SOURCE / "configs/getting-started.md"
SKIPPED = 77
LIMIT_S = 1800
# What only a system with a running systemd can do; tests/product/services_test.py has the units.
NEEDS_SYSTEMD = re.compile(r"systemctl|journalctl|sudo -u")
TRIAL = """[Unit]
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/sh /opt/booted.sh
StandardOutput=file:/opt/said
StandardError=inherit
TimeoutStartSec=20min
[Install]
WantedBy=multi-user.target
"""


def commands_of(page):
    """[(section, by root, command)] of every line that the page asks to be typed."""
    found, section = [], ""
    for line in page.read_text().split("\n"):
        if line.startswith("## "):
            section = line[3:]
        elif typed := re.match(r"    ([$#]) (.+)$", line):
            found.append((section, typed[1] == "#", typed[2]))
    return found


class Reader:
    """Somebody who does what the pages say, in an order in which there is a pool to talk to."""

    def __init__(self, system, clone):
        self.system, self.clone = system, clone
        self.left = [(by_root, command) for _, by_root, command in commands_of(PAGE)]
        self.words = {"HOST:4400": f"127.0.0.1:{system.free_port()}", "NAME": "somebody"}
        self.words["0.0.0.0:4400"] = self.words["HOST:4400"]

    def typed(self, command):
        for word, value in self.words.items():
            command = command.replace(word, value)
        if self.clone:
            command = re.sub(r"^(gemmine\S*) ", r"./run \1 ", command)
            command = command.replace("/usr/share/gemmine/jobs", "configs/jobs")
        return command

    def take(self, beginning):
        """The page's next line that begins so."""
        for line in self.left:
            if line[1].startswith(beginning) and not line[1].endswith("--dry-run"):
                self.left.remove(line)
                return line
        sys.exit(f"bare: {PAGE.name} has no line `{beginning} ...` any more")

    def do(self, beginning, codes=(0,), line=None):
        by_root, command = line or self.take(beginning)
        command = self.typed(command)
        done = self.system.run(command, user=None if by_root else self.system.user)
        if done.returncode not in codes:
            self.system.fail(f"`{command}` ended with {done.returncode}", done.stdout)
        return done.stdout

    def begin(self, beginning):
        _, command = self.take(beginning)
        return self.system.start(self.typed(command), user=self.system.user)

    def follow(self):
        self.do("apt-get install dataset", line=(True, self.noninteractive("apt-get install")))
        self.do("cp -r")
        self.do("gemmine train")
        self.do("gemmine-pool job check")
        said = self.do("gemmine-pool init")
        self.words["PIN"] = re.search(r"sha256:[0-9a-f]{64}", said)[0]
        pool = self.begin("gemmine-pool serve")
        pool.wait_for(" listening ")

        self.do("gemmine devices")
        self.do("gemmine bench")
        dry = next(line for line in self.left if line[1].endswith("--dry-run"))
        self.left.remove(dry)
        said = self.do("", line=dry)
        if "fashion-mnist" not in said:
            self.system.fail("the dry run lists no job", said)
        miner = self.begin("gemmine mine")
        miner.wait_for("share_accepted")
        auditor = self.begin("gemmine-audit watch")
        auditor.wait_for("replayed .*outcome=valid")
        auditor.wait_for("merge_redone")
        if auditor.interrupt() not in (0, 12):  # 12: it has begun a lease, and not ended it
            self.system.fail("the auditor is not content", auditor.text())
        if miner.interrupt() != 0:
            self.system.fail("the miner did not end in good order", miner.text())
        if "somebody" not in self.do("gemmine-pool report"):
            self.system.fail("the report knows no miner", "")
        self.do("gemmine receipts")
        if pool.interrupt() != 0:
            self.system.fail("the pool did not end in good order", pool.text())

        self.do("gemmine-pool export")
        bundle = self.system.run("ls bundles | head -1", user=self.system.user).stdout.strip()
        self.words["FILE"] = bundle
        self.do("gemmine-verify ledger")
        self.do("gemmine-verify share")
        forgotten = [command for _, command in self.left if not NEEDS_SYSTEMD.search(command)]
        if forgotten:
            sys.exit(f"bare: nobody typed {forgotten}")

    def noninteractive(self, beginning):
        _, command = self.take(beginning)
        return command.replace("apt-get install", "apt-get install -y -qq")


def made_of(build, folder):
    subprocess.run(["cpack", "-G", "DEB", "--config", build / "CPackConfig.cmake", "-B", folder],
                   check=True, stdout=subprocess.DEVNULL)
    (deb,) = folder.glob("*.deb")
    return deb


def try_package(system, deb):
    shutil.copy(deb, system.root / "tmp" / deb.name)
    system.check(f"apt-get install -y -qq --no-install-recommends /tmp/{deb.name}")
    for user in ("gemmine", "gemmine-pool", "gemmine-audit"):
        entry = system.check(f"getent passwd {user}").stdout
        if f":/var/lib/{user}:" not in entry:
            system.fail(f"{user} is no user of its own", entry)
        mode = system.check(f"stat -c '%a %U' /var/lib/{user}").stdout.split()
        if mode != ["700", user]:
            system.fail(f"/var/lib/{user} is open to others", str(mode))
    system.check("useradd -m -s /bin/bash somebody")
    system.user, system.cwd = "somebody", "/home/somebody"
    Reader(system, clone=False).follow()
    # A pool that root makes for the service belongs to the service; its keys outlive a purge.
    system.check("gemmine-pool init --data /var/lib/gemmine-pool", user="gemmine-pool")
    system.check("echo '# mine' >> /etc/gemmine/mine.conf")
    system.check(f"apt-get install -y -qq --reinstall /tmp/{deb.name} </dev/null")
    if "# mine" not in (system.root / "etc/gemmine/mine.conf").read_text():
        system.fail("an upgrade took the administrator's words", "")
    system.check("apt-get purge -y -qq gemmine")
    left = [name for name in ("etc/gemmine", "usr/bin/gemmine", "usr/share/gemmine")
            if (system.root / name).exists()]
    if left or not (system.root / "var/lib/gemmine-pool/pool.key").exists():
        system.fail("a purge left the wrong things", f"there still: {left}")


def try_services(system, deb):
    """With a systemd of its own and no network but its loopback: what booted.sh does."""
    shutil.copy(deb, system.root / "tmp" / deb.name)
    system.check("apt-get install -y -qq --no-install-recommends systemd systemd-sysv dbus sudo")
    system.check(f"apt-get install -y -qq --no-install-recommends /tmp/{deb.name} "
                 "dataset-fashion-mnist")
    shutil.copy(SOURCE / "tests/product/booted.sh", system.root / "opt/booted.sh")
    (system.root / "etc/systemd/system/trial.service").write_text(TRIAL)
    said = system.boot("trial.service")
    print(said)
    if said.rstrip().split("\n")[-1] != "ok":
        system.fail("the services are not what they should be", said)


def try_clone(system):
    subprocess.run(["git", "clone", "-q", "--no-local", SOURCE, system.root / "srv/gemmine"],
                   check=True)
    system.cwd = "/srv/gemmine"
    if "CCACHE_DIR" in system.more:
        system.check("apt-get install -y -qq --no-install-recommends ccache")
    Reader(system, clone=True).follow()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--deb", type=pathlib.Path)
    what.add_argument("--build", type=pathlib.Path)
    what.add_argument("--clone", action="store_true")
    what.add_argument("--container", action="store_true")
    parser.add_argument("--boot", action="store_true", help="needs systemd-nspawn")
    parser.add_argument("--base", type=pathlib.Path)
    parser.add_argument("--ccache", type=pathlib.Path)
    args = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("debootstrap") or not shutil.which("unshare"):
        print("SKIPPED: needs root, debootstrap and unshare; ./run package --try has them")
        sys.exit(SKIPPED)
    if args.boot and not shutil.which("systemd-nspawn"):
        print("SKIPPED: there is no systemd-nspawn (Debian package systemd-container)")
        sys.exit(SKIPPED)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gemmine-bare-") as folder:
        if args.build:
            args.deb = made_of(args.build, pathlib.Path(folder) / "deb")
        base = args.base or pathlib.Path(folder) / "base"
        if not (base / "etc/debian_version").exists() and not chroot.bootstrap(base):
            print("SKIPPED: no Debian mirror answers")
            sys.exit(SKIPPED)
        if args.container:
            chroot.container(SOURCE / "package/Containerfile", SOURCE, base,
                             pathlib.Path(folder), args.ccache)
        else:
            system = chroot.System(base, pathlib.Path(folder) / "root", args.ccache)
            with system:
                system.check("apt-get update -qq")
                if args.clone:
                    try_clone(system)
                else:
                    (try_services if args.boot else try_package)(system, args.deb.resolve())
    print(f"ok: every line typed as it stands, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
