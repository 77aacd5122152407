"""Rows about cores and threads: how many are used, and what happens when the system has none."""
import json
import os
import resource

import case

NOBODY = 65534


def one_core():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


class Cores(case.Case):
    def test_F28_threads_follow_the_cores_that_may_be_used(self):
        done = self.accept("gemmine", "devices", "--json", preexec_fn=one_core)
        cpu = next(row for row in json.loads(done.stdout) if row["name"] == "cpu")
        self.assertEqual(cpu["threads"], 1)
