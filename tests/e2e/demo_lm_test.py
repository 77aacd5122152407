"""The language model's demo in its short form: every claim of its report holds."""
import pathlib
import subprocess
import sys
import unittest

import base


class DemoLm(base.EndToEnd):
    def test_the_quick_demo_holds_every_claim(self):
        if not pathlib.Path("/usr/lib/R/site-library/janeaustenr").is_dir():
            self.skipTest("NOT TESTED: Debian's package r-cran-janeaustenr is not installed")
        script = pathlib.Path(__file__).with_name("demo_lm.py")
        done = subprocess.run(
            [sys.executable, script, "--build", base.BUILD, "--quick", "--keep",
             self.folder / "run"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
