"""A pool may send a miner anything: every lease it cannot work on is told and given back."""
import struct
import unittest

import base
import cluster
import hostile_pool
import ledgerfile
import toyjob

STEPS = 8


class Hostile(base.EndToEnd):
    def address(self, data):
        path = self.folder / "blob"
        path.write_bytes(data)
        return bytes.fromhex(self.run_program("gemmine-verify", "digest", path).stdout.split()[0])

    def test_weights_that_are_none_are_told_and_the_miner_lives_on(self):
        # Weights of one part: this pool knows no paths to a root.
        job = toyjob.write_lm(self.folder / "job", words=2001, steps_per_lease=STEPS, hidden=64,
                              blocks=1, tied="true")
        c = self.cluster(job)
        c.start_pool(exit_when_finished=False)
        c.processes["pool"].stop()
        ledger = ledgerfile.Ledger(c.export())
        posted = ledgerfile.Cursor(ledger.of("job")[0].body)
        job_bytes, theta = posted.blob(), posted.take(32)
        blobs = {bytes.fromhex(path.name): path.read_bytes()
                 for path in (c.data("pool") / "blobs").iterdir() if len(path.name) == 64}
        weights = blobs[theta]
        data = ledger.train_address()  # the miner has it, and it is no whole number of floats
        self.assertNotEqual(len(blobs[data]) % 4, 0)
        nan = weights[:400] + struct.pack("<f", float("nan")) + weights[404:]
        wrong = [bytes([n]) * 32 for n in (1, 2)]
        blobs.update({self.address(nan): nan, wrong[0]: weights,
                      wrong[1]: (weights, len(weights) + 4)})
        held = [data]
        offers = [wrong[0], wrong[1], self.address(nan), theta]  # longer pauses after each
        pool = hostile_pool.HostilePool(c.port, c.data("pool"), job_bytes,
                                        ledgerfile.derive("job", job_bytes), STEPS, blobs, held,
                                        offers)
        pool.start()
        miner = c.miner("miner").start()
        cluster.wait_until(lambda: pool.shares or pool.failure, 60 * base.SLOW, miner.tail, miner)
        self.assertIsNone(pool.failure, miner.tail())
        reasons = [event["reason"] for event in miner.events("lease_abandoned")]
        length = rf"the weights of round 0: .*has %d bytes; .*has {len(weights)}$"
        expected = [length % len(blobs[data]), "the weights of round 0: ",
                    length % (len(weights) + 4), "NaN or infinity"]
        self.assertEqual(len(reasons), len(expected), miner.tail())
        for reason, pattern in zip(reasons, expected):
            self.assertRegex(reason, pattern)
        self.assertEqual(len(pool.abandoned), len(expected))
        self.assertEqual(miner.stop(), 0, miner.tail())


if __name__ == "__main__":
    unittest.main(verbosity=2)
