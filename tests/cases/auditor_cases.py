"""What people met while they audited a pool."""
import json
import unittest

import base
import case
import ledgerfile


class Auditing(case.Case):
    def watched(self, auditor, code=0, timeout=60):
        self.assertEqual(auditor.wait(timeout * base.SLOW), code, auditor.tail())
        return json.loads(auditor.text().splitlines()[-1])

    def history(self, **changes):
        """A pool that has finished its job before anyone audited it, and its ledger."""
        c = self.cluster(self.toy(**changes))
        c.start_pool(exit_when_finished=False)
        ledger = self.finish(c, [c.miner("miner").start()])
        c.processes["pool"].start()
        c.wait_listening()
        return c, ledger

    def test_F37_an_auditor_that_finds_nothing_wrong_says_nothing(self):
        c = self.cluster(self.toy(rounds=2))
        c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        report = self.watched(c.auditor("auditor", "--json", rate=1).start())
        ledger = self.finish(c, [miner])
        self.assertEqual([v for v in ledger.verdicts if v.auditor.hex() != c.pool_key], [])
        self.assertEqual(report["replayed_valid"], len(ledger.shares))
        self.assertEqual(report["head"], ledger.head.hex())
        self.assertEqual(report["verdicts_unlogged"], 0)

    def test_A3_a_pool_with_history_is_caught_up_with(self):
        c, ledger = self.history(rounds=8, slots=3)
        report = self.watched(c.auditor("auditor", "--json", rate=1).start())
        self.assertEqual(report["outcome"], "valid")
        self.assertEqual(report["replayed_valid"], len(ledger.shares))
        self.assertEqual(report["merges_redone"], 8)
        self.assertEqual(report["unchecked"], 0)

    def test_A3_what_cannot_be_had_is_undecided_and_never_untrue(self):
        c, ledger = self.history(rounds=2)
        job = ledgerfile.Cursor(ledger.of("job")[0].body)
        job.blob()
        (c.data("pool") / "blobs" / job.take(32).hex()).unlink()  # the first weights
        report = self.watched(c.auditor("auditor", "--json", rate=1).start(), code=12)
        self.assertEqual(report["outcome"], "undecided")
        self.assertGreater(report["unchecked"], 0)
        self.assertNotIn("not_true", c.processes["auditor"].text())

    def test_A5_the_whole_ledger_comes_after_a_restart(self):
        c, ledger = self.history(rounds=1)
        report = self.watched(c.auditor("auditor", "--json", rate=0).start())
        self.assertGreaterEqual(report["records"], len(ledger.records))

    def test_A6_an_audit_that_checked_nothing_says_so(self):
        c = self.cluster(self.toy()).init_pool()
        auditor = c.auditor("auditor", "--json").start()  # nobody listens there
        auditor.wait_for("disconnected")
        auditor.popen.terminate()
        report = self.watched(auditor, code=12)
        self.assertEqual(report["outcome"], "undecided")
        self.assertIn("nothing was checked", report["reason"])
        self.assertEqual(report["records"], 0)

    def test_F15_one_auditor_at_a_time_has_a_data_folder(self):
        c = self.cluster(self.toy())
        c.start_pool()
        first = c.auditor("auditor").start()
        first.wait_for("connected")
        self.refuse(1, "(?i)in use|holds|locked", "gemmine-audit", "watch",
                    *c.client_options("auditor"))
        self.assertEqual(first.stop(), 12, first.tail())


if __name__ == "__main__":
    unittest.main(verbosity=2)
