"""kill -9 of a miner loses at most its unacknowledged share; a silent one loses its lease."""
import shutil
import signal
import time
import unittest

import base

KILLS = 7


class MinerCrash(base.EndToEnd):
    def test_a_miner_killed_again_and_again_resumes_its_leases(self):
        c = self.cluster(self.toy(rounds=30, steps_per_lease=48, width=512, batch=64))
        c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        kills = 0
        while kills < KILLS and miner.running():
            goal = len(miner.events("share_accepted")) + self.random.randint(1, 20)
            end = time.monotonic() + 20 * base.SLOW
            while len(miner.events("share_accepted")) < goal and miner.running():
                self.assertLess(time.monotonic(), end, "no progress\n" + miner.tail())
                time.sleep(0.005)
            time.sleep(self.random.random() * 0.05)
            miner.kill()
            kills += 1
            miner.start()
        self.assertGreaterEqual(kills, 6, "the job ended before it was disturbed enough")
        ledger = self.finish(c, [miner])
        self.check_root(c, ledger)
        # Every lease it ever got was finished by it: none had to be given out again.
        self.assertEqual({close.reason for close in ledger.closes}, {"complete"})
        self.assertEqual(len(ledger.closes), 30 * 3)

    def test_a_miner_killed_before_it_wrote_its_lease_down_starts_it_over(self):
        c = self.cluster(self.toy(rounds=3, steps_per_lease=96, steps_per_share=96, width=1024,
                                  batch=256))
        c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        miner.wait_for(r" info lease .*lease=")
        miner.kill()
        self.assertFalse(miner.events("share"), "the share was too quick for this test")
        shutil.rmtree(c.data("miner") / "leases")  # as if it had died a moment earlier
        miner.start()
        ledger = self.finish(c, [miner])
        self.check_root(c, ledger)
        self.assertEqual({close.reason for close in ledger.closes}, {"complete"})
        self.assertEqual(len(miner.events("lease_resumed")), 1)

    def test_the_slot_of_a_silent_miner_goes_to_another(self):
        c = self.cluster(self.toy(lease_ms=1500, rounds=8, steps_per_lease=120, width=256))
        c.start_pool(exit_when_finished=False)
        # Slow, so that it is stopped in the middle of a lease and not between two.
        lazy = c.miner("lazy", "--throttle", 1).start()
        lazy.wait_for(r" info lease .*lease=")
        lazy.popen.send_signal(signal.SIGSTOP)
        diligent = c.miner("diligent").start()
        ledger = self.finish(c, [diligent])
        self.check_root(c, ledger)
        expired = [close for close in ledger.closes if close.reason == "expired"]
        self.assertTrue(expired, "no lease expired")
        for close in expired:
            lost = ledger.leases[close.lease_id]
            self.assertEqual(ledger.members[lost.miner], "lazy")
            again = [lease for lease in ledger.leases.values()
                     if (lease.round, lease.slot) == (lost.round, lost.slot)
                     and lease.serial > lost.serial]
            self.assertTrue(again, "the slot was never given out again")


if __name__ == "__main__":
    unittest.main(verbosity=2)
