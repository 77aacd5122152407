"""Reads an exported ledger with nothing but this file and PROTOCOL.md: what happened, who was paid.

A second pair of eyes for the demo and the tests. It checks the chain of heads and sums the posts;
signatures and rules are gemmine-verify's.
"""
import collections
import struct

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB,
      0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
LANES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
         (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
CHUNK_START, CHUNK_END, PARENT, ROOT, CONTEXT, MATERIAL = 1, 2, 4, 8, 32, 64
MASK = 0xFFFFFFFF

KINDS = ("", "genesis", "job", "fund", "member", "lease", "share", "verdict", "delta", "close",
         "ban", "merge", "proof", "finish", "post", "challenge", "answer", "draw", "redraw",
         "settle", "stop")
REASONS = ("", "complete", "expired", "rejected", "abandoned", "cancelled")
AUDITS = ("none", "replay", "thread", "unanswered")
SETTLED = ("", "paid", "fined", "forfeited")
OUTCOMES = ("valid", "invalid", "malformed", "undecided")


def compress(cv, block, length, counter, flags):
    m = list(struct.unpack("<16I", block.ljust(64, b"\0")))
    v = [*cv, *IV[:4], counter & MASK, counter >> 32, length, flags]
    for turn in range(7):
        for i, (a, b, c, d) in enumerate(LANES):
            for word, left, right in ((m[2 * i], 16, 12), (m[2 * i + 1], 8, 7)):
                v[a] = (v[a] + v[b] + word) & MASK
                x = v[d] ^ v[a]
                v[d] = (x >> left | x << (32 - left)) & MASK
                v[c] = (v[c] + v[d]) & MASK
                x = v[b] ^ v[c]
                v[b] = (x >> right | x << (32 - right)) & MASK
        if turn < 6:
            m = [m[p] for p in PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)]


def tree(key, data, flags, chunk, top):
    if len(data) > 1024:
        left = 1024
        while left * 2 < len(data):
            left *= 2
        sides = (tree(key, data[:left], flags, chunk, 0) +
                 tree(key, data[left:], flags, chunk + left // 1024, 0))
        return compress(key, struct.pack("<16I", *sides), 64, 0, flags | PARENT | top)
    cv = list(key)
    blocks = [data[i:i + 64] for i in range(0, len(data), 64)] or [b""]
    for i, block in enumerate(blocks):
        last = i + 1 == len(blocks)
        own = (CHUNK_START if i == 0 else 0) | (CHUNK_END | top if last else 0)
        cv = compress(cv, block, len(block), chunk, flags | own)
    return cv


def derive(word, material):
    """b3d of PROTOCOL 1.3."""
    key = tree(IV, b"gemmine 2026-11-22 " + word.encode(), CONTEXT, 0, ROOT)
    return struct.pack("<8I", *tree(key, material, MATERIAL, 0, ROOT))


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise ValueError(f"cut short at byte {self.at}")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, code):
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def blob(self):
        return self.take(self.number("I"))

    def text(self):
        return self.take(self.number("H")).decode("ascii")

    def done(self):
        return self.at == len(self.data)


Record = collections.namedtuple("Record", "seq time_ms kind body")
Lease = collections.namedtuple(
    "Lease", "id job_id pool_key miner round slot serial theta_root steps "
    "steps_per_share issued_ms deadline_ms batch_commit")
Share = collections.namedtuple(
    "Share", "seq time_ms lease_id index first_step steps trace_root loss macs delta_root body")
Verdict = collections.namedtuple(
    "Verdict", "seq time_ms lease_id index kind outcome step auditor detail")
Close = collections.namedtuple("Close", "seq time_ms lease_id reason")
Merge = collections.namedtuple("Merge", "seq time_ms round theta_root leases subtracted")
Settle = collections.namedtuple("Settle", "seq time_ms key batch outcome paid")
Proof = collections.namedtuple("Proof", "seq time_ms kind lease_id address bytes")
Post = collections.namedtuple("Post", "seq cause entries")


def parse_lease(raw):
    c = Cursor(raw[:-64])
    job, pool, miner = c.take(32), c.take(32), c.take(32)
    round_, slot, serial, theta, steps = (c.number("I"), c.number("I"), c.number("Q"), c.take(32),
                                          c.number("I"))
    return Lease(derive("lease", raw[:-64]), job, pool, miner, round_, slot, serial, theta, steps,
                 c.number("I"), c.number("Q"), c.number("Q"), c.take(64)[32:])


def parse_share(record):
    raw = Cursor(record.body).blob()
    c = Cursor(raw)
    lease, index, first, steps = c.take(32), c.number("I"), c.number("I"), c.number("I")
    c.take(64)  # state_before, state_after
    return Share(record.seq, record.time_ms, lease, index, first, steps, c.take(32), c.number("f"),
                 c.number("Q"), c.take(32), raw)


def parse_verdict(record):
    c = Cursor(Cursor(record.body).blob())
    lease, index, _, kind, outcome = c.take(32), c.number("I"), c.take(32), c.number("B"), c.number(
        "B")
    step, _ = c.number("I"), c.number("Q")
    auditor = c.take(32)
    c.take(64)  # proof, digest
    return Verdict(record.seq, record.time_ms, lease, index, AUDITS[kind], OUTCOMES[outcome],
                   step, auditor, c.text())


def parse_merge(record):
    c = Cursor(record.body)
    c.take(32)
    round_, _, theta, count = c.number("I"), c.take(32), c.take(32), c.number("I")
    leases = [c.take(32) for _ in range(count)]
    return Merge(record.seq, record.time_ms, round_, theta, leases,
                 [c.take(32) for _ in range(c.number("I"))])


def parse_settle(record):
    c = Cursor(record.body)
    c.take(32)
    return Settle(record.seq, record.time_ms, c.take(32), c.number("Q"), SETTLED[c.number("B")],
                  c.number("I"))


def parse_proof(record):
    c = Cursor(record.body)
    return Proof(record.seq, record.time_ms, c.number("B"), c.take(32), c.take(32), c.number("I"))


def parse_post(record):
    c = Cursor(record.body)
    cause, count = c.number("Q"), c.number("H")
    return Post(record.seq, cause, [(c.text(), c.number("q")) for _ in range(count)])


class Ledger:
    """Every record of an exported ledger, by kind, and the accounts they add up to."""

    def __init__(self, path):
        data = Cursor(path.read_bytes())
        self.records, self.head = [], bytes(32)
        while not data.done():
            packed = data.blob()
            data.take(64)  # the pool's signature
            c = Cursor(packed)
            record = Record(c.number("Q"), c.number("Q"), KINDS[c.number("B")], c.blob())
            if record.seq != len(self.records) or not c.done():
                raise ValueError(f"record {len(self.records)} is damaged")
            self.head = derive("ledger", self.head + packed)
            self.records.append(record)
        self.leases = {}
        for record in self.of("lease"):
            lease = parse_lease(Cursor(record.body).blob())
            self.leases[lease.id] = lease
        self.shares = [parse_share(r) for r in self.of("share")]
        self.verdicts = [parse_verdict(r) for r in self.of("verdict")]
        self.closes = [Close(r.seq, r.time_ms, r.body[:32], REASONS[r.body[32]])
                       for r in self.of("close")]
        self.merges = [parse_merge(r) for r in self.of("merge")]
        self.bans = [(r.seq, r.time_ms, r.body[:32], r.body[32:64]) for r in self.of("ban")]
        self.proofs = [parse_proof(r) for r in self.of("proof")]
        self.posts = [parse_post(r) for r in self.of("post")]
        self.settles = [parse_settle(r) for r in self.of("settle")]
        self.members = {}
        for record in self.of("member"):
            self.members[record.body[:32]] = Cursor(record.body[32:]).text()
        self.accounts = collections.Counter()
        for post in self.posts:
            if sum(amount for _, amount in post.entries) != 0:
                raise ValueError(f"post {post.seq} does not sum to zero")
            for account, amount in post.entries:
                self.accounts[account] += amount

    def of(self, kind):
        return [r for r in self.records if r.kind == kind]

    def train_address(self):
        """Of the first job's training records (PROTOCOL 6.1, 10.12)."""
        c = Cursor(Cursor(self.of("job")[0].body).blob())
        c.text()
        c.take(2)
        if c.number("H") == 2:  # a gpt: its numbers, choices and outer step
            c.take(4 * 4 + 1 + 4 + 4 + 3 * 4)
        else:
            layers = c.number("B")
            c.take(4 + 4 * layers)
        return c.take(32)

    def keys_of(self, account):
        return [key for key, name in self.members.items() if name == account]

    def miner_of(self, lease_id):
        """The account that holds a lease."""
        return self.members[self.leases[lease_id].miner]

    def final_theta(self):
        finish = self.of("finish")
        return finish[-1].body[32:64] if finish else None

    def complete(self, account):
        """Complete leases of an account."""
        return [c.lease_id for c in self.closes
                if c.reason == "complete" and self.miner_of(c.lease_id) == account]

    def paid(self, account):
        """How many of them were paid."""
        keys = self.keys_of(account)
        return sum(settle.paid for settle in self.settles if settle.key in keys)

    def wrong(self, pool_key=None):
        """Leases found wrong by verdicts (of the pool alone, if its key is given), in order."""
        return list(dict.fromkeys(v.lease_id for v in self.verdicts if v.outcome == "invalid"
                                  and pool_key in (None, v.auditor.hex())))
