"""Kinds, and how the bytes of records are read (PROTOCOL 6, 8.2)."""
import struct
from types import SimpleNamespace

import ed25519
from b3 import domain

GENESIS, JOB, FUND, MEMBER, LEASE, SHARE, VERDICT, DELTA, CLOSE, BAN, MERGE, PROOF, FINISH, POST, \
    CHALLENGE, ANSWER, DRAW, REDRAW, SETTLE, STOP = range(1, 21)
COMPLETE, EXPIRED, REJECTED, ABANDONED, CANCELLED = range(1, 6)
IMMEDIATE, TICKET, DESCENT = range(1, 4)
ASKED_THREAD, ASKED_STATE_NODES = 1, 6  # bounds of what is asked (12.11)
FULL, ASKED, JOB_ENDED, IDLE = range(1, 5)
PAID, FINED, FORFEITED = range(1, 4)
OPEN, RIGHT, WRONG, SILENT = range(4)
NO_SIGNATURE = bytes(64)
ACCOUNT = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
I64_MAX = 2**63 - 1


def account_ok(account):
    return 1 <= len(account) <= 64 and set(account.encode()) <= ACCOUNT


class Refused(Exception):
    """The record breaks a rule."""


def must(holds, rule):
    if not holds:
        raise Refused(rule)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def raw(self, count):
        must(self.at + count <= len(self.data), "cut short")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, form):
        return struct.unpack("<" + form, self.raw(struct.calcsize(form)))[0]

    def text(self, most):
        out = self.raw(self.number("H"))
        must(len(out) <= most and all(0x20 <= c <= 0x7E for c in out), "text")
        return out.decode()

    def blob(self, most):
        size = self.number("I")
        must(size <= most, "blob")
        return self.raw(size)

    def digests(self, most):
        count = self.number("I")
        must(count <= most, "list")
        return [self.raw(32) for _ in range(count)]

    def fields(self, layout):
        """`name:form`, … with form d (32 bytes), s (64 bytes), a (account) or struct's."""
        out = SimpleNamespace()
        for name, form in (item.split(":") for item in layout.split()):
            sizes = {"d": 32, "s": 64}
            value = (self.raw(sizes[form]) if form in sizes else
                     self.text(64) if form == "a" else self.number(form))
            setattr(out, name, value)
        return out

    def end(self):
        must(self.at == len(self.data), "trailing bytes")


LEASE_BODY = ("job_id:d pool_key:d miner_key:d round:I slot:I serial:Q theta_root:d steps:I "
              "steps_per_share:I issued_ms:Q deadline_ms:Q coin_commit:d batch_commit:d")
SHARE_BODY = ("lease_id:d index:I first_step:I steps:I state_before:d state_after:d trace_root:d "
              "loss:f macs:Q delta_root:d")
VERDICT_BODY = ("lease_id:d index:I share_id:d kind:B outcome:B step:I time_ms:Q auditor_key:d "
                "proof:d digest:d")


def read_signed(body, word, layout, with_text=False):
    """A lease, share or verdict record: its fields, id and signature."""
    outer = Reader(body)
    packed = outer.blob(2**20)
    outer.end()
    reader = Reader(packed)
    out = reader.fields(layout)
    if with_text:
        reader.text(200)
    out.id = domain(word, packed[:reader.at])
    out.signature = reader.raw(64)
    reader.end()
    return out


def signed(key, message, signature):
    must(ed25519.verify(key, message, signature), "signature")
