"""A pool, miners and auditors as real processes in one folder, for the demo and for tests.

Every process dies with the Cluster, even when Python itself is killed, and writes its own log.
"""
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
LOG_TAIL_LINES = 30
LIBC = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """Something that had to hold does not; the text says what, with the log's end."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def parse_event(line):
    """`time level name key=value key="two words"` as (name, {key: value}); None for other text."""
    match = re.match(r"\S+ (?:debug|info|warn(?:ing)?|error) (\w+)(.*)", line)
    if not match:
        return None
    fields = {}
    for key, quoted, plain in re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))', match.group(2)):
        fields[key] = re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
    return match.group(1), fields


class Process:
    """One program, restartable; stdout and stderr go to one log file that survives restarts."""

    def __init__(self, name, command, log, nice=0, env=None):
        self.name, self.command, self.log, self.nice = name, command, log, nice
        self.env = env
        self.popen = None

    def start(self):
        def in_child():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.nice(self.nice)

        with open(self.log, "ab") as sink:
            # Its own session, so that ^C reaches us first and the children end in order.
            self.popen = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                env=self.env, start_new_session=True, preexec_fn=in_child)
        return self

    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def kill(self, how=signal.SIGKILL):
        if self.running():
            self.popen.send_signal(how)
        if self.popen:
            self.popen.wait()

    def stop(self, timeout=10):
        """Asks first, then insists. Returns the exit code."""
        if self.running():
            self.popen.terminate()
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"{self.name} did not stop on SIGTERM within {timeout} s\n{self.tail()}")

    def wait(self, timeout):
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} still runs after {timeout} s\n{self.tail()}") from None

    def text(self):
        try:
            return self.log.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def tail(self):
        lines = self.text().splitlines()[-LOG_TAIL_LINES:]
        return f"--- the end of {self.log}:\n" + "\n".join(lines)

    def events(self, name=None):
        """(name, fields) of every event in the log, or the fields of those with one name."""
        parsed = (parse_event(line) for line in self.text().splitlines())
        return [e if name is None else e[1] for e in parsed if e and name in (None, e[0])]

    def wait_for(self, pattern, timeout=20, start=0):
        """Until the log, from character `start`, has the pattern."""
        return wait_until(lambda: re.search(pattern, self.text()[start:]), timeout,
                          lambda: f"{self.name} never wrote /{pattern}/\n{self.tail()}", self)


def wait_until(condition, timeout, complaint, process=None):
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if process is not None and not process.running():
            result = condition()  # It may have come true in its last moment.
            if result:
                return result
            raise Failure(f"{process.name} ended with {process.popen.returncode}; {complaint()}")
        if time.monotonic() > end:
            raise Failure(complaint())
        time.sleep(0.02)


class Cluster:
    def __init__(self, build, job, keep=None, fund=1_000_000, fee_account="pool", pool_toml="",
                 share_seconds=0):
        self.build = pathlib.Path(build).resolve()
        self.job = pathlib.Path(job).resolve()
        self.keep = keep
        self.fund = fund
        self.folder = pathlib.Path(keep or tempfile.mkdtemp(prefix="gemmine-")).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.processes = {}
        self.config = self.folder / "pool.toml"
        self.config.write_text(f'fee_account = "{fee_account}"\n'
                               f"share_seconds = {share_seconds}\n{pool_toml}")
        self.status_file = self.folder / "status.json"
        self.pin = self.pool_key = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for process in self.processes.values():
            process.kill()
        if error is not None and not isinstance(error, KeyboardInterrupt):
            for process in self.processes.values():
                print(process.tail())
        if self.keep is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def program(self, name):
        if name == "gemmine-adversary":
            return str(self.build / "tests" / name)
        return str(self.build / name)

    def run(self, program, *arguments, timeout=120, check=True, **options):
        """A program to its end. Returns the finished process, its output as text; `options` are
        those of subprocess.run."""
        options.setdefault("env", self.environment("runs"))
        done = subprocess.run([self.program(program), *map(str, arguments)], timeout=timeout,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              **options)
        if check and done.returncode != 0:
            raise Failure(f"{program} {' '.join(map(str, arguments))} ended with "
                          f"{done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def environment(self, home):
        """Ours, but what is remembered of pools is remembered in a folder of `home`'s."""
        return {**os.environ, "XDG_STATE_HOME": str(self.folder / "homes" / home)}

    def add(self, name, command, nice=0, home=None):
        process = Process(name, [str(c) for c in command], self.folder / f"{name}.log", nice,
                          self.environment(home or name))
        self.processes[name] = process
        return process

    def data(self, name):
        return self.folder / name

    def init_pool(self):
        text = self.run("gemmine-pool", "init", "--data", self.data("pool")).stdout
        self.pin = re.search(r"sha256:[0-9a-f]{64}", text).group(0)
        self.pool_key = re.search(r"(?<![0-9a-f:])[0-9a-f]{64}", text).group(0)
        return self

    def pool(self, *extra, exit_when_finished=True):
        command = [self.program("gemmine-pool"), "serve", "--config", self.config,
                   "--data", self.data("pool"), "--listen", f"127.0.0.1:{self.port}",
                   "--job", self.job, "--fund", self.fund, "--status-file", self.status_file]
        if exit_when_finished:
            command.append("--exit-when-finished")
        return self.add("pool", command + list(extra))

    def start_pool(self, *extra, **options):
        """Makes the keys, starts the pool and waits until it listens."""
        self.init_pool()
        process = self.pool(*extra, **options).start()
        self.wait_listening()
        return process

    def wait_listening(self, timeout=30):
        process = self.processes["pool"]

        def listening():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(listening, timeout, lambda: f"the pool never listened\n{process.tail()}",
                   process)

    def client_options(self, name):
        return ["--pool", f"127.0.0.1:{self.port}", "--pin", self.pin, "--data", self.data(name)]

    def miner(self, name, *extra, threads=1, nice=0):
        return self.add(name, [self.program("gemmine"), "mine", *self.client_options(name),
                               "--account", name, "--threads", threads,
                               "--exit-when-finished", *extra], nice)

    def adversary(self, name, cheat, *extra, fraction=0.5, honest_leases=0):
        return self.add(name, [self.program("gemmine-adversary"), "mine",
                               *self.client_options(name), "--account", name, "--threads", 1,
                               "--exit-when-finished", "--cheat", cheat, "--fraction", fraction,
                               "--honest-leases", honest_leases, *extra])

    def auditor(self, name, *extra, rate=0.25, nice=0, home=None):
        return self.add(name, [self.program("gemmine-audit"), "watch",
                               *self.client_options(name), "--rate", rate,
                               "--exit-when-finished", *extra], nice, home)

    def status(self):
        """What the pool last wrote to its status file; {} before that."""
        try:
            return json.loads(self.status_file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def report(self):
        return json.loads(self.run("gemmine-pool", "report", "--data", self.data("pool"),
                                   "--json").stdout)

    def export(self, *extra):
        ledger = self.folder / "ledger.bin"
        self.run("gemmine-pool", "export", "--data", self.data("pool"), "--ledger", ledger, *extra)
        return ledger

    def train(self, *extra, timeout=120):
        return json.loads(self.run("gemmine", "train", self.job, "--json", *extra,
                                   timeout=timeout).stdout)
