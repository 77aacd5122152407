"""Whatever a person or a disk gets wrong has a precise message and an exit code, never a crash."""
import gzip
import os
import pathlib
import shutil
import socket
import subprocess
import unittest

import base
import cluster


class CommandLines(base.EndToEnd):
    def refuse(self, code, pattern, program, *arguments, **options):
        done = self.run_program(program, *arguments, **options)
        text = done.stdout + done.stderr
        self.assertEqual(done.returncode, code, text)
        self.assertRegex(text, pattern)
        return text

    def test_an_unknown_option_is_two(self):
        for program, verb in (("gemmine", "mine"), ("gemmine-pool", "serve"),
                              ("gemmine-verify", "ledger")):
            self.refuse(2, r"(?i)bogus|required", program, verb, "--bogus")
            self.refuse(2, r"(?i)subcommand|nonsense|not expected", program, "nonsense")

    def test_a_bad_account_is_two_before_any_connection(self):
        self.refuse(2, r"--account.*1 to 64", "gemmine", "mine", "--pool", "127.0.0.1:1",
                    "--account", "has space", "--data", self.folder / "d")

    def test_a_bad_pin_or_pool_is_two(self):
        self.refuse(2, r"(?i)port", "gemmine", "mine", "--pool", "localhost", "--account", "a",
                    "--data", self.folder / "d")
        self.refuse(2, r"--pin", "gemmine", "mine", "--pool", "127.0.0.1:1", "--account", "a",
                    "--pin", "sha256:12", "--data", self.folder / "d")

    def test_a_file_that_is_no_ledger_is_malformed_or_undecided(self):
        junk = self.folder / "junk"
        junk.write_bytes(b"\x05" * 333)
        self.refuse(11, r".", "gemmine-verify", "ledger", junk)
        self.refuse(12, r"(?i)no such file|cannot", "gemmine-verify", "ledger",
                    self.folder / "absent")

    def test_verify_digest_equals_b3sum(self):
        junk = self.folder / "junk"
        junk.write_bytes(os.urandom(70_000))
        ours = self.run_program("gemmine-verify", "digest", junk).stdout.split()[0]
        if shutil.which("b3sum") is None:
            self.skipTest("b3sum is not installed")
        theirs = subprocess.run(["b3sum", junk], capture_output=True, text=True, check=True)
        self.assertEqual(ours, theirs.stdout.split()[0])


class JobFiles(base.EndToEnd):
    def refuse_job(self, code, pattern, change):
        job = self.toy()
        change(job)
        done = self.run_program("gemmine", "train", job, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertRegex(done.stderr, pattern)
        c = self.cluster(job)
        c.init_pool()
        pool = c.pool().start()
        self.assertEqual(pool.wait(20), code, pool.tail())
        self.assertRegex(pool.text(), pattern)

    def edit(self, old, new):
        def change(job):
            text = job.read_text()
            self.assertIn(old, text)
            job.write_text(text.replace(old, new))
        return change

    def test_a_typo_is_told_with_its_place_and_a_hint(self):
        self.refuse_job(3, r"job\.toml:\d+:\d+: error: .*(.*\n)*.*(did you mean|hint).*batch",
                        self.edit("batch = 32", "bacth = 32"))

    def test_broken_toml_is_told_with_its_place(self):
        self.refuse_job(3, r"job\.toml:\d+:\d+: ", self.edit("[pay]", "[pay"))

    def test_a_value_out_of_range_is_told_with_its_place(self):
        self.refuse_job(3, r"job\.toml:\d+:\d+: .*fee_ppm",
                        self.edit("fee_ppm = 20000", "fee_ppm = 2000000"))

    def test_a_job_that_theft_pays_for_is_refused(self):
        for fail_ppm, code in (1_000_000, 0), (500_000, 3):
            with self.subTest(fail_ppm=fail_ppm):
                job = self.toy(fail_ppm=fail_ppm)
                done = self.run_program("gemmine-pool", "job", "check", job, "--share-seconds", 0)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertEqual("theft pays in this job: " in done.stderr, code == 3, done.stderr)
                self.assertIn("REFUSED" if code else "ok", done.stdout)
        c = self.cluster(job)
        c.init_pool()
        refused = c.pool().start()
        self.assertEqual(refused.wait(20), 3, refused.tail())

    def test_a_job_in_which_an_honest_device_can_be_late_is_refused(self):
        job = self.toy(lease_ms=89_999)
        done = self.run_program("gemmine-pool", "job", "check", job)
        self.assertEqual(done.returncode, 3, done.stdout)
        self.assertIn("at least 90000", done.stderr)  # three shares of 20 s, and half as much again

    def data_file(self, job, name, change):
        path = job.parent / f"{name}.gz"
        raw = gzip.decompress(path.read_bytes())
        with gzip.GzipFile(path, "wb", mtime=0) as out:
            out.write(change(raw))

    def test_a_truncated_data_file_is_refused(self):
        self.refuse_job(3, r"train-images\.gz",
                        lambda job: self.data_file(job, "train-images", lambda raw: raw[:-100]))

    def test_a_cut_gzip_is_refused(self):
        def cut(job):
            path = job.parent / "train-images.gz"
            path.write_bytes(path.read_bytes()[:-1000])
        self.refuse_job(3, r"train-images\.gz", cut)

    def test_swapped_images_and_labels_are_refused(self):
        self.refuse_job(3, r"(?i)swapped|train-(images|labels)\.gz",
                        lambda job: self.edit('"train-images.gz"', '"train-labels.gz"')(job))

    def test_a_label_out_of_range_is_refused(self):
        self.refuse_job(3, r"train-labels\.gz.*",
                        lambda job: self.data_file(job, "train-labels",
                                                   lambda raw: raw[:-1] + b"\x0a"))


class Machines(base.EndToEnd):
    def test_a_port_in_use_is_told(self):
        c = self.cluster(self.toy())
        c.init_pool()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", c.port))
            taken.listen()
            pool = c.pool().start()
            self.assertNotEqual(pool.wait(20), 0)
        self.assertRegex(pool.text(), rf"(?i){c.port}.*in use|in use.*{c.port}")

    def test_a_wrong_pin_is_told_with_both_pins(self):
        c = self.cluster(self.toy())
        c.start_pool()
        real, c.pin = c.pin, "sha256:" + "ab" * 32
        miner = c.miner("miner").start()
        miner.wait_for("ab" * 32)
        miner.wait_for(real[len("sha256:"):])
        self.assertNotIn("share_accepted", miner.text())

    def test_a_second_pool_on_the_same_data_is_refused(self):
        c = self.cluster(self.toy())
        c.start_pool(exit_when_finished=False)
        command = list(c.processes["pool"].command)
        command[command.index("--listen") + 1] = f"127.0.0.1:{cluster.free_port()}"
        other = c.add("other", command).start()
        self.assertNotEqual(other.wait(20), 0, other.tail())
        self.assertTrue(c.processes["pool"].running())

    def test_a_full_disk_makes_the_pool_wait_and_loses_nothing(self):
        if os.geteuid() != 0:
            self.skipTest("NOT TESTED: a full disk needs root, to mount a small tmpfs")
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk],
                                 capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            self.skipTest(f"NOT TESTED: cannot mount a tmpfs: {mounted.stderr}")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=False)
        c = self.cluster(self.toy(rounds=200))
        c.init_pool()
        shutil.copytree(c.data("pool"), disk / "pool")
        pool = c.pool(exit_when_finished=False)
        pool.command[pool.command.index("--data") + 1] = str(disk / "pool")
        pool.start()
        c.wait_listening()
        miner = c.miner("miner").start()
        pool.wait_for(r"(?i)ledger_not_writable.*|disk (is )?full|no space", 60 * base.SLOW)
        self.assertTrue(pool.running(), "a full disk must not end the pool\n" + pool.tail())
        subprocess.run(["mount", "-o", "remount,size=256m", disk], check=True)
        self.assertEqual(miner.wait(90 * base.SLOW), 0, miner.tail())
        self.assertEqual(pool.stop(), 0, pool.tail())
        shutil.rmtree(c.data("pool"))
        shutil.copytree(disk / "pool", c.data("pool"))
        self.check_root(c, self.checked_ledger(c, [miner]))

    def test_a_clock_that_jumps_back_or_ahead_keeps_the_ledger_in_order(self):
        library = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))),
                       None)
        if library is None:
            self.skipTest("NOT TESTED: Debian's package faketime is not installed")
        c = self.cluster(self.toy(rounds=30))
        pool = c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        plain = pool.command
        for jump in ("-3600s", "+7200s"):
            seen = len(miner.events("share_accepted"))
            cluster.wait_until(lambda: len(miner.events("share_accepted")) > seen,
                               20 * base.SLOW, miner.tail)
            pool.kill()
            pool.command = ["env", f"LD_PRELOAD={library}", f"FAKETIME={jump}",
                            "FAKETIME_DONT_FAKE_MONOTONIC=1", *plain]
            pool.start()
            c.wait_listening()
        ledger = self.finish(c, [miner])
        times = [record.time_ms for record in ledger.records]
        self.assertEqual(times, sorted(times))
        self.check_root(c, ledger)


if __name__ == "__main__":
    unittest.main(verbosity=2)
