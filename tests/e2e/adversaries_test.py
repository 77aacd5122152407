"""Every kind of cheat is caught, pays for it, and leaves no trace in the model."""
import unittest

import base
import toyjob


class Adversaries(base.EndToEnd):
    def caught(self, cheat, job=None, **changes):
        c = self.cluster(job or self.toy(**{"rounds": 10, "replay_ppm": 400_000, "vest_leases": 4,
                                            **changes}))
        c.start_pool(exit_when_finished=False)
        thief = c.adversary("thief", cheat, honest_leases=2).start()
        thief.wait_for(r" lease_closed .*reason=complete", timeout=30)
        honest = c.miner("honest").start()
        ledger = self.finish(c, [honest])
        self.check_root(c, ledger)  # as if the thief had never been there
        self.assertEqual([ledger.members[key] for _, _, key, _ in ledger.bans], ["thief"])
        self.assertGreater(ledger.forfeited("thief"), 0)
        self.assertEqual(thief.wait(30 * base.SLOW), 5, thief.tail())  # refused for good
        bad = [v for v in ledger.verdicts if v.outcome in ("invalid", "malformed")]
        self.assertTrue(bad)
        self.assertEqual({ledger.miner_of(v.lease_id) for v in bad}, {"thief"})
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

    def test_random_matrices_are_caught_where_no_replay_is_drawn(self):
        ledger = self.caught("random-matrices", replay_ppm=0, spot_ppm=1_000_000,
                             probation_shares=0)
        kinds = {v.kind for v in ledger.verdicts if v.outcome != "valid"}
        # It has no opening to show, and the pool runs what was not answered.
        self.assertTrue(kinds & {"spot", "replay"}, kinds)

    def test_a_language_model_s_ghost_steps_are_caught_by_replays_alone(self):
        job = toyjob.write_lm(self.folder / "job", rounds=16, spot_ppm=1_000_000)
        ledger = self.caught("ghost-steps", job)
        kinds = {v.kind for v in ledger.verdicts if v.outcome != "valid"}
        self.assertIn("replay", kinds)
        self.assertNotIn("spot", kinds)  # none can: verifier/README.md


if __name__ == "__main__":
    unittest.main(verbosity=2)
