"""Units are sound, say the truth about their hardening, and programs tell systemd how they are."""
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import time
import unittest

import tools

EXPOSURE_MAX = 1.6  # of 10, by `systemd-analyze security`
LIMIT_S = 60
HEX = "0" * 64


class Listener:
    """The socket of a service manager."""

    def __init__(self, folder):
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.heard = []

    def listen(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                self.heard.append(self.socket.recv(4096).decode())
            except TimeoutError:
                return

    def until(self, word, seconds=LIMIT_S):
        end = time.monotonic() + seconds
        while not any(word in text for text in self.heard) and time.monotonic() < end:
            self.listen(0.05)
        return any(word in text for text in self.heard)


class Life(tools.Product):
    def start(self, *command, watchdog_ms=200):
        folder = self.folder()
        listener = Listener(folder)
        self.addCleanup(listener.socket.close)
        process = subprocess.Popen(
            [tools.BUILD / command[0], *command[1:]], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=os.environ | {
                "NOTIFY_SOCKET": str(listener.path), "WATCHDOG_USEC": str(watchdog_ms * 1000),
                "XDG_STATE_HOME": str(folder), "XDG_DATA_HOME": str(folder)})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, listener

    def check_life(self, codes, *command):
        process, listener = self.start(*command)
        self.assertTrue(listener.until("READY=1\n"), command)
        self.assertTrue(listener.until("WATCHDOG=1"), command)
        # One that hangs is silent: it is the loop that speaks.
        process.send_signal(signal.SIGSTOP)
        listener.listen(0.2)
        listener.heard.clear()
        listener.listen(0.6)
        self.assertEqual(listener.heard, [], command)
        process.send_signal(signal.SIGCONT)
        self.assertTrue(listener.until("WATCHDOG=1"), command)
        process.send_signal(signal.SIGTERM)
        self.assertTrue(listener.until("STOPPING=1\n"), command)
        self.assertIn(process.wait(LIMIT_S), codes, command)

    def pool(self):
        folder = self.folder() / "pool"
        self.assertEqual(tools.run(tools.BUILD / "gemmine-pool", "init", "--data",
                                   folder).returncode, 0)
        return ["gemmine-pool", "serve", "--data", folder, "--listen", "127.0.0.1:0"]

    def test_a_pool_says_that_it_listens_lives_and_stops(self):
        self.check_life({0}, *self.pool())

    def test_the_configuration_of_the_package_serves(self):
        config = self.installed() / "etc/gemmine/pool.toml"
        process, listener = self.start(*self.pool(), "--config", config)
        self.assertTrue(listener.until("READY=1\n"))
        process.terminate()
        self.assertEqual(process.wait(LIMIT_S), 0)

    def test_a_miner_is_ready_before_its_pool_is(self):
        self.check_life({0}, "gemmine", "mine", "--pool", "127.0.0.1:1", "--pin",
                        "sha256:" + HEX, "--account", "me")

    def test_so_is_an_auditor(self):
        self.check_life({12}, "gemmine-audit", "watch", "--pool", "127.0.0.1:1", "--pin",
                        "sha256:" + HEX)

    def test_so_is_a_relay(self):
        self.check_life({0}, "gemmine", "relay", "--pool", "127.0.0.1:1", "--pin",
                        "sha256:" + HEX, "--listen", f"127.0.0.1:{tools.free_port()}")

    def test_what_fails_at_once_is_never_ready(self):
        process, listener = self.start("gemmine-pool", "serve", "--data", "/nonexistent/pool")
        self.assertNotEqual(process.wait(LIMIT_S), 0)
        listener.listen(0.1)
        self.assertEqual(listener.heard, [])


class Units(tools.Product):
    def setUp(self):
        self.root = self.installed()
        self.units = sorted((self.root / "usr/lib/systemd/system").iterdir())
        self.assertEqual({unit.stem for unit in self.units}, set(tools.SERVICES))

    def test_name_what_was_installed(self):
        for unit in self.units:
            text = unit.read_text()
            self.assertNotIn("@ETC@", text)
            program, *words = re.search(r"^ExecStart=(.+)$", text, re.M)[1].split()
            self.assertTrue((self.root / program.lstrip("/")).is_file(), program)
            listed = tools.options_of(tools.help_of(pathlib.Path(program).name, words[0]))
            for option in (word for word in words if word.startswith("-")):
                self.assertIn(option, listed)
            conf = self.root / re.search(r"^EnvironmentFile=/(.+)$", text, re.M)[1]
            variable = words[-1].lstrip("$")
            self.check_example(conf.read_text(), variable, listed)
            for word in words:
                if word.startswith("/etc"):
                    self.assertTrue((self.root / word.lstrip("/")).is_file(), word)

    def check_example(self, text, variable, listed):
        """The line to uncomment is the unit's variable, and its options are the command's."""
        line = re.search(r'^#(\w+)="(.*)"$', text, re.M)
        self.assertEqual(line[1], variable)
        options = [word for word in shlex.split(line[2]) if word.startswith("--")]
        self.assertTrue(options)
        for option in options:
            self.assertIn(option, listed)

    def test_users_and_folders_are_those_of_the_units(self):
        users = (self.root / "usr/lib/sysusers.d/gemmine.conf").read_text()
        folders = (self.root / "usr/lib/tmpfiles.d/gemmine.conf").read_text()
        for unit in self.units:
            text = unit.read_text()
            user = re.search(r"^User=(.+)$", text, re.M)[1]
            self.assertRegex(users, rf"(?m)^u {user} .* /var/lib/{user}$")
            self.assertRegex(folders, rf"(?m)^d /var/lib/{user} +0700 {user} +{user} ")
            self.assertIn(f"StateDirectory={user}\n", text)

    def test_codes_that_another_try_does_not_mend_end_it(self):
        for unit in self.units:
            program = tools.SERVICES[unit.stem][0]
            codes = set(re.findall(r"^ +(\d+)  \S", tools.help_of(program), re.M))
            final = set(re.search(r"^RestartPreventExitStatus=(.+)$", unit.read_text(),
                                  re.M)[1].split())
            self.assertLessEqual(final, codes, unit.name)
            self.assertLessEqual(codes - {"0", "1", "11", "12"} -
                                 ({"10"} if unit.stem == "gemmine" else set()), final, unit.name)

    @tools.needs("systemd-analyze")
    def test_systemd_reads_them_without_complaint(self):
        for unit in self.units:
            here = self.folder() / unit.name
            here.write_text(unit.read_text().replace("/usr/bin/", str(tools.BUILD) + "/"))
            done = tools.run("systemd-analyze", "verify", "--man=no", here)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    @tools.needs("systemd-analyze")
    def test_hardening_is_what_is_said_of_it(self):
        for unit in self.units:
            done = tools.run("systemd-analyze", "security", "--offline=yes", "--no-pager", unit)
            exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)[1])
            self.assertLessEqual(exposure, EXPOSURE_MAX, unit.name)
            print(f"{unit.name}: {exposure}")

    @tools.needs("systemd-analyze")
    def test_a_unit_that_forgot_its_hardening_is_found(self):
        bare = self.folder() / "bare.service"
        bare.write_text("[Service]\nExecStart=/bin/true\n")
        done = tools.run("systemd-analyze", "security", "--offline=yes", "--no-pager", bare)
        exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)[1])
        self.assertGreater(exposure, EXPOSURE_MAX)


if __name__ == "__main__":
    unittest.main(verbosity=2)
