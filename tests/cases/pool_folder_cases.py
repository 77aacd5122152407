"""A pool's folder: whole, its own, readable where it lies, and copied."""
import json
import os
import shutil
import subprocess
import unittest

import case
import cluster

PARTS = ("ledger.sqlite", "pool.key", "tls.pem", "blobs")


class Folders(case.Case):
    """A part that is missing is no first start."""

    def finished_pool(self, **changes):
        c = self.cluster(self.toy(rounds=1, **changes))
        c.start_pool()
        self.finish(c, [c.miner("miner").start()])
        return c

    def test_F04_every_part_that_is_missing_is_refused_by_its_name(self):
        c = self.finished_pool()
        data = c.data("pool")
        for name in PARTS:
            (data / name).rename(data / "away")
            for verb in (["serve"], ["init"]):
                self.refuse(1, f"lacks {name}", "gemmine-pool", *verb, "--data", data)
                self.assertFalse((data / name).exists(), f"{verb} made a new {name}")
            (data / "away").rename(data / name)
        self.accept("gemmine-pool", "init", "--data", data)

    def test_F04_keys_of_another_pool_are_refused(self):
        c = self.finished_pool()
        other = self.folder / "other"
        self.accept("gemmine-pool", "init", "--data", other)
        shutil.copy(other / "pool.key", c.data("pool") / "pool.key")
        self.refuse(1, "another pool key", "gemmine-pool", "serve", "--data", c.data("pool"))

    def test_F04_serve_makes_no_pool_where_there_is_none(self):
        empty = self.folder / "empty"
        empty.mkdir()
        for data in (empty, self.folder / "none"):
            self.refuse(1, "gemmine-pool init --data .*mounted", "gemmine-pool", "serve", "--data",
                        data)
        self.assertEqual(list(empty.iterdir()), [])
        self.assertFalse((self.folder / "none").exists())

    def test_F04_a_lost_certificate_is_replaced_when_one_says_so(self):
        c = self.finished_pool()
        (c.data("pool") / "tls.pem").unlink()
        done = self.accept("gemmine-pool", "init", "--data", c.data("pool"), "--new-tls")
        self.assertNotIn(c.pin, done.stdout)
        self.assertIn(c.pool_key, done.stdout)


class Modes(case.Case):
    """A folder that somebody else made stays as it is."""

    def test_F07_init_leaves_the_mode_of_a_folder_alone(self):
        shared = self.folder / "shared"
        shared.mkdir()
        shared.chmod(0o1777)
        done = self.accept("gemmine-pool", "init", "--data", shared)
        self.assertEqual(shared.stat().st_mode & 0o7777, 0o1777)
        self.assertIn("chmod 700", done.stderr)
        for name in ("pool.key", "tls.pem"):
            self.assertEqual((shared / name).stat().st_mode & 0o777, 0o600)
        fresh = self.folder / "fresh"
        self.assertEqual(self.accept("gemmine-pool", "init", "--data", fresh).stderr, "")
        self.assertEqual(fresh.stat().st_mode & 0o777, 0o700)

    def test_F09_a_folder_of_another_owner_serves_when_it_can_be_written_to(self):
        if os.getuid() != 0:
            self.skipTest("only root can be somebody else")
        foreign = self.folder / "foreign"
        foreign.mkdir()
        foreign.chmod(0o777)
        self.folder.chmod(0o755)
        made = self.cluster(self.folder / "none.toml")
        program = shutil.copy(made.program("gemmine-pool"), self.folder / "gemmine-pool")
        done = subprocess.run([program, "init", "--data", foreign], user=65534, group=65534,
                              extra_groups=[], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("is open to others", done.stderr)
        self.assertEqual(foreign.stat().st_uid, 0)


class Reading(case.Case):
    def read_only(self, script, user=None):
        """Runs a shell script in a mount namespace where $RO is a read-only mount of the folder."""
        mounted = self.folder / "mounted"
        mounted.mkdir()
        text = (f"mount --bind {self.data} {mounted} && mount -o remount,bind,ro {mounted} && "
                f"RO={mounted} && POOL={self.made.program('gemmine-pool')} && {script}")
        done = subprocess.run(["unshare", "-m", "sh", "-c", text], capture_output=True, text=True,
                              check=False)
        if "unshare" in done.stderr or "mount:" in done.stderr:
            self.skipTest("no mounts here: " + done.stderr.strip())
        return done

    def finished(self):
        self.made = c = self.cluster(self.toy(rounds=1))
        c.start_pool()
        self.finish(c, [c.miner("miner").start()])
        self.data = c.data("pool")
        return c

    def test_F17_a_ledger_is_read_from_read_only_media(self):
        c = self.finished()
        self.assertEqual([p.name for p in self.data.glob("ledger*")], ["ledger.sqlite"])
        out = self.folder / "ledger.bin"
        done = self.read_only(f"$POOL report --data $RO --json && "
                              f"$POOL export --data $RO --ledger {out} --bundles {self.folder}/b")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout), c.report())
        self.assertEqual(out.read_bytes(), c.export().read_bytes())
        self.assertEqual([p.name for p in self.data.glob("ledger*")], ["ledger.sqlite"])

    def test_F17_the_ledger_of_a_killed_pool_is_read_there_too(self):
        self.made = c = self.cluster(self.toy(rounds=1))
        pool = c.start_pool(exit_when_finished=False)
        cluster.wait_until(lambda: c.report()["ledger"]["records"] >= 3, 10, pool.tail, pool)
        pool.kill()
        self.data = c.data("pool")
        self.assertTrue((self.data / "ledger.sqlite-wal").stat().st_size)
        (self.data / "ledger.sqlite-shm").unlink()  # as a snapshot has it
        done = self.read_only("$POOL report --data $RO --json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertGreaterEqual(json.loads(done.stdout)["ledger"]["records"], 3)

    def test_R09_a_pool_that_runs_is_backed_up_and_the_copy_serves(self):
        c = self.cluster(self.toy(rounds=2))
        pool = c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        miner.wait_for("share_accepted")
        copy = self.folder / "copy"
        self.accept("gemmine-pool", "backup", c.data("pool"), copy)
        self.refuse(1, "is there already", "gemmine-pool", "backup", c.data("pool"), copy)
        self.assertEqual(miner.wait(60), 0, miner.tail())
        pool.stop(20)
        shutil.rmtree(c.data("pool"))
        copy.rename(c.data("pool"))
        self.assertEqual(c.report()["leases"]["wrong"], 0)
        pool = c.pool(exit_when_finished=False).start()
        c.wait_listening()
        # The first miner has seen what the copy does not have, and works on only if its owner
        # says so, by forgetting it; then it takes up the leases that the copy left in its hands.
        first = c.miner("miner").start()
        self.assertEqual(first.wait(60), 10, first.tail())
        self.assertIn("rollback", first.text())
        shutil.rmtree(c.folder / "homes" / "miner")
        for again in [c.miner("miner").start(), c.miner("again").start()]:
            self.assertEqual(again.wait(60), 0, again.tail())
        self.assertEqual(pool.stop(20), 0, pool.tail())

    def test_R09_help_says_how(self):
        self.assertRegex(self.accept("gemmine-pool", "--help").stdout, "backup +copy the folder")


if __name__ == "__main__":
    unittest.main(verbosity=2)
