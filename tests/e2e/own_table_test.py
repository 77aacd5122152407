"""A table with names becomes a job, a pool trains it, and the model it gives has them."""
import unittest

import base

NAMES = ["Igel", "Käfer", "Ähre"]


class OwnTable(base.EndToEnd):
    def job_of_a_table(self):
        job = self.toy(rounds=3)
        rows = ["Größe,weight,kind"]
        for i in range(300):
            kind = i % 3
            rows.append(f"{kind * 0.001 + i % 7 * 1e-5:.6f},{-40.5 * kind + i % 11},{NAMES[kind]}")
        (job.parent / "table.csv").write_text("\n".join(rows))
        text = job.read_text()
        data = text[text.index("[data]"):text.index("[model]")]
        text = text.replace(data, '[data]\nkind = "csv"\ntrain = "table.csv"\n'
                                  "test_fraction = 0.1\n\n")
        job.write_text(text.replace("widths = [64, 96, 10]", "widths = [2, 96, 3]"))
        return job

    def test_the_pools_model_is_the_one_of_training_alone_and_names_its_classes(self):
        job = self.job_of_a_table()
        c = self.cluster(job)
        c.start_pool(exit_when_finished=False)
        miner = c.miner("miner").start()
        ledger = self.finish(c, [miner])
        self.check_root(c, ledger)
        alone, pools = self.folder / "alone.safetensors", self.folder / "pools.safetensors"
        c.run("gemmine", "train", job, "--model", alone)
        c.run("gemmine-pool", "export", "--data", c.data("pool"), "--model", pools)
        self.assertEqual(pools.read_bytes(), alone.read_bytes())
        said = c.run("gemmine", "evaluate", "--model", pools, job.parent / "table.csv").stdout
        for name in NAMES:
            self.assertIn(name, said)
        # The sheet is a blob like the data: it outlives the job's files.
        (job.parent / "table.csv").unlink()
        c.run("gemmine-pool", "export", "--data", c.data("pool"), "--model", pools)
        self.assertEqual(pools.read_bytes(), alone.read_bytes())


if __name__ == "__main__":
    unittest.main(verbosity=2)
