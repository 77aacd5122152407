"""What the end-to-end tests share: a toy job, a finished run, and what must be true of any run."""
import os
import pathlib
import random
import shutil
import sys
import tempfile
import unittest

import cluster
import ledgerfile
import toyjob

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "vectors"))
import fold_file  # noqa: E402  the reference's fold

BUILD = pathlib.Path(os.environ.get("GEMMINE_BUILD", "build")).resolve()
SLOW = float(os.environ.get("GEMMINE_SLOW", "1"))  # sanitized builds take longer
SEED = int(os.environ.get("GEMMINE_SEED", "1"))
FUND = 10**12


class EndToEnd(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gemmine-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.random = random.Random(f"{SEED} {self.id()}")

    def toy(self, **changes):
        return toyjob.write(self.folder / "job", **changes)

    def cluster(self, job, **options):
        made = cluster.Cluster(BUILD, job, fund=FUND, **options)
        self.addCleanup(made.__exit__, None, None, None)
        return made

    def run_program(self, program, *arguments, **options):
        made = self.cluster(self.folder / "none.toml")
        return made.run(program, *arguments, check=False, **options)

    def finish(self, c, miners, timeout=60):
        """Waits for the miners and stops the pool; returns the ledger after checking it."""
        for miner in miners:
            self.assertEqual(miner.wait(timeout * SLOW), 0, miner.tail())
        self.assertEqual(c.processes["pool"].stop(20 * SLOW), 0, c.processes["pool"].tail())
        return self.checked_ledger(c, miners)

    def checked_ledger(self, c, miners=()):
        path = c.export()
        c.run("gemmine-verify", "ledger", path)  # signatures, rules, postings
        ledger = ledgerfile.Ledger(path)
        self.check_money(ledger)
        self.check_fold(path, ledger)
        self.check_acknowledged(ledger, miners)
        return ledger

    def check_fold(self, path, ledger):
        """A second implementation takes every record, and comes to the same balances."""
        fold = fold_file.fold_ledger(path.read_bytes())
        self.assertEqual(fold.seq, len(ledger.records))
        self.assertEqual({a: v for a, v in fold.accounts.items() if v},
                         {a: v for a, v in ledger.accounts.items() if v})

    def check_money(self, ledger):
        """PROTOCOL 8.4 from the outside: sums, and nobody paid twice."""
        self.assertEqual(sum(ledger.accounts.values()), 0)
        closed = [close.lease_id for close in ledger.closes]
        self.assertEqual(len(closed), len(set(closed)), "a lease was closed twice")
        causes = [post.cause for post in ledger.posts]
        self.assertEqual(len(causes), len(set(causes)), "a record was paid twice")
        shares = [(share.lease_id, share.index) for share in ledger.shares]
        self.assertEqual(len(shares), len(set(shares)), "a share is logged twice")
        if not ledger.final_theta():
            return
        for account, amount in ledger.accounts.items():
            if account.startswith("escrow:"):
                self.assertEqual(amount, 0, account)
        paid = sum(amount for account, amount in ledger.accounts.items()
                   if account.startswith(("account:", "fee:")))
        self.assertEqual(ledger.accounts["external"], -paid)

    def check_acknowledged(self, ledger, miners):
        """What a miner was told is in the ledger is there, at the place it was told."""
        for miner in miners:
            for event in miner.events("share_accepted"):
                seq = int(event["ledger_seq"])
                self.assertLess(seq, len(ledger.records), miner.name)
                self.assertEqual(ledger.records[seq].kind, "share")
                share = next(s for s in ledger.shares if s.seq == seq)
                self.assertEqual(share.index, int(event["index"]))
                self.assertTrue(share.lease_id.hex().startswith(event["lease"]), event)

    def check_root(self, c, ledger, honest=None):
        """The pool's model is what one machine alone trains, bit for bit."""
        self.assertIsNotNone(ledger.final_theta(), "the job did not finish")
        honest = honest or c.train()["state_root"]
        self.assertEqual(ledger.final_theta().hex(), honest)
        return honest
