"""Any number of miners reach the state root of `gemmine train`."""
import unittest

import base
import toyjob


class Roots(base.EndToEnd):
    def run_with(self, count):
        c = self.cluster(self.toy(rounds=5))
        c.start_pool(exit_when_finished=False)
        miners = [c.miner(f"miner{i}") for i in range(count)]
        for miner in miners:
            miner.start()
        ledger = self.finish(c, miners)
        self.assertEqual(len(ledger.merges), 5)
        return self.check_root(c, ledger)

    def test_one_two_and_three_miners_reach_the_root_of_training_alone(self):
        roots = {self.run_with(count) for count in (1, 2, 3)}
        self.assertEqual(len(roots), 1)

    def test_a_language_model_with_an_outer_step_reaches_the_root_of_training_alone(self):
        c = self.cluster(toyjob.write_lm(self.folder / "job", outer_lr=0.7, outer_momentum=0.9))
        c.start_pool(exit_when_finished=False)
        auditor = c.auditor("auditor", rate=1).start()
        miners = [c.miner(f"miner{i}").start() for i in range(2)]
        self.assertEqual(auditor.wait(60 * base.SLOW), 0, auditor.tail())
        ledger = self.finish(c, miners)
        self.assertEqual(len(ledger.merges), 3)
        self.check_root(c, ledger)
        self.assertEqual({v.outcome for v in ledger.verdicts}, {"valid"})
        blobs = c.data("pool") / "blobs"
        c.run("gemmine-verify", "ledger", c.export(), "--blobs", blobs)  # the merges too

    def test_an_auditor_agrees_and_ends_with_zero(self):
        c = self.cluster(self.toy(rounds=6))
        c.start_pool(exit_when_finished=False)
        auditor = c.auditor("auditor", rate=1).start()
        miner = c.miner("miner").start()
        self.assertEqual(auditor.wait(60 * base.SLOW), 0, auditor.tail())
        ledger = self.finish(c, [miner])
        self.check_root(c, ledger)
        replayed = auditor.events("replayed")
        self.assertTrue(replayed, "the auditor ran nothing again")
        self.assertEqual({event["outcome"] for event in replayed}, {"valid"})
        self.assertEqual({v.auditor.hex() for v in ledger.verdicts}, {c.pool_key})


if __name__ == "__main__":
    unittest.main(verbosity=2)
