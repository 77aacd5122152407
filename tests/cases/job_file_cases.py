"""Job files as people write them: names of files, fractions, encodings, keys that are none."""
import os
import re
import unittest

from datajob import DataCase, ROWS


class Names(DataCase):
    def test_F22_a_folder_is_no_pattern_and_a_name_that_exists_is_that_file(self):
        folder = self.corpus("text [1998]")
        self.assertEqual(sum(self.data(folder / "one.toml")), 2937)
        self.assertEqual(sum(self.data(folder / "two.toml")), 2 * 2937)
        (folder / "a.txt").rename(folder / "chapter [1].txt")
        text = (folder / "one.toml").read_text()
        for train, files in (("chapter [1].txt", 1), ("*[a-z].txt", 1), ("?.txt", 1),
                             ("../text [1998]/*.txt", 2), (f"{folder}/*.txt", 2)):
            (folder / "one.toml").write_text(text.replace('"a.txt"', f'"{train}"'))
            self.assertEqual(sum(self.data(folder / "one.toml")), files * 2937, train)
        (folder / "one.toml").write_text(text.replace('"a.txt"', '"no*.txt"'))
        self.refuse_data(r"no\*\.txt: no file has this name or matches it", folder / "one.toml")

    def test_F23_an_absolute_name_stays_absolute(self):
        folder = self.corpus("text")
        job = folder / "absolute.toml"
        job.write_text(job.read_text().replace("@HERE@", str(folder)))
        self.assertEqual(sum(self.data(job)), 2937)
        moved = self.folder / "elsewhere"
        moved.mkdir()
        for directory in ("", 'directory = "nowhere"\n'):
            (moved / "job.toml").write_text(job.read_text().replace("[data]\n",
                                                                    f"[data]\n{directory}"))
            self.assertEqual(sum(self.data(moved / "job.toml")), 2937)
        for kind in ("idx", "npy", "csv"):
            here = self.corpus(kind)
            source = here / {"idx": "rounds", "npy": "long_suffix", "csv": "fraction_0.7"}[kind]
            text = source.with_name(source.name + ".toml").read_text()
            text = re.sub(r'(?m)^((?:train|test)(?:_images|_labels)? = )"', rf'\1"{here}/', text)
            (moved / f"{kind}.toml").write_text(text)
            self.assertEqual(sum(self.data(moved / f"{kind}.toml")), 100 if kind == "csv" else 80)

    def test_F22_what_is_no_file_is_told(self):
        os.mkfifo(self.folder / "pipe")
        (self.folder / "sub").mkdir()
        for name, why in (("pipe", "is not a file"), ("sub", "is a folder"), ("/dev/zero", "not"),
                          ("absent", "No such file"), ("", "no file's name")):
            self.refuse_data(why, self.corpus_job(
                self.folder, f'kind = "text"\ntrain = "{name}"\nvalidation_fraction = 0.1'))


class Fractions(DataCase):
    def test_F24_a_fraction_is_the_decimal_that_is_written(self):
        folder = self.corpus("csv")
        self.assertEqual(self.data(folder / "fraction_0.01.toml"), (99, 1))
        self.assertEqual(self.data(folder / "fraction_0.7.toml"), (30, 70))
        rows = (folder / "hundred.csv").read_bytes()
        for fraction, held_out in (("0.29", 29), ("0.57", 57), ("1e-2", 1), ("0.5_8", 58),
                                   ("0.019999", 1), ("0.999", 99)):
            self.assertEqual(self.data(self.csv(rows, fraction=fraction)),
                             (100 - held_out, held_out))
        for fraction in ("0", "1", "1.0", "-0.1", "nan", '"0.1"', "1e-30"):
            self.refuse_data(r"job\.toml:6:17: error: .*more than 0, less than 1",
                             self.csv(rows, fraction=fraction))
        self.refuse_data(r"of 100 rows is none", self.csv(rows, fraction="0.001"))
        (self.folder / "t.txt").write_bytes(b"x" * 1000)
        self.assertEqual(self.data(self.corpus_job(
            self.folder, 'kind = "text"\ntrain = "t.txt"\nvalidation_fraction = 0.07')), (930, 70))


class JobFiles(DataCase):
    def test_F33_columns_count_characters_in_both_directions(self):
        folder = self.corpus("toml")
        self.corpus("idx")
        (self.folder / "idx").rename(self.folder / "ünï cödé")
        self.assertEqual(self.data(folder / "inline_unicode.toml"), (40, 40))
        text = (folder / "inline_unicode.toml").read_text().replace("0.0125", '"x"')
        (folder / "inline_unicode.toml").write_text(text)
        shown = self.refuse_data(r":2:\d+: error: data\.feature_scale", folder /
                                 "inline_unicode.toml").split("\n")
        self.assertEqual(shown[2].index("^"), shown[1].rindex('"x"'))
        job = self.job(self.folder, 'kind = "csv"\t# 日本\ntrain = "t.csv"')
        job.write_text(job.read_text().replace("beta1 = 0.9", "\tbeta1 = \t'日本'"))
        shown = self.refuse_data(r"beta1", job)
        self.assertIn("^", shown)

    def test_R06_a_name_that_no_job_may_have_is_told_with_its_place(self):
        folder = self.corpus("idx")
        (folder / "newline_name.toml").write_text((folder / "unicode_name.toml").read_text()
                                                  .replace("grö", "gr\\n"))
        for name in ("unicode_name", "newline_name"):
            job = folder / f"{name}.toml"
            pattern = rf"{name}\.toml:1:8: error: name: has characters"
            for program, *verb in (("gemmine", "data"), ("gemmine", "train"),
                                   ("gemmine-pool", "job", "check")):
                self.refuse(3, pattern, program, *verb, job)

    def test_R07_another_encoding_is_told_without_its_bytes(self):
        folder = self.corpus("toml")
        pattern = r"utf16\.toml:1:1: error: .*UTF-16.*\nhint: save the file as UTF-8"
        self.refuse_data(pattern, folder / "utf16.toml")
        job = self.job(self.folder, 'kind = "csv"\ntrain = "t.csv"')
        text = job.read_bytes()
        job.write_bytes(text.replace(b"t.csv", b"caf\xe9.csv"))
        self.refuse_data(r"job\.toml:4:\d+: error: (.*\n)+hint: save the file as UTF-8", job)
        (self.folder / "t.csv").write_text("\n".join(ROWS))
        text = text.replace(b'"t.csv"', b'"t.csv"\ntest_fraction = 0.4\nlabel_column = "first"')
        job.write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
        self.assertEqual(self.data(job), (3, 2))


class Unknown(DataCase):
    def test_A19_every_unknown_key_is_told_before_a_missing_one(self):
        job = self.csv(b"\n".join(row.encode() for row in ROWS))
        job.write_text(job.read_text().replace("lr =", "learning_rate =")
                       .replace("batch =", "batch_size ="))
        text = self.refuse_data(r"\.learning_rate: is unknown(.*\n)+.*did you mean `train\.lr`",
                                job)
        self.assertRegex(text, r"train\.batch_size: is unknown(.*\n)+.*did you mean `train\.batch`")
        self.assertNotIn("missing", text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
