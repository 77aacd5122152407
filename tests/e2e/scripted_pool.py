"""A pool that shows auditors a ledger which was written before, and serves blobs, or does not."""
import socket
import ssl
import struct
import threading

import hostile_pool
from hostile_pool import AUTH, AUTH_OK, BLOB, GET_BLOB, HELLO, HELLO_OK, MINUTE_MS

import b3
import ed25519
import gn1
import ledger_complete
from ledger_reader import CLOSE
import proof_cases
import records
import toy
from records import blob, u16, u32, u64

ERROR, VERDICT, WATCH, RECORD = 0x06, 0x24, 0x28, 0x29
UNKNOWN_BLOB = 30


class Story:
    """A whole job's ledger by the toy pool, and the blobs that belong to it."""

    def __init__(self, bend=None):
        """bend(job, thetas, runs) changes what really happened before it is logged."""
        self.job = toy.job(gn1.SGD)
        self.thetas, self.runs = toy.run_job(self.job)
        if bend:
            bend(self)
        self.lines = {}
        ledger_complete.write(self, self.job, self.thetas, self.runs)
        count = sum(key.startswith("record ") for key in self.lines)
        self.records = [self.lines[f"record {i}"][0] for i in range(count)]
        deltas = [shares[-1].delta for row in self.runs for shares in row]
        strings = [self.job.train.tobytes(), *deltas, *map(records.theta_bytes, self.thetas)]
        self.blobs = {b3.b3(s): s for s in strings}

    def put(self, key, *values):
        self.lines[key] = values

    def change(self, seq, body):
        """One record says something else: it and all after it are signed anew."""
        packed = self.records[seq]
        self.records[seq] = packed[:17] + blob(body)
        return self

    def later(self, seq):
        """One record has another time, and so all that follow have another head."""
        packed = self.records[seq]
        time_ms = struct.unpack("<Q", packed[8:16])[0]
        self.records[seq] = packed[:8] + u64(time_ms + 1) + packed[16:]
        return self

    def of_kind(self, kind):
        return [i for i, packed in enumerate(self.records) if packed[16] == kind]

    def body(self, seq):
        return self.records[seq][21:]

    def messages(self):
        head, out = bytes(32), []
        for packed in self.records:
            before, head = head, records.domain("ledger", head + packed)
            message = records.domain("head", packed[:16] + head)
            signature = ed25519.sign(toy.POOL, message)
            out.append(packed[:16] + before + signature + packed[16:])
        return out


class ScriptedPool(threading.Thread):
    """Serves one story after the other, a new one with each connection; the last one for good."""

    def __init__(self, port, data, acts):
        super().__init__(daemon=True)
        self.acts, self.connection, self.accepted = list(acts), None, []
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        tls.load_cert_chain(data / "tls.pem")
        tls.set_alpn_protocols(["gemmine/2"])
        self.listener = tls.wrap_socket(socket.create_server(("127.0.0.1", port)),
                                        server_side=True)

    def run(self):
        while True:
            try:
                self.connection, self.sent = self.listener.accept()[0], 0
                act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
                self.serve(*act)
            except (ConnectionError, ssl.SSLError):
                pass  # the auditor comes back, or does not
            except OSError:
                return

    receive, send = hostile_pool.HostilePool.receive, hostile_pool.HostilePool.send

    def serve(self, story, blobs, first_records):
        """blobs: "all", "none", or "silence". first_records: hang up after so many; 0: never."""
        while True:
            length, kind, _, _, seq = struct.unpack("<IBBHI", self.receive(12))
            payload = self.receive(length)
            if kind == HELLO:
                self.send(HELLO_OK, u16(2) + bytes(32) + toy.public(toy.POOL) + u32(MINUTE_MS)
                          + u64(toy.START_MS))
            elif kind == AUTH:
                self.send(AUTH_OK, u64(1) + u16(0) + u16(0) + u16(0))
            elif kind == WATCH:
                first = struct.unpack("<Q", payload)[0]
                messages = story.messages()
                for message in messages[first:first_records or len(messages)]:
                    self.send(RECORD, message)
                if first_records:
                    self.connection.close()
                    raise ConnectionError("as the script says")
            elif kind == GET_BLOB:
                self.on_get_blob(story, blobs, seq, payload)
            else:
                self.accepted.append((kind, payload))

    def on_get_blob(self, story, blobs, seq, payload):
        data = story.blobs.get(payload[:32]) if blobs == "all" else None
        if data is not None:
            first = struct.unpack("<Q", payload[32:40])[0]
            assert len(data) <= 65536 and first == 0  # one group: no paths to a root
            self.send(BLOB, payload[:32] + u64(len(data)) + u64(0) + u32(1) + u32(0) + blob(data))
        elif blobs != "silence":
            self.send(ERROR, u32(seq) + u16(UNKNOWN_BLOB) + u32(0) + records.text("no such blob"))


def lie_in_a_share(story):
    """The miner of lease (0, 1) commits to a wrong element, signs, and the pool says valid."""
    run = story.runs[0][1][0]
    position = next(i for i, t in enumerate(gn1.tensors(story.job)) if t[:2] == (1, gn1.X))
    story.runs[0][1][0] = proof_cases.lie(story.job, run, toy.MINERS[1], 1, position, 5)


def merge_badly(story):
    story.thetas[-1] = story.thetas[-1].copy()
    story.thetas[-1][300] += 1


def close_with_another_secret(story):
    seq = story.of_kind(CLOSE)[0]
    body = bytearray(story.body(seq))
    body[33] ^= 1
    return story.change(seq, bytes(body))


