"""A small HTTP client for large bodies: pooled connections, redirects, proxies, reads straight into our buffers.

Why not httpx or requests: the body of a 5 GB range is the whole work here, and the standard library's `readinto`
moves it from the socket to one reused buffer at several times their speed, with nothing to install or import.

Promises: an `Authorization` header never follows a redirect to another host; what failed is always a StoreError with
a code that says whether trying again can help.
"""

import http.client
import socket
import ssl
import threading
import urllib.request
from collections.abc import Mapping
from typing import Self
from urllib.parse import unquote, urljoin, urlsplit

from warmlane_modelstore.errors import Code, StoreError

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_MAX_ERROR_BODY = 4096
# What may follow us to another host: nothing that says who we are.
_KEPT_ACROSS_HOSTS = frozenset({"range", "user-agent", "accept", "if-match"})

_Origin = tuple[str, str, int]


class Response:
    """An answer whose body is read by the caller. Close it; a body read to its end gives the connection back."""

    def __init__(
        self,
        raw: http.client.HTTPResponse,
        client: "Http",
        origin: _Origin,
        connection: http.client.HTTPConnection,
        url: str,
    ) -> None:
        self._raw = raw
        self._client = client
        self._origin = origin
        self._connection = connection
        self._closed = False
        self.url = url
        self.status = raw.status
        # Headers of the redirects passed on the way, too: the hub describes a file on its first answer only.
        self.headers: dict[str, str] = {key.lower(): value for key, value in raw.getheaders()}

    def readinto(self, buffer: memoryview) -> int:
        """Fills as much of `buffer` as there is; 0 at the end. Raises StoreError NETWORK when the peer stops early."""
        try:
            count = self._raw.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            raise network_error(error, self.url) from error
        if count == 0 and self._raw.length:
            raise StoreError(Code.NETWORK, f"{_host(self.url)} closed the connection early", "Try again.")
        return count

    def read(self, limit: int) -> bytes:
        """The body, at most `limit` bytes of it."""
        try:
            return self._raw.read(limit)
        except (OSError, http.client.HTTPException) as error:
            raise network_error(error, self.url) from error

    def close(self) -> None:
        """May be called twice: an error path and a `with` both do."""
        if self._closed:
            return
        self._closed = True
        if self._raw.isclosed() and not self._raw.will_close:
            self._client.give_back(self._origin, self._connection)
        else:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Http:
    """One client for a whole store; thread-safe. Each request in flight has a connection to itself."""

    def __init__(
        self, *, connect_timeout_s: float = 10.0, read_timeout_s: float = 30.0, environ_proxies: bool = True
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._environ_proxies = environ_proxies
        self._idle: dict[_Origin, list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None
        self._stopped = False

    def request(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Response:
        """Sends and follows redirects; any status is an answer. Raises StoreError NETWORK when there is none."""
        sent = {"user-agent": "warmlane-modelstore/1", "accept-encoding": "identity"}
        sent |= {key.lower(): value for key, value in (headers or {}).items()}
        passed: dict[str, str] = {}
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._once(method, url, sent)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                response.headers = passed | response.headers
                return response
            passed |= {key: value for key, value in response.headers.items() if key.startswith("x-")}
            response.read(_MAX_ERROR_BODY)
            response.close()
            target = urljoin(url, location)
            if urlsplit(target).netloc != urlsplit(url).netloc:
                sent = {key: value for key, value in sent.items() if key in _KEPT_ACROSS_HOSTS}
            url = target
        raise StoreError(Code.NETWORK, f"{_host(url)} redirects in a circle", "Check the source's address.")

    def _once(self, method: str, url: str, headers: Mapping[str, str]) -> Response:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise StoreError(Code.NETWORK, "a source answered with an address that is not http(s)", "Check the source.")
        origin = (parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection, reused = self._take(origin)
        try:
            raw = self._send(connection, method, target, headers)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if not reused:
                raise network_error(error, url) from error
            # A kept-alive connection may have died while idle; a fresh one decides.
            connection = self._connect(origin)
            try:
                raw = self._send(connection, method, target, headers)
            except (OSError, http.client.HTTPException) as again:
                connection.close()
                raise network_error(again, url) from again
        return Response(raw, self, origin, connection, url)

    def _send(
        self, connection: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        if connection.sock is None:
            self._open(connection)
        connection.putrequest(method, target, skip_host="host" in headers, skip_accept_encoding=True)
        for key, value in headers.items():
            connection.putheader(key, value)
        connection.endheaders()
        return connection.getresponse()

    def _open(self, connection: http.client.HTTPConnection) -> None:
        connection.connect()
        connection.sock.settimeout(self._read_timeout_s)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _take(self, origin: _Origin) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            idle = self._idle.get(origin)
            if idle:
                return idle.pop(), True
        return self._connect(origin), False

    def _connect(self, origin: _Origin) -> http.client.HTTPConnection:
        scheme, host, port = origin
        proxy = self._proxy(scheme, host)
        to_host, to_port = (proxy[0], proxy[1]) if proxy else (host, port)
        if scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                to_host, to_port, timeout=self._connect_timeout_s, context=self._context()
            )
        else:
            connection = http.client.HTTPConnection(to_host, to_port, timeout=self._connect_timeout_s)
        if proxy:
            connection.set_tunnel(host, port)
        return connection

    def _proxy(self, scheme: str, host: str) -> tuple[str, int] | None:
        if not self._environ_proxies or urllib.request.proxy_bypass(host):
            return None
        address = urllib.request.getproxies().get(scheme)
        if not address:
            return None
        parts = urlsplit(address if "://" in address else f"http://{address}")
        return (unquote(parts.hostname), parts.port or 3128) if parts.hostname else None

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def give_back(self, origin: _Origin, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if not self._stopped:
                self._idle.setdefault(origin, []).append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Closes what is idle; connections in use close with their response. May be called twice."""
        with self._lock:
            idle = [connection for connections in self._idle.values() for connection in connections]
            self._idle.clear()
            self._stopped = True
        for connection in idle:
            connection.close()


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or "the source"


def network_error(error: Exception, url: str) -> StoreError:
    """A failure below HTTP. The URL's query stays out: it may be a signature."""
    reason = str(error) or type(error).__name__
    return StoreError(Code.NETWORK, f"{_host(url)}: {reason}", "Check the network and the source's address.")


def raise_for_status(response: Response, what: str) -> None:
    """Turns an error status into a StoreError; `what` names what was asked. The body is read and given away."""
    status = response.status
    if status < http.client.BAD_REQUEST:
        return
    host = _host(response.url)
    retry_after = _retry_after(response.headers.get("retry-after"))
    response.read(_MAX_ERROR_BODY)
    response.close()
    if status in {401, 403}:
        raise StoreError(
            Code.AUTH_FAIL,
            f"{host} refused {what} ({status})",
            "Check the source's credentials: keyring, WAN_MODELS_CREDENTIALS, or the environment. Gated models need a token.",
        )
    if status in {404, 410}:
        raise StoreError(Code.NOT_FOUND, f"{host} has no {what} ({status})", "Check path and revision in the manifest.")
    if status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise StoreError(
            Code.CHECKSUM_FAIL, f"{host} has a shorter {what} than expected (416)", "Check the manifest's size."
        )
    if status == http.client.PRECONDITION_FAILED:
        raise StoreError(Code.CHECKSUM_FAIL, f"{what} changed at {host} while it was read (412)", "Try again.")
    if status == http.client.TOO_MANY_REQUESTS or (
        status == http.client.SERVICE_UNAVAILABLE and retry_after is not None
    ):
        raise StoreError(
            Code.RATE_LIMIT, f"{host} asks for patience ({status})", "Try again later.", retry_after_s=retry_after
        )
    raise StoreError(Code.NETWORK, f"{host} answered {status} for {what}", "Try again; the source has a fault.")


def _retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header; a date form is taken as a minute, which is what such servers mean."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        return 60.0
