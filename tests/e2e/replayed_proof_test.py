"""A word of the pool that only a replay decides: by the blobs that the file names, by no others."""
import pathlib
import sys
import tempfile
import unittest

import base

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors"
sys.path.insert(0, str(VECTORS))

import b3  # noqa: E402
import gn1  # noqa: E402
import records  # noqa: E402
import toy  # noqa: E402


def golden_files():
    """Name, whether it is proven, bytes."""
    for line in (VECTORS / "golden/proofs.txt").read_text().splitlines():
        if line.startswith("replayed "):
            key, _, value = line.partition(" = ")
            proven, data = value.split()
            yield key.removeprefix("replayed "), proven == "1", bytes.fromhex(data)


class ReplayedProof(base.EndToEnd):
    def test_the_blobs_decide_and_their_lack_proves_nothing(self):
        job, seen = toy.job(gn1.SGD), set()
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "blobs").mkdir()
            theta = records.theta_bytes(job.program.initial_theta(job))
            for blob in (theta, job.train.tobytes()):
                (folder / "blobs" / b3.b3(blob).hex()).write_bytes(blob)
            for name, proven, data in golden_files():
                path = folder / name
                path.write_bytes(data)
                alone = self.run_program("gemmine-verify", "proof", path)
                self.assertEqual(alone.returncode, 0, alone.stdout)
                self.assertIn("--blobs", alone.stdout)
                done = self.run_program("gemmine-verify", "proof", path, "--blobs",
                                        folder / "blobs")
                self.assertEqual(done.returncode, 10 if proven else 0,
                                 (name, done.stdout, done.stderr))
                lost = self.run_program("gemmine-verify", "proof", path, "--blobs", folder)
                self.assertEqual(lost.returncode, 1, lost.stdout)
                seen.add(proven)
        self.assertEqual(seen, {True, False})


if __name__ == "__main__":
    unittest.main()
