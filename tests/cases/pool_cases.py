"""What people met while they ran a pool."""
import json
import os
import re
import resource
import shutil
import signal
import socket
import time

import base
import case
import cluster
import ledgerfile


class Watching(case.Case):
    def test_A5_an_auditor_gets_the_whole_ledger_after_a_restart(self):
        c = self.cluster(self.toy(rounds=1))
        c.start_pool(exit_when_finished=False)
        ledger = self.finish(c, [c.miner("miner").start()])
        pool = c.processes["pool"].start()
        c.wait_listening()
        auditor = c.auditor("auditor", "--json", rate=0).start()
        self.assertEqual(auditor.wait(20), 0, auditor.tail())
        report = json.loads(auditor.text().splitlines()[-1])
        self.assertGreaterEqual(report["records"], len(ledger.records))
        self.assertEqual(pool.stop(20), 0, pool.tail())


class Limits(case.Case):
    def pool_under(self, limit, value, **job):
        c = self.cluster(self.toy(rounds=1, **job))
        c.init_pool()
        old = resource.getrlimit(limit)
        resource.setrlimit(limit, (value, old[1]))
        try:
            pool = c.pool(exit_when_finished=False).start()
        finally:
            resource.setrlimit(limit, old)
        c.wait_listening()
        return c, pool

    def test_F18_silent_clients_do_not_keep_miners_out(self):
        c = self.cluster(self.toy(rounds=1))
        c.init_pool()
        command = c.pool(exit_when_finished=False).command
        pool = c.add("pool", ["sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *command]).start()
        c.wait_listening()
        self.assertTrue(pool.events("connections_limited"))
        silent = [socket.create_connection(("127.0.0.1", c.port)) for _ in range(60)]
        miner = c.miner("miner").start()
        self.finish(c, [miner])
        self.assertFalse(pool.events("ledger_not_writable"))
        self.assertFalse(pool.events("audit_undecided"))
        for each in silent:
            each.close()

    def test_F18_the_soft_limit_is_raised(self):
        c, pool = self.pool_under(resource.RLIMIT_NOFILE, 64)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        limits = open(f"/proc/{pool.popen.pid}/limits", encoding="ascii").read()
        soft = next(int(line.split()[3]) for line in limits.splitlines()
                    if line.startswith("Max open files"))
        self.assertEqual(soft, min(hard, soft))
        self.assertGreater(soft, 64)
        self.assertEqual(pool.stop(20), 0)

    def test_R10_a_limit_of_file_size_is_a_full_disk_and_no_death(self):
        c, pool = self.pool_under(resource.RLIMIT_FSIZE, 100 * 1024, steps_per_share=1,
                                  steps_per_lease=60)
        miner = c.miner("miner").start()
        pool.wait_for("ledger_not_writable", 40)
        self.assertEqual(len(pool.events("ledger_not_writable")), 1)
        self.assertTrue(pool.running(), pool.tail())
        miner.kill()
        self.assertEqual(pool.stop(20), 0, pool.tail())

    def test_R15_listen_takes_names_and_the_star(self):
        c = self.cluster(self.toy(rounds=1))
        c.init_pool()
        for text, pattern in (("nosuch.invalid:4400", "no address of this machine.*127.0.0.1:4400"),
                              ("4400", "the port is missing"), (":4400", "address is missing")):
            self.refuse(2, pattern, "gemmine-pool", "serve", "--data", c.data("pool"), "--listen",
                        text)
        for host in ("localhost", "*"):
            c.port = cluster.free_port()
            command = c.pool(exit_when_finished=False).command
            command[command.index("--listen") + 1] = f"{host}:{c.port}"
            pool = c.add("pool", command).start()
            c.wait_listening()
            self.assertEqual(pool.stop(20), 0, pool.tail())

    def test_R15_the_configuration_too(self):
        c = self.cluster(self.toy(rounds=1))
        c.init_pool()
        c.config.write_text('listen = "nosuch.invalid:4400"\n')
        self.refuse(3, "pool.toml.*no address of this machine", "gemmine-pool", "serve", "--data",
                    c.data("pool"), "--config", c.config)


class StatusFiles(case.Case):
    def test_S1_a_status_file_that_cannot_be_is_refused_at_the_start(self):
        c = self.cluster(self.toy(rounds=1))
        c.init_pool()
        self.refuse(1, "nosuch", "gemmine-pool", "serve", "--data", c.data("pool"), "--listen",
                    "127.0.0.1:0", "--status-file", self.folder / "nosuch" / "status.json")

    def test_S1_trouble_with_it_later_is_said_once(self):
        c = self.cluster(self.toy(rounds=1))
        place = self.folder / "place"
        place.mkdir()
        c.status_file = place / "status.json"
        pool = c.start_pool(exit_when_finished=False)
        cluster.wait_until(c.status, 10, lambda: "no status", pool)
        shutil.rmtree(place)
        pool.wait_for("status_file")
        time.sleep(1.5)
        self.assertEqual(len(pool.events("status_file")), 1)
        place.mkdir()
        pool.wait_for("status_file_writable")
        self.assertEqual(pool.stop(20), 0)


class Evaluations(case.Case):
    def test_S2_past_rounds_are_not_evaluated_again(self):
        c = self.cluster(self.toy(rounds=2))
        pool = c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        self.assertEqual(miner.wait(60), 0, miner.tail())
        cluster.wait_until(lambda: len(pool.events("accuracy")) == 3, 20, pool.tail, pool)
        cluster.wait_until(
            lambda: len(c.status().get("jobs", [{}])[0].get("accuracy", [])) >= 2, 20, pool.tail,
            pool)
        before = c.status()["jobs"][0]["accuracy"]
        os.kill(pool.popen.pid, signal.SIGKILL)
        pool.popen.wait()
        pool.start()
        c.wait_listening()
        cluster.wait_until(lambda: c.status().get("time_ms"), 10, pool.tail, pool)
        time.sleep(1)
        self.assertEqual(len(pool.events("accuracy")), 3)
        self.assertGreaterEqual(len(before), 2)
        self.assertEqual(c.status()["jobs"][0]["accuracy"][:len(before)], before)
        self.assertEqual(pool.stop(20), 0)


class Patience(case.Case):
    """Time, trouble and restored folders convict nobody."""

    def test_F01_a_slow_device_is_paid(self):
        c = self.cluster(self.toy(width=1024, batch=512, rounds=1, slots=1, steps_per_lease=1600,
                                  steps_per_share=400, answer_ms=100, lease_ms=300_000),
                         share_seconds=1)
        c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        ledger = self.finish(c, [miner], 60)
        self.assertFalse(ledger.of("ban"), miner.tail())
        self.assertEqual({v.outcome for v in ledger.verdicts}, {"valid"})
        self.assertEqual(ledger.paid("miner"), 1)

    def test_F01_job_check_names_times_that_do_not_fit(self):
        job = self.toy(lease_ms=8_000, steps_per_lease=12, steps_per_share=2)
        self.refuse(3, r"lease_ms = 8000 .* share_seconds = 20", "gemmine-pool", "job", "check",
                    job)
        said = self.accept("gemmine-pool", "job", "check", self.toy(lease_ms=600_000)).stdout
        self.assertNotIn("share_seconds", said)

    def test_C2_job_check_says_how_a_theft_is_stopped(self):
        self.refuse(3, "theft pays in this job: .*a replay finds it always; with .* leases' pay; "
                    "set replays_ppm to 8000000 at least, or raise fail_ppm",
                    "gemmine-pool", "job", "check", self.toy(
                        fail_ppm=0, batch_leases=8, lease_ms=600_000))

    def test_C3_job_check_refuses_leases_that_end_before_their_time(self):
        job = self.toy(lease_ms=600_000)
        self.refuse(3, "lease_ms = 600000 ends every lease .* --lease-seconds 601", "gemmine-pool",
                    "job", "check", job, "--lease-seconds", 601)
        said = self.accept("gemmine-pool", "job", "check", job, "--lease-seconds", 600).stdout
        self.assertRegex(said, r"(?s)at most after a miner's last lease;.*\nresult      ok")

    def test_C4_what_does_not_fit_together_has_its_place(self):
        self.refuse(3, r"job\.toml:\d+:\d+: error: audit\.replays_ppm: must be at least 1000000",
                    "gemmine-pool", "job", "check", self.toy(replays_ppm=999_999))

    def test_C7_job_check_warns_of_what_is_hardly_meant(self):
        said = self.accept("gemmine-pool", "job", "check", self.toy(
            lease_ms=600_000, batch_leases=20, replays_ppm=6_000_000)).stdout
        self.assertRegex(said, "warning     audits take more than the job")
        self.assertRegex(said, "warning     no miner fills a batch: 4 leases each")
        said = self.accept("gemmine-pool", "job", "check", self.toy(lease_ms=600_000)).stdout
        self.assertNotIn("warning", said)

    def test_A2_a_pool_from_an_old_copy_bans_nobody(self):
        c = self.cluster(self.toy(width=512, batch=128, rounds=2, slots=1, steps_per_lease=60,
                                  steps_per_share=4))
        pool = c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        miner.wait_for(" share_accepted ")
        pool.kill()
        shutil.copytree(c.data("pool"), c.data("copy"))
        pool.start()
        accepted = len(miner.events("share_accepted"))
        cluster.wait_until(lambda: len(miner.events("share_accepted")) > accepted + 2, 60,
                           lambda: miner.tail(), miner)
        pool.kill()
        shutil.rmtree(c.data("pool"))
        c.data("copy").rename(c.data("pool"))
        pool.start()
        # It goes on from before what it had signed: its miner has the proof, and leaves.
        self.assertEqual(miner.wait(90 * base.SLOW), 10, miner.tail())
        self.assertIn("rollback", miner.tail())
        self.assertEqual(pool.stop(20), 0, pool.tail())
        self.assertFalse(ledgerfile.Ledger(c.export()).of("ban"))


class Escrow(case.Case):
    def status_when(self, c, wanted):
        def found():
            status = c.status()
            return status if status.get("jobs") and wanted(status) else None

        return cluster.wait_until(found, 20, lambda: f"{c.status()}\n{c.processes['pool'].tail()}")

    def test_A10_a_job_without_money_is_said_and_funded_later(self):
        c = self.cluster(self.toy(rounds=1))
        c.fund = 0
        pool = c.start_pool(exit_when_finished=False)
        pool.wait_for(" escrow_empty ")
        miner = c.miner("miner").start()
        self.assertTrue(self.status_when(c, lambda s: s.get("jobs"))["jobs"][0]["dry"])
        pool.wait_for(" job_dry ")
        self.assertEqual(pool.stop(20), 0)
        c.fund = base.FUND
        start = len(pool.text())
        pool = c.pool(exit_when_finished=False).start()
        pool.wait_for(" job_funded ", start=start)
        ledger = self.finish(c, [miner])
        self.assertEqual(len(ledger.of("fund")), 1)

    def test_A11_a_dry_job_does_not_stop_the_others(self):
        dear = self.toy(price_per_tmac=10**12)
        dear.rename(dear.with_name("dear.toml"))
        text = dear.with_name("dear.toml").read_text()
        dear.with_name("dear.toml").write_text(text.replace('"toy"', '"dear"'))
        c = self.cluster(dear.with_name("dear.toml"))  # it comes first
        c.fund = 10**6
        c.start_pool("--job", self.toy(rounds=1), exit_when_finished=False)
        c.miner("miner").start()
        status = self.status_when(c, lambda s: any(j["finished"] for j in s.get("jobs", [])))
        self.assertEqual({job["name"]: job["dry"] for job in status["jobs"]},
                         {"toy": False, "dear": True})

    def test_A12_another_price_is_refused_with_both_ids(self):
        c = self.cluster(self.toy())
        pool = c.start_pool(exit_when_finished=False)
        self.assertEqual(pool.stop(20), 0)
        known = c.report()["jobs"][0]["id"]
        self.toy(price_per_tmac=10**9 + 1)
        new = c.run("gemmine-pool", "job", "check", c.job).stdout.split("job_id")[1].split()[0]
        pool.start()
        self.assertEqual(pool.wait(20), 3, pool.tail())
        for word in (known, new, "price_per_tmac 1000000000 -> 1000000001"):
            self.assertIn(word, pool.text())
        self.assertEqual(len(c.report()["jobs"]), 1)

    def test_A13_a_job_that_ran_dry_goes_on_when_it_is_filled(self):
        c = self.cluster(self.toy(rounds=2, slots=2))
        check = c.run("gemmine-pool", "job", "check", c.job).stdout
        c.fund = int(re.search(r"cost +(\d+) a lease", check).group(1))
        pool = c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        pool.wait_for(" job_dry ")
        left = self.status_when(c, lambda s: s["jobs"][0]["dry"])["jobs"][0]
        self.assertEqual((left["leases_left"], left["leases_covered"]), (3, 0))
        self.assertEqual(pool.stop(20), 0)
        c.fund = base.FUND
        c.pool(exit_when_finished=False).start()
        ledger = self.finish(c, [miner])  # nothing is left in escrow
        self.check_root(c, ledger)
        self.assertEqual(len(ledger.of("fund")), 2)


class Disk(case.Case):
    def test_A20_old_rounds_leave_the_pool_s_disk(self):
        # Four is the least: in these the pool looks for the reason when training diverges.
        c = self.cluster(self.toy(rounds=8, slots=2), pool_toml="[limits]\nrounds_kept = 4\n")
        pool = c.start_pool(exit_when_finished=False)
        ledger = self.finish(c, [c.miner("miner").start()])
        start = len(pool.text())
        pool.start()  # what is left is enough to start with; what a stop left over goes now
        pool.wait_for(" listening ", start=start)
        # Training, test, the sheet; five weights, and two deltas of each of four rounds.
        def blobs():
            return [b.name for b in (c.data("pool") / "blobs").iterdir() if b.is_file()]

        cluster.wait_until(lambda: len(blobs()) <= 3 + 5 + 2 * 4, 20, lambda: blobs(), pool)
        self.assertEqual(pool.stop(20), 0, pool.tail())
        path = c.export("--model", c.folder / "model.safetensors")
        self.check_root(c, ledger)
        folder = c.data("pool") / "blobs"
        text = self.refuse(12, "4 of 8 cannot be checked.*limits.rounds_kept", "gemmine-verify",
                           "ledger", path, "--blobs", folder)
        self.assertNotIn("cannot open", text)
        self.assertIn("round 7 redone", text)
        for name in blobs():
            (folder / name).unlink()
        done = self.accept("gemmine-pool", "export", "--data", c.data("pool"), "--bundles",
                           c.folder / "bundles")
        self.assertRegex(done.stderr, "share-.* is left out: the weights of round 7 .*rounds_kept")
        self.assertEqual(list((c.folder / "bundles").iterdir()), [])
