"""What people met while they ran a pool."""
import json
import unittest

import case


class Watching(case.Case):
    def test_A5_an_auditor_gets_the_whole_ledger_after_a_restart(self):
        c = self.cluster(self.toy(rounds=1))
        c.start_pool(exit_when_finished=False)
        ledger = self.finish(c, [c.miner("miner").start()])
        pool = c.processes["pool"].start()
        c.wait_listening()
        auditor = c.auditor("auditor", "--json", rate=0).start()
        self.assertEqual(auditor.wait(20), 0, auditor.tail())
        report = json.loads(auditor.text().splitlines()[-1])
        self.assertGreaterEqual(report["records"], len(ledger.records))
        self.assertEqual(pool.stop(20), 0, pool.tail())


if __name__ == "__main__":
    unittest.main(verbosity=2)
