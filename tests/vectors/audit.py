"""The coins, and the tickets and blocks of audits (PROTOCOL 7.1 – 7.3, 13)."""
from types import SimpleNamespace

import b3
import block_gpt
import block_mlp
import gn1
import gpt
import openings
from records import REPLAY, THREAD, u32

BLOCKS = {gn1: block_mlp, gpt: block_gpt}  # by a job's program


def coin_commit(secret):
    return b3.domain("coin", secret)


def draw(seed, i):
    return int.from_bytes(b3.b3k(seed, u32(i))[:8], "little")


def pick(seed, i, n):
    return draw(seed, i) * n >> 64


def share_seed(secret, share_ids):
    """Of the immediate coin by a lease's secret, of a batch by its s1 (7.1)."""
    return b3.b3k(secret, b"".join(share_ids))


def thread_seed(seed, lease_id, number):
    return b3.b3k(seed, lease_id + u32(number))


def audited_at_once(job, seed, complete_leases):
    return complete_leases < job.first_audits or draw(seed, 0) % 10**6 < job.now_ppm


def _from_urn(seed, numbers, count, leases):
    """`count` draws, by R(numbers), R(numbers + 1), …; an empty urn is filled again (13.4)."""
    out, urn = [], []
    for i in range(count):
        urn = urn or list(range(leases))
        place = pick(seed, numbers + i, len(urn))
        out.append(urn[place])
        urn[place] = urn[-1]
        urn.pop()
    return out


def tickets(job, leases, seed):
    """(place of the lease in the batch, kind), threads first."""
    more = draw(seed, 0) % 10**6 < job.replays_ppm % 10**6
    replays = min(leases, job.replays_ppm // 10**6 + more)
    return ([(lease, THREAD) for lease in _from_urn(seed, 1, job.threads, leases)]
            + [(lease, REPLAY) for lease in _from_urn(seed, 65, replays, leases)])


def silent_ticket(s0, seed, silent):
    return pick(b3.b3k(s0, seed), 0, silent)


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
