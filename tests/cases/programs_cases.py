"""Reports about programs as such: descriptors, signals, options, output that is lost, JSON."""
import json
import os
import re
import resource
import signal
import subprocess
import unittest

import base
import case
import cluster


def started(command, **options):
    return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


class Programs(case.Case):
    def shell(self, text, **options):
        """A line of shell in which $gemmine and so on are the programs."""
        names = {name.replace("-", "_"): str(base.BUILD / name)
                 for name in ("gemmine", "gemmine-pool", "gemmine-audit", "gemmine-verify")}
        return subprocess.run(["bash", "-c", text], capture_output=True, text=True, timeout=60,
                              env=os.environ | names, cwd=self.folder, check=False, **options)

    def job(self, name, folder="idx"):
        return self.corpus(folder) / name

    def test_F14_a_missing_descriptor_harms_nothing(self):
        job = self.toy(rounds=1, slots=1)
        for missing in ("0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"):
            with self.subTest(missing=missing):
                c = self.cluster(job).init_pool()
                serve = f"exec $gemmine_pool serve --data {c.data('pool')} --job {job}"
                done = self.shell(
                    f"({serve} --listen 127.0.0.1:{c.port} --fund 1000000000000 "
                    f"--exit-when-finished {missing}) & "
                    f"$gemmine mine --pool 127.0.0.1:{c.port} --pin {c.pin} --account a "
                    f"--data {c.data('m')} --threads 1 --exit-when-finished {missing}; "
                    f"mine=$?; wait $!; exit $((mine * 256 + $? != 0))")
                self.assertEqual(done.returncode, 0, done.stderr)
                lock = (c.data("pool") / "lock").read_text()
                self.assertNotIn(" info ", lock, "the log is in somebody's file")

    def test_F14_what_needs_stdout_says_that_it_is_missing(self):
        done = self.shell("$gemmine devices --json >&-")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write to standard output", done.stderr)

    def test_F26_a_name_with_anything_in_it_is_json(self):
        done = self.accept("gemmine", "train", self.job("quoted_name.toml"), "--json",
                           "--rounds", 1)
        self.assertEqual(json.loads(done.stdout)["job"], 'say "hi" \\ there')

    def test_A19_a_name_with_anything_in_it_is_json(self):
        self.test_F26_a_name_with_anything_in_it_is_json()

    def test_F26_file_names_and_paths_are_json_too(self):
        for name in ('a "quoted" \\ name', "line\nbreak", "tab\tand\x01", "größe 模型"):
            done = self.run_program("gemmine-verify", "ledger", "--json", self.folder / name)
            self.assertEqual(done.returncode, 12)
            self.assertIn(name, json.loads(done.stdout)["findings"][0]["detail"])
        strange = os.fsencode(self.folder) + b"/no\xffutf8"
        done = subprocess.run([base.BUILD / "gemmine-verify", "share", "--json", strange],
                              capture_output=True, check=False)
        self.assertIn("\ufffd", json.loads(done.stdout)["findings"][0]["detail"])

    def test_F27_output_that_is_lost_is_no_success(self):
        job = self.toy(rounds=1, slots=1)
        c = self.cluster(job).init_pool()
        serve = c.pool("--exit-when-finished").start()
        c.wait_listening()
        serve.stop()
        commands = {
            "gemmine devices": 1, "gemmine devices --json": 1, "gemmine --help": 1,
            "gemmine --version": 1, f"gemmine train {job}": 1, f"gemmine train {job} --json": 1,
            f"gemmine data {job}": 1,
            f"gemmine bench --job {job} --engine cpu --seconds 1 --json": 1,
            f"gemmine bench --job {job} --engine cpu --seconds 1": 1,
            f"gemmine_pool job check {job}": 1, f"gemmine_pool init --data {c.data('new')}": 1,
            f"gemmine_pool report --data {c.data('pool')}": 1,
            f"gemmine_pool report --data {c.data('pool')} --json": 1,
            f"gemmine_verify digest {job}": 1, f"gemmine_verify ledger {c.export()}": 1,
            f"gemmine_verify ledger {c.export()} --json": 1, "gemmine_verify ledger none": 12}
        for command, code in commands.items():
            with self.subTest(command=command):
                done = self.shell(f"${command} >/dev/full")
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn("cannot write to standard output", done.stderr)
        pins = {self.run_program("gemmine-pool", "init", "--data", c.data("new")).stdout
                for _ in range(2)}
        self.assertEqual(len(pins), 1, "init after an init whose output was lost")

    def test_R12_an_empty_name_names_nothing(self):
        job = self.toy()
        pool = ("--pool", "127.0.0.1:9")
        for command in (("gemmine", "train", job, "--model", ""), ("gemmine", "train", ""),
                        ("gemmine", "train", job, "--from", ""),
                        ("gemmine", "data", job, "--out", ""),
                        ("gemmine", "mine", *pool, "--account", "a", "--data", ""),
                        ("gemmine", "mine", *pool, "--account", "a", "--pin", ""),
                        ("gemmine", "sample", "--model", ""), ("gemmine", "bench", "--job", ""),
                        ("gemmine-pool", "serve", "--data", "d", "--listen", ""),
                        ("gemmine-pool", "serve", "--data", "d", "--status-file", ""),
                        ("gemmine-pool", "serve", "--data", ""),
                        ("gemmine-pool", "job", "check", ""),
                        ("gemmine-pool", "init", "--data", ""),
                        ("gemmine-pool", "export", "--data", "d", "--ledger", ""),
                        ("gemmine-pool", "export", "--data", "d", "--bundles", ""),
                        ("gemmine-pool", "backup", "d", ""),
                        ("gemmine-verify", "ledger", ""),
                        ("gemmine-verify", "ledger", job, "--blobs", ""),
                        ("gemmine-audit", "watch", *pool, "--data", "")):
            with self.subTest(command=command):
                self.refuse(2, "is empty", *command)

    def test_R12_a_message_names_the_whole_command(self):
        self.refuse(3, "^gemmine-pool job check: ", "gemmine-pool", "job", "check",
                    self.folder / "nosuch.toml")

    def test_R12_an_address_to_listen_at_is_explained(self):
        data = self.folder / "pool"
        self.accept("gemmine-pool", "init", "--data", data)
        for address, why in (("[::1]", "the port is missing"),
                             ("tls://127.0.0.1:0", "no scheme is wanted: leave out 'tls://'")):
            self.refuse(2, why, "gemmine-pool", "serve", "--data", data, "--listen", address)

    def test_F10_two_exports_are_two_files(self):
        both = self.folder / "both"
        for other in (both, self.folder / "." / "x" / ".." / "both"):
            self.refuse(2, "--ledger and --model name the same file", "gemmine-pool", "export",
                        "--data", self.folder, "--ledger", both, "--model", other)
        self.assertFalse(both.exists())

    def test_F30_an_event_loop_that_is_refused_is_a_message(self):
        c = self.cluster(self.toy()).init_pool()
        client = ["--pool", "127.0.0.1:1", "--data", c.data("m"), "--pin", c.pin]
        programs = {"mine": ["gemmine", "mine", *client, "--account", "a"],
                    "watch": ["gemmine-audit", "watch", *client],
                    "serve": ["gemmine-pool", "serve", "--data", c.data("pool"), "--listen",
                              "127.0.0.1:0", "--exit-when-finished"]}
        refused = set()
        for name, (program, *rest) in programs.items():
            for limit in range(5, 30):
                done = started([base.BUILD / program, *rest], preexec_fn=lambda most=limit:
                               resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)))
                try:
                    _, text = done.communicate(timeout=3 * base.SLOW)
                except subprocess.TimeoutExpired:  # enough of them: it works
                    done.terminate()
                    _, text = done.communicate(timeout=10 * base.SLOW)
                    self.assertIn(done.returncode, (0, 12), text)  # 12: nothing to audit
                    break
                if "cannot open shared object" in text or "error while loading" in text:
                    continue
                self.assertIn(done.returncode, (0, 1), (name, limit, text))
                self.assertNotIn("bug:", text)
                if done.returncode == 1:
                    self.assertRegex(text, r"(?i)open files|unable to open|files at once",
                                     (name, limit))
                    refused.add(name)
        self.assertEqual(refused, set(programs), "a limit that was never felt")

    def test_R10_a_limit_of_file_size_is_a_message(self):
        c = self.cluster(self.toy()).init_pool()
        done = self.shell(f"ulimit -f 1; $gemmine_pool serve --data {c.data('pool')} "
                          f"--listen 127.0.0.1:0 --job {c.job} --fund 1000000000000")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"gemmine-pool serve: .*(too large|I/O error)")

    def test_R11_a_terminal_that_closes_ends_programs_in_good_order(self):
        c = self.cluster(self.toy(rounds=400))
        pool = c.start_pool()
        miner = c.miner("miner").start()
        auditor = c.auditor("auditor").start()
        for process, word in ((miner, " info share "), (auditor, "connected")):
            process.wait_for(word, timeout=30 * base.SLOW)
        for process in (auditor, miner, pool):
            process.popen.send_signal(signal.SIGHUP)
            code = process.wait(30 * base.SLOW)
            self.assertIn(code, (0, 12) if process is auditor else (0,), process.tail())
        self.assertIn("stopping", pool.text())

    def test_R11_nohup_still_works(self):
        c = self.cluster(self.toy()).init_pool()
        pool = started([base.BUILD / "gemmine-pool", "serve", "--data", c.data("pool"),
                        "--listen", f"127.0.0.1:{c.port}"],
                       preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        c.processes["pool"] = process = cluster.Process("pool", [], self.folder / "none.log", 0)
        process.popen = pool
        c.wait_listening()
        pool.send_signal(signal.SIGHUP)
        with self.assertRaises(subprocess.TimeoutExpired):
            pool.wait(1)
        pool.terminate()
        pool.communicate(timeout=20 * base.SLOW)
        self.assertEqual(pool.returncode, 0)

    def test_R13_numbers_that_are_none_are_refused(self):
        for value in ("nan", "inf", "-inf", "1e999", "0.5x", "-1"):
            self.refuse(2, "--temperature.*is no number from 0 to 100", "gemmine", "sample",
                        "--model", "m", f"--temperature={value}")
            self.refuse(2, "--rate.*is no number from 0 to 1", "gemmine-audit", "watch",
                        "--pool", "127.0.0.1:1", f"--rate={value}")
        for value in ("-1", "true", "1.5", "0x10", "18446744073709551616"):
            self.refuse(2, "--fund.*is no whole number", "gemmine-pool", "serve", "--data", "d",
                        f"--fund={value}")

    def test_R18_a_folder_as_a_file_is_undecided(self):
        for verb in ("ledger", "share", "digest"):
            self.refuse(12, "is a folder", "gemmine-verify", verb, self.folder)
        self.refuse(12, "is a folder", "gemmine-verify", "replay", self.folder, "--data", "x")
        for verb in ("train", "data"):
            self.refuse(3, "is a folder", "gemmine", verb, self.folder)
        self.refuse(3, "is a folder", "gemmine", "sample", "--model", self.folder)
        self.refuse(3, "is a folder", "gemmine", "bench", "--job", self.folder)
        self.refuse(3, "is a folder", "gemmine", "train", self.toy(), "--from", self.folder)
        self.refuse(3, "is a folder", "gemmine-pool", "job", "check", self.folder)
        self.refuse(3, "is a folder", "gemmine-pool", "serve", "--data", self.folder / "p",
                    "--config", self.folder)

    def test_B1_what_is_unknown_is_named(self):
        self.refuse(2, "no command 'balance'.*did you mean '[a-z]+'", "gemmine", "balance")
        self.refuse(2, "no command 'start'.*did you mean '[a-z]+'", "gemmine-pool", "start")
        self.refuse(2, "no command 'chekc'.*did you mean 'check'", "gemmine-pool", "job", "chekc")
        self.refuse(2, "no option --devices; did you mean --[a-z-]+", "gemmine", "mine",
                    "--devices", "0,1")
        self.refuse(2, "no option -o; ", "gemmine", "mine", "-o", "P", "-u", "alice")
        self.refuse(2, "no option --config; ", "gemmine", "mine", "--config", "c.json")
        self.refuse(2, "say what to do: mine, .*receipts, train", "gemmine")

    def test_B1_a_bar_shares_no_line_with_a_result(self):
        job = self.toy(rounds=2)
        done = self.shell(f"script -qec '{base.BUILD / 'gemmine'} train {job}' /dev/null")
        shown = re.split(r"[\r\n]+", done.stdout)
        rounds = [line for line in shown if "round " in line]
        self.assertEqual(len(rounds), 2, done.stdout)
        for line in rounds:
            self.assertRegex(line.replace("\x1b[K", ""), r"^round +\d of 2 ")


if __name__ == "__main__":
    unittest.main(verbosity=2)
