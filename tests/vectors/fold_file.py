"""Folds an exported ledger by the reference alone: `fold_file.py LEDGER` prints its balances.

Exit code 10 and the record's number when one breaks a rule; the pool's last signature is checked.
"""
import pathlib
import sys

import ed25519
from b3 import domain
from fold import Fold
from job_reader import decode_job
from ledger_reader import JOB, Reader, Refused, must
from records import u64


def fold_ledger(data):
    """The state after every record of the export's bytes. Raises Refused."""
    reader, fold = Reader(data), Fold([])
    signature = bytes(64)
    while reader.at < len(data):
        packed, signature = reader.blob(2**21), reader.raw(64)
        must(len(packed) > 21, "a record that is none")
        if packed[16] == JOB:
            job = decode_job(Reader(packed[21:]).blob(1024))
            fold.known[job.id] = job
        fold.apply(packed)
    must(fold.seq > 0 and fold.post is None, "it ends in the middle")
    head = domain("head", u64(fold.seq - 1) + u64(fold.time) + fold.head)
    must(ed25519.verify(fold.pool_key, head, signature), "the pool's signature")
    return fold


def main():
    try:
        fold = fold_ledger(pathlib.Path(sys.argv[1]).read_bytes())
    except Refused as rule:
        print(f"refused: {rule}")
        return 10
    for account, amount in sorted(fold.accounts.items()):
        print(account, amount)
    return 0


if __name__ == "__main__":
    sys.exit(main())
