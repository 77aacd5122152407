"""A farm's relay between real miners and a real pool: one download for all, and nothing breaks.

The relay is killed, lies, has a full disk, is slow, or is a plain file server. Whatever it does,
the model is the one that a machine alone trains, bit for bit.
"""
import http.client
import http.server
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

import base
import cluster
import slowproxy

FAST = 1 << 30  # bytes a second: a line that only counts
# An MLP of 1.1 million parameters: weights of 4.7 MB each round, in 72 groups.
JOB = dict(width="1024, 1024", warmup=1, batch=1, steps_per_lease=1, steps_per_share=1, slots=3,
           rounds=3, first_audits=0)
THETA = 4_505_640  # what the pool publishes of it: weights and gains


class Relay(base.EndToEnd):
    def proxy(self, port, rate=FAST):
        made = slowproxy.SlowProxy(port, rate)
        self.addCleanup(made.close)
        return made

    def relay(self, c, *extra, name="relay", pool_port=None, wrap=()):
        """A relay of the pool at pool_port; .port is its own."""
        port = cluster.free_port()
        process = c.add(name, [*wrap, c.program("gemmine"), "relay", "--pool",
                               f"127.0.0.1:{pool_port or c.port}", "--pin", c.pin, "--listen",
                               f"127.0.0.1:{port}", "--data", c.data(name), *extra]).start()
        process.port = port
        process.wait_for(r"connected pool=")
        return process

    def get(self, port, path, method="GET", **headers):
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            line.request(method, path, headers=headers)
            answer = line.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            line.close()

    def metric(self, port, name):
        for line in self.get(port, "/metrics")[1].decode().splitlines():
            if line.startswith(f"gemmine_relay_{name} "):
                return int(line.split()[1])
        raise cluster.Failure(f"no metric {name}")

    def half(self, c):
        return max((path.stat().st_size for path in (c.data("relay") / "blobs").glob("*.part")),
                   default=0)

    def theta(self, c):
        """The path of the first weights at a relay, by what the pool's ledger names."""
        blobs = [p for p in (c.data("pool") / "blobs").iterdir()
                 if p.is_file() and p.stat().st_size == THETA]
        return "/blobs/" + min(blobs, key=lambda p: p.stat().st_mtime).name

    def farm(self, relay_at=None):
        """Three rigs work a job to its end. Bytes that the pool sent, bytes of weights in it."""
        c = self.cluster(self.toy(**JOB), keep=self.folder / ("with" if relay_at else "without"))
        c.start_pool(exit_when_finished=False)
        line = self.proxy(c.port)
        direct, c.port = c.port, line.port
        relay = self.relay(c, pool_port=line.port) if relay_at else None
        options = ["--relay", f"http://127.0.0.1:{relay.port}"] if relay else []
        miners = [c.miner(name, *options) for name in ("ann", "bob", "cat")]
        if relay:  # one of them finds it in its environment
            miners[2] = c.miner("cat")
            miners[2].env["GEMMINE_RELAY"] = f"http://127.0.0.1:{relay.port}"
            miners.append(c.auditor("eve", *options, rate=0.5))
        for miner in miners:
            miner.start()
        counts = {}
        for miner in miners:
            self.assertEqual(miner.wait(120 * base.SLOW), 0, miner.tail())
            self.assertEqual(miner.events("relay_lost"), [], miner.tail())
        if relay:
            counts = {name: self.metric(relay.port, name)
                      for name in ("pool_bytes_total", "sent_bytes_total", "blobs_total")}
            self.assertEqual(relay.stop(), 0, relay.tail())
        c.port = direct
        ledger = self.finish(c, [m for m in miners if m.name != "eve"])
        self.check_root(c, ledger)
        return line.carried["down"], counts

    def test_one_download_serves_every_rig(self):
        without, _ = self.farm()
        with_relay, counts = self.farm(relay_at=True)
        print(f"\nbytes that the pool sent for three rigs: {without} without a relay; "
              f"{with_relay} with one, and an auditor besides. The relay fetched "
              f"{counts['blobs_total']} blobs, {counts['pool_bytes_total']} bytes, and gave "
              f"{counts['sent_bytes_total']}: {counts['sent_bytes_total'] / with_relay:.1f} "
              "for each that the pool sent")
        self.assertGreaterEqual(counts["pool_bytes_total"], 3 * THETA)
        self.assertGreater(counts["sent_bytes_total"], 1.5 * counts["pool_bytes_total"])
        # Everything came through the relay, once; the rest is the talk of four sessions.
        self.assertLess(with_relay, 1.1 * counts["pool_bytes_total"] + 1_000_000)
        self.assertLess(with_relay, without)

    def test_a_hundred_rigs_take_one_download(self):
        c = self.cluster(self.toy(**JOB | dict(rounds=1, slots=1)))
        c.start_pool(exit_when_finished=False)
        line = self.proxy(c.port, 2 << 20)
        relay = self.relay(c, pool_port=line.port)
        theta = self.theta(c)
        got, asked = [], []

        def rig(number):
            while True:  # each has an address of its own, as in a farm
                web = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=60,
                                                 source_address=(f"127.0.1.{number}", 0))
                web.request("GET", theta)
                answer = web.getresponse()
                body = answer.read()
                web.close()
                asked.append(answer.status)
                if answer.status == 200:
                    got.append(body)
                    return
                time.sleep(1)

        begun = time.monotonic()
        rigs = [threading.Thread(target=rig, args=(i,), daemon=True) for i in range(1, 101)]
        for each in rigs:
            each.start()
        for each in rigs:
            each.join(120 * base.SLOW)
        took = time.monotonic() - begun
        self.assertEqual(len(got), 100)
        self.assertEqual(set(map(self.b3sum, set(got))), {theta.rpartition("/")[2]})
        self.assertLessEqual(set(asked), {200, 503})
        status = pathlib.Path(f"/proc/{relay.popen.pid}/status").read_text()
        memory = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) >> 10
        sent = self.metric(relay.port, "sent_bytes_total")
        print(f"\na hundred rigs at once: {len(asked)} requests, {sent} bytes given, "
              f"{line.carried['down']} taken of the pool at 2 MiB/s, in {took:.1f} s and "
              f"{memory} MiB of memory")
        self.assertEqual(sent, 100 * THETA)
        self.assertLess(line.carried["down"], 1.1 * THETA + (1 << 18))
        self.assertLess(memory, 128)

    def test_a_relay_that_is_killed_costs_nothing_and_goes_on(self):
        c = self.cluster(self.toy(**JOB | dict(rounds=1)))
        c.start_pool(exit_when_finished=False)
        line = self.proxy(c.port, 1 << 20)
        relay = self.relay(c, pool_port=line.port)
        at = ["--relay", f"http://127.0.0.1:{relay.port}"]
        miners = [c.miner(name, *at).start() for name in ("ann", "bob")]
        cluster.wait_until(lambda: self.half(c) > THETA // 3, 60 * base.SLOW,
                           lambda: f"it fetched nothing\n{relay.tail()}", relay)
        relay.kill(signal.SIGKILL)
        had = self.half(c)
        self.assertGreater(had, THETA // 3)
        for miner in miners:  # the pool brings the rest
            self.assertEqual(miner.wait(60 * base.SLOW), 0, miner.tail())
            self.assertEqual(len(miner.events("relay_lost")), 1, miner.tail())
        theta = self.theta(c)
        carried = line.carried["down"]
        relay.start()
        relay.wait_for(r"connected pool=", start=len(relay.text()) - 1)
        cluster.wait_until(lambda: self.get(relay.port, theta)[0] == 200, 60 * base.SLOW,
                           lambda: f"it never had it\n{relay.tail()}", relay)
        again = line.carried["down"] - carried
        self.assertLess(again, THETA - had + (1 << 20), "the half that it had was thrown away")
        body = self.get(relay.port, theta)[1]
        self.assertEqual(self.b3sum(body), theta.rpartition("/")[2])
        print(f"\nkilled with {had} of {THETA} bytes; the rest took {again} bytes of the pool")
        self.assertEqual(relay.stop(), 0)
        self.check_root(c, self.finish(c, miners))

    def b3sum(self, body):
        return subprocess.run(["b3sum", "--no-names"], input=body, capture_output=True,
                              check=True).stdout.decode().strip()

    def finishes_without(self, relay_url, why, times=1, **changes):
        """A miner with a relay that is of no use: it says so, and works."""
        c = self.cluster(self.toy(**JOB | dict(rounds=1, slots=1) | changes))
        c.start_pool(exit_when_finished=False)
        miner = c.miner("ann", "--relay", relay_url(c) if callable(relay_url) else relay_url)
        miner.start()
        self.assertEqual(miner.wait(60 * base.SLOW), 0, miner.tail())
        lost = miner.events("relay_lost")
        self.assertEqual(len(lost), times, miner.tail())
        for event in lost:
            self.assertIn(why, event["reason"])
        self.check_root(c, self.finish(c, [miner]))

    def test_a_lying_relay_is_found_out(self):
        pool_blobs = self.folder / "blobs"
        lies = {
            "tree of another": lambda path, body: os.urandom(len(body)) if path.endswith("tree")
            else body,
            "other bytes": lambda path, body: body if path.endswith("tree")
            else body[:-1] + bytes([body[-1] ^ 1]),
            "another length": lambda path, body: body[:-1],
        }
        for why, lie in lies.items():
            asked = []

            class Liar(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    asked.append(self.path)
                    file = pathlib.Path(pool_blobs) / self.path.removeprefix("/blobs/")
                    body = lie(self.path, file.read_bytes())
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

                def log_message(self, *_):
                    pass

            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.addCleanup(server.server_close)
            self.addCleanup(server.shutdown)

            def url(c):
                if pool_blobs.is_symlink():
                    pool_blobs.unlink()
                pool_blobs.symlink_to(c.data("pool") / "blobs")
                return f"http://127.0.0.1:{server.server_port}"

            with self.subTest(why):
                self.finishes_without(url, why)
                self.assertTrue(asked)

    def test_a_folder_of_blobs_behind_any_file_server_is_a_relay(self):
        c = self.cluster(self.toy(**JOB | dict(rounds=1, slots=1)))
        c.start_pool(exit_when_finished=False)
        (c.data("pool") / "blobs").rename(self.folder / "served")
        (c.data("pool") / "blobs").symlink_to(self.folder / "served")
        root = self.folder / "www"
        root.mkdir()
        (root / "blobs").symlink_to(self.folder / "served")
        port = cluster.free_port()
        c.add("www", ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1",
                      "--directory", root, port]).start()
        cluster.wait_until(lambda: self.answers(port), 20, lambda: "no file server")
        line = self.proxy(c.port)
        direct, c.port = c.port, line.port
        miner = c.miner("ann", "--relay", f"http://127.0.0.1:{port}").start()
        self.assertEqual(miner.wait(60 * base.SLOW), 0, miner.tail())
        self.assertEqual(miner.events("relay_lost"), [], miner.tail())
        self.assertLess(line.carried["down"], THETA, "the pool was asked")
        c.port = direct
        self.check_root(c, self.finish(c, [miner]))

    def test_a_relay_without_room_sends_rigs_to_the_pool(self):
        def small(c):
            self.small = self.relay(c, "--disk-mb", "2")
            return f"http://127.0.0.1:{self.small.port}"

        self.finishes_without(small, "507")
        refused = self.small.events("blob_refused")
        self.assertIn("does not fit", refused[0]["reason"])

    def test_a_disk_that_fills_up_midway_sends_rigs_to_the_pool(self):
        def full(c):  # a file may have 1 MiB: the write after it fails, as on a full disk
            self.full = self.relay(c, wrap=["/bin/bash", "-c",
                                            "trap '' XFSZ; ulimit -f 1024; exec \"$@\"", "relay"])
            return f"http://127.0.0.1:{self.full.port}"

        self.finishes_without(full, "507")
        self.assertTrue(self.full.running(), self.full.tail())
        self.assertTrue(self.full.events("blob_refused"))

    def test_a_slow_relay_is_left_for_the_pool(self):
        def slow(c):
            relay = self.relay(c)
            return f"http://127.0.0.1:{self.proxy(relay.port, 40 << 10).port}"

        begun = time.monotonic()
        self.finishes_without(slow, "too slow")
        print(f"\na relay of 40 KiB/s was left; all took {time.monotonic() - begun:.1f} s")

    def test_the_folder_stays_within_its_bound(self):
        c = self.cluster(self.toy(**JOB | dict(rounds=5, slots=1)))
        c.start_pool(exit_when_finished=False)
        relay = self.relay(c, "--disk-mb", "11")  # room for two models
        miner = c.miner("ann", "--relay", f"http://127.0.0.1:{relay.port}").start()
        most = 0
        while miner.running():
            total = 0
            for path in (c.data("relay") / "blobs").iterdir():
                try:
                    total += path.stat().st_size
                except FileNotFoundError:
                    pass
            most = max(most, total)
            time.sleep(0.01)
        self.assertEqual(miner.wait(1), 0, miner.tail())
        self.assertEqual(miner.events("relay_lost"), [], miner.tail())
        self.assertGreater(most, THETA)
        self.assertLessEqual(most, 11 << 20)
        self.assertGreaterEqual(self.metric(relay.port, "blobs_total"), 5)
        self.check_root(c, self.finish(c, [miner]))

    def test_it_speaks_plain_http_and_survives_strangers(self):
        c = self.cluster(self.toy(**JOB | dict(rounds=1, slots=1)))
        c.start_pool(exit_when_finished=False)
        relay = self.relay(c)
        theta = self.theta(c)
        cluster.wait_until(lambda: self.get(relay.port, theta)[0] == 200, 30 * base.SLOW,
                           lambda: relay.tail(), relay)
        status, body, headers = self.get(relay.port, theta)
        self.assertEqual((len(body), headers["Accept-Ranges"]), (THETA, "bytes"))
        self.assertEqual(self.b3sum(body), theta.rpartition("/")[2])
        self.assertEqual(headers["ETag"], f'"{theta.rpartition("/")[2]}"')
        status, part, headers = self.get(relay.port, theta, Range="bytes=70000-70009")
        self.assertEqual((status, part), (206, body[70_000:70_010]))
        self.assertEqual(headers["Content-Range"], f"bytes 70000-70009/{THETA}")
        self.assertEqual(self.get(relay.port, theta, Range="bytes=-5")[1], body[-5:])
        self.assertEqual(self.get(relay.port, theta, Range=f"bytes={THETA}-")[0], 416)
        status, empty, headers = self.get(relay.port, theta, method="HEAD")
        self.assertEqual((status, empty, headers["Content-Length"]), (200, b"", str(THETA)))
        self.assertEqual(len(self.get(relay.port, theta + ".tree")[1]), 32 * (-(-THETA // 65536)))
        self.assertEqual(self.get(relay.port, "/healthz")[0], 200)
        for method, path, wanted in (("GET", "/", 404), ("GET", "/blobs/../lock", 404),
                                     ("GET", "/blobs/%2e%2e/lock", 404), ("POST", theta, 405),
                                     ("PUT", theta, 405), ("DELETE", theta, 405),
                                     ("GET", "/blobs/" + "0" * 63, 404)):
            self.assertEqual(self.get(relay.port, path, method=method)[0], wanted, (method, path))
        unknown = "/blobs/" + "ab" * 32
        cluster.wait_until(lambda: self.get(relay.port, unknown)[0] == 404, 20,
                           lambda: relay.tail(), relay)
        for hostile in (b"\0" * 100, b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"a" * 100_000,
                        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000, b"\x16\x03\x01\x02\x00",
                        b"GET /healthz HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
            with socket.create_connection(("127.0.0.1", relay.port)) as line:
                try:
                    line.sendall(hostile)
                    line.shutdown(socket.SHUT_WR)
                    line.settimeout(25)
                    while line.recv(65536):
                        pass
                except OSError:
                    pass
        self.assertEqual(self.get(relay.port, "/healthz")[0], 200)
        crowd = [socket.create_connection(("127.0.0.1", relay.port)) for _ in range(80)]
        for line in crowd:  # one address may have 64; the rest are closed
            line.close()
        cluster.wait_until(lambda: self.answers(relay.port, "/healthz"), 20,
                           lambda: relay.tail(), relay)
        self.assertEqual(relay.stop(), 0, relay.tail())

    def answers(self, port, path="/"):
        try:
            return self.get(port, path)[0] == 200
        except OSError:
            return False

    def test_its_command_line_is_strict(self):
        pin = "sha256:" + "0" * 64
        pool = ["--pool", "127.0.0.1:1", "--pin", pin]
        for arguments, code, word in (
                ([], 2, "--pool"), (["--pool", "x"], 2, "port"),
                ([*pool, "--listen", "nowhere"], 2, "--listen"),
                ([*pool, "--listen", "*:0"], 2, "--listen"),
                ([*pool, "--disk-mb", "0"], 2, "disk-mb"),
                ([*pool, "--disk-mb", "x"], 2, "disk-mb"),
                ([*pool, "--relay", "http://x"], 2, "--relay")):
            done = self.run_program("gemmine", "relay", *arguments)
            self.assertEqual(done.returncode, code, (arguments, done.stderr))
            self.assertIn(word, done.stderr + done.stdout)
        for relay in ("x", "https://x", "http://x:0", "http://x/y", ""):
            done = self.run_program("gemmine", "mine", *pool, "--account", "a", "--relay", relay)
            self.assertEqual(done.returncode, 2, (relay, done.stderr))
            self.assertIn("relay", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
