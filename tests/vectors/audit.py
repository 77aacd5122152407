"""The coin, and the kinds and blocks of audits (PROTOCOL 7.1 – 7.3)."""
from types import SimpleNamespace

import b3
import block_gpt
import block_mlp
import gn1
import gpt
import openings
from records import NONE, REPLAY, SPOT, u32, u64

BLOCKS = {gn1: block_mlp, gpt: block_gpt}  # by a job's program


def lease_secret(master, serial):
    return b3.domain("lease secret", master + u64(serial))


def coin_commit(secret):
    return b3.domain("coin", secret)


def challenge_seed(secret, share_id):
    return b3.b3k(secret, share_id)


def draw(seed, i):
    return int.from_bytes(b3.b3k(seed, u32(i))[:8], "little")


def pick(seed, i, n):
    return draw(seed, i) * n >> 64


def audit_kind(job, seed, valid_shares):
    if valid_shares < job.probation_shares or draw(seed, 0) % 10**6 < job.replay_ppm:
        return REPLAY
    return SPOT if draw(seed, 1) % 10**6 < job.spot_ppm else NONE


def choose_block(job, seed, j, steps, last_share):
    """step in the share, position of the tensor (None: delta), tile row and column, group."""
    blocks, tensors = BLOCKS[job.program], job.program.tensors(job)
    step = pick(seed, 8 * j + 2, steps)
    checks = blocks.checks(job) + [None] * last_share
    position = checks[pick(seed, 8 * j + 3, len(checks))]
    if position is None:
        block = pick(seed, 8 * j + 4, (job.program.parameter_count(job) + 127) // 128)
        return SimpleNamespace(step=step, position=None, row=block, col=0, group=0)
    tensor = tensors[position]
    tile_rows, tile_cols = blocks.grid(tensor)
    row, col = pick(seed, 8 * j + 4, tile_rows), pick(seed, 8 * j + 5, tile_cols)
    return SimpleNamespace(step=0 if blocks.of_first_step(tensor) else step, position=position,
                           row=row, col=col,
                           group=pick(seed, 8 * j + 6, blocks.groups(job, tensor, row, col)))


def make_opening(job, run, choice):
    return openings.make_opening(job, run, choice, BLOCKS[job.program].Block)


def check_opening(job, run, choice, opening):
    return openings.check_opening(job, run.lease, run.share, choice, opening, run.theta,
                                  BLOCKS[job.program].Block)
