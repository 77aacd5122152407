"""Deltas and weights of large models: they arrive, through kills and slow lines, in little memory.

The job is one step of an MLP of 64 million parameters: 256 MB of weights down, 64 MB of delta up.
Over the line of 2 MB/s it is one of 4 million: 17 MB down, 4 MB up, so that it ends in time.
"""
import pathlib
import re
import threading
import time
import unittest

import base
import cluster
import slowproxy

LARGE = dict(width="7936, 7936", warmup=1, batch=1, steps_per_lease=1, steps_per_share=1,
             slots=1, rounds=1, first_audits=0, lease_ms=600_000)
MEDIUM = LARGE | dict(width="2048, 2048")
PARAMETERS = 63_700_000  # of LARGE, about
DELTA = PARAMETERS + PARAMETERS // 128
# Peak bytes of memory a parameter. The pool's replay holds θ (4), a state (8), its engine (12) and
# a delta (1), its merge θ, the sums (8), a delta and the next θ. The miner holds θ twice, its
# state twice (weights and momentum) and its engine: 36 were measured.
POOL_BYTES_MAX = 32
MINER_BYTES_MAX = 48
LOGIN_SECONDS_MAX = 3.0  # of another miner, its process and all, while 64 MB come in


class Memory(threading.Thread):
    """The highest VmHWM that a process was seen to have."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.most = process, 0
        self.start()

    def run(self):
        while self.process.running():
            self.look()
            time.sleep(0.05)

    def look(self):
        try:
            status = pathlib.Path(f"/proc/{self.process.popen.pid}/status").read_text()
            self.most = max(self.most, int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10)
        except (OSError, TypeError):
            pass  # it is gone


class Transfer(base.EndToEnd):
    def half(self, c):
        """Bytes of the half delta that the pool has."""
        sizes = [0]
        for path in (c.data("pool") / "blobs" / "incoming").glob("*.part"):
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:
                pass
        return max(sizes)

    def through(self, c, rate):
        """Clients that start from now on come through a line of so many bytes a second."""
        proxy = slowproxy.SlowProxy(c.port, rate)
        self.addCleanup(proxy.close)
        direct, c.port = c.port, proxy.port
        return proxy, direct

    def complete(self, c, miner, timeout):
        ledger = self.finish(c, [miner], timeout=timeout)
        self.assertEqual([close.reason for close in ledger.closes], ["complete"])
        self.assertIsNotNone(ledger.final_theta(), "nothing was merged")
        self.assertEqual(self.half(c), 0, "a half delta was left")

    def test_a_large_model_is_trained_and_merged_in_bounded_memory(self):
        c = self.cluster(self.toy(**LARGE))
        pool = c.start_pool(exit_when_finished=False)
        memory = Memory(pool)
        miner = c.miner("miner").start()
        mined = Memory(miner)
        slowest = 0.0
        logins = 0
        while miner.running() and logins < 400:
            if not pool.events("share"):
                time.sleep(0.05)
                continue
            begun = time.monotonic()
            c.run("gemmine", "mine", *c.client_options("other"), "--account", "other", "--dry-run")
            slowest = max(slowest, time.monotonic() - begun)
            logins += 1
        self.complete(c, miner, 120)
        print(f"\npool {memory.most >> 20} MiB, miner {mined.most >> 20} MiB; "
              f"{logins} logins meanwhile, the slowest took {slowest:.3f} s")
        self.assertGreater(mined.most, 4 * PARAMETERS)
        self.assertLess(memory.most, POOL_BYTES_MAX * PARAMETERS)
        self.assertLess(mined.most, MINER_BYTES_MAX * PARAMETERS)
        self.assertGreater(logins, 0)
        self.assertLess(slowest, LOGIN_SECONDS_MAX * base.SLOW)

    def test_an_upload_goes_on_after_the_pool_was_killed(self):
        c = self.cluster(self.toy(**LARGE))
        pool = c.start_pool(exit_when_finished=False)
        _, direct = self.through(c, 40 << 20)
        miner = c.miner("miner").start()
        cluster.wait_until(lambda: self.half(c) > DELTA // 4, 120 * base.SLOW,
                           lambda: "no delta came\n" + miner.tail() + pool.tail(), miner)
        pool.kill()
        had = self.half(c)
        self.assertLess(had, DELTA, "the kill came too late")
        c.port = direct
        pool.start()
        c.wait_listening(60 * base.SLOW)
        least = had
        while miner.running() and not pool.events("lease_closed"):
            least = min(least, self.half(c) or least)
        self.assertGreaterEqual(least, had - (64 << 10), "the upload began again")
        self.complete(c, miner, 120)

    def test_a_line_of_two_megabytes_a_second_is_enough(self):
        c = self.cluster(self.toy(**MEDIUM))
        c.start_pool(exit_when_finished=False)
        proxy, direct = self.through(c, 2 << 20)
        miner = c.miner("miner").start()
        miner.wait(120 * base.SLOW)
        self.assertGreater(proxy.carried["up"], 4_000_000)
        self.assertLess(proxy.carried["up"], 6_000_000, "parts were sent again and again")
        c.port = direct
        self.complete(c, miner, 10)


if __name__ == "__main__":
    unittest.main(verbosity=2)
