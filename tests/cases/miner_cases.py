"""What miners' owners met: local trouble, signals, folders, several pools."""
import signal
import subprocess
import time

import base
import case

REMOUNT_AFTER_S = 5


class Trouble(case.Case):
    def test_F02_a_full_disk_is_said_once_and_harms_nobody(self):
        c = self.cluster(self.toy(width=512, rounds=2, slots=2))
        c.start_pool(exit_when_finished=False)
        data = c.data("miner")
        data.mkdir()
        # Room for the data and the weights, and for no state; later there is enough.
        script = ('mount -t tmpfs -o size=400k none "$0" && '
                  f'(sleep {REMOUNT_AFTER_S}; mount -o remount,size=64m "$0") & '
                  'while ! grep -q "$0" /proc/mounts; do sleep 0.05; done; exec "$@"')
        miner = c.miner("miner")
        miner.command = ["unshare", "-rm", "sh", "-c", script, str(data), *miner.command]
        if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(data)],
                          capture_output=True).returncode != 0:
            self.skipTest("no mount of our own here")
        miner.start()
        miner.wait_for(" error disk ", 30 * base.SLOW)
        time.sleep(REMOUNT_AFTER_S - 1)
        leases = len(miner.events("lease"))
        self.assertLessEqual(leases, 2, miner.tail())
        ledger = self.finish(c, [miner], 90)
        self.assertEqual(len(miner.events("disk")), 1, miner.tail())
        self.assertEqual(len(miner.events("lease_abandoned")), leases, miner.tail())
        self.assertFalse(ledger.of("ban"))
        self.check_root(c, ledger)

    def test_F02_a_lost_folder_is_no_fraud(self):
        c = self.cluster(self.toy(rounds=2, slots=1, width=512, steps_per_lease=240, batch=128,
                                  probation_shares=0, replay_ppm=0,
                                  spot_ppm=1_000_000))
        c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        miner.wait_for(" share_accepted ")
        miner.kill()
        for lease in (c.data("miner") / "leases").iterdir():
            for file in lease.iterdir():
                file.unlink()
        miner.start()
        ledger = self.finish(c, [miner], 90)
        self.assertEqual({close.reason for close in ledger.closes}, {"complete"})
        self.assertFalse(ledger.of("ban"))
        self.check_root(c, ledger)

    def test_A1_a_job_that_diverges_is_told_once_and_costs_nobody(self):
        job = self.toy(rounds=2)
        job.write_text(job.read_text().replace("lr = 0.05", "lr = 1e30"))
        c = self.cluster(job)
        c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        miner.wait_for(" error job_diverges .*lr", 30 * base.SLOW)
        time.sleep(5)
        self.assertTrue(miner.running(), miner.tail())
        self.assertLessEqual(len(miner.events("lease")), 4, miner.tail())
        self.assertEqual(len(miner.events("job_diverges")), 1)
        self.assertEqual(miner.stop(20 * base.SLOW), 0, miner.tail())


class Stops(case.Case):
    def test_A16_a_clean_stop_gives_the_lease_back(self):
        c = self.cluster(self.toy(rounds=2, slots=1, steps_per_lease=240, width=512))
        c.start_pool(exit_when_finished=False)
        lazy = c.miner("lazy", "--throttle", 1).start()
        lazy.wait_for(r" info lease .*lease=")
        other = c.miner("other").start()
        other.wait_for(r" info waiting ")
        for how in (signal.SIGHUP,):
            start = time.monotonic()
            lazy.popen.send_signal(how)
            self.assertEqual(lazy.wait(20 * base.SLOW), 0, lazy.tail())
            self.assertLess(time.monotonic() - start, 10 * base.SLOW)
        other.wait_for(r" info lease .*lease=", 10 * base.SLOW)
        ledger = self.finish(c, [other], 60)
        self.check_root(c, ledger)

    def test_F01_a_throttled_miner_answers_in_time(self):
        # A share takes a minute at this throttle; an answer may take two seconds.
        c = self.cluster(self.toy(rounds=1, slots=1, steps_per_lease=8, steps_per_share=4,
                                  width=2048, batch=256, probation_shares=0, replay_ppm=0,
                                  spot_ppm=1_000_000,
                                  answer_ms=4000, lease_ms=600_000))
        c.start_pool(exit_when_finished=False)
        miner = c.miner("miner", "--throttle", 5).start()
        self.finish(c, [miner], 100)
        self.assertEqual(len(miner.events("answered")), 2, miner.tail())
