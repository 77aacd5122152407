"""The demo in its short form: every claim of its report holds."""
import json
import pathlib
import subprocess
import sys
import unittest

import base


class Demo(base.EndToEnd):
    def test_the_quick_demo_holds_every_claim(self):
        if not pathlib.Path("/usr/share/datasets/fashion-mnist").is_dir():
            self.skipTest("NOT TESTED: Debian's package dataset-fashion-mnist is not installed")
        report = self.folder / "report.json"
        script = pathlib.Path(__file__).with_name("demo.py")
        done = subprocess.run(
            [sys.executable, script, "--build", base.BUILD, "--quick", "--report", report,
             "--keep", self.folder / "run"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        facts = json.loads(report.read_text())
        for name in ("accuracy", "miners", "shares", "macs", "verdicts", "cheater", "escrow",
                     "accounts", "state_root", "model"):
            self.assertIn(name, facts)
        self.assertTrue(all(facts["checks"].values()))


if __name__ == "__main__":
    unittest.main(verbosity=2)
