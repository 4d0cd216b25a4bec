"""A load generator that costs little: keep-alive connections, each sending one request after the other.

A client library would take as much of the second core as the servers under test do. This one writes fixed bytes and
reads an answer's status and length, nothing more.
"""

import asyncio
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Load:
    """What a run saw: seconds per accepted request, other statuses by count, and the run's length in seconds."""

    latencies: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Accepted requests a second."""
        return len(self.latencies) / self.seconds


class _Client(asyncio.Protocol):
    def __init__(self, request: bytes, load: Load, until: float) -> None:
        self._request, self._load, self._until = request, load, until
        self._buffer = b""
        self._sent = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None) if exc is None else self.closed.set_exception(exc)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, mark, body = self._buffer.partition(b"\r\n\r\n")
        if not mark or len(body) < _content_length(head):
            return
        self._buffer = b""
        self._count(int(head[9:12]))
        if time.perf_counter() < self._until:
            self._send()
        else:
            self._transport.close()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def _count(self, status: int) -> None:
        if status in (200, 202):
            self._load.latencies.append(time.perf_counter() - self._sent)
        else:
            self._load.refused[status] = self._load.refused.get(status, 0) + 1


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0])


def post(host: str, port: int, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return the bytes of a POST request with a JSON body."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}:{port}", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def run(host: str, port: int, request: bytes, *, clients: int, seconds: float) -> Load:
    """Send `request` from `clients` connections for `seconds`, and return what was seen."""
    load, loop = Load(), asyncio.get_running_loop()
    start = time.perf_counter()
    made = [
        await loop.create_connection(lambda: _Client(request, load, start + seconds), host, port)
        for _ in range(clients)
    ]
    await asyncio.gather(*(client.closed for _, client in made))
    load.seconds = time.perf_counter() - start
    return load
