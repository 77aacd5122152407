"""One rule for signatures (PROTOCOL 1.4): the reference and Debian's libsodium give the verdict
that follows from the flags of every published edge case. The C++ is held against the same file
by tests/unit/verifier/records/identity_test.cc.
"""
import ctypes
import pathlib
import sys

import ed25519

HERE = pathlib.Path(__file__).parent
CASES = 914


def sodium_verify():
    sodium = ctypes.CDLL("libsodium.so.23")
    assert sodium.sodium_init() >= 0

    def verify(key, message, signature):
        length = ctypes.c_ulonglong(len(message))
        return sodium.crypto_sign_verify_detached(signature, message, length, key) == 0
    return verify


def main():
    judges = {"ed25519.py": ed25519.verify, "libsodium": sodium_verify()}
    lines = [l for l in (HERE / "ed25519_cctv.txt").read_text().splitlines() if l[0] != "#"]
    assert len(lines) == CASES
    wrong = verdicts = 0
    for number, line in enumerate(lines):
        key, signature, message, verdict = line.split()
        key, signature, message = (bytes.fromhex(x) for x in (key, signature, message))
        verdicts += verdict == "1"
        for name, verify in judges.items():
            if verify(key, message, signature) != (verdict == "1"):
                wrong += 1
                print(f"case {number}: {name} does not say {verdict}")
    assert 0 < verdicts < CASES
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
