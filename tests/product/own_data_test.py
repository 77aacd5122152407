"""A person's own table from file to model to prediction, in every format, with the same bits."""
import csv
import io
import json
import os
import pathlib
import random
import re
import shutil
import struct
import sys
import tempfile
import unittest
import zlib
from types import SimpleNamespace

import numpy as np

import tools

sys.path.append(str(tools.SOURCE / "tests/vectors"))
import sheets  # noqa: E402  the reference of PROTOCOL 6.7

KINDS = ["Igel", "großer Käfer", "Ähre, reif"]
COLUMNS = ["height", "Länge in m", "count"]
JOB = """name = "own data"
[data]
{data}
[model]
widths = [{features}, 32, 3]
[train]
optimiser = "adamw"
lr = 0.01
beta1 = 0.9
beta2 = 0.99
eps = 1e-8
warmup = 4
batch = 16
steps_per_lease = 20
steps_per_share = 10
slots = 2
rounds = 3
[audit]
threads = 0
thread_blocks = 0
[pay]
price_per_tmac = 1000
fee_ppm = 0
"""


def rows(count=150):
    """Three kinds that decimals of very different sizes tell apart."""
    rng = random.Random(7)
    for i in range(count):
        kind = i % 3
        yield ([round(rng.gauss(0.001 * kind, 0.0003), 7), round(rng.gauss(-4 * kind, 1.1), 3),
                float(rng.randint(1000, 1100) + 250 * (kind == 1))], KINDS[kind])


def png(pixels):
    chunk = lambda kind, data: (struct.pack(">I", len(data)) + kind + data +
                                struct.pack(">I", zlib.crc32(kind + data)))
    height, width = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))


class OwnData(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gemmine-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.values = [values for values, _ in rows()]
        self.labels = [label for _, label in rows()]

    def gemmine(self, code, *words):
        done = tools.run(tools.BUILD / "gemmine", *words, cwd=self.folder)
        self.assertEqual(done.returncode, code, (words, done.stdout, done.stderr))
        return done

    def job(self, data, name="job.toml", features=3):
        path = self.folder / name
        path.write_text(JOB.format(data=data, features=features))
        return path

    def table(self, separator=",", comma=False, header=True, name="t.csv"):
        out = io.StringIO()
        write = csv.writer(out, delimiter=separator, lineterminator="\r\n").writerow
        if header:
            write([*COLUMNS, "kind"])
        for values, label in zip(self.values, self.labels):
            text = [repr(value) for value in values]
            write([t.replace(".", ",") if comma else t for t in text] + [label])
        (self.folder / name).write_bytes(out.getvalue().encode())
        return f'kind = "csv"\ntrain = "{name}"\ntest_fraction = 0.2'

    def train(self, job, *words):
        return json.loads(self.gemmine(0, "train", job, "--json", *words).stdout)

    def predict(self, *words):
        done = self.gemmine(0, "predict", "--model", "m.safetensors", *words)
        return [row["class"] for row in csv.DictReader(io.StringIO(done.stdout))]

    def test_a_table_with_names_becomes_a_model_that_names_them(self):
        job = self.job(self.table())
        report = self.train(job, "--model", "m.safetensors")
        self.assertGreater(report["rounds"][-1]["correct"], 27)
        said = self.gemmine(0, "data", job).stdout
        for name in (*COLUMNS, *KINDS, "standardised"):
            self.assertIn(name, said)
        result = json.loads(self.gemmine(0, "evaluate", "--model", "m.safetensors", "t.csv",
                                         "--json").stdout)
        self.assertEqual(result["rows"], 150)
        self.assertGreater(result["accuracy"], 0.93)
        self.assertEqual([c["class"] for c in result["classes"]], sorted(KINDS))
        self.assertEqual(sum(sum(c["taken_for"]) for c in result["classes"]), 150)
        predicted = self.predict("t.csv")
        right = sum(p == label for p, label in zip(predicted, self.labels))
        self.assertEqual(right, round(150 * result["accuracy"]))
        self.assertIn("großer Käfer", self.gemmine(0, "evaluate", "--model", "m.safetensors",
                                                   "t.csv").stdout)

        # Columns are found by name, wherever they are.
        with open(self.folder / "other.csv", "w") as out:
            write = csv.writer(out).writerow
            write(["note", COLUMNS[2], COLUMNS[0], COLUMNS[1]])
            for values in self.values:
                write(["x", values[2], values[0], values[1]])
        self.assertEqual(self.predict("other.csv"), predicted)
        self.table(";", comma=True, header=False, name="bare.csv")
        self.assertEqual(self.predict("bare.csv", "--label-column", "last"), predicted)
        lines = [json.dumps(dict(zip(COLUMNS, values))) for values in self.values]
        (self.folder / "rows.jsonl").write_text("\n".join(lines))
        self.assertEqual(self.predict("rows.jsonl"), predicted)
        np.save(self.folder / "rows.npy", np.array(self.values))
        self.assertEqual(self.predict("rows.npy"), predicted)
        parts = self.gemmine(0, "predict", "--model", "m.safetensors", "rows.npy", "--json",
                             "--probabilities", "--out", "p.jsonl")
        self.assertEqual(parts.stdout, "")
        for line, name in zip((self.folder / "p.jsonl").read_text().splitlines(), predicted):
            line = json.loads(line)
            self.assertEqual(line["class"], name)
            self.assertAlmostEqual(sum(line["probabilities"].values()), 1, 6)
            self.assertEqual(max(line["probabilities"], key=line["probabilities"].get), name)

    def test_the_reference_makes_the_same_records_and_sheet(self):
        job = self.job(self.table())
        self.gemmine(0, "data", job, "--out", "out")
        train = [i for i in range(150) if (i + 1) // 5 == i // 5]
        columns = [sheets.standardised([self.values[i][c] for i in train]) for c in range(3)]
        classes = sorted(KINDS, key=lambda name: name.encode())
        sheet = SimpleNamespace(features=3, missing=0, scalings=columns,
                                            names=COLUMNS, label="kind", classes=classes)
        self.assertEqual((self.folder / "out/sheet.bin").read_bytes(), sheets.encode(sheet))
        for part, which in (("train", train), ("test", set(range(150)) - set(train))):
            expected = b"".join(
                bytes(sheets.to_byte(sheet, c, self.values[i][c]) for c in range(3)) +
                bytes([classes.index(self.labels[i])]) for i in sorted(which))
            self.assertEqual((self.folder / f"out/{part}.bin").read_bytes(), expected)

    def test_every_format_trains_the_same_model(self):
        root = self.train(self.job(self.table()))["state_root"]
        classes = sorted(KINDS, key=lambda name: name.encode())
        x, y = np.array(self.values), np.array([classes.index(k) for k in self.labels])
        np.save(self.folder / "x.npy", np.asfortranarray(x).astype(">f8"))
        np.save(self.folder / "y.npy", y.astype("<i2"))
        np.savez_compressed(self.folder / "a.npz", x_train=x, y_train=y.astype("u1"))
        (self.folder / "t.jsonl").write_text("".join(
            json.dumps({"label": k, **dict(zip(COLUMNS, v))}) + "\n"
            for v, k in zip(self.values, self.labels)))
        fraction = "\ntest_fraction = 0.2"
        for data in (self.table(";", comma=True, name="semicolon.csv"),
                     self.table("\t", header=False, name="bare.csv"),
                     'kind = "jsonl"\ntrain = "t.jsonl"' + fraction,
                     'kind = "npy"\ntrain_images = "x.npy"\ntrain_labels = "y.npy"' + fraction,
                     'kind = "npz"\nfile = "a.npz"' + fraction):
            with self.subTest(data=data):
                self.assertEqual(self.train(self.job(data))["state_root"], root)

    def test_images_in_folders_are_classes(self):
        rng = np.random.default_rng(3)
        flat = []
        for kind in range(3):
            (self.folder / f"pictures/{KINDS[kind]}").mkdir(parents=True)
            for i in range(20):
                pixels = rng.integers(0, 90, (4, 4), np.uint8)
                pixels[kind] += 120
                flat.append(pixels)
                (self.folder / f"pictures/{KINDS[kind]}/{i:02}.png").write_bytes(png(pixels))
        job = self.job('kind = "images"\ntrain = "pictures"\ntest_fraction = 0.2', features=16)
        report = self.train(job, "--model", "m.safetensors")
        self.assertGreater(report["rounds"][-1]["correct"], 9)
        done = self.gemmine(0, "predict", "--model", "m.safetensors", f"pictures/{KINDS[0]}")
        table = list(csv.DictReader(io.StringIO(done.stdout)))
        self.assertEqual([row["file"] for row in table], [f"{i:02}.png" for i in range(20)])
        self.assertGreater(sum(row["class"] == KINDS[0] for row in table), 15)
        self.gemmine(0, "evaluate", "--model", "m.safetensors", "pictures")
        (self.folder / f"pictures/{KINDS[1]}/bad.png").write_bytes(b"\xff\xd8\xff\xe0")
        self.assertRegex(self.gemmine(3, "data", job).stderr, r"bad\.png: is no PNG file.*mogrify")

    def test_numpy_reads_the_model_and_agrees(self):
        job = self.job(self.table())
        self.train(job, "--model", "m.safetensors")
        raw = (self.folder / "m.safetensors").read_bytes()
        size = struct.unpack("<Q", raw[:8])[0]
        header = json.loads(raw[8:8 + size])
        facts = {key: value for key, value in header.pop("__metadata__").items()}
        body = raw[8 + size:]
        tensor = lambda name: np.frombuffer(body[slice(*header[name]["data_offsets"])],
                                            np.float32).reshape(header[name]["shape"])
        scalings, classes = json.loads(facts["scalings"]), json.loads(facts["classes"])
        x = (np.array(self.values) - [s[0] for s in scalings]) * [s[1] for s in scalings]
        x = np.clip(np.rint(x), 0, 255) * float(facts["feature_scale"]) + float(
            facts["feature_shift"])
        hidden = np.maximum(x @ tensor("layers.0.weight").T + tensor("layers.0.bias"), 0)
        out = hidden @ tensor("layers.1.weight").T + tensor("layers.1.bias")
        ours = [classes[i] for i in out.argmax(1)]
        agree = sum(a == b for a, b in zip(ours, self.predict("t.csv")))
        self.assertGreaterEqual(agree, 145)  # the program's products are of 7 bits

    def test_what_is_wrong_is_told_with_its_place_and_a_way_out(self):
        self.train(self.job(self.table()), "--model", "m.safetensors")
        text = (self.folder / "t.csv").read_bytes().decode()
        for change, pattern in (
                (lambda t: t.replace(t.split("\r\n")[3].split(",")[1], "red", 1),
                 r"t\.csv:4:\d+: 'red' is no number; leave its column out"),
                (lambda t: t.replace(t.split("\r\n")[3].split(",")[1], "", 1),
                 r't\.csv:4:\d+: a value is missing; .*missing = "mean"'),
                (lambda t: t.replace("Igel", "Egel", 1), r"4 different labels .*'Egel'")):
            (self.folder / "t.csv").write_bytes(change(text).encode())
            self.assertRegex(self.gemmine(3, "data", "job.toml").stderr, pattern)
        (self.folder / "t.csv").write_bytes(text.encode())
        self.job(self.table() + '\nlabel_column = "sort"')
        self.assertRegex(self.gemmine(3, "data", "job.toml").stderr, r"t\.csv:1: has no column 'so")
        for words, code, pattern in (
                (("predict", "t.dat"), 3, r"t\.dat: its name does not say what it is; --kind csv"),
                (("predict", "t.csv", "--kind", "xls"), 2, "--kind: 'xls' is none of csv"),
                (("predict", "absent.csv"), 3, r"absent\.csv"),
                (("predict", "t.csv", "--out", "no/such/p.csv"), 1, "--out: "),
                (("evaluate", "t.csv", "--label-column", "nix"), 3, "has no column 'nix'")):
            done = self.gemmine(code, words[0], "--model", "m.safetensors", *words[1:])
            self.assertRegex(done.stderr, pattern)
            self.assertEqual(done.stdout, "")
        bad = bytearray((self.folder / "m.safetensors").read_bytes())
        bad[-1] ^= 1
        (self.folder / "m.safetensors").write_bytes(bad)
        self.assertRegex(self.gemmine(3, "predict", "--model", "m.safetensors", "t.csv").stderr,
                         "are not those of the theta_root")
        self.assertIsNone(re.search("[\x00-\x08]", done.stderr))


if __name__ == "__main__":
    os.environ.setdefault("NO_COLOR", "1")
    unittest.main(verbosity=2)
