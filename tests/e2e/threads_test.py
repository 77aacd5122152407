"""Leases that are paid for by a thread: the pool asks, the miner answers."""
import time
import re
import unittest

import base
import toyjob

# Every lease is a batch of its own, with one thread; replays are the part that thefts ask for.
POLICY = {"batch_leases": 1, "first_batch": 1, "first_audits": 0, "threads": 1}
ALWAYS = "[audit]\nalways_threads = true\n"


class Threads(base.EndToEnd):
    def run_with(self, job, rounds):
        c = self.cluster(job, pool_toml=ALWAYS)
        c.start_pool(exit_when_finished=False)
        miners = [c.miner(f"miner{i}").start() for i in range(2)]
        ledger = self.finish(c, miners)
        self.assertEqual(len(ledger.merges), rounds)
        self.check_root(c, ledger)
        asked = [event for miner in miners for event in miner.events("thread_asked")]
        answered = [event for miner in miners for event in miner.events("thread_answered")]
        self.assertTrue(asked)
        self.assertTrue(answered)  # not all: a replay that comes first ends a question
        self.assertEqual({v.outcome for v in ledger.verdicts}, {"valid"})
        self.assertIn("thread", {v.kind for v in ledger.verdicts})
        return ledger

    def test_of_a_small_network_are_right(self):
        self.run_with(self.toy(rounds=4, now_ppm=0, replays_ppm=500_000, **POLICY), 4)

    def test_of_a_language_model_are_right(self):
        self.run_with(
            toyjob.write_lm(self.folder / "job", replays_ppm=500_000, **POLICY), 3)

    def asking(self, **changes):
        """A pool that asks for a thread of every lease that it does not run again."""
        job = self.toy(**{"rounds": 4, "now_ppm": 0, "replays_ppm": 500_000, **POLICY, **changes})
        c = self.cluster(job, pool_toml=ALWAYS)
        c.start_pool(exit_when_finished=False)
        return c

    def test_find_a_thief_who_was_honest_before(self):
        c = self.asking(rounds=12, replays_ppm=1)
        pool = c.processes["pool"]
        thief = c.adversary("thief", "stale-state", fraction=1.0, honest_leases=2).start()
        thief.wait_for(r" lease_closed .*reason=complete", timeout=30)
        honest = c.miner("honest").start()
        ledger = self.finish(c, [honest], timeout=120)
        wrong = ledger.wrong(c.pool_key)
        merged = {lease_id for merge in ledger.merges for lease_id in merge.leases}
        taken_out = {lease_id for merge in ledger.merges for lease_id in merge.subtracted}
        self.assertLessEqual(set(wrong) & merged, taken_out)
        self.assertEqual({ledger.miner_of(lease_id) for lease_id in wrong}, {"thief"})
        asked = {event["lease"] for event in pool.events("thread_asked")}
        self.assertLessEqual({lease_id.hex()[:12] for lease_id in wrong}, asked)
        self.assertTrue(pool.events("thread_wrong"), "found by replays alone")
        self.assertEqual(ledger.paid("honest"), len(ledger.complete("honest")))

    def test_of_a_slow_miner_come_in_time(self):
        c = self.asking(rounds=2, replays_ppm=1)
        slow = c.miner("slow", "--throttle", 5).start()
        ledger = self.finish(c, [slow], timeout=120)
        self.assertNotIn("unanswered", {v.kind for v in ledger.verdicts})
        self.assertIn("thread", {v.kind for v in ledger.verdicts})
        self.assertEqual(ledger.paid("slow"), len(ledger.complete("slow")))
        self.assertFalse(ledger.bans)

    def test_are_answered_to_a_pool_that_was_killed(self):
        c = self.asking(rounds=16, replays_ppm=1)
        pool = c.processes["pool"]
        miner = c.miner("miner").start()
        for _ in range(3):
            before = len(pool.text())
            pool.wait_for(r" thread_asked ", timeout=30, start=before)
            pool.kill()
            pool.start()
            c.wait_listening()
            miner.stop()
            miner.start()
        ledger = self.finish(c, [miner])
        self.assertEqual({v.outcome for v in ledger.verdicts}, {"valid"})
        self.check_root(c, ledger)

    def test_that_never_come_are_drawn_again_and_paid(self):
        c = self.asking(rounds=8, thread_blocks=1, steps_per_lease=2, steps_per_share=2, slots=1,
                        answer_ms=1_000, replays_ppm=1)
        pool = c.processes["pool"]
        miner = c.miner("miner")
        for _ in range(7):  # until it is killed before it has answered
            before = len(pool.text())
            miner.start()
            pool.wait_for(r" thread_asked ", timeout=30, start=before)
            miner.kill()
            asked = pool.events("thread_asked")[-1]
            time.sleep(1)
            if not re.search(rf" verdict lease={asked['lease']} ", pool.text()):
                break
        pool.wait_for(rf" verdict lease={asked['lease']} .*kind=unanswered",
                      timeout=20 + int(asked["answer_ms"]) / 1000)
        miner.start()
        ledger = self.finish(c, [miner])
        self.assertIn("unanswered", {v.kind for v in ledger.verdicts})
        self.assertFalse([v for v in ledger.verdicts if v.outcome == "invalid"])
        self.assertEqual(ledger.paid("miner"), 8)
        self.assertFalse(ledger.bans)

    def test_are_answered_by_a_miner_that_was_killed(self):
        c = self.cluster(self.toy(rounds=4, now_ppm=0, replays_ppm=500_000, **POLICY),
                         pool_toml=ALWAYS)
        c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        miner.wait_for(r" thread_asked ", timeout=30)
        miner.kill()
        miner.start()
        ledger = self.finish(c, [miner])
        self.assertEqual({v.outcome for v in ledger.verdicts}, {"valid"})
        self.check_root(c, ledger)


if __name__ == "__main__":
    unittest.main(verbosity=2)
