"""What is found wrong ends in a file that anybody can check; who says nothing is not banned."""
import json
import unittest

import base

# Batches of two leases, both of which are run again, and none before.
PAIRS = {"batch_leases": 2, "first_batch": 2, "first_audits": 0, "now_ppm": 0,
         "replays_ppm": 2_000_000}


class Proofs(base.EndToEnd):
    def run_thief(self, cheat, **changes):
        """Until the pool has judged two leases of a thief who answers what he is asked."""
        c = self.c = self.cluster(self.toy(rounds=16, answer_ms=4000, **PAIRS, **changes))
        c.start_pool(exit_when_finished=False)
        auditor = c.auditor("auditor", "--json", rate=0.5).start()
        auditor.wait_for(r" connected ", timeout=30)
        thief = c.adversary("thief", cheat, honest_leases=0).start()
        c.processes["pool"].wait_for(r" (banned|descent_ended) ", timeout=60)
        honest = c.miner("honest").start()
        ledger = self.finish(c, [honest], timeout=120)
        self.assertEqual(auditor.wait(60), 0, auditor.tail())
        thief.kill()
        self.assertEqual({ledger.miner_of(proof.lease_id) for proof in ledger.proofs}, {"thief"})
        return ledger, auditor

    def check_file(self, path, lease_id):
        judged = self.c.run("gemmine-verify", "proof", path, "--pool-key", self.c.pool_key,
                            "--json", check=False)
        self.assertEqual(judged.returncode, 10, judged.stdout + judged.stderr)
        found = json.loads(judged.stdout)
        self.assertEqual((found["against"], found["lease"]), ("miner", lease_id.hex()))
        other = self.c.run("gemmine-verify", "proof", path, "--pool-key", "11" * 32, check=False)
        self.assertEqual(other.returncode, 0, other.stdout)  # of another pool it proves nothing

    def convicted(self, cheat, **changes):
        ledger, auditor = self.run_thief(cheat, **changes)
        proof = ledger.proofs[0]
        self.assertLess(proof.bytes, 1_000_000)
        self.check_file(self.c.data("pool") / "blobs" / proof.address.hex(), proof.lease_id)
        kept = [event["file"] for event in auditor.events("proof")]
        self.assertEqual(len(kept), len(ledger.proofs))
        self.check_file(kept[0], proof.lease_id)
        # Nothing was asked more than three times of a lease, and what was is in the ledger.
        asked = [record.body[:32] for record in ledger.of("challenge")]
        self.assertLessEqual(max(map(asked.count, asked)), 3)
        return ledger

    def test_weights_that_moved_otherwise_are_proven_and_ban(self):
        ledger = self.convicted("wrong-gradient")
        self.assertEqual(len(ledger.bans), 1)
        self.assertEqual(ledger.paid("thief"), 0)

    def test_forged_matrices_are_proven(self):
        self.convicted("random-matrices")

    def test_who_cannot_answer_is_unpaid_and_never_banned(self):
        c = self.c = self.cluster(self.toy(rounds=10, answer_ms=1000, **PAIRS))
        c.start_pool(exit_when_finished=False)
        # What it sold twice it cannot show: as good as silence.
        thief = c.adversary("thief", "skipped-step", honest_leases=0).start()
        c.processes["pool"].wait_for(r" descent_ended ", timeout=60)
        ledger = self.finish(c, [c.miner("honest").start()], timeout=120)
        thief.kill()
        self.assertEqual((ledger.proofs, ledger.bans), ([], []))
        self.assertTrue(ledger.wrong(c.pool_key))
        self.assertEqual(ledger.paid("thief"), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
