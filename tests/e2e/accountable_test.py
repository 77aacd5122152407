"""The pool is held to what it signed: growth passes; a cut, a rewrite and a rollback do not."""
import glob
import json
import pathlib
import re
import shutil
import sys
import unittest

import base
import cluster
import hostile_pool
import ledgerfile
from cluster import wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "vectors"))
import ed25519  # noqa: E402
import records  # noqa: E402

POST = 14  # kind of a record


def export_of(ledger):
    """(record's bytes, signature) of every record of an exported ledger."""
    data, out = ledgerfile.Cursor(ledger.read_bytes()), []
    while not data.done():
        out.append((data.blob(), data.take(64)))
    return out


def write_export(path, entries):
    path.write_bytes(b"".join(records.blob(packed) + signature for packed, signature in entries))
    return path


def forged(entries, change, seed=None):
    """The ledger with record i as change(i, packed) has it, every head following. With the pool's
    seed it is signed anew; without it the old signatures stay, which is all that others can do."""
    out, head = [], bytes(32)
    for i, (packed, signature) in enumerate(entries):
        packed = change(i, packed)
        head = records.domain("ledger", head + packed)
        if seed:
            signature = ed25519.sign(seed, records.domain("head", packed[:16] + head))
        out.append((packed, signature))
    return out


class Accountable(base.EndToEnd):
    def finished(self):
        c = self.cluster(self.toy(rounds=1))
        c.start_pool()
        self.finish(c, [c.miner("miner").start()])
        return c

    def verify(self, c, ledger, *extra, home=None):
        """Exit code and output of gemmine-verify ledger, remembering in a folder of our own."""
        env = c.environment(home or "judge")
        done = c.run("gemmine-verify", "ledger", ledger, *extra, check=False, env=env)
        return done.returncode, done.stdout + done.stderr

    def receipts(self, c, name):
        return json.loads(c.run("gemmine", "receipts", "--data", c.data(name), "--json").stdout)

    def test_a_ledger_may_grow_and_not_shrink(self):
        c = self.finished()
        whole = c.export()
        entries = export_of(whole)
        half = write_export(self.folder / "half.bin", entries[:len(entries) // 2])
        code, out = self.verify(c, half)
        # Cut anywhere, a post may be what is missing; then the file is refused for that alone.
        self.assertIn(code, (0, 10), out)
        code, out = self.verify(c, whole)
        self.assertEqual(code, 0, out)
        head = ledgerfile.Ledger(whole).head
        self.assertIn(head.hex(), out)
        code, out = self.verify(c, whole)
        self.assertEqual(code, 0, out)
        last = max(k for k in range(len(entries)) if entries[k][0][16] != POST)
        for cut in (last, 4):
            code, out = self.verify(c, write_export(self.folder / "cut.bin", entries[:cut]))
            self.assertEqual(code, 12, out)
            self.assertIn("cut: it ends after record", out)
        # Who has never seen this pool takes the short one for whole, unless he is given a head.
        short = write_export(self.folder / "short.bin", entries[:4])
        self.assertEqual(self.verify(c, short, home="stranger")[0], 0)
        given = [line.split()[-1] for line in self.verify(c, whole)[1].splitlines()
                 if line.startswith("signed_head")][0]
        code, out = self.verify(c, short, "--head", given, home="another")
        self.assertEqual(code, 12, out)

    def test_a_ledger_rewritten_by_hand_is_refused(self):
        c = self.finished()
        entries = export_of(c.export())

        def steal(_, packed):
            return packed.replace(b"\x05\x00miner", b"\x05\x00thief")

        forgery = forged(entries, steal)
        self.assertNotEqual(forgery, entries)
        code, out = self.verify(c, write_export(self.folder / "forged.bin", forgery))
        self.assertEqual(code, 10, out)

        def later(i, packed):  # every rule is kept, and who is paid stays
            return packed if i + 1 < len(entries) else \
                packed[:8] + records.u64(int.from_bytes(packed[8:16], "little") + 1) + packed[16:]

        code, out = self.verify(c, write_export(self.folder / "later.bin", forged(entries, later)))
        self.assertEqual(code, 10, out)
        self.assertIn("the pool has not signed", out)

    def test_a_pool_that_rewrites_its_own_ledger_is_convicted_by_two_heads(self):
        c = self.finished()
        entries = export_of(c.export())
        seed = (c.data("pool") / "pool.key").read_bytes()

        def fee(i, packed):
            return packed.replace(b"\x04\x00pool", b"\x04\x00mine") if i == 0 else packed

        cut = 3  # genesis, job, fund: no post of a fee yet
        again = forged(entries[:cut + 1], fee, seed)
        rewritten = write_export(self.folder / "rewritten.bin", again)
        code, out = self.verify(c, rewritten, home="stranger")
        self.assertEqual(code, 0, out)  # alone, it is a ledger like any other
        original = write_export(self.folder / "first.bin", entries[:cut + 1])
        self.assertEqual(self.verify(c, original)[0], 0)
        code, out = self.verify(c, rewritten)
        self.assertEqual(code, 10, out)
        self.assertIn("rewrite: the pool's ledger says something else now", out)
        proofs = list(c.data("homes/judge").rglob("*.proof"))
        self.assertEqual(len(proofs), 1, out)
        self.assertEqual(proofs[0].read_bytes()[:17], b"gemmine proof 2\n\x06")
        self.assertIn(str(proofs[0]), out)
        decided = c.run("gemmine-verify", "proof", proofs[0], "--pool-key", c.pool_key, check=False)
        self.assertEqual(decided.returncode, 10, decided.stdout)

    def test_another_pool_s_key_is_refused(self):
        c = self.finished()
        ledger = c.export()
        self.assertEqual(self.verify(c, ledger, "--pool-key", c.pool_key)[0], 0)
        code, out = self.verify(c, ledger, "--pool-key", "ab" * 32)
        self.assertEqual(code, 10, out)
        self.assertIn("--pool-key does not name", out)
        self.assertEqual(self.verify(c, ledger, "--pool-key", "abc")[0], 2)

    def test_a_restored_pool_that_lost_its_tail_is_told_from_its_heads(self):
        c = self.cluster(self.toy(rounds=8))
        pool = c.start_pool(exit_when_finished=False)
        first = c.miner("first").start()
        first.wait_for("share_accepted")
        copy = self.folder / "copy"
        c.run("gemmine-pool", "backup", c.data("pool"), copy)
        # The pool acknowledged shares of a lease that the copy has never heard of.
        copied = {row["lease"] for row in self.receipts(c, "first")}

        def lost_leases():
            return [row["file"] for row in self.receipts(c, "first")
                    if row["lease"] not in copied and row["acknowledged"] > 0]

        wait_until(lost_leases, 60, first.tail, first)
        first.stop(20)
        pool.stop(20)
        lost = shutil.copy(lost_leases()[0], self.folder / "lost")
        whole = c.export().rename(self.folder / "whole.bin")
        self.assertEqual(self.verify(c, whole)[0], 0)
        shutil.rmtree(c.data("pool"))
        copy.rename(c.data("pool"))
        pool = c.pool(exit_when_finished=False).start()
        c.wait_listening()
        # Who has seen what is gone does not work on; who has not, or forgets it, does.
        again = c.miner("first").start()
        self.assertEqual(again.wait(60), 10, again.tail())
        again.wait_for("rollback: the pool's ledger went back")
        again = c.miner("first").start()  # nor does it begin anew with such a pool
        self.assertEqual(again.wait(60), 10, again.tail())
        again.wait_for("the pool was seen to contradict what it had signed")
        self.assertNotRegex(again.text().rpartition(" connected ")[2], " (lease|share)")
        for said in re.findall(r"removes (\S+\.head) and (\S+\.proof)", again.text())[0]:
            for file in glob.glob(said):  # its owner says that it shall go on
                pathlib.Path(file).unlink()
        for miner in [c.miner("first").start(), c.miner("other").start()]:
            self.assertEqual(miner.wait(60), 0, miner.tail())
        auditor = c.auditor("auditor", home="judge").start()
        self.assertEqual(auditor.wait(60), 10, auditor.tail())
        self.assertIn("rollback: the pool's ledger went back", auditor.text())
        self.assertEqual(pool.stop(20), 0, pool.tail())
        code, out = self.verify(c, c.export())
        self.assertEqual(code, 10, out)
        self.assertIn("rollback", out)
        # Nor does a stranger take it, who is shown what a miner was told before.
        self.assertEqual(self.verify(c, whole, "--receipts", lost, home="stranger")[0], 0)
        code, out = self.verify(c, c.export(), "--receipts", lost, home="another")
        self.assertEqual(code, 10, out)
        self.assertIn("rollback", out)

    def audit_of(self, c, name, *ledgers):
        """What an auditor says who meets a pool that shows these ledgers, one a connection."""
        job = ledgerfile.Cursor(ledgerfile.Ledger(c.export()).of("job")[0].body).blob()
        c.port = cluster.free_port()
        pool = hostile_pool.TwoLedgers(c.port, c.data("pool"), job, bytes(32), ledgers)
        pool.start()
        auditor = c.auditor(name).start()
        try:
            return auditor.wait(30), auditor.text(), pool
        finally:
            pool.stopped = True
            auditor.kill()

    def test_a_forking_pool_is_convicted_by_the_auditor_who_saw_both_sides(self):
        c = self.finished()
        entries = export_of(c.export())[:5]
        seed = (c.data("pool") / "pool.key").read_bytes()

        def later(i, packed):
            time_ms = int.from_bytes(packed[8:16], "little")
            return packed[:8] + records.u64(time_ms + (i >= 4) * 10) + packed[16:]

        def fee(i, packed):
            return packed.replace(b"\x04\x00pool", b"\x04\x00mine") if i == 0 else packed

        for change, word in ((later, "rollback"), (fee, "rewrite")):
            code, out, pool = self.audit_of(c, word, entries, forged(entries, change, seed))
            self.assertEqual(code, 10, out)
            self.assertIn(f"invalid: {word}: ", out)
            self.assertEqual(pool.asked, [0, len(entries) - 1], "the last record again")
            (proof,) = (c.folder / "homes" / word).rglob("*.proof")
            decided = c.run("gemmine-verify", "proof", proof, "--pool-key", c.pool_key, check=False)
            self.assertEqual(decided.returncode, 10, decided.stdout)
        # A tail that somebody else rewrote is not signed at all.
        code, out, _ = self.audit_of(c, "tail", entries[:4], entries[:4] + forged(
            entries, later)[4:])
        self.assertEqual(code, 10, out)
        self.assertIn("not signed by the pool", out)

    def test_a_pool_that_comes_back_and_stands_by_its_ledger_is_believed(self):
        c = self.cluster(self.toy(rounds=2))
        pool = c.start_pool(exit_when_finished=False)
        auditor = c.auditor("auditor").start()
        auditor.wait_for("connected")
        miner = c.miner("miner").start()
        miner.wait_for("share_accepted")
        pool.kill()
        pool.start()
        self.assertEqual(miner.wait(60), 0, miner.tail())
        self.assertEqual(auditor.wait(60), 0, auditor.tail())
        again = c.auditor("auditor").start()  # another run, with what the first one remembers
        self.assertEqual(again.wait(60), 0, again.tail())

    def test_receipts_are_kept_and_checked_by_a_stranger(self):
        c = self.finished()
        kept = self.receipts(c, "miner")
        ledger = ledgerfile.Ledger(c.export())
        self.assertEqual({row["lease"] for row in kept}, {id.hex() for id in ledger.leases})
        for row in kept:
            self.assertEqual(row["acknowledged"], row["shares"])
            self.assertIn("complete", row["end"])
            self.assertEqual(row["fault"], "")
        # The verdicts of a batch come after its leases are closed.
        self.assertGreater(sum(row["verdicts"] for row in kept), 0)
        # What a batch earned is told of each of its leases, and adds up to the account.
        tokens = {(row["batch"], row["tokens"]) for row in kept}
        self.assertEqual({row["settled"] for row in kept}, {"paid"})
        self.assertEqual(sum(n for _, n in tokens), ledger.accounts["account:miner"])
        listed = c.run("gemmine", "receipts", "--data", c.data("miner")).stdout
        self.assertIn("every word is signed", listed)
        self.assertRegex(listed, r"issued 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC")
        self.assertIn(f"{len(kept)} leases; {sum(n for _, n in tokens)} tokens", listed)
        c.processes["miner"].wait_for(" paid tokens=")
        file = pathlib.Path(kept[0]["file"])
        compared = c.run("gemmine-verify", "ledger", c.export(), "--receipts", file).stdout
        self.assertRegex(compared, rf"valid +receipts: \d+ words of {file} are in the ledger")
        other = self.cluster(self.toy(rounds=1))
        other.start_pool()
        self.finish(other, [other.miner("miner").start()])
        foreign = c.run("gemmine-verify", "ledger", other.export(), "--receipts", file, check=False)
        self.assertEqual(foreign.returncode, 10, foreign.stdout)
        self.assertIn(f"receipts of pool {c.pool_key}; this ledger is of", foreign.stdout)
        c.run("gemmine-verify", "receipts", file, "--pool-key", c.pool_key)
        refuse = c.run("gemmine-verify", "receipts", file, "--pool-key", "ab" * 32, check=False)
        self.assertEqual(refuse.returncode, 10, refuse.stdout)
        raw = bytearray(file.read_bytes())
        raw[-1] ^= 1
        file.write_bytes(raw)
        spoilt = c.run("gemmine-verify", "receipts", file, "--pool-key", c.pool_key, check=False)
        self.assertEqual(spoilt.returncode, 10, spoilt.stdout)
        self.assertIn("the pool has not signed this record", spoilt.stdout)
        compared = c.run("gemmine-verify", "ledger", c.export(), "--receipts", file, check=False)
        self.assertEqual(compared.returncode, 10, compared.stdout)
        self.assertIn("the pool has not signed this record", compared.stdout)
        listed = c.run("gemmine", "receipts", "--data", c.data("miner"), check=False)
        self.assertEqual(listed.returncode, 10, listed.stdout)

    def test_a_live_pool_of_another_key_is_refused(self):
        c = self.cluster(self.toy(rounds=1))
        c.start_pool(exit_when_finished=False)
        right = c.miner("miner", "--pool-key", c.pool_key).start()
        self.assertEqual(right.wait(60), 0, right.tail())
        wrong = c.miner("wrong", "--pool-key", "cd" * 32).start()
        self.assertEqual(wrong.wait(60), 6, wrong.tail())
        wrong.wait_for("--pool-key does not name")
        auditor = c.auditor("auditor", "--pool-key", "cd" * 32).start()
        self.assertEqual(auditor.wait(60), 6, auditor.tail())


if __name__ == "__main__":
    unittest.main(verbosity=2)
