"""`/livez`, `/readyz` and `/metrics` for services without a web framework.

Live means the event loop turns: an answer is the proof. Ready means every named check passes; the answer names each and
why it fails, so that a person with curl sees the cause. Services with a web framework use `Checks` and serve it
themselves. This server speaks only enough HTTP/1.1 for a probe and a scraper: GET and HEAD, no body, one request per
connection, small and slow senders cut off.
"""

import asyncio
import contextlib
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from warmlane_runtime.lifecycle import Part

log = structlog.get_logger(__name__)

Check = Callable[[], str | Awaitable[str | None] | None]
"""Returns None when all is well, otherwise a short reason for people. Must be quick and must not show secrets."""

Page = Callable[[Mapping[str, str]], Awaitable[tuple[HTTPStatus, object]]]
"""Answers a path of a service's own: from its query to a status and a document that becomes JSON."""

CHECK_S = 2.0
_REQUEST_S = 5.0
_REQUEST_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of all checks; `reasons` holds only those that failed."""

    checks: dict[str, str | None]

    @property
    def ready(self) -> bool:
        """Say whether every check passed."""
        return all(reason is None for reason in self.checks.values())

    @property
    def reasons(self) -> dict[str, str]:
        """Return why each failed check failed."""
        return {name: reason for name, reason in self.checks.items() if reason is not None}

    def as_json(self) -> dict[str, object]:
        """Return the body of `/readyz`."""
        checks = {
            name: {"ok": reason is None} | ({"reason": reason} if reason else {})
            for name, reason in self.checks.items()
        }
        return {"ready": self.ready, "checks": checks}


class Checks:
    """The named conditions under which a service can do its work."""

    def __init__(self) -> None:
        """Hold no check: a service with none is ready."""
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """Require `check` for readiness. A name stands for one condition; a second use replaces the first."""
        self._checks[name] = check

    async def report(self) -> Report:
        """Run all checks side by side; one that raises or takes over two seconds fails with that as its reason."""
        names = list(self._checks)
        reasons = await asyncio.gather(*(self._ask(self._checks[name]) for name in names))
        return Report(dict(zip(names, reasons, strict=True)))

    async def _ask(self, check: Check) -> str | None:
        try:
            async with asyncio.timeout(CHECK_S):
                answer = check()
                return await answer if inspect.isawaitable(answer) else answer
        except TimeoutError:
            return f"no answer within {CHECK_S:g} s"
        except Exception as error:  # noqa: BLE001 - a broken check means not ready, never a broken probe
            return f"check failed: {type(error).__name__}"


class HealthServer(Part):
    """Serves the three paths. `port` is the one in use after `start`, also when 0 was asked for."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        checks: Checks,
        registry: CollectorRegistry,
        pages: Mapping[str, Page] | None = None,
    ) -> None:
        """Listen only after `start`. `pages` are further paths of the service's own, asked with their query."""
        super().__init__()
        self.host = host
        self.port = port
        self._checks = checks
        self._registry = registry
        self._pages = dict(pages or {})
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen; raise `OSError` when the port is taken."""
        self._server = await asyncio.start_server(self._connected, self.host, self.port, limit=_REQUEST_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("health.listening", host=self.host, port=self.port)

    async def close(self) -> None:
        """Stop listening and drop open connections."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="health:connection")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(_REQUEST_S):
                    request = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0].decode("latin-1")
                    writer.write(await self._answer(request))
                    await writer.drain()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, request_line: str) -> bytes:
        method, _, rest = request_line.partition(" ")
        path, _, query = rest.partition(" ")[0].partition("?")
        if method not in {"GET", "HEAD"}:
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n", "text/plain")
        status, body, kind = await self._page(path, query)
        return _response(status, body, kind, head=method == "HEAD")

    async def _page(self, path: str, query: str) -> tuple[HTTPStatus, bytes, str]:
        if path in self._pages:
            status, document = await self._pages[path](dict(parse_qsl(query)))
            return status, json.dumps(document).encode() + b"\n", "application/json"
        match path:
            case "/livez":
                return HTTPStatus.OK, b'{"live": true}\n', "application/json"
            case "/readyz":
                report = await self._checks.report()
                status = HTTPStatus.OK if report.ready else HTTPStatus.SERVICE_UNAVAILABLE
                return status, json.dumps(report.as_json()).encode() + b"\n", "application/json"
            case "/metrics":
                return HTTPStatus.OK, generate_latest(self._registry), CONTENT_TYPE_LATEST
            case _:
                known = ", ".join(("/livez", "/readyz", *self._pages))
                return HTTPStatus.NOT_FOUND, f"try {known} or /metrics\n".encode(), "text/plain"


def _response(status: HTTPStatus, body: bytes, kind: str, *, head: bool = False) -> bytes:
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if head else body)
