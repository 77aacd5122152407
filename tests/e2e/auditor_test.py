"""What gemmine-audit says of pools: an honest one, and one for each thing that it may do wrong."""
import json
import unittest

import base
import scripted_pool
from scripted_pool import Story


class Auditor(base.EndToEnd):
    def audit(self, code, *acts, patience=60):
        """acts: (story, blobs, records before the pool hangs up), one for each connection."""
        c = self.cluster(self.toy()).init_pool()
        self.pool = scripted_pool.ScriptedPool(c.port, c.data("pool"), acts)
        self.addCleanup(self.pool.listener.close)
        self.pool.start()
        self.c = c
        auditor = c.auditor("auditor", "--json", "--patience", patience, rate=1).start()
        self.assertEqual(auditor.wait(60 * base.SLOW), code, auditor.tail())
        return json.loads(auditor.text().splitlines()[-1])

    def test_an_honest_pool_is_checked_whole(self):
        report = self.audit(0, (Story(), "all", 0))
        self.assertEqual(report["outcome"], "valid", report)
        self.assertEqual((report["leases_asked"], report["leases_replayed"]), (4, 4))
        self.assertEqual((report["merges_redone"], report["first_weights_checked"]), (2, 1))
        self.assertEqual((report["unchecked"], report["evidence"]), (0, []))

    def test_a_pool_that_hangs_up_is_caught_up_with(self):
        story = Story()
        report = self.audit(0, (story, "all", 20), (story, "all", 40), (story, "all", 0))
        self.assertEqual((report["records"], report["leases_replayed"]), (len(story.records), 4))

    def test_a_pool_that_pays_a_cheat_is_told_with_his_share(self):
        report = self.audit(10, (Story(scripted_pool.lie_in_a_share), "all", 0))
        self.assertRegex(report["reason"], "the pool.* lease .*trace_root differs")
        self.assertEqual(report["replayed_invalid"], 1)
        # It was told so, and says that its word is not in the ledger.
        self.assertIn(scripted_pool.VERDICT, [kind for kind, _ in self.pool.accepted])
        self.assertEqual(report["verdicts_unlogged"], 1)
        bundle = next(path for path in report["evidence"] if "share-" in path)
        data = self.folder / "train"
        data.write_bytes(Story().job.train.tobytes())
        judged = self.run_program("gemmine-verify", "replay", bundle, "--data", data)
        self.assertEqual(judged.returncode, 10, judged.stdout)

    def test_a_wrong_merge_is_proven(self):
        report = self.audit(10, (Story(scripted_pool.merge_badly), "all", 0))
        self.assertIn("merge of round 1 gives", report["reason"])
        self.assert_proven(report, "merge")

    def test_an_unfair_secret_is_told_with_the_ledger(self):
        story = scripted_pool.close_with_another_secret(Story())
        report = self.audit(10, (story, "all", 0))
        seq = story.of_kind(scripted_pool.CLOSE)[0]
        self.assertIn(f"ledger record {seq}", report["reason"])
        ledger = next(path for path in report["evidence"] if path.endswith("ledger.bin"))
        judged = self.run_program("gemmine-verify", "ledger", ledger)
        self.assertEqual(judged.returncode, 10, judged.stdout)

    def test_a_fork_is_proven(self):
        other = Story().later(4)  # than it said the first time
        report = self.audit(10, (Story(), "all", 30), (other, "all", 0))
        self.assert_proven(report, "equivocation")

    def test_a_pool_that_serves_nothing_leaves_it_undecided(self):
        report = self.audit(12, (Story(), "none", 0))
        self.assertEqual(report["outcome"], "undecided")
        self.assertEqual((report["leases_asked"], report["leases_replayed"]), (4, 0))
        self.assertGreater(sum(report["unchecked_for"].values()), 0)
        self.assertTrue(any("not served" in reason for reason in report["unchecked_for"]))
        self.assertEqual(report["evidence"], [])

    def test_a_pool_that_never_answers_is_not_waited_for(self):
        report = self.audit(12, (Story(), "silence", 0), patience=2)
        self.assertIn("the pool sends nothing of what it owes", report["unchecked_for"])
        self.assertEqual(report["evidence"], [])

    def assert_proven(self, report, kind):
        path = report["evidence"][0]
        judged = self.run_program("gemmine-verify", "proof", path, "--json")
        self.assertEqual(judged.returncode, 10, judged.stdout)
        found = json.loads(judged.stdout)
        self.assertEqual((found["kind"], found["against"]), (kind, "pool"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
