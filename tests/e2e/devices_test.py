"""Devices that die or are too small stop by themselves; shares fit the speed of each."""
import json
import statistics
import unittest

import base
import toyjob


class Devices(base.EndToEnd):
    def test_a_device_lost_in_a_share_stops_and_the_others_go_on(self):
        c = self.cluster(self.toy(rounds=10))
        c.start_pool(exit_when_finished=False)
        dying = c.adversary("dying", "lost-device", fraction=1, honest_leases=1).start()
        self.assertEqual(dying.wait(60 * base.SLOW), 4, dying.tail())
        self.assertRegex(dying.text(), r"share_failed .*the device is gone")
        other = c.miner("other").start()
        ledger = self.finish(c, [other])
        self.check_root(c, ledger)
        self.assertEqual(ledger.bans, [])  # it was unlucky, and sent nothing wrong
        lost = [close for close in ledger.closes if close.reason != "complete"]
        self.assertEqual([close.reason for close in lost], ["abandoned"])
        self.assertEqual(ledger.members[ledger.leases[lost[0].lease_id].miner], "dying")

    def test_a_job_too_large_for_a_device_is_left_to_others(self):
        c = self.cluster(self.toy(rounds=4))
        c.start_pool(exit_when_finished=False)
        small = c.adversary("small", "full-device").start()
        self.assertEqual(small.wait(60 * base.SLOW), 4, small.tail())
        refused = small.events("job_refused")
        self.assertEqual(len(refused), 1, small.tail())
        self.assertIn("needs 900 MiB, free are 100 MiB", refused[0]["reason"])
        other = c.miner("other").start()
        ledger = self.finish(c, [other])
        self.check_root(c, ledger)

    def test_bench_tells_what_a_device_does_and_earns(self):
        job = self.toy(steps_per_lease=500)
        one, other = (self.run_program("gemmine", "bench", "--job", job, "--engine", "cpu",
                                       "--seconds", 1, *more) for more in (["--json"], []))
        self.assertEqual((one.returncode, other.returncode), (0, 0), one.stderr + other.stderr)
        report = json.loads(one.stdout)
        self.assertEqual(report["share_seconds"], 20)
        self.assertEqual(report["job"]["price_per_tmac"], 10**9)
        cpu, = report["devices"]
        self.assertEqual([p["product"] for p in cpu["products"]],
                         ["forward", "weight gradient", "forward", "input gradient",
                          "weight gradient"])
        self.assertEqual(cpu["share"]["rule"], "largest")
        for number in ("step_ms", "alone_ms", "proof_ratio", "gmac_s"):
            self.assertGreater(cpu[number], 0)
        self.assertIn(cpu["digest"], other.stdout)  # it is the same in every run
        self.assertIn("after the pool's fee of 2 %", other.stdout)

    def test_bench_of_a_device_that_is_not_there_fails(self):
        done = self.run_program("gemmine", "bench", "--engine", "cuda:77")
        self.assertEqual(done.returncode, 4)
        self.assertIn("cuda:77", done.stderr)
        self.assertEqual(done.stdout, "")

    def shares_of(self, ledger, account):
        """Sizes of the account's leases' shares, in order; seconds of each full share."""
        leases = sorted((lease for lease in ledger.leases.values()
                         if ledger.members[lease.miner] == account), key=lambda one: one.serial)
        seconds = {}
        for lease in leases:
            since = lease.issued_ms
            for share in (s for s in ledger.shares if s.lease_id == lease.id):
                if share.steps == lease.steps_per_share:
                    seconds.setdefault(lease.id, []).append((share.time_ms - since) / 1000)
                since = share.time_ms
        return ([lease.steps_per_share for lease in leases],
                [seconds.get(lease.id, []) for lease in leases])

    def test_shares_fit_the_device_and_come_at_the_pool_s_pace(self):
        steps, target_s = 96, 1  # 24 a share at most, which the slow one should not come near
        job = toyjob.write_lm(self.folder / "job", hidden=4096, steps_per_lease=steps)
        c = self.cluster(job, share_seconds=target_s)
        c.start_pool(exit_when_finished=False)
        quick = c.miner("quick").start()
        slow = c.miner("slow", "--throttle", 10).start()
        ledger = self.finish(c, [quick, slow], timeout=200)
        quick_sizes, _ = self.shares_of(ledger, "quick")
        slow_sizes, slow_seconds = self.shares_of(ledger, "slow")
        told = f"quick {quick_sizes}, slow {slow_sizes} in {slow_seconds}"
        self.assertEqual((quick_sizes[0], slow_sizes[0]), (4, 4), told)  # the job's own
        self.assertTrue(all(1 <= size <= steps for size in quick_sizes + slow_sizes), told)
        self.assertGreater(len(slow_sizes), 1, told)
        self.assertGreater(statistics.median(quick_sizes[1:]), statistics.median(slow_sizes[1:]),
                           told)
        later = [s for lease in slow_seconds[1:] for s in lease]
        self.assertGreater(statistics.median(later), target_s / 4, told)
        self.assertLess(statistics.median(later), target_s * 4, told)
        self.check_root(c, ledger)


if __name__ == "__main__":
    unittest.main(verbosity=2)
