"""The Debian package: what is in it, what it needs, and what Debian's own critic says."""
import os
import re
import shutil
import subprocess
import unittest

import tools

LICENCES = "usr/share/common-licenses"
NEEDED = {"libc6", "libssl3", "libstdc++6", "libuv1"}  # shlibdeps finds these, whatever else


@tools.needs("dpkg-shlibdeps")
@tools.needs("cpack")
class Package(tools.Product):
    @classmethod
    def setUpClass(cls):
        cls.made = tools.tempfile.TemporaryDirectory(prefix="gemmine-package-")
        cls.debs = [cls.make(name) for name in ("one", "two")]

    @classmethod
    def tearDownClass(cls):
        cls.made.cleanup()

    @classmethod
    def make(cls, name):
        """A package of the build, as at a given second."""
        folder = tools.pathlib.Path(cls.made.name) / name
        folder.mkdir()
        subprocess.run(["cpack", "-G", "DEB", "--config", tools.BUILD / "CPackConfig.cmake",
                        "-B", folder], check=True, capture_output=True, cwd=folder,
                       env=os.environ | {"SOURCE_DATE_EPOCH": "1796083200"})
        (deb,) = folder.glob("gemmine_*_*.deb")
        return deb

    def field(self, name):
        return tools.run("dpkg-deb", "-f", self.debs[0], name).stdout.strip()

    def files(self):
        lines = tools.run("dpkg-deb", "-c", self.debs[0]).stdout.splitlines()
        return {line.split()[5].removeprefix("./"): line.split()[0] for line in lines}

    def test_has_programs_pages_units_and_examples(self):
        files = self.files()
        for program in tools.PROGRAMS:
            self.assertEqual(files.get(f"usr/bin/{program}"), "-rwxr-xr-x")
            for page in (f"man/man1/{program}.1.gz", f"zsh/vendor-completions/_{program}",
                         f"bash-completion/completions/{program}",
                         f"fish/vendor_completions.d/{program}.fish"):
                self.assertEqual(files.get(f"usr/share/{page}"), "-rw-r--r--")
        for name in ("lib/systemd/system/gemmine.service", "share/gemmine/jobs/fashion-mnist.toml",
                     "share/doc/gemmine/getting-started.md", "share/doc/gemmine/copyright"):
            self.assertIn(f"usr/{name}", files)
        plugin = "usr/lib/gemmine/libgemmine_cuda.so"
        self.assertEqual(plugin in files, (tools.BUILD / "libgemmine_cuda.so").exists())

    def test_names_what_its_programs_load(self):
        depends = set(re.split(r"[,|]\s*| \([^)]*\)", self.field("Depends"))) - {""}
        self.assertLessEqual(NEEDED, {name.strip() for name in depends})
        self.assertNotIn("cuda", self.field("Depends"))  # drivers come from elsewhere

    def test_keeps_what_an_administrator_wrote(self):
        control = self.folder()
        tools.run("dpkg-deb", "-e", self.debs[0], control)
        listed = set((control / "conffiles").read_text().split())
        there = {f"/{name}" for name in self.files() if name.startswith("etc/")
                 and not name.endswith("/")}
        self.assertEqual(listed, there)

    def test_its_version_is_the_programs(self):
        shown = tools.run(tools.BUILD / "gemmine", "--version").stdout.split()[-1]
        changelog = (tools.SOURCE / "package/changelog").read_text()
        self.assertEqual({self.field("Version"), shown, re.search(r"\((.+?)\)", changelog)[1]},
                         {shown})

    def test_comes_out_the_same_twice(self):
        self.assertEqual(*(deb.read_bytes() for deb in self.debs))

    @tools.needs("shellcheck")
    def test_its_scripts_are_sound(self):
        scripts = [path for path in (tools.SOURCE / "package/deb").iterdir()
                   if path.name != "conffiles"]
        done = tools.run("shellcheck", *scripts)
        self.assertEqual((len(scripts), done.stdout), (3, ""))

    @tools.needs("lintian")
    def test_lintian_has_no_complaint(self):
        done = tools.run("lintian", "--fail-on", "error,warning", self.debs[0])
        self.assertEqual((done.returncode, done.stdout), (0, ""))


class Installation(tools.Product):
    def test_keeps_what_an_administrator_wrote(self):
        root = self.installed()
        conf = root / "etc/gemmine/mine.conf"
        conf.write_text('GEMMINE_MINE="--pool mine.example:4400"\n')
        done = tools.run("cmake", "--install", tools.BUILD, "--prefix", "/usr",
                         env=os.environ | {"DESTDIR": str(root)})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("mine.example", conf.read_text())
        self.assertIn("gemmine.service", (conf.parent / "mine.conf.new").read_text())
        self.assertFalse((conf.parent / "pool.conf.new").exists())

    def test_units_of_another_prefix_name_it(self):
        prefix = self.folder() / "place"
        tools.run("cmake", "--install", tools.BUILD, "--prefix", prefix)
        unit = (prefix / "lib/systemd/system/gemmine-pool.service").read_text()
        program, *words = re.search(r"^ExecStart=(.+)$", unit, re.M)[1].split()
        self.assertEqual(program, f"{prefix}/bin/gemmine-pool")
        self.assertTrue((prefix / "etc/gemmine/pool.toml").is_file())
        self.assertIn(f"{prefix}/etc/gemmine/pool.toml", words)

    def test_help_names_examples_that_are_there(self):
        prefix = self.folder() / "place"
        tools.run("cmake", "--install", tools.BUILD, "--prefix", prefix)
        named = re.compile(r"\S*/jobs/\S+\.toml")
        for words in ([], ["bench"], ["sample"]):
            there = named.findall(tools.run(prefix / "bin/gemmine", *words, "--help").stdout)
            self.assertTrue(there, words)
            for path in there:
                self.assertEqual(path, f"{prefix}/share/gemmine/jobs/{path.split('/')[-1]}")
                self.assertTrue(os.path.isfile(path), path)
        self.assertIn("configs/jobs/fashion-mnist.toml", tools.help_of("gemmine"))

    def test_a_system_without_the_licence_gets_it(self):
        here = os.path.exists(f"/{LICENCES}/Apache-2.0")
        self.assertEqual((self.installed() / "usr/share/doc/gemmine/LICENSE").exists(), not here)


class Presets(tools.Product):
    def test_each_is_one_of_cmake(self):
        done = tools.run("cmake", "--list-presets=all", tools.SOURCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        workflows = done.stdout.partition("Available workflow presets:")[2]
        self.assertIn('"package"', workflows)

    @unittest.skipUnless(shutil.which("ninja"), "SKIPPED: there is no ninja")
    def test_a_package_has_no_tests_in_its_tree(self):
        folder = self.folder()
        done = tools.run("cmake", "--preset", "package", "-B", folder, "-DGEMMINE_CUDA=OFF",
                         cwd=tools.SOURCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        targets = tools.run("ninja", "-C", folder, "-t", "targets", "all").stdout
        self.assertIn("\npages: ", targets)
        self.assertNotIn("_test: ", targets)


if __name__ == "__main__":
    unittest.main(verbosity=2)
