"""What every request passes through and every answer carries: correlation id, trace, a log line, metrics, a body limit.

One plain ASGI middleware, because this is on the path of every request.
"""

import re
import time

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from warmlane_contracts.errors import ErrorCode, WarmlaneError
from warmlane_contracts.ids import new_ulid
from warmlane_runtime.tracecontext import continue_trace

from warmlane_gateway.api.problems import from_exception
from warmlane_gateway.metrics import REQUEST_SECONDS, REQUESTS

log = structlog.get_logger("http")

_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})


class RequestContext:
    """The middleware."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        correlation_id = _correlation_id(headers.get(b"x-correlation-id"))
        trace = continue_trace(headers.get(b"traceparent", b"").decode("latin-1"))
        scope["correlation_id"], scope["traceparent"] = correlation_id, trace.traceparent
        exchange = _Exchange(scope, send, correlation_id, trace.traceparent)
        try:
            if _declared(headers) > self._max_body_bytes:
                raise self._too_large()  # noqa: TRY301 - answered below like any other refusal
            await self._app(scope, self._bounded(receive), exchange.send)
        except Exception as error:
            if exchange.status:
                # The answer has begun. One that is whole (a 500 of ours) needs nothing more; a stream that broke off has
                # to be seen as broken, which the server does when the error reaches it.
                if exchange.whole:
                    return
                raise
            response = from_exception(error, correlation_id)
            await response(scope, receive, exchange.send)
        finally:
            exchange.note()

    def _bounded(self, receive: Receive) -> Receive:
        """Count what arrives: a chunked body declares no length."""
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_body_bytes:
                raise self._too_large()
            return message

        return bounded

    def _too_large(self) -> WarmlaneError:
        return WarmlaneError(
            ErrorCode.PAYLOAD_TOO_LARGE,
            f"The body has more than {self._max_body_bytes} bytes.",
            "Upload pictures one by one (POST /api/v2/upload-asset) and name them in the request.",
        )


class _Exchange:
    """Notes what became of a request."""

    def __init__(self, scope: Scope, send: Send, correlation_id: str, traceparent: str) -> None:
        self.status = 0
        self.whole = False
        self._scope = scope
        self._send = send
        self._correlation_id = correlation_id
        self._traceparent = traceparent
        self._began = time.perf_counter()
        self._seconds = 0.0

    async def send(self, message: Message) -> None:
        """Pass a message on; the first one gets the headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._seconds = time.perf_counter() - self._began
            headers = MutableHeaders(scope=message)
            headers["X-Correlation-Id"] = self._correlation_id
            headers["traceparent"] = self._traceparent
            headers["X-Content-Type-Options"] = "nosniff"
        await self._send(message)
        self.whole = message["type"] == "http.response.body" and not message.get("more_body", False)

    def note(self) -> None:
        """Count and log the request."""
        route = getattr(self._scope.get("route"), "path", "unmatched")
        method = self._scope["method"]
        REQUESTS.labels(method, route, self.status).inc()
        REQUEST_SECONDS.labels(method, route).observe(self._seconds)
        if route not in _PROBES:
            log.info(
                "http.answered",
                method=method,
                route=route,
                status=self.status,
                ms=round(self._seconds * 1e3, 2),
                correlation_id=self._correlation_id,
            )


def _correlation_id(given: bytes | None) -> str:
    return given.decode("ascii") if given and _SANE.fullmatch(given) else new_ulid()


def _declared(headers: dict[bytes, bytes]) -> int:
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0
