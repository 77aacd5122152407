"""`cmake --install` puts everything where it works: programs, plug-in, configurations, hardened.

install.py --build DIR installs DIR into a fresh folder and uses what it finds there.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

PROGRAMS = ("gemmine", "gemmine-pool", "gemmine-audit", "gemmine-verify")
STRANGERS = ("gemmine-pool", "gemmine", "gemmine-audit")  # what talks to strangers


def output(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, **options)
    return done.returncode, done.stdout + done.stderr


def complaints(root, build):
    for name in PROGRAMS:
        code, text = output(root / "bin" / name, "--version", cwd=root)
        if code or not text.strip():
            yield f"{name} --version: exit {code}: {text}"
    for name in STRANGERS:
        _, dynamic = output("readelf", "-d", root / "bin" / name)
        if "BIND_NOW" not in dynamic and "NOW" not in dynamic.split("FLAGS_1", 1)[-1]:
            yield f"{name} is not bound when it starts"
        _, symbols = output("readelf", "--dyn-syms", "--wide", root / "bin" / name)
        if "__stack_chk_fail" not in symbols:
            yield f"{name} has no stack protection"
        _, header = output("readelf", "-h", root / "bin" / name)
        if "DYN" not in header:
            yield f"{name} is not position independent"
    job = root / "share/gemmine/jobs/fashion-mnist.toml"
    code, text = output(root / "bin/gemmine-pool", "job", "check", job)
    if code not in (0, 3):  # 3: its data are another package
        yield f"job check {job.name}: exit {code}: {text}"
    if (build / "libgemmine_cuda.so").exists():
        _, text = output(root / "bin/gemmine", "devices")
        if "plug-in" in text and "cannot open shared object" in text and "libcuda" not in text:
            yield f"the installed plug-in is not found: {text}"
        if not (root / "lib/gemmine/libgemmine_cuda.so").exists():
            yield "the plug-in was not installed"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    build = parser.parse_args().build.resolve()
    with tempfile.TemporaryDirectory(prefix="gemmine-install-") as folder:
        root = pathlib.Path(folder)
        code, text = output("cmake", "--install", build, "--prefix", root)
        found = [f"cmake --install: {text}"] if code else list(complaints(root, build))
    print("\n".join(found) or "ok")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
