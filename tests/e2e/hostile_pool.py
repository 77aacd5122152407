"""A pool that sends what it likes: PROTOCOL 5 from a script, over TLS, to one miner at a time."""
import pathlib
import socket
import ssl
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "vectors"))
import ed25519  # noqa: E402
import records  # noqa: E402

HELLO, HELLO_OK, AUTH, AUTH_OK = 0x01, 0x02, 0x03, 0x04
GET_LEASE, LEASE, NO_LEASE, GET_BLOB, BLOB, ABANDON = 0x11, 0x12, 0x13, 0x14, 0x15, 0x16
SHARE, LEASE_CLOSED = 0x20, 0x27
WATCH, RECORD = 0x28, 0x29
CLOSE = 9  # kind of a record
KEY_AT = 32 + 2 + 2 + 1 + 32  # of the public key in HELLO
MINUTE_MS = 60_000


class HostilePool(threading.Thread):
    """Says that the miner holds leases, and offers one after the other: `held` and `offers` are
    content addresses of their weights. Ends when a share comes, which goes to `shares`. `blobs` has
    what it sends for an address: bytes, or bytes and the length that it says they are of."""

    def __init__(self, port, data, job, job_id, steps, blobs, held, offers):
        super().__init__(daemon=True)
        self.seed = (data / "pool.key").read_bytes()
        self.job, self.job_id, self.steps = job, job_id, steps
        self.blobs, self.held, self.offers = blobs, list(held), list(offers)
        self.serial, self.connection = 0, None
        self.abandoned, self.shares, self.failure = [], [], None
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        tls.load_cert_chain(data / "tls.pem")
        tls.set_alpn_protocols(["gemmine/2"])
        self.listener = tls.wrap_socket(socket.create_server(("127.0.0.1", port)),
                                        server_side=True)

    def run(self):
        try:
            while not self.shares:
                try:
                    self.connection = self.listener.accept()[0]
                    self.sent = 0
                    self.serve()
                except (ConnectionError, ssl.SSLError):
                    pass  # the miner comes back
        except Exception as failure:  # for the test to show: this thread has no other voice
            self.failure = failure
            raise
        finally:
            self.listener.close()
            if self.connection:
                self.connection.close()

    def receive(self, count):
        data = b""
        while len(data) < count:
            more = self.connection.recv(count - len(data))
            if not more:
                raise ConnectionError("the miner hung up")
            data += more
        return data

    def send(self, kind, payload):
        self.sent += 1
        self.connection.sendall(struct.pack("<IBBHI", len(payload), kind, 0, 0, self.sent) +
                                payload)

    def serve(self):
        while not self.shares:
            length, kind = struct.unpack("<IBBHI", self.receive(12))[:2]
            answer = {HELLO: self.on_hello, AUTH: self.on_auth, GET_LEASE: self.on_get_lease,
                      GET_BLOB: self.on_get_blob, ABANDON: self.on_abandon,
                      SHARE: self.shares.append}.get(kind)
            payload = self.receive(length)
            if answer:
                answer(payload)

    def on_hello(self, payload):
        self.miner = payload[KEY_AT:KEY_AT + 32]
        self.send(HELLO_OK, records.u16(2) + bytes(32) + ed25519.public_key(self.seed) +
                  records.u32(MINUTE_MS) + records.u64(self.now()))

    def on_auth(self, _):
        self.send(AUTH_OK, records.u64(1) + records.u16(1) + records.blob(self.job) +
                  records.u32(0) + self.offers[-1] + records.u8(0) + records.u16(len(self.held)) +
                  b"".join(records.blob(self.lease(theta)) + records.u32(0) + records.u8(0)
                           for theta in self.held) + records.u16(0))

    def on_get_lease(self, _):
        if not self.offers:
            return self.send(NO_LEASE, records.u32(MINUTE_MS) + records.text("nothing is left"))
        self.send(LEASE, records.blob(self.lease(self.offers.pop(0))))

    def lease(self, theta):
        self.serial += 1
        return records.Lease(
            job_id=self.job_id, pool_key=ed25519.public_key(self.seed), miner_key=self.miner,
            round=0, slot=0, serial=self.serial, theta_root=theta, steps=self.steps,
            steps_per_share=self.steps, issued_ms=self.now(),
            deadline_ms=self.now() + MINUTE_MS, coin_commit=bytes(32),
            batch_commit=bytes(32)).sign(self.seed).encode()

    def on_get_blob(self, payload):
        blob = self.blobs[payload[:32]]
        blob, said = blob if isinstance(blob, tuple) else (blob, len(blob))
        first, groups = struct.unpack("<QI", payload[32:])
        self.send(BLOB, payload[:32] + records.u64(said) + records.u64(first) +
                  records.u32(groups) + records.u32(0) + records.blob(blob))

    def on_abandon(self, payload):
        self.abandoned.append(payload)
        body = payload + records.u8(4) + bytes(32)
        self.send(LEASE_CLOSED, body + self.receipt(CLOSE, body))

    def receipt(self, kind, body):
        seq, time_ms, before = 0, self.now(), bytes(32)
        frame = records.u64(seq) + records.u64(time_ms)
        head = records.domain("ledger", before + frame + records.u8(kind) + records.blob(body))
        return frame + before + ed25519.sign(self.seed, records.domain("head", frame + head))

    def now(self):
        return int(time.time() * 1000)


class TwoLedgers(HostilePool):
    """Shows each connection the next of its ledgers, lists of (record's bytes, signature), from
    the record that is asked for on; the last one again and again."""

    def __init__(self, port, data, job, job_id, ledgers):
        super().__init__(port, data, job, job_id, 1, {}, [], [bytes(32)])
        self.ledgers, self.asked, self.stopped = list(ledgers), [], False

    def serve(self):
        ledger = self.ledgers.pop(0) if len(self.ledgers) > 1 else self.ledgers[0]
        more = len(self.ledgers) > 1 or ledger is not self.ledgers[0]
        while not self.stopped:
            length, kind = struct.unpack("<IBBHI", self.receive(12))[:2]
            payload = self.receive(length)
            if kind == HELLO:
                self.on_hello(payload)
            elif kind == AUTH:
                self.on_auth(payload)
            elif kind == WATCH:
                self.show(ledger, struct.unpack("<Q", payload)[0])
                if more:  # a connection that breaks, as they do
                    time.sleep(0.5)
                    return self.connection.close()

    def show(self, ledger, first):
        self.asked.append(first)
        head = bytes(32)
        for seq, (packed, signature) in enumerate(ledger):
            if seq >= first:
                self.send(RECORD, packed[:16] + head + signature + packed[16:])
            head = records.domain("ledger", head + packed)
