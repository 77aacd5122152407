"""Reports about folders and files that people named: whose they are, and with which modes."""
import os
import pathlib
import resource
import stat
import unittest

import base
import case

NOBODY = 65534


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def as_nobody(**limits):
    def drop():
        for name, most in limits.items():
            resource.setrlimit(getattr(resource, name), (most, most))
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    return drop


class Files(case.Case):
    def open_to_nobody(self):
        """The test's folder and the programs, which another user can then reach."""
        os.chmod(self.folder, 0o755)
        for path in (self.folder, base.BUILD):
            for folder in (path, *pathlib.Path(path).resolve().parents):
                if not folder.stat().st_mode & stat.S_IXOTH:
                    self.skipTest(f"another user cannot reach {folder}")

    def test_F07_a_folder_that_is_there_keeps_its_mode(self):
        shared = self.folder / "shared"
        shared.mkdir()
        os.chmod(shared, 0o1777)
        self.accept("gemmine-pool", "init", "--data", shared)
        self.assertEqual(mode_of(shared), 0o1777)
        for secret in ("pool.key", "tls.pem"):
            self.assertEqual(mode_of(shared / secret), 0o600, secret)
        own = self.folder / "deep" / "own"
        self.accept("gemmine-pool", "init", "--data", own)
        self.assertEqual(mode_of(own), 0o700)

    @unittest.skipIf(os.geteuid(), "only root can become another user")
    def test_F09_a_folder_that_is_not_ours_can_be_used(self):
        self.open_to_nobody()
        foreign = self.folder / "foreign"
        foreign.mkdir()
        os.chmod(foreign, 0o777)
        self.accept("gemmine-pool", "init", "--data", foreign, preexec_fn=as_nobody())
        self.assertEqual(mode_of(foreign), 0o777)
        self.assertEqual(os.stat(foreign / "pool.key").st_uid, NOBODY)
        closed = self.folder / "closed"
        closed.mkdir()
        os.chmod(closed, 0o755)
        self.refuse(1, f"cannot write in folder {closed}", "gemmine-pool", "init", "--data", closed,
                    preexec_fn=as_nobody())

    @unittest.skipIf(os.geteuid(), "only root can become another user")
    def test_R12_nobody_s_folder_is_not_the_current_one(self):
        self.open_to_nobody()
        os.chmod(self.folder, 0o777)
        env = {key: value for key, value in os.environ.items()
               if key not in ("HOME", "XDG_DATA_HOME")}
        pool = ("--pool", "127.0.0.1:9", "--pin", "sha256:" + "00" * 32)
        for command in (("gemmine", "mine", "--account", "a", "--dry-run"),
                        ("gemmine-audit", "watch")):
            self.refuse(2, "--data: say which folder", *command, *pool, env=env, cwd=self.folder,
                        preexec_fn=lambda: os.setuid(54321))
        self.assertEqual(list(self.folder.iterdir()), [])

    @unittest.skipIf(os.geteuid(), "only root can become another user")
    def test_F30_with_fewer_threads_a_training_is_slower_and_the_same(self):
        self.open_to_nobody()
        job = self.toy(rounds=1)
        roots = [self.accept("gemmine", "train", job, "--threads", "8", "--json", **options).stdout
                 for options in ({}, {"preexec_fn": as_nobody(RLIMIT_NPROC=1)})]
        self.assertIn("state_root", roots[0])
        without_times = [[line for line in text.split(",") if "root" in line] for text in roots]
        self.assertEqual(*without_times)
