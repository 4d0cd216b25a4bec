"""A TCP proxy that counts, slows and cuts: faults of the line for a server that has none of its own."""

import contextlib
import socket
import threading
import time


class FaultProxy:
    """Forwards to 127.0.0.1:`port`. `bytes_down` counts what went to clients; faults are plain attributes."""

    def __init__(self, port: int):
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.bytes_down = 0
        self.connections = 0
        self.cut_every = 0  # bytes over all connections before one of them is cut
        self.rate = 0  # bytes per second and connection
        self.on_bytes = lambda _: None
        self._next_cut = 0
        self._lock = threading.Lock()
        self._closing = False

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._closing = True
        self._listener.close()

    def _accept(self):
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
            upstream = socket.create_connection(self._target)
            threading.Thread(target=self._up, args=(client, upstream), daemon=True).start()
            threading.Thread(target=self._down, args=(upstream, client), daemon=True).start()

    def _up(self, client, upstream):
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                upstream.sendall(data)
        with contextlib.suppress(OSError):
            upstream.shutdown(socket.SHUT_WR)

    def _down(self, upstream, client):
        free_at = 0.0
        with contextlib.suppress(OSError):
            while data := upstream.recv(65536):
                if self._cut(len(data)):
                    break
                client.sendall(data)
                self.on_bytes(self.bytes_down)
                if self.rate:
                    # No credit for idle time: a line is never faster than its rate.
                    free_at = max(free_at, time.monotonic()) + len(data) / self.rate
                    time.sleep(max(0.0, free_at - time.monotonic()))
        # Both ways, or the other thread would wait for a peer that never comes back.
        for end in (client, upstream):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _cut(self, count: int) -> bool:
        with self._lock:
            if self.cut_every and self.bytes_down + count >= (self._next_cut or self.cut_every):
                self._next_cut = self.bytes_down + self.cut_every
                return True
            self.bytes_down += count
            return False
