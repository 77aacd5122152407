"""A TCP proxy on loopback that lets so many bytes a second through, each way."""
import socket
import threading
import time

PIECE = 16 << 10
BUFFER = 64 << 10  # of the sockets: a slow line holds little


class SlowProxy:
    def __init__(self, to_port, bytes_per_second):
        self.to_port, self.rate = to_port, bytes_per_second
        self.carried = {"up": 0, "down": 0}
        self.ends = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                pool = socket.create_connection(("127.0.0.1", self.to_port))
            except OSError:
                client.close()
                continue
            self.ends += [client, pool]
            for end in (client, pool):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            for source, sink, way in ((client, pool, "up"), (pool, client, "down")):
                threading.Thread(target=self.carry, args=(source, sink, way), daemon=True).start()

    def carry(self, source, sink, way):
        due = time.monotonic()
        try:
            while piece := source.recv(PIECE):
                due = max(due, time.monotonic() - 0.05) + len(piece) / self.rate
                time.sleep(max(0.0, due - time.monotonic()))
                sink.sendall(piece)
                self.carried[way] += len(piece)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        for end in (self.listener, *self.ends):
            end.close()
