"""Job, lease, share, verdict, delta, merge and the ledger's records (PROTOCOL 6, 8)."""
import struct
from types import SimpleNamespace

import numpy as np

import ed25519
import gn1
from b3 import b3, b3k, domain
from gn1 import F

VALID, INVALID, MALFORMED, UNDECIDED = range(4)
NONE, REPLAY, SPOT, UNANSWERED = range(4)
NO_STEP = 0xFFFFFFFF
ZERO = bytes(32)


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
        return out + self._data() + f32(j.feature_scale) + f32(j.feature_shift) + self._rest()

    def merge(self, theta, deltas):
        return merge(theta, deltas, self.slots)

    def _data(self):
        return self.train_address + u32(self.n_train) + self.test_address + u32(self.n_test)

    def _rest(self):
        j = self
        out = u8(j.optimiser) + f32(j.lr) + f32(j.beta1) + f32(j.beta2) + f32(j.eps) + f32(j.wd)
        out += u32(j.warmup)
        out += u32(j.batch) + u32(j.steps_per_lease) + u32(j.steps_per_share)
        out += u32(j.slots) + u32(j.rounds)
        out += u64(j.init_seed) + u64(j.data_seed) + u64(j.sr_seed)
        out += u32(j.replay_ppm) + u32(j.spot_ppm) + u16(j.spot_blocks) + u32(j.probation_shares)
        out += u32(j.vest_leases) + u32(j.lease_ms) + u32(j.answer_ms)
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

    def merge(self, theta, deltas):
        """What the next round publishes (10.13): θ, and the outer velocity if there is one."""
        outer, mu = F(self.outer_lr), F(self.outer_momentum)
        if not mu > 0:
            return theta + outer * mean_delta(deltas, len(theta), self.slots)
        old, velocity = np.split(theta, 2)
        g = mean_delta(deltas, len(old), self.slots)
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
                + self.coin_commit)

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
                + text(self.detail))


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


# Delta and merge (6.4, 8.3)

def make_delta(local, theta):
    """Delta bytes, or None when the lease has diverged."""
    d = local - theta
    exponents, quanta = [], []
    for first in range(0, len(d), 128):
        block = d[first:first + 128]
        a = gn1.group_max(block, 0)
        if not a < F(256):  # NaN compares false
            return None
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


def delta_is_valid(delta, parameters):
    blocks = (parameters + 127) // 128
    if len(delta) != blocks + parameters:
        return False
    d = np.frombuffer(delta, np.int8).astype(np.int64)
    return bool((d[:blocks] >= -40).all() and (d[:blocks] <= 2).all()
                and (d[blocks:] >= -127).all())


def mean_delta(deltas, count, slots):
    blocks = (count + 127) // 128
    acc = np.zeros(count, np.int64)
    for delta in deltas:
        d = np.frombuffer(delta, np.int8).astype(np.int64)
        shift = np.repeat(d[:blocks] + 40, 128)[:count]
        acc += d[blocks:] << shift
    return (acc.astype(F) * F(2.0 ** -40)) * (F(1) / F(slots))


def merge(theta, deltas, slots):
    return theta + mean_delta(deltas, len(theta), slots)


# The ledger (8)

GENESIS, JOB, FUND, MEMBER, LEASE, SHARE, VERDICT, DELTA, CLOSE, BAN, MERGE, ROLLBACK, FINISH, \
    POST = range(1, 15)
COMPLETE, EXPIRED, REJECTED, ABANDONED, CANCELLED = range(1, 6)


class Ledger:
    """Writes records and the posts that follow from them; the caller keeps to the rules of 8.5."""

    def __init__(self):
        self.head, self.records, self.heads, self.times = ZERO, [], [], []
        self.accounts, self.jobs, self.members = {}, {}, {}
        self.leases, self.complete = {}, []  # complete: unvested leases, oldest close first

    def append(self, time_ms, kind, body):
        seq = len(self.records)
        packed = u64(seq) + u64(time_ms) + u8(kind) + blob(body)
        self.head = domain("ledger", self.head + packed)
        self.records.append(packed)
        self.heads.append(self.head)
        self.times.append(time_ms)
        return seq

    def signature(self, seq, pool_seed):
        """The pool's, of the head after the record (8.1)."""
        return ed25519.sign(pool_seed, domain("head", u64(seq) + u64(self.times[seq]) +
                                              self.heads[seq]))

    def _post(self, time_ms, cause, entries):
        sums = {}
        for account, amount in entries:
            sums[account] = sums.get(account, 0) + amount
        sums = {a: v for a, v in sorted(sums.items()) if v}
        assert sum(sums.values()) == 0
        for account, amount in sums.items():
            self.accounts[account] = self.accounts.get(account, 0) + amount
        if sums:
            body = u64(cause) + u16(len(sums))
            self.append(time_ms, POST, body + b"".join(text(a) + i64(v) for a, v in sums.items()))

    def genesis(self, t, pool_key, fee_account):
        self.fee_account = fee_account
        self.append(t, GENESIS, pool_key + text(fee_account))

    def job(self, t, job, theta_root):
        self.jobs[job.id] = job
        self.append(t, JOB, blob(job.encode()) + theta_root)

    def fund(self, t, job_id, amount):
        seq = self.append(t, FUND, job_id + u64(amount))
        self._post(t, seq, [("external", -amount), ("escrow:" + job_id.hex(), amount)])

    def member(self, t, pool_key, seed, account, counter):
        key = ed25519.public_key(seed)
        self.members[key] = account
        word = domain("member", pool_key + key + u64(counter) + text(account))
        self.append(t, MEMBER, key + text(account) + u64(counter) + ed25519.sign(seed, word))

    def lease(self, t, lease):
        self.leases[lease.id] = SimpleNamespace(record=lease, macs=0, gross=0)
        self.append(t, LEASE, blob(lease.encode()))

    def share(self, t, share):
        self.leases[share.lease_id].macs += share.macs
        self.append(t, SHARE, blob(share.encode()))

    def verdict(self, t, verdict):
        self.append(t, VERDICT, blob(verdict.encode()))

    def delta(self, t, lease_id, root):
        self.append(t, DELTA, lease_id + root)

    def _vest(self, lease):
        self.complete.remove(lease)
        record = lease.record
        fee = lease.gross * self.jobs[record.job_id].fee_ppm // 10**6
        return [("vesting:" + record.miner_key.hex(), -lease.gross),
                ("fee:" + self.fee_account, fee),
                ("account:" + self.members[record.miner_key], lease.gross - fee)]

    def close(self, t, lease_id, reason, secret):
        seq = self.append(t, CLOSE, lease_id + u8(reason) + secret)
        if reason != COMPLETE:
            return
        lease = self.leases[lease_id]
        record = lease.record
        job = self.jobs[record.job_id]
        lease.gross = job.price_per_tmac * lease.macs // 10**12
        entries = [("escrow:" + record.job_id.hex(), -lease.gross),
                   ("vesting:" + record.miner_key.hex(), lease.gross)]
        self.complete.append(lease)
        mine = [x for x in self.complete if x.record.miner_key == record.miner_key
                and x.record.job_id == record.job_id]
        if len(mine) > job.vest_leases:
            entries += self._vest(mine[0])
        self._post(t, seq, entries)

    def ban(self, t, key, lease_id):
        seq = self.append(t, BAN, key + lease_id)
        entries = []
        for lease in [x for x in self.complete if x.record.miner_key == key]:
            self.complete.remove(lease)
            entries += [("vesting:" + key.hex(), -lease.gross),
                        ("escrow:" + lease.record.job_id.hex(), lease.gross)]
        self._post(t, seq, entries)

    def merge(self, t, job_id, round_, theta_root, lease_ids):
        self.append(t, MERGE, job_id + u32(round_) + theta_root + u32(len(lease_ids))
                    + b"".join(lease_ids))

    def rollback(self, t, job_id, round_, lease_id):
        self.append(t, ROLLBACK, job_id + u32(round_) + lease_id)

    def finish(self, t, job_id, theta_root):
        seq = self.append(t, FINISH, job_id + theta_root)
        entries = []
        mine = [x for x in self.complete if x.record.job_id == job_id]
        for lease in sorted(mine, key=lambda x: x.record.miner_key):  # stable: oldest first
            entries += self._vest(lease)
        escrow = "escrow:" + job_id.hex()
        rest = self.accounts[escrow] + sum(v for a, v in entries if a == escrow)
        self._post(t, seq, entries + [(escrow, -rest), ("external", rest)])


def content_address(data):
    return b3(data)
