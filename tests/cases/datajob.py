"""A small job around a file of data, and what `gemmine data` makes of it."""
import re

import case

TAIL = """
[train]
optimiser = "sgd"
lr = 0.05
batch = 4
beta1 = 0.9
steps_per_lease = 4
steps_per_share = 2
slots = 1
rounds = 1

[audit]
batch_leases = 4
first_batch = 2
threads = 0
replays_ppm = 1000000
first_audits = 1
fail_ppm = 1000000
lease_ms = 60000
answer_ms = 20000

[pay]
price_per_tmac = 1000000000
fee_ppm = 20000
"""
MODEL = "\nfeature_scale = 0.0125\nfeature_shift = -1.6\n[model]\nwidths = [4, 8, {classes}]\n"
GPT = """
[model]
architecture = "gpt"
vocabulary = {vocabulary}
width = 64
heads = 2
hidden = 64
blocks = 1
context = 32
"""
ROWS = ["0,29,170,178,153", "1,86,159,0,105", "2,120,175,193,135", "0,13,7,9,1", "1,2,3,4,5"]


class DataCase(case.Case):
    def job(self, folder, data, classes=3, tail=TAIL, name='"toy"'):
        path = folder / "job.toml"
        path.write_text(f"name = {name}\n[data]\n{data}" + MODEL.format(classes=classes) + tail)
        return path

    def csv(self, content, label="first", fraction="0.2", name="t.csv", classes=3):
        (self.folder / name).write_bytes(content)
        return self.job(self.folder, f'kind = "csv"\ntrain = "{name}"\nlabel_column = "{label}"\n'
                                     f"test_fraction = {fraction}", classes)

    def corpus_job(self, folder, data, vocabulary=256):
        path = folder / "job.toml"
        tail = TAIL.replace('"sgd"', '"adamw"').replace("beta1 = 0.9", "beta1 = 0.9\nbeta2 = 0.9\n"
                                                        "eps = 1e-8")
        path.write_text(f'name = "lm"\n[data]\n{data}\n' + GPT.format(vocabulary=vocabulary) + tail)
        return path

    def data(self, job):
        """What `gemmine data` counts: (train, held out)."""
        done = self.accept("gemmine", "data", job)
        self.assertEqual(done.stderr, "")
        return tuple(int(number) for number in re.findall(
            r"(?m)^(?:train|test|validation) +(\d+) ", done.stdout))

    def bytes_of(self, job, part="train"):
        out = self.folder / "out"
        self.accept("gemmine", "data", job, "--out", out)
        return (out / f"{part}.bin").read_bytes()

    def refuse_data(self, pattern, job):
        """Exit 3, and nothing that a terminal obeys."""
        text = self.refuse(3, pattern, "gemmine", "data", job)
        self.assertNotRegex(text, r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")
        return text
