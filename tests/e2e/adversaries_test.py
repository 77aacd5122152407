"""Every kind of cheat is found, is not paid for it, and leaves no trace in the model."""
import unittest

import base
import toyjob

# Every lease is a batch of its own, and run again before it is paid.
STRICT = {"batch_leases": 1, "first_batch": 1, "first_audits": 0}


class Adversaries(base.EndToEnd):
    def caught(self, cheat, job=None, **changes):
        c = self.cluster(job or self.toy(**{"rounds": 10, **STRICT, **changes}))
        c.start_pool(exit_when_finished=False)
        thief = c.adversary("thief", cheat, honest_leases=2).start()
        thief.wait_for(r" lease_closed .*reason=complete", timeout=30)
        honest = c.miner("honest").start()
        ledger = self.finish(c, [honest])
        self.check_root(c, ledger)  # as if the thief had never been there
        wrong = ledger.wrong(c.pool_key)
        self.assertTrue(wrong)
        self.assertEqual({ledger.miner_of(lease_id) for lease_id in wrong}, {"thief"})
        # Its honest leases are paid, and nothing else of its.
        right = [lease_id for lease_id in ledger.complete("thief") if lease_id not in wrong]
        self.assertEqual(ledger.paid("thief"), len(right))
        self.assertEqual(ledger.paid("honest"), len(ledger.complete("honest")))
        return ledger

    def test_a_wrong_gradient_is_caught(self):
        self.caught("wrong-gradient")

    def test_a_skipped_step_is_caught(self):
        self.caught("skipped-step")

    def test_random_matrices_are_caught(self):
        self.caught("random-matrices")

    def test_a_prettier_loss_is_caught(self):
        self.caught("wrong-loss")

    def test_a_stale_state_is_caught(self):
        self.caught("stale-state")

    def test_a_language_model_s_ghost_steps_are_caught(self):
        self.caught("ghost-steps",
                    toyjob.write_lm(self.folder / "job", rounds=16, batch_leases=1))


if __name__ == "__main__":
    unittest.main(verbosity=2)
