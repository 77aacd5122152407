"""Leases that are paid for by a thread: the pool asks, the miner answers."""
import unittest

import base
import toyjob

# Every lease is a batch of its own, with one thread; replays are the part that thefts ask for.
POLICY = {"batch_leases": 1, "first_batch": 1, "first_audits": 0, "threads": 1}
ALWAYS = "[audit]\nalways_threads = true\n"


class Threads(base.EndToEnd):
    def run_with(self, job, rounds):
        c = self.cluster(job, pool_toml=ALWAYS)
        c.start_pool(exit_when_finished=False)
        miners = [c.miner(f"miner{i}").start() for i in range(2)]
        ledger = self.finish(c, miners)
        self.assertEqual(len(ledger.merges), rounds)
        self.check_root(c, ledger)
        asked = [event for miner in miners for event in miner.events("thread_asked")]
        answered = [event for miner in miners for event in miner.events("thread_answered")]
        self.assertTrue(asked)
        self.assertTrue(answered)  # not all: a replay that comes first ends a question
        self.assertEqual({v.outcome for v in ledger.verdicts}, {"valid"})
        self.assertIn("thread", {v.kind for v in ledger.verdicts})
        return ledger

    def test_of_a_small_network_are_right(self):
        self.run_with(self.toy(rounds=4, now_ppm=0, replays_ppm=500_000, **POLICY), 4)

    def test_of_a_language_model_are_right(self):
        self.run_with(
            toyjob.write_lm(self.folder / "job", replays_ppm=500_000, **POLICY), 3)

    def test_are_answered_by_a_miner_that_was_killed(self):
        c = self.cluster(self.toy(rounds=4, now_ppm=0, replays_ppm=500_000, **POLICY),
                         pool_toml=ALWAYS)
        c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        miner.wait_for(r" thread_asked ", timeout=30)
        miner.kill()
        miner.start()
        ledger = self.finish(c, [miner])
        self.assertEqual({v.outcome for v in ledger.verdicts}, {"valid"})
        self.check_root(c, ledger)


if __name__ == "__main__":
    unittest.main(verbosity=2)
