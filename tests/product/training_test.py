"""`gemmine train` by itself: stopped, killed, gone on with, its curves and its progress bar."""
import fcntl
import os
import pathlib
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest
import xml.etree.ElementTree

import tools

sys.path.append(str(tools.SOURCE / "tests/e2e"))
import toyjob  # noqa: E402


class Training(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gemmine-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def gemmine(self, code, *words):
        done = tools.run(tools.BUILD / "gemmine", "train", *words, cwd=self.folder)
        self.assertEqual(done.returncode, code, (words, done.stdout, done.stderr))
        return done

    def start(self, *words, **options):
        return subprocess.Popen([tools.BUILD / "gemmine", "train", *map(str, words)],
                                cwd=self.folder, **options)

    def wait_for(self, path, training):
        until = time.monotonic() + 60
        while not (self.folder / path).exists() and time.monotonic() < until:
            self.assertIsNone(training.poll(), "it ended too early")
            time.sleep(0.02)

    def test_killed_or_stopped_it_goes_on_to_the_same_bits(self):
        job = toyjob.write(self.folder / "job", rounds=5, steps_per_lease=800, width=256)
        whole = self.gemmine(0, job, "--model", "whole.safetensors").stdout
        root = re.search("state root (\\w+)", whole)[1]
        for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP):
            name = f"{how.name}.safetensors"
            training = self.start(job, "--model", name, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE)
            self.wait_for(f"{name}.checkpoint", training)
            time.sleep(0.15)
            training.send_signal(how)
            said = training.communicate(timeout=60)[1].decode()
            self.assertEqual(training.returncode, -9 if how == signal.SIGKILL else 128 + how, said)
            if how != signal.SIGKILL:
                self.assertRegex(said, f"go on with: gemmine train .* --model {name} --resume")
            done = self.gemmine(0, job, "--model", name, "--resume", "--curves", "c.csv")
            self.assertIn("Going on from", done.stderr)
            self.assertIn(root, done.stdout)
            self.assertEqual((self.folder / name).read_bytes(),
                             (self.folder / "whole.safetensors").read_bytes())
            self.assertFalse((self.folder / f"{name}.checkpoint").exists())
            # The rounds before the stop are in the table, too.
            lines = (self.folder / "c.csv").read_text().splitlines()
            self.assertEqual([line.split(",")[0] for line in lines[1:]], list("12345"))

    def test_a_checkpoint_is_of_its_job_and_never_lost_by_mistake(self):
        job = toyjob.write(self.folder / "job", rounds=3)
        self.gemmine(0, job, "--rounds", "1", "--model", "m")
        self.assertRegex(self.gemmine(3, job, "--model", "m").stderr,
                         r"m\.checkpoint: a training that has not ended left it here; go on with "
                         r"--resume, or remove it")
        other = toyjob.write(self.folder / "other", rounds=4)
        self.assertRegex(self.gemmine(3, other, "--model", "m", "--resume").stderr,
                         r"m\.checkpoint: is the checkpoint of another job")
        kept = (self.folder / "m.checkpoint").read_bytes()
        (self.folder / "m.checkpoint").write_bytes(kept[:-1])
        self.assertRegex(self.gemmine(3, job, "--model", "m", "--resume").stderr,
                         r"m\.checkpoint: is no checkpoint of a training, or is damaged")
        (self.folder / "m.checkpoint").unlink()
        self.assertIn("There is no checkpoint m.checkpoint yet",
                      self.gemmine(0, job, "--model", "m", "--resume").stderr)
        self.assertRegex(self.gemmine(2, job, "--resume").stderr, "--resume: say which")
        self.assertRegex(self.gemmine(2, job, "--model", "m", "--resume", "--from", "m").stderr,
                         "both say where to begin")

    def test_curves_are_a_table_and_a_picture(self):
        job = toyjob.write(self.folder / "job", rounds=4)
        self.gemmine(0, job, "--curves", "c.csv", "--curves", "c.svg")
        table = (self.folder / "c.csv").read_text().splitlines()
        self.assertEqual(table[0], "round,loss,test_loss,accuracy,seconds")
        self.assertEqual(len(table), 5)
        root = xml.etree.ElementTree.parse(self.folder / "c.svg").getroot()
        self.assertEqual(len(root.findall("{*}polyline")), 3)
        self.assertEqual(len(root.findall("{*}circle")), 12)
        long = toyjob.write(self.folder / "long", rounds=1000, steps_per_lease=1000)
        began = time.monotonic()
        self.assertRegex(self.gemmine(2, long, "--curves", "c.png").stderr, r"c\.png: curves are a")
        self.assertRegex(self.gemmine(1, long, "--curves", "no/such/c.svg").stderr, "--curves: ")
        self.assertRegex(self.gemmine(1, long, "--checkpoint", "no/such/c").stderr,
                         "--checkpoint: ")
        self.assertLess(time.monotonic() - began, 20)

    def test_a_bar_never_shares_a_line_with_a_result(self):
        job = toyjob.write(self.folder / "job", rounds=3, steps_per_lease=200, width=256)
        for columns in (100, 20):
            ours, theirs = pty.openpty()
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            training = self.start(job, stdin=theirs, stdout=theirs, stderr=theirs)
            os.close(theirs)
            shown = b""
            try:
                while chunk := os.read(ours, 4096):
                    shown += chunk
            except OSError:
                pass
            os.close(ours)
            self.assertEqual(training.wait(60), 0, shown)
            bars = re.findall(rb"\r\x1b\[K(training[^\r\n\x1b]*)", shown)
            self.assertGreater(len(bars), 2)
            self.assertLess(max(map(len, bars)), columns)
            # What stays when every bar is taken away are whole lines of results.
            lines = [line.split(b"\x1b[K")[-1] for line in
                     shown.replace(b"\r\n", b"\n").decode().encode().split(b"\n")]
            results = [line for line in lines if line]
            self.assertEqual(len(results), 4, results)
            for line, begin in zip(results, (b"round  1", b"round  2", b"round  3", b"state root")):
                self.assertTrue(line.startswith(begin), results)


if __name__ == "__main__":
    unittest.main(verbosity=2)
