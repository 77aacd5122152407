"""Job, lease, share, verdict, delta and merge (PROTOCOL 6, 8.3). fold.py has the ledger."""
import struct
from types import SimpleNamespace

import numpy as np

import ed25519
import gn1
from b3 import b3, b3k, domain
from gn1 import F

VALID, INVALID, MALFORMED, UNDECIDED = range(4)
REPLAY, THREAD, UNANSWERED = range(1, 4)  # kinds of audit
NO_STEP = 0xFFFFFFFF
ZERO = bytes(32)


def i8(x):
    return struct.pack("<b", x)


def u8(x):
    return struct.pack("<B", x)


def u16(x):
    return struct.pack("<H", x)


def u32(x):
    return struct.pack("<I", x)


def u64(x):
    return struct.pack("<Q", x)


def i64(x):
    return struct.pack("<q", x)


def f32(x):
    return struct.pack("<f", F(x))


def text(s):
    assert all(0x20 <= ord(c) <= 0x7E for c in s)
    return u16(len(s)) + s.encode()


def blob(b):
    return u32(len(b)) + b


class Job(SimpleNamespace):
    """Fields of 6.1 by name; widths = (K_0, N_0 … N_{L−1}). gn1 takes it as its spec."""

    @property
    def layers(self):
        return len(self.widths) - 1

    @property
    def record_bytes(self):
        return self.widths[0] + gn1.label_bytes(self)

    def encode(self):
        j = self
        out = text(j.name) + u16(1) + u16(1) + u8(j.layers)
        out += b"".join(u32(w) for w in j.widths)
        return out + self._data() + f32(j.feature_scale) + f32(j.feature_shift) + \
            j.sheet_address + self._rest()

    def merge(self, theta, deltas, taken_out=()):
        return merge(theta, deltas, self.slots, taken_out)

    def _data(self):
        return self.train_address + u32(self.n_train) + self.test_address + u32(self.n_test)

    def _rest(self):
        j = self
        out = u8(j.optimiser) + f32(j.lr) + f32(j.beta1) + f32(j.beta2) + f32(j.eps) + f32(j.wd)
        out += u32(j.warmup)
        out += u32(j.batch) + u32(j.steps_per_lease) + u32(j.steps_per_share)
        out += u32(j.slots) + u32(j.rounds)
        out += u64(j.init_seed) + u64(j.data_seed) + u64(j.sr_seed)
        out += u32(j.batch_leases) + u32(j.first_batch) + u16(j.threads) + u16(j.thread_blocks)
        out += u32(j.replays_ppm) + u8(j.first_audits) + u32(j.now_ppm) + u32(j.fail_ppm)
        out += u32(j.silent_free) + u32(j.lease_ms) + u32(j.answer_ms) + i8(j.delta_max)
        return out + u64(j.price_per_tmac) + u32(j.fee_ppm)

    @property
    def id(self):
        return domain("job", self.encode())


class GptJob(Job):
    """Fields of 10.12 by name: vocabulary, width, heads, hidden, blocks, context, …"""

    @property
    def record_bytes(self):
        return self.token_bytes

    def encode(self):
        j = self
        out = text(j.name) + u16(1) + u16(2)
        out += u32(j.vocabulary) + u32(j.width) + u32(j.heads) + u32(j.hidden) + u8(j.blocks)
        out += u32(j.context) + u8(j.norm) + u8(j.activation) + u8(j.tied) + u8(j.token_bytes)
        out += f32(j.clip) + f32(j.outer_lr) + f32(j.outer_momentum)
        return out + self._data() + self._rest()

    def merge(self, theta, deltas, taken_out=()):
        """What the next round publishes (10.13): θ, and the outer velocity if there is one."""
        outer, mu = F(self.outer_lr), F(self.outer_momentum)
        if not mu > 0:
            return theta + outer * mean_delta(deltas, len(theta), self.slots, taken_out)
        old, velocity = np.split(theta, 2)
        g = mean_delta(deltas, len(old), self.slots, taken_out)
        if not deltas:  # a repair takes no step of the momentum
            return np.concatenate([old + outer * (g + mu * g), velocity + g])
        velocity = mu * velocity + g
        return np.concatenate([old + outer * (g + mu * velocity), velocity])


class Signed(SimpleNamespace):
    """A record with a body and a signature over its id."""
    word = ""

    def body(self):
        raise NotImplementedError

    @property
    def id(self):
        return domain(self.word, self.body())

    def sign(self, seed):
        self.signature = ed25519.sign(seed, self.id)
        return self

    def encode(self):
        return self.body() + self.signature


class Lease(Signed):
    word = "lease"

    def body(self):
        return (self.job_id + self.pool_key + self.miner_key + u32(self.round) + u32(self.slot)
                + u64(self.serial) + self.theta_root + u32(self.steps)
                + u32(self.steps_per_share) + u64(self.issued_ms) + u64(self.deadline_ms)
                + self.coin_commit + self.batch_commit)

    @property
    def shares(self):
        return -(-self.steps // self.steps_per_share)

    def steps_of(self, share):
        """First step of a share, and the step after its last (6.3)."""
        first = share * self.steps_per_share
        return first, min(first + self.steps_per_share, self.steps)


class Share(Signed):
    word = "share"

    def body(self):
        return (self.lease_id + u32(self.index) + u32(self.first_step) + u32(self.steps)
                + self.state_before + self.state_after + self.trace_root + f32(self.loss)
                + u64(self.macs) + self.delta_root)


class Verdict(Signed):
    word = "verdict"

    def body(self):
        return (self.lease_id + u32(self.index) + self.share_id + u8(self.kind)
                + u8(self.outcome) + u32(self.step) + u64(self.time_ms) + self.auditor_key
                + self.proof + self.digest + text(self.detail))


# Commitments (4.2 – 4.4)

def step_key(lease_id, step):
    return domain("trace step", lease_id + u32(step))


def step_digest(key, roots, loss):
    return b3k(key, b"".join(roots) + f32(loss))


def share_key(lease_id, first_step):
    return domain("trace share", lease_id + u32(first_step))


STATE_KEY = domain("state")


def state_root(state):
    return b3k(STATE_KEY, state.astype("<f4").tobytes())


def theta_bytes(theta):
    return theta.astype("<f4").tobytes()


def theta_root(theta):
    """Content address of what a round publishes."""
    return b3(theta_bytes(theta))


# Delta and merge (6.4, 8.3)

def make_delta(local, theta, delta_max):
    """Delta bytes, or None when the lease has diverged."""
    d = local - theta
    if not np.isfinite(d).all():
        return None
    bound = F(127 * 2.0 ** (delta_max - 7))
    d = np.clip(d, -bound, bound)
    exponents, quanta = [], []
    for first in range(0, len(d), 128):
        block = d[first:first + 128]
        a = gn1.group_max(block, 0)
        e = -40
        if a > 0:
            mantissa, x = np.frexp(a)  # a = mantissa·2^x with 0.5 ≤ mantissa < 1
            m, x = float(mantissa) * 2, int(x) - 1
            e = max(-40, x - 6 if m <= 1.984375 else x - 5)
        q = gn1.rni(block * F(2.0 ** -e))
        assert np.abs(q).max() <= 127
        exponents.append(np.array([e], np.int8))
        quanta.append(q.astype(np.int8))
    return np.concatenate(exponents + quanta).tobytes()


def delta_is_valid(delta, parameters, delta_max):
    blocks = (parameters + 127) // 128
    if len(delta) != blocks + parameters:
        return False
    d = np.frombuffer(delta, np.int8).astype(np.int64)
    return bool((d[:blocks] >= -40).all() and (d[:blocks] <= delta_max - 7).all()
                and (d[blocks:] >= -127).all())


def mean_delta(deltas, count, slots, taken_out=()):
    """Of the slots' deltas, less those of earlier rounds that are taken out again (8.3)."""
    blocks = (count + 127) // 128
    acc = np.zeros(count, np.int64)
    for sign, delta in [(1, x) for x in deltas] + [(-1, x) for x in taken_out]:
        d = np.frombuffer(delta, np.int8).astype(np.int64)
        shift = np.repeat(d[:blocks] + 40, 128)[:count]
        acc += sign * (d[blocks:] << shift)
    return (acc.astype(F) * F(2.0 ** -40)) * (F(1) / F(slots))


def merge(theta, deltas, slots, taken_out=()):
    return theta + mean_delta(deltas, len(theta), slots, taken_out)
