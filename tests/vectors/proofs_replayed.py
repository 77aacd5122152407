"""What a replay decides of a pool's words (PROTOCOL 12.9): the reference runs the lease."""
import numpy as np

import records
import toy
from proof_parts import expect

NO_STEP = records.NO_STEP


def run(job, lease, thetas, shares):
    """The lease's first shares, or None where it diverges, which the toy jobs' never do alone."""
    expect(thetas is not None and lease.theta_root in thetas, "a replay decides")
    theta = thetas[lease.theta_root]
    running = job.program.Lease(job, theta, lease.round, lease.slot)
    out = []
    for index in range(shares):
        out.append(toy.run_share(job, lease, running, index, theta, toy.MINERS[0]))
    finite = all(np.isfinite(r.losses).all() for r in out)
    expect(finite, "the reference does not judge a lease that diverges")
    return out


def check_invalid(job, lease, share, verdict, thetas):
    own = run(job, lease, thetas, share.index + 1)[-1]
    if verdict.step == NO_STEP:
        ends = (own.share.state_after, own.share.delta_root, own.share.id)
        expect(verdict.digest not in ends, "it is right")
    else:
        expect(verdict.digest != own.digests[verdict.step - share.first_step], "it is right")


def check_valid(job, lease, share, thetas):
    own = run(job, lease, thetas, share.index + 1)[-1].share
    names = ("state_before", "state_after", "trace_root", "loss", "macs", "delta_root")
    expect(any(getattr(own, n) != getattr(share, n) for n in names), "it is right")


def check_stop(job, lease, step, thetas):
    """Proven: the lease runs on."""
    run(job, lease, thetas, step // lease.steps_per_share + 1)
