"""A language model on one machine: trained, exported, checked by NumPy, gone on with, sampled."""
import gzip
import json
import pathlib
import re
import struct
import sys
import unittest

import base
import numpy as np
import toyjob

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "vectors"))
import lm_loss  # noqa: E402


class LanguageModel(base.EndToEnd):
    def lm(self, name="lm", **changes):
        return toyjob.write_lm(self.folder / name, **changes)

    def gemmine(self, code, *arguments):
        done = self.run_program("gemmine", *arguments, timeout=120 * base.SLOW)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def refuse(self, code, pattern, *arguments):
        done = self.gemmine(code, *arguments)
        self.assertRegex(done.stderr, pattern)

    def train(self, job, *arguments):
        """The report, and the model's path."""
        model = job.parent / f"model{len(arguments)}.safetensors"
        done = self.gemmine(0, "train", job, "--json", "--model", model, *arguments)
        return json.loads(done.stdout), model

    def validation(self, job):
        self.gemmine(0, "data", job, "--out", job.parent)
        return job.parent / "validation.bin"

    def relative(self, model, job, printed, *, int8=False):
        data = self.validation(job).read_bytes()
        loss = lm_loss.Model(model, int8).loss(np.frombuffer(data, np.uint8))
        return abs(loss - printed) / printed


class Export(LanguageModel):
    def test_numpy_finds_the_validation_loss_in_the_exported_model(self):
        shapes = ({}, {"norm": "layer", "activation": "silu", "tied": "true", "outer_lr": 0.7,
                       "outer_momentum": 0.5})
        for number, changes in enumerate(shapes):
            job = self.lm(f"lm{number}", **changes)
            report, model = self.train(job)
            first, last = (report["rounds"][i]["validation_loss"] for i in (0, -1))
            self.assertLess(last, 0.9 * first, "it has not learnt")
            self.assertLess(self.relative(model, job, last), 1e-3)
            self.assertLess(self.relative(model, job, last, int8=True), 1e-5)
            # And would it notice? The loss of a round before is another.
            self.assertGreater(self.relative(model, job, first), 1e-3)

    def test_numpy_notices_two_tensors_that_changed_places(self):
        job = self.lm()
        report, model = self.train(job)
        raw = model.read_bytes()
        swapped = raw.replace(b'"h.0.mlp.up.weight"', b'"h.?.mlp.up.weight"')
        swapped = swapped.replace(b'"h.1.mlp.up.weight"', b'"h.0.mlp.up.weight"')
        model.write_bytes(swapped.replace(b'"h.?.mlp.up.weight"', b'"h.1.mlp.up.weight"'))
        self.assertGreater(
            self.relative(model, job, report["rounds"][-1]["validation_loss"]), 1e-3)


class Continue(LanguageModel):
    def test_a_job_goes_on_where_it_stopped_with_the_same_bits(self):
        job = self.lm()
        whole, _ = self.train(job)
        _, model = self.train(job, "--rounds", "1")
        rest, _ = self.train(job, "--from", model)
        self.assertEqual([r["round"] for r in rest["rounds"]], [2, 3])
        self.assertEqual(rest["state_root"], whole["state_root"])

    def test_what_is_no_model_of_this_job_is_three(self):
        job = self.lm()
        _, model = self.train(job)
        self.refuse(3, r"model2?.*after round 3 of 3: nothing is left", "train", job,
                    "--from", model)
        wider = self.lm("wider", hidden=160)
        self.refuse(3, r"h\.0\.mlp\.up\.weight: has shape \[128,64\], the job's is \[160,64\]",
                    "train", wider, "--from", model)
        self.refuse(3, r'architecture "gpt", the job\'s is "mlp"', "train", self.toy(),
                    "--from", model)
        self.refuse(3, r"(?i)no such file", "train", wider, "--from", self.folder / "absent")
        raw = model.read_bytes()
        broken = self.folder / "broken.safetensors"
        broken.write_bytes(raw[:-4] + struct.pack("<f", float("nan")))
        self.refuse(3, r"lm_head\.weight: element \d+ is NaN", "train", job, "--from", broken)
        broken.write_bytes(raw[:-4])
        self.refuse(3, r"lm_head\.weight: .*cut short", "train", job, "--from", broken)
        broken.write_bytes(b"PK\x03\x04" * 100)
        self.refuse(3, r"no safetensors file", "train", job, "--from", broken)

    def test_a_model_of_another_job_begins_at_round_0(self):
        _, model = self.train(self.lm())
        other = self.lm("other", rounds=2)
        report, _ = self.train(other, "--from", model)
        self.assertEqual([r["round"] for r in report["rounds"]], [1, 2])
        fresh, _ = self.train(other)
        self.assertLess(report["rounds"][0]["validation_loss"],
                        fresh["rounds"][0]["validation_loss"])


class Sample(LanguageModel):
    def test_text_follows_the_seed_and_looks_like_the_corpus(self):
        job = self.lm(rounds=6, steps_per_lease=20)
        _, model = self.train(job)

        def text(*arguments):
            return self.gemmine(0, "sample", "--model", model, "--tokens", "120", *arguments).stdout

        one = text("--prompt", "the ")
        self.assertEqual(one, text("--prompt", "the "))
        self.assertNotEqual(one, text("--prompt", "the ", "--seed", "2"))
        self.assertTrue(one.startswith("the ") and len(one) == 4 + 120 + 1, one)
        surest = text("--prompt", "the ", "--temperature", "0")
        self.assertRegex(surest, r"^the [a-z .\n]+$")
        self.assertEqual(surest, text("--prompt", "the ", "--top-k", "1"))

    def test_bad_command_lines_are_two_and_bad_models_three(self):
        job = self.lm(vocabulary=128)
        _, model = self.train(job, "--rounds", "1")
        self.refuse(2, r"--prompt: token 195 at character 1; .* 0 to 127", "sample", "--model",
                    model, "--prompt", "x\u00e9")
        self.refuse(2, r"--tokens", "sample", "--model", model, "--tokens", "0")
        self.refuse(2, r"--model", "sample")
        self.refuse(3, r"(?i)no such file", "sample", "--model", self.folder / "absent")
        raw, broken = model.read_bytes(), self.folder / "broken.safetensors"
        broken.write_bytes(raw[:-4] + struct.pack("<f", float("inf")))
        self.refuse(3, r"lm_head\.weight: element \d+ is (NaN or )?inf", "sample", "--model",
                    broken)
        broken.write_bytes(raw[:-4])
        self.refuse(3, r"lm_head\.weight: .*cut short", "sample", "--model", broken)
        mlp = self.folder / "mlp.safetensors"
        self.gemmine(0, "train", self.toy(), "--rounds", "1", "--model", mlp)
        self.refuse(3, r'is an mlp, and only a gpt writes text', "sample", "--model", mlp)


class Corpus(LanguageModel):
    def test_a_corpus_shorter_than_a_context_is_three(self):
        self.refuse(3, r"validation data has \d+ tokens; model.context = 32 needs at least 33",
                    "train", self.lm(words=20))

    def test_a_byte_outside_the_vocabulary_is_told_with_its_place(self):
        job = self.lm(vocabulary=128)
        text = job.parent / "text.txt"
        text.write_bytes(text.read_bytes()[:77] + b"\xe9" + text.read_bytes()[77:])
        self.refuse(3, r"text\.txt: byte 77: token 233; model.vocabulary is 128", "train", job)


class OtherData(LanguageModel):
    def test_sixteen_bit_tokens_train_and_are_sampled_as_numbers(self):
        job = self.lm(kind="tokens", train="tokens.npy", vocabulary=300, norm="layer")
        text = np.frombuffer((job.parent / "text.txt").read_bytes(), np.uint8)
        np.save(job.parent / "tokens.npy", text.astype(np.uint16) + 150)
        report, model = self.train(job)
        tokens = np.frombuffer(self.validation(job).read_bytes(), "<u2")
        loss = lm_loss.Model(model).loss(tokens)
        printed = report["rounds"][-1]["validation_loss"]
        self.assertLess(abs(loss - printed) / printed, 1e-3)
        done = self.gemmine(0, "sample", "--model", model, "--prompt", "266 254", "--tokens", "9")
        self.assertRegex(done.stdout, r"^266 254 (\d+ ){9}\n$")
        self.refuse(2, r"'x' is no token; this model's are numbers", "sample", "--model", model,
                    "--prompt", "266 x")
        np.save(job.parent / "tokens.npy", text.astype(np.float32))
        self.refuse(3, r"tokens\.npy: has real numbers, and tokens are whole", "train", job)

    def test_one_table_trains_the_same_from_idx_numpy_and_csv(self):
        job = self.toy(rounds=1)
        text = job.read_text()
        root = json.loads(self.gemmine(0, "train", job, "--json").stdout)["state_root"]
        for part in ("train", "test"):
            images = gzip.decompress((job.parent / f"{part}-images.gz").read_bytes())[16:]
            labels = gzip.decompress((job.parent / f"{part}-labels.gz").read_bytes())[8:]
            labels = np.frombuffer(labels, np.uint8)
            images = np.frombuffer(images, np.uint8).reshape(len(labels), 8, 8)
            np.save(job.parent / f"{part}-images.npy", images)
            np.save(job.parent / f"{part}-labels.npy", labels.astype(np.int64))
            table = np.column_stack([images.reshape(len(labels), 64), labels])
            np.savetxt(job.parent / f"{part}.csv", table, "%d", ",")
        job.write_text(text.replace('"idx"', '"npy"').replace(".gz", ".npy"))
        self.assertEqual(
            json.loads(self.gemmine(0, "train", job, "--json").stdout)["state_root"], root)
        csv = re.sub(r"t(rain|est)_images.*\n", "", text.replace('"idx"', '"csv"'))
        csv = re.sub(r"(train|test)_labels.*", r'\1 = "\1.csv"', csv)
        job.write_text(csv)
        self.assertEqual(
            json.loads(self.gemmine(0, "train", job, "--json").stdout)["state_root"], root)
        job.write_text(csv.replace('test = "test.csv"', "test_fraction = 0.1"))
        self.assertRegex(self.gemmine(0, "data", job).stdout, r"train +900 records\ntest +100 rec")


if __name__ == "__main__":
    unittest.main(verbosity=2)
