"""A device that dies or is too small stops by itself; the job goes on with the others."""
import json
import unittest

import base


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
        self.assertEqual(cpu["share"]["rule"], "whole lease")
        for number in ("step_ms", "alone_ms", "proof_ratio", "gmac_s"):
            self.assertGreater(cpu[number], 0)
        self.assertIn(cpu["digest"], other.stdout)  # it is the same in every run
        self.assertIn("after the pool's fee of 2 %", other.stdout)

    def test_bench_of_a_device_that_is_not_there_fails(self):
        done = self.run_program("gemmine", "bench", "--engine", "cuda:77")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cuda:77", done.stderr)
        self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main(verbosity=2)
