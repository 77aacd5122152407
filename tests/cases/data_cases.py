"""Data and models as people have them: read, or refused with the file and the reason."""
import contextlib
import gzip
import io
import json
import os
import pty
import re
import resource
import struct
import subprocess
import time
import unittest

import base
import toyjob
from datajob import DataCase, ROWS


class Csv(DataCase):
    def test_F19_a_byte_order_mark_is_passed_over(self):
        folder = self.corpus("csv")
        for name in ("bom_header", "bom_noheader"):
            self.assertEqual(self.data(folder / f"{name}.csv.toml"), (48, 12))

    def test_F19_other_separators_are_found(self):
        plain = self.bytes_of(self.csv("\n".join(ROWS).encode()))
        rows = ["label;a;b;c;d"] + [row.replace(",", ";") for row in ROWS]
        quoted = [";".join(f'"{field}"' for field in row.split(";")) for row in rows]
        tabs = [row.replace(";", "\t") for row in rows]
        for content in ("\r\n".join(rows), "\r\n".join(quoted), "\n".join(tabs),
                        "sep=;\r\n\ufeff" + "\r\n".join(rows)):
            self.assertEqual(self.bytes_of(self.csv(("\ufeff" + content).encode())), plain)

    def test_F19_what_spreadsheets_write_is_read_and_no_row_is_lost(self):
        plain = self.bytes_of(self.csv("\n".join(ROWS).encode()))
        self.assertEqual(len(plain), 4 * 5)
        header = "label,1x1,1x2,2x1,2x2"
        quoted = ['"' + '","'.join(row.split(",")) + '"' for row in ROWS]
        for text in ("\ufeff" + "\r\n".join([header, *ROWS]) + "\r\n",
                     "\r".join([header, *ROWS]) + "\r",
                     "\r\r\n".join(ROWS) + "\r\r\n",
                     "\ufeff" + "\r\n".join(quoted),
                     "\n".join(['"label","a ""b""","c, d",e,f', *quoted]),
                     "\n".join(f"{row},," for row in [header, *ROWS]),
                     "\n".join(row.replace(",", ", ") for row in ROWS),
                     "sep=,\r\n" + "\r\n".join([header, *ROWS]),
                     "étiquette,1,2,3,4\n" + "\n".join(ROWS)):
            with self.subTest(text=text[:30]):
                self.assertEqual(self.bytes_of(self.csv(text.encode())), plain)
        utf16 = ("\ufeff" + "\n".join(ROWS)).encode("utf-16-le")
        self.refuse_data(r"t\.csv: is UTF-16; save it as UTF-8", self.csv(utf16))
        for bad in ("1,nan,2,3,4", "1;2;3;4;5", "1,5.5,2,3,4", "1,256,2,3,4", "1,-1,2,3,4",
                    '1,"1,5",2,3,4', "1,,2,3,4", "1,2,3", "1,2,3,4,\x00", '1,"2,3,4,5'):
            with self.subTest(bad=bad):
                self.refuse_data(r"t\.csv:[126]", self.csv("\n".join([bad, *ROWS]).encode()))
                self.refuse_data(r"t\.csv:6:?", self.csv("\n".join([*ROWS, bad]).encode()))

    def test_R04_empty_lines_at_the_end_are_left_out(self):
        self.assertEqual(self.data(self.corpus("csv") / "blank_end.csv.toml"), (48, 12))
        for end in ("\n\n\n", "\r\n\r\n", "\n,,,,\n,,,,\n", "\n  \n"):
            self.assertEqual(self.data(self.csv(("\n".join(ROWS) + end).encode())), (4, 1))
        self.assertEqual(self.data(self.csv("\n\n".join(ROWS).encode())), (4, 1))
        self.refuse_data(r"t\.csv:2: a row without any value; remove it",
                         self.csv("\n,,,,\n".join(ROWS).encode()))

    def test_R17_labels_are_of_any_size_and_features_bytes(self):
        self.assertEqual(self.data(self.csv(b"300,1,2,3,4\n1,1,2,3,4\n", classes=400,
                                            fraction="0.5")), (1, 1))
        self.refuse_data(r"4 different labels .*; model\.widths ends with 3 classes", self.csv(
            b"".join(b"%d,1,2,3,4\n" % label for label in (0, 1, 2, 300, 1))))
        self.refuse_data(r"t\.csv:1:3: '300' is no whole number", self.csv(b"1,300,2,3,4\n"))


class Gzip(DataCase):
    def test_F21_every_member_is_read_by_every_reader(self):
        self.assertEqual(self.data(self.corpus("csv") / "members.csv.gz.toml"), (48, 12))
        folder = self.corpus("idx")
        self.assertEqual(self.data(folder / "members.toml"), (40, 40))
        self.assertEqual(self.bytes_of(folder / "members.toml"), self.bytes_of(folder /
                                                                               "plain.toml"))
        text = bytes(range(60)) * 40
        members = b"".join(gzip.compress(text[at:at + 100]) for at in range(0, len(text), 100))
        for name, kind in (("t.txt.gz", "text"), ("T.TXT.GZ", "text"), ("t.bin.gz", "tokens")):
            (self.folder / name).write_bytes(members + bytes(512))
            job = self.corpus_job(self.folder, f'kind = "{kind}"\ntrain = "{name}"\n'
                                               "validation_fraction = 0.1", 16384 if kind ==
                                  "tokens" else 256)
            self.assertEqual(self.bytes_of(job) + self.bytes_of(job, "validation"), text)
        for end in (b"garbage", bytes(9) + b"x", b"\x1f"):
            (self.folder / "t.txt.gz").write_bytes(members + end)
            self.refuse_data(r"t\.txt\.gz: .*(member|cut short)", self.corpus_job(
                self.folder, 'kind = "text"\ntrain = "t.txt.gz"\nvalidation_fraction = 0.1'))

    def test_F29_the_wrong_file_is_told_by_its_first_bytes(self):
        folder = self.corpus("idx")
        huge = folder / "plain_x"
        with open(huge, "wb") as out:
            out.write(b"no IDX file")
            out.truncate(3 << 30)
        began = time.monotonic()
        self.refuse_data(r"plain_x: no IDX file", folder / "plain.toml")
        bomb = io.BytesIO()
        with gzip.GzipFile(fileobj=bomb, mode="wb", compresslevel=1) as out:
            for _ in range(256):
                out.write(bytes(1 << 20))
        huge.write_bytes(bomb.getvalue())
        self.refuse_data(r"plain_x: elements of IDX type 0", folder / "plain.toml")
        with open(huge, "wb") as out:  # claims 4 GiB, and has none of it
            out.write(struct.pack(">IIII", 0x803, 1 << 20, 64, 64))
        self.refuse_data(r"plain_x: .*the file has fewer", folder / "plain.toml")
        with open(self.folder / "t.txt", "wb") as out:
            out.truncate(5 << 30)
        job = self.corpus_job(self.folder,
                              'kind = "text"\ntrain = "t.txt"\nvalidation_fraction = 0.1')
        self.refuse_data(r"t\.txt: has 5368709120 bytes, more than 4294967296", job)
        self.assertLess(time.monotonic() - began, 10 * base.SLOW)

    def test_F29_what_does_not_fit_into_memory_is_an_error_with_the_file(self):
        if base.SLOW > 1:
            self.skipTest("a sanitized program needs more memory than any limit")
        with open(self.folder / "t.txt", "wb") as out:
            out.truncate(2 << 30)
        job = self.corpus_job(self.folder,
                              'kind = "text"\ntrain = "t.txt"\nvalidation_fraction = 0.1')
        done = subprocess.run(
            [base.BUILD / "gemmine", "data", job], capture_output=True, text=True, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)))
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertRegex(done.stderr, r"t\.txt: there is not enough memory")

    def test_R08_two_bytes_make_no_gzip_file(self):
        text = b"\x1f\x8b and then words, words, words. " * 20
        (self.folder / "looks_gzip.txt").write_bytes(text)
        job = self.corpus_job(self.folder, 'kind = "text"\ntrain = "looks_gzip.txt"\n'
                                           "validation_fraction = 0.1")
        self.assertEqual(self.bytes_of(job) + self.bytes_of(job, "validation"), text)
        (self.folder / "tokens_1f8b.bin").write_bytes(struct.pack("<80H", 0x8b1f, *range(79)))
        job = self.corpus_job(self.folder, 'kind = "tokens"\ntrain = "tokens_1f8b.bin"\n'
                                           "validation_fraction = 0.5", 16_384)
        self.refuse_data(r"tokens_1f8b\.bin: number 0: token 35615; model\.vocabulary is 16384",
                         job)
        (self.folder / "t.txt.gz").write_bytes(b"plain words " * 50)
        job = self.corpus_job(self.folder, 'kind = "text"\ntrain = "t.txt.gz"\n'
                                           "validation_fraction = 0.1")
        self.refuse_data(r"t\.txt\.gz: its name ends in \.gz, and it is no gzip file", job)


class Numpy(DataCase):
    def npy(self, shape, descr="|u1", data=b"", order="False"):
        header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data

    def test_R01_longs_of_python_2_are_read_and_other_shapes_are_named(self):
        folder = self.corpus("npy")
        self.assertEqual(self.data(folder / "long_suffix.toml"), (40, 40))
        self.refuse_data(r"numpy_int_x\.npy: .*\(np\.int64\(40\), np\.int64\(4\)\)",
                         folder / "numpy_int.toml")

    def test_R03_real_numbers_are_read_where_features_are_scaled(self):
        folder = self.corpus("npy")
        job = folder / "numpy_int.toml"
        text = job.read_text()
        for descr, size in (("<f4", 4), (">f8", 8), ("<f2", 2)):
            (folder / "numpy_int_x.npy").write_bytes(self.npy("(40, 4)", descr, bytes(160 * size)))
            job.write_text(text)
            self.assertEqual(self.data(job), (40, 40))  # zeros are bytes
            job.write_text(re.sub(r"feature_.*\n", "", text))
            self.assertEqual(self.data(job), (40, 40))
        (folder / "numpy_int_x.npy").write_bytes(
            self.npy("(40, 4)", "<f4", struct.pack("<160f", *(i / 7 for i in range(160)))))
        self.assertEqual(self.data(job), (40, 40))
        job.write_text(text)
        self.refuse_data(r"numpy_int_x\.npy: row 0, value 1: '0\.142857.*' is no whole number", job)


class Terminals(DataCase):
    ESCAPES = "\x1b]0;title\x07\x1b[2J"

    def refuse_quietly(self, pattern, program, *arguments):
        text = self.refuse(3, pattern, program, *arguments)
        self.assertNotRegex(text, r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

    def test_F31_metadata_of_a_model_is_printable(self):
        folder = self.corpus("st")
        job = self.corpus("idx") / "rounds.toml"
        escape = folder / "escape.safetensors"
        self.refuse_quietly(r"says .*and gemmine has", "gemmine", "sample", "--model",
                            escape)
        self.refuse_quietly(r"architecture", "gemmine", "train", job, "--from", escape)

    def test_F31_what_a_model_writes_is_no_command_to_a_terminal(self):
        job = toyjob.write_lm(self.folder / "lm", words=600, rounds=1, steps_per_lease=4)
        model = self.folder / "m.safetensors"
        self.accept("gemmine", "train", job, "--model", model)
        prompt = "a\x1b]0;t\x07é\u009b2J日b\tc\n".encode() + b"\x9bd\xe6\x97\x9b"
        ours, theirs = pty.openpty()
        done = subprocess.run([base.BUILD / "gemmine", "sample", "--model", model, "--prompt",
                               prompt, "--tokens", "1"], stdout=theirs, check=False)
        os.close(theirs)
        self.assertEqual(done.returncode, 0)
        shown = b""
        with contextlib.suppress(OSError), os.fdopen(ours, "rb", buffering=0) as screen:
            while chunk := screen.read(4096):
                shown += chunk
        shown = shown.replace(b"\r\n", b"\n")
        expected = b"a?]0;t?" + "é".encode() + b"\xc2?2J" + "日".encode() + b"b\tc\n?d\xe6\x97\x9b"
        self.assertTrue(shown.startswith(expected), shown)

    def test_F31_tables_headers_and_names_are_printable(self):
        self.refuse_data(r"t\.csv:1:3:", self.csv(f"1,{self.ESCAPES},1,2,3\n".encode()))
        (self.folder / "x.npy").write_bytes(Numpy.npy(self, "(2, 4)", "|" + self.ESCAPES))
        self.refuse_data(r"x\.npy: elements of type", self.job(
            self.folder, 'kind = "npy"\n' + "".join(
                f'{part} = "x.npy"\n' for part in ("train_images", "train_labels", "test_images",
                                                   "test_labels"))))
        (self.folder / "x.npy").write_bytes(Numpy.npy(self, f"({self.ESCAPES}, 4)"))
        self.refuse_data(r"x\.npy: the \.npy header gives the shape", self.folder / "job.toml")
        name = r"\u001b]0;title\u0007\u001b[2J"
        for data in (f'kind = "csv"\ntrain = "{name}"\ntest_fraction = 0.1', f'kind = "{name}"'):
            self.refuse_data("title", self.job(self.folder, data))
        self.refuse_data("title", self.corpus_job(
            self.folder, f'kind = "text"\ntrain = "{name}*"\nvalidation_fraction = 0.1'))
        job = self.job(self.folder, f'kind = "csv"\ntrain = "{self.ESCAPES}"')
        self.refuse_data(r"job\.toml:4:", job)


class Models(DataCase):
    def refuse_model(self, pattern, model):
        job = self.corpus("idx") / "rounds.toml" if not (self.folder / "idx").exists() else \
            self.folder / "idx/rounds.toml"
        self.refuse(3, pattern, "gemmine", "train", job, "--rounds", "1", "--from", model)

    def header(self, model, change):
        """The same file with another header."""
        raw = model.read_bytes()
        size = struct.unpack("<Q", raw[:8])[0]
        header = json.loads(raw[8:8 + size])
        change(header)
        text = json.dumps(header).encode()
        out = self.folder / "changed.safetensors"
        out.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + size:])
        return out

    def test_F25_every_byte_of_a_model_belongs_to_one_tensor(self):
        folder = self.corpus("st")
        why = r"its tensors overlap, or have gaps between them"
        self.refuse_model(why, folder / "overlap_hole.safetensors")
        longer = self.folder / "longer.safetensors"
        longer.write_bytes((folder / "good.safetensors").read_bytes() + bytes(4))
        self.refuse_model(why, longer)
        self.refuse_model(r"layers\.0\.bias: its data_offsets", self.header(
            folder / "good.safetensors", lambda header: header["layers.0.bias"].update(
                data_offsets=[1 << 40, (1 << 40) + 32])))
        self.accept("gemmine", "train", self.folder / "idx/rounds.toml", "--rounds", "1", "--from",
                    folder / "good.safetensors")

    def test_R14_a_name_given_twice_is_refused(self):
        self.refuse_model(r"its header has '.*' twice",
                          self.corpus("st") / "duplicate_same.safetensors")

    def test_F29_a_model_is_told_by_its_first_bytes(self):
        huge = self.folder / "huge.safetensors"
        with open(huge, "wb") as out:
            out.write(b"PK\x03\x04 no model")
            out.truncate(1 << 30)
        began = time.monotonic()
        self.refuse(3, r"huge\.safetensors: is no safetensors file", "gemmine", "sample", "--model",
                    huge)
        self.assertLess(time.monotonic() - began, 2 * base.SLOW)
        os.mkfifo(self.folder / "pipe")
        self.refuse(3, r"is not a file", "gemmine", "sample", "--model", self.folder / "pipe")


if __name__ == "__main__":
    unittest.main(verbosity=2)
