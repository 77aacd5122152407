"""A thousand free keys against a real pool (economics.md §7): what they take from honest miners."""
import json
import unittest

import base

KEYS = 1000
SLOTS = 8
QUARTER = SLOTS // 4
LEASE_MS = 4_000
POOL = "[limits]\nconnections_per_ip = 2000\n"
# Batches of four leases; the first of a key is looked at before it is merged.
TERMS = {"slots": SLOTS, "rounds": 6, "batch_leases": 4, "first_batch": 1, "now_ppm": 0,
         "lease_ms": LEASE_MS, "steps_per_lease": 40, "steps_per_share": 10, "batch": 128}


class FreeKeys(base.EndToEnd):
    def besieged(self, weapon, **changes):
        """A job with two honest miners who have shown what they can, and the crowd."""
        c = self.cluster(self.toy(**{**TERMS, **changes}), pool_toml=POOL)
        pool = c.start_pool(exit_when_finished=False)
        honest = [c.miner(name, "--throttle", 20).start() for name in ("alice", "bob")]
        pool.wait_for(r"(?s) verdict .*outcome=valid.* verdict .*outcome=valid", 30)
        crowd = c.add("crowd", [c.program("gemmine-adversary"), "crowd", "--pool",
                                f"127.0.0.1:{c.port}", "--pin", c.pin, "--weapon", weapon,
                                "--keys", KEYS, "--at-once", 200]).start()
        for miner in honest:
            self.assertEqual(miner.wait(240 * base.SLOW), 0, miner.tail())
        self.assertEqual(crowd.stop(20 * base.SLOW), 0, crowd.tail())
        self.did = json.loads(crowd.text().strip().splitlines()[-1])
        print(f"  {weapon}: {self.did}", flush=True)
        ledger = self.finish(c, [])
        # Nobody honest loses a token, and the model is what one machine alone trains.
        for name in ("alice", "bob"):
            self.assertGreater(ledger.paid(name), 0)
            self.assertEqual(ledger.paid(name), len(ledger.complete(name)), name)
        self.assertEqual(ledger.paid("crowd"), 0)
        self.assertFalse(ledger.bans)
        self.check_root(c, ledger)
        return c, ledger

    def strangers(self, ledger):
        return {i for i in ledger.leases if ledger.miner_of(i) == "crowd"}

    def runs(self, c, ledger):
        """What the pool ran again, by lease."""
        own = [v for v in ledger.verdicts if v.auditor.hex() == c.pool_key and v.kind == "replay"]
        out = {v.lease_id: v for v in own}
        self.assertEqual(len(out), len(own), "a lease was run twice")
        return out

    def test_hoarders_hold_a_quarter_of_the_slots(self):
        _, ledger = self.besieged("hoard")
        strangers = self.strangers(ledger)
        self.assertGreater(len(strangers), QUARTER, "no slot was given out a second time")
        closed = {close.lease_id: close for close in ledger.closes}
        granted = dict(zip((record.seq for record in ledger.of("lease")), ledger.leases))
        held, most, time_held = set(), 0, 0
        for record in ledger.records:
            if granted.get(record.seq) in strangers:
                held.add(granted[record.seq])
            elif record.kind == "close":
                held.discard(record.body[:32])
            most = max(most, len(held))
        self.assertEqual(most, QUARTER)
        for lease_id in strangers:
            time_held += closed[lease_id].time_ms - ledger.leases[lease_id].issued_ms
        whole = ledger.merges[-1].time_ms - ledger.of("lease")[0].time_ms
        print(f"  held {time_held / (SLOTS * whole):.1%} of the slots' time")
        self.assertLess(time_held, SLOTS * whole / 4)

    def test_garbage_costs_one_step_a_key(self):
        c, ledger = self.besieged("garbage")
        strangers = self.strangers(ledger)
        runs = self.runs(c, ledger)
        wrong = [runs[i] for i in strangers if i in runs]
        self.assertGreater(len(wrong), QUARTER)  # each holds its slot until nobody defends it
        self.assertEqual({(v.outcome, v.index, v.step) for v in wrong}, {("invalid", 0, 0)})
        merged = {i for merge in ledger.merges for i in merge.leases}
        self.assertFalse(merged & strangers)

    def test_lies_about_honest_leases_are_one_run_each(self):
        c, ledger = self.besieged("accuse")
        lies = [v for v in ledger.verdicts if v.auditor.hex() != c.pool_key]
        self.assertGreater(len(lies), 10)
        self.assertLessEqual(len(lies), KEYS)
        self.assertEqual(len({v.auditor for v in lies}), len(lies), "a liar was heard twice")
        runs = self.runs(c, ledger)
        self.assertEqual({v.outcome for v in runs.values()}, {"valid"})

    def test_all_of_it_at_once_stops_nobody(self):
        c, ledger = self.besieged("mixed")
        self.assertTrue(self.strangers(ledger))
        self.assertTrue([v for v in ledger.verdicts if v.auditor.hex() != c.pool_key])
        self.runs(c, ledger)


if __name__ == "__main__":
    unittest.main(verbosity=2)
