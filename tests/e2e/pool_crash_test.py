"""kill -9 of the pool at random moments loses nothing acknowledged and pays nothing twice."""
import time
import unittest

import base

KILLS = 7


class PoolCrash(base.EndToEnd):
    def test_a_pool_killed_again_and_again_finishes_the_job(self):
        c = self.cluster(self.toy(rounds=40, steps_per_lease=24, width=256))
        pool = c.start_pool(exit_when_finished=False)
        miners = [c.miner(name).start() for name in ("anna", "bert")]

        def accepted():
            return sum(len(m.events("share_accepted")) for m in miners)

        kills = 0
        while kills < KILLS and any(m.running() for m in miners):
            goal = accepted() + self.random.randint(1, 25)
            end = time.monotonic() + 20 * base.SLOW
            while accepted() < goal and any(m.running() for m in miners):
                self.assertLess(time.monotonic(), end, "no progress\n" + pool.tail())
                time.sleep(0.005)
            time.sleep(self.random.random() * 0.05)
            pool.kill()
            kills += 1
            pool.start()
            c.wait_listening()
            # They come back by themselves, but later each time; a fresh start does not wait.
            for miner in miners if kills > 2 else []:
                miner.stop()
                miner.start()
        self.assertGreaterEqual(kills, 6, "the job ended before it was disturbed enough")
        ledger = self.finish(c, miners, timeout=60)
        self.check_root(c, ledger)
        self.assertEqual(len([s for s in ledger.closes if s.reason == "complete"]), 40 * 3)

    def test_a_pool_killed_while_it_starts_starts(self):
        c = self.cluster(self.toy())
        c.init_pool()
        pool = c.pool(exit_when_finished=False)
        for _ in range(6):
            pool.start()
            time.sleep(self.random.random() * 0.08)
            pool.kill()
        pool.start()
        c.wait_listening()
        miner = c.miner("miner").start()
        self.check_root(c, self.finish(c, [miner]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
