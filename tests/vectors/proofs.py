"""Proofs of wrong bits, decided (PROTOCOL 12). decide() knows the jobs that it is given."""
import numpy as np

import proofs_miner
import proofs_pool
import proofs_records
import proofs_update
from openings import Malformed
from proof_parts import NotProven, Reader

MAGIC = b"gemmine proof 2\n"
BLOCK, BLOCK_BY_ANOTHER, UPDATE, MERGE, THETA0, EQUIVOCATION, UNFAIR_COIN, FALSE_VERDICT, \
    UNANSWERED = range(1, 10)
# Each reads the rest of a file and returns the pool whose signatures it rests on.
DECIDE = {BLOCK: proofs_miner.decide_block, BLOCK_BY_ANOTHER: proofs_miner.decide_block_by_another,
          UPDATE: proofs_update.decide_update, MERGE: proofs_pool.decide_merge,
          THETA0: proofs_pool.decide_theta0,
          EQUIVOCATION: proofs_pool.decide_equivocation,
          UNFAIR_COIN: proofs_records.decide_unfair_coin,
          UNANSWERED: proofs_records.decide_unanswered}


def decide(data, pool_key, jobs, thetas=None):
    """True: proven against the pool or one of its miners. False: not, or no proof file.

    jobs: by their bytes. thetas: what is published, by root, where a replay is to decide (12.9).
    """
    try:
        reader = Reader(data)
        if reader.take(len(MAGIC)) != MAGIC:
            raise Malformed("magic")
        kind = reader.number("B")
        if kind not in DECIDE and kind != FALSE_VERDICT:
            raise Malformed("kind")
        with np.errstate(all="ignore"):
            if kind == FALSE_VERDICT:
                return proofs_records.decide_false_verdict(reader, jobs, decide, thetas) == pool_key
            return DECIDE[kind](reader, jobs) == pool_key
    except (Malformed, NotProven):
        return False
