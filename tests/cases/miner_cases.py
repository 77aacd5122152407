"""What miners' owners met: local trouble, signals, folders, several pools."""
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import time

import base
import case

REMOUNT_AFTER_S = 5


class Trouble(case.Case):
    def test_F02_a_full_disk_is_said_once_and_harms_nobody(self):
        c = self.cluster(self.toy(width=512, rounds=2, slots=2))
        c.start_pool(exit_when_finished=False)
        data = c.data("miner")
        data.mkdir()
        # Room for the data and the weights, and for no state; later there is enough.
        script = ('mount -t tmpfs -o size=400k none "$0" && '
                  f'(sleep {REMOUNT_AFTER_S}; mount -o remount,size=64m "$0") & '
                  'while ! grep -q "$0" /proc/mounts; do sleep 0.05; done; exec "$@"')
        miner = c.miner("miner")
        miner.command = ["unshare", "-rm", "sh", "-c", script, str(data), *miner.command]
        if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(data)],
                          capture_output=True).returncode != 0:
            self.skipTest("no mount of our own here")
        miner.start()
        miner.wait_for(" error disk ", 30 * base.SLOW)
        time.sleep(REMOUNT_AFTER_S - 1)
        leases = len(miner.events("lease"))
        self.assertLessEqual(leases, 2, miner.tail())
        ledger = self.finish(c, [miner], 90)
        self.assertEqual(len(miner.events("disk")), 1, miner.tail())
        self.assertEqual(len(miner.events("lease_abandoned")), leases, miner.tail())
        self.assertFalse(ledger.of("ban"))
        self.check_root(c, ledger)

    def test_F02_a_lost_folder_is_no_fraud(self):
        c = self.cluster(self.toy(rounds=2, slots=1, width=512, steps_per_lease=240, batch=128,
                                  first_audits=0))
        c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        miner.wait_for(" share_accepted ")
        miner.kill()
        for lease in (c.data("miner") / "leases").iterdir():
            for file in lease.iterdir():
                file.unlink()
        miner.start()
        ledger = self.finish(c, [miner], 90)
        self.assertEqual({close.reason for close in ledger.closes}, {"complete"})
        self.assertFalse(ledger.of("ban"))
        self.check_root(c, ledger)

    def test_A1_a_job_that_diverges_stops_and_costs_nobody(self):
        job = self.toy(rounds=2)
        job.write_text(job.read_text().replace("lr = 0.05", "lr = 1e30"))
        c = self.cluster(job)
        c.start_pool()
        miner = c.miner("miner").start()
        self.assertEqual(miner.wait(60 * base.SLOW), 0, miner.tail())
        self.assertEqual(c.processes["pool"].wait(20 * base.SLOW), 0)
        self.assertEqual(len(miner.events("job_diverges")), 1)
        ledger = self.checked_ledger(c, [miner])
        self.assertEqual(len(ledger.of("stop")), 1)  # a NaN is the job's doing, not a miner's
        self.assertFalse(ledger.of("ban"))
        self.assertEqual(ledger.accounts["external"], 0)  # the escrow went back


class Stops(case.Case):
    def test_A16_a_clean_stop_gives_the_lease_back(self):
        c = self.cluster(self.toy(rounds=2, slots=1, steps_per_lease=240, width=512))
        c.start_pool(exit_when_finished=False)
        lazy = c.miner("lazy", "--throttle", 1).start()
        lazy.wait_for(r" info lease .*lease=")
        other = c.miner("other").start()
        other.wait_for(r" info waiting ")
        for how in (signal.SIGHUP,):
            start = time.monotonic()
            lazy.popen.send_signal(how)
            self.assertEqual(lazy.wait(20 * base.SLOW), 0, lazy.tail())
            self.assertLess(time.monotonic() - start, 10 * base.SLOW)
        other.wait_for(r" info lease .*lease=", 10 * base.SLOW)
        ledger = self.finish(c, [other], 60)
        self.check_root(c, ledger)

    def test_F01_a_throttled_miner_is_paid(self):
        c = self.cluster(self.toy(rounds=1, slots=1, steps_per_lease=8, steps_per_share=4,
                                  width=1024, batch=128, lease_ms=600_000))
        c.start_pool(exit_when_finished=False)
        miner = c.miner("miner", "--throttle", 5).start()
        ledger = self.finish(c, [miner], 100)
        self.assertFalse(ledger.of("ban"))
        self.assertEqual(ledger.paid("miner"), 1)


class Folders(case.Case):
    def test_F15_one_process_at_a_time_has_a_data_folder(self):
        c = self.cluster(self.toy(rounds=200, slots=1))
        c.start_pool(exit_when_finished=False)
        first = c.miner("miner").start()
        first.wait_for(" connected ")
        second = c.run("gemmine", "mine", *c.client_options("miner"), "--account", "miner",
                       check=False)
        self.assertEqual(second.returncode, 1, second.stderr)
        self.assertRegex(second.stderr, rf"{c.data('miner')} is in use by process "
                                        rf"{first.popen.pid}\b")

    def test_A15_different_folders_work_side_by_side(self):
        c = self.cluster(self.toy(rounds=3))
        c.start_pool(exit_when_finished=False)
        self.check_root(c, self.finish(c, [c.miner(name).start() for name in ("one", "two")]))

    def test_R12_the_default_folder_is_the_users(self):
        def default(**changes):
            env = {**os.environ, **changes}
            env = {key: value for key, value in env.items() if value is not None}
            text = self.run_program("gemmine", "mine", "--help", env=env).stdout
            return re.search(r"--data TEXT\s*[=\[]+(/\S*gemmine)\b", text).group(1)

        self.assertEqual(default(XDG_DATA_HOME="/data", HOME="/people/a"), "/data/gemmine")
        for xdg in (None, ""):
            self.assertEqual(default(XDG_DATA_HOME=xdg, HOME="/people/a"),
                             "/people/a/.local/share/gemmine")
            home = pathlib.Path(pwd.getpwuid(os.getuid()).pw_dir)
            for empty in (None, ""):
                self.assertEqual(default(XDG_DATA_HOME=xdg, HOME=empty),
                                 str(home / ".local/share/gemmine"))

    def test_A20_weights_of_earlier_rounds_go(self):
        c = self.cluster(self.toy(rounds=10))
        c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        ledger = self.finish(c, [miner])
        self.check_root(c, ledger)
        blobs = [path.name for path in (c.data("miner") / "blobs").iterdir()]
        self.assertLessEqual(len(blobs), 3, blobs)  # data, weights, and perhaps the last round's
        self.assertFalse(list((c.data("miner") / "leases").iterdir()))


class Pools(case.Case):
    def mine(self, *arguments):
        return ["mine", "--account", "a", "--data", self.folder / "d", *arguments]

    def test_R05_an_address_says_what_is_wrong_with_it(self):
        for address, pattern in (("stratum+tcp://127.0.0.1:4400", r"scheme.*'stratum\+tcp://'"),
                                 ("tls://pool.example:1", "scheme.*'tls://'"),
                                 ("https://pool.example", "scheme.*'https://'"),
                                 ("[::1]", r"\[::1\].*port is missing"),
                                 ("::1", "brackets.*port"), ("pool.example", "port is missing")):
            self.refuse(2, f"--pool: .*{pattern}", "gemmine", *self.mine("--pool", address))

    def test_F16_pins_go_with_pools(self):
        pin = "sha256:" + 64 * "a"
        pools = ("--pool", "a.example:1", "--pool", "b.example:1")
        self.refuse(2, "2 pools and 1 pins", "gemmine", *self.mine(*pools, "--pin", pin))
        self.refuse(2, "1 pools and 2 pins", "gemmine",
                    *self.mine("--pool", "a.example:1", "--pin", pin, "--pin", pin))
        self.refuse(2, "--pin of b.example:1: ", "gemmine",
                    *self.mine(*pools, "--pin", pin, "--pin", "sha256:1"))

    def test_F16_the_next_pool_has_its_own_pin_and_key(self):
        first = self.cluster(self.toy(rounds=1000, slots=1))
        first.start_pool(exit_when_finished=False)
        second = self.cluster(self.folder / "job" / "job.toml")
        second.start_pool(exit_when_finished=False)
        pools = []
        for c in (first, second):
            pools += ["--pool", f"127.0.0.1:{c.port}", "--pin", c.pin]
        miner = first.add("miner", [first.program("gemmine"), "mine", "--account", "m", "--data",
                                    first.data("miner"), "--threads", 1, *pools]).start()
        miner.wait_for(" share_accepted ", 30 * base.SLOW)
        start = len(miner.text())
        first.processes["pool"].kill()
        miner.wait_for(rf" connected pool=127.0.0.1:{second.port} ", 10 * base.SLOW, start)
        miner.wait_for(" share_accepted ", 30 * base.SLOW, start)
        start = len(miner.text())
        second.processes["pool"].kill()
        first.processes["pool"].start()
        miner.wait_for(rf" connected pool=127.0.0.1:{first.port} ", 30 * base.SLOW, start)
        miner.wait_for(" share_accepted ", 30 * base.SLOW, start)
        self.assertEqual(miner.stop(20), 0, miner.tail())
        self.assertNotIn("banned", miner.text())

    def test_A14_a_pool_whose_key_changed_is_another_one(self):
        first = self.cluster(self.toy(rounds=1000, slots=1))
        first.start_pool(exit_when_finished=False)
        second = self.cluster(self.folder / "job" / "job.toml")
        second.port = first.port
        second.init_pool()
        shutil.copy(first.data("pool") / "tls.pem", second.data("pool"))  # the pin fits
        miner = first.miner("miner").start()
        miner.wait_for(" share_accepted ")
        first.processes["pool"].kill()
        second.pool(exit_when_finished=False).start()
        self.assertEqual(miner.wait(30 * base.SLOW), 6, miner.tail())
        self.assertRegex(miner.text(), f"changed to {second.pool_key}")

    def test_R16_a_wrong_pin_is_told_once_and_left_alone(self):
        c = self.cluster(self.toy(rounds=2))
        c.start_pool(exit_when_finished=False)
        wrong = "sha256:" + 64 * "a"
        one = ["--pool", f"127.0.0.1:{c.port}", "--pin"]
        alone = c.add("alone", [c.program("gemmine"), "mine", "--account", "m", "--data",
                                c.data("alone"), *one, wrong]).start()
        alone.wait_for(f"expected {wrong}, presented {c.pin}; waiting does not help")
        self.assertGreaterEqual(int(alone.events("disconnected")[0]["retry_ms"]), 299_000)
        both = c.add("both", [c.program("gemmine"), "mine", "--account", "m", "--data",
                              c.data("both"), *one, wrong, *one, c.pin,
                              "--exit-when-finished"]).start()
        self.finish(c, [both])
        self.assertEqual(len(alone.events("disconnected")), 1, alone.tail())
        self.assertEqual(alone.stop(), 0, alone.tail())


class Training(case.Case):
    def train(self, job, *arguments):
        c = self.cluster(job)
        return c.add("train", [c.program("gemmine"), "train", job, "--threads", 1,
                               *arguments]).start()

    def test_F12_the_model_path_is_tried_before_the_first_step(self):
        job = self.toy(rounds=1000, steps_per_lease=1000)
        for path in ("nosuch/dir/m.safetensors", self.folder):
            start = time.monotonic()
            text = self.refuse(1, "--model: .*", "gemmine", "train", job, "--model", path)
            self.assertIn(str(path), text)
            self.assertLess(time.monotonic() - start, 5 * base.SLOW)

    def test_F13_a_signal_keeps_what_the_last_round_gave(self):
        job = self.toy(rounds=6, steps_per_lease=120, width=256)
        whole = self.folder / "whole.safetensors"
        self.accept("gemmine", "train", job, "--model", whole)
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            model = self.folder / f"{how.name}.safetensors"
            training = self.train(job, "--model", model)
            training.wait_for("round  1 of 6")
            self.assertTrue(model.exists(), "saved after each round")
            training.popen.send_signal(how)
            self.assertEqual(training.wait(20 * base.SLOW), 128 + how, training.tail())
            self.assertRegex(training.text(),
                             rf"stopped by signal {how.value} after round \d of 6; "
                             rf"{model} holds the model after round \d; go on")
            self.refuse(3, r"checkpoint: a training that has not ended left it here", "gemmine",
                        "train", job, "--model", model)
            self.accept("gemmine", "train", job, "--model", model, "--resume")
            self.assertEqual(model.read_bytes(), whole.read_bytes())
            self.assertFalse(pathlib.Path(f"{model}.checkpoint").exists())
            training.log.unlink()

    def test_F13_a_signal_ends_the_wait_for_a_reader(self):
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        training = self.train(self.toy(rounds=1), "--model", fifo)
        training.wait_for("round  1 of 1")
        time.sleep(0.5)  # it opens the FIFO now
        training.popen.send_signal(signal.SIGTERM)
        self.assertEqual(training.wait(20 * base.SLOW), 128 + signal.SIGTERM, training.tail())

    def test_F13_what_to_go_on_with_can_be_copied(self):
        model = self.folder / "my model.st"
        training = self.train(self.toy(rounds=50, steps_per_lease=120, width=256),
                              "--model", model)
        training.wait_for("round  1 of 50")
        training.popen.send_signal(signal.SIGINT)
        self.assertEqual(training.wait(20 * base.SLOW), 130, training.tail())
        self.assertIn(f"--model '{model}' --resume", training.text())

    def test_F16_a_dry_run_ends_where_no_pool_answers(self):
        pin = "sha256:" + "00" * 32
        pools = [word for port in ("9", "10") for word in ("--pool", f"127.0.0.1:{port}",
                                                           "--pin", pin)]
        text = self.refuse(6, "dry run: no pool", "gemmine", "mine", "--account", "a", "--data",
                           self.folder / "m", "--dry-run", *pools, timeout=20 * base.SLOW)
        self.assertEqual(text.count(" disconnected "), 2, text)

    def test_A18_a_signal_without_a_model_says_so(self):
        training = self.train(self.toy(rounds=50, steps_per_lease=500, width=256))
        training.wait_for("progress|round")
        training.popen.send_signal(signal.SIGINT)
        self.assertEqual(training.wait(20 * base.SLOW), 130, training.tail())
        self.assertIn("nothing is kept without --model", training.text())

    def test_F10_a_model_goes_into_what_is_there(self):
        job = self.toy(rounds=2)
        target = self.folder / "target"
        target.write_bytes(b"old")
        link = self.folder / "link"
        link.symlink_to(target)
        self.accept("gemmine", "train", job, "--model", link)
        self.assertTrue(link.is_symlink())
        self.assertGreater(target.stat().st_size, 1000)
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        training = self.train(job, "--model", fifo)
        self.assertEqual(fifo.read_bytes(), target.read_bytes())
        self.assertEqual(training.wait(20 * base.SLOW), 0, training.tail())
        self.assertTrue(fifo.is_fifo())

    def test_F10_a_model_on_stdout_is_nothing_but_the_model(self):
        job = self.toy(rounds=2)
        whole = self.folder / "whole.st"
        self.accept("gemmine", "train", job, "--model", whole)
        link = self.folder / "link"
        link.symlink_to("/dev/stdout")
        for path in ("-", "/dev/stdout", "/dev/fd/1", link):
            done = subprocess.run([base.BUILD / "gemmine", "train", job, "--model", path],
                                  capture_output=True, check=True)
            self.assertEqual(done.stdout, whole.read_bytes(), path)
            self.assertIn(b"state root ", done.stderr)
            self.refuse(2, "--model and --json both write", "gemmine", "train", job, "--model",
                        path, "--json")

    def test_F10_data_goes_into_what_is_there(self):
        out = self.folder / "out"
        out.mkdir()
        (out / "train.bin").symlink_to("/dev/null")
        (out / "test.bin").symlink_to("elsewhere")
        self.accept("gemmine", "data", self.toy(), "--out", out)
        self.assertEqual(os.readlink(out / "train.bin"), "/dev/null")
        self.assertTrue((out / "elsewhere").is_file())

    def test_F12_a_folder_that_takes_no_files_is_there(self):
        self.refuse(1, "/proc takes no new files", "gemmine", "train", self.toy(), "--model",
                    "/proc/nosuch")
