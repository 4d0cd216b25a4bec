"""One connection to the broker, and one inbox on it for every answer.

    request ─► token 17 ─► PUB … reply _INBOX.abc.17 ─► server ─► _INBOX.abc.17 ─► the one who waits for 17

The client library's own requests wait out their whole timeout when the connection breaks under them, and its fetches
even over a restart (20 s with a message ready). Here whoever waits is told at once that the connection is lost, and
decides what that means. A job that is delivered to nobody, because the one who asked has left, is handed back at once
instead of being held for the whole ack wait.

It reconnects for ever. Nothing is buffered while disconnected: a caller who was told "unknown" must not have its
message sent by a reconnect minutes later.
"""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from warmlane_bus.ports import BusMisconfigured, BusUnavailable

log = structlog.get_logger(__name__)

OnFatal = Callable[[str], None]
Sink = Callable[[Msg | None], None]
"""Takes each answer; None means that the connection was lost and no answer will come."""

_PING_S = 10
_MISSED_PINGS = 2
_RECONNECT_S = 0.25
_CONNECT_S = 2


class NotSentError(Exception):
    """There is no connection; nothing left this process."""


class NoAnswerError(Exception):
    """Sent, and then the time was over or the connection was lost: it may have arrived or not."""


class NobodyThereError(Exception):
    """The server knows nobody who listens: no such stream, or no leader at the moment. Nothing was done."""


class Connection:
    """Sends, and hands each answer to the one who waits for it. Made by `open_connection`."""

    def __init__(self, client: Client, *, name: str, on_fatal: OnFatal) -> None:
        """Wrap a client that is about to connect. `on_fatal` is called when going on makes no sense."""
        self.client = client
        self.name = name
        self._on_fatal = on_fatal
        self._sinks: dict[str, Sink] = {}
        self._lost: list[Sink] = []
        self._tokens = count(1)
        self._inbox = ""
        self._up = asyncio.Event()
        self._closing = False
        self.last_error = ""

    @property
    def connected(self) -> bool:
        """Say whether there is a connection right now."""
        return self.client.is_connected

    async def send(
        self, subject: str, payload: bytes = b"", *, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Hand over to the socket; raise `NotSentError` without a connection."""
        if not self.client.is_connected:
            raise NotSentError
        size = len(payload) + _size(headers)
        if size > self.client.max_payload:
            # The library counts no headers, and the server answers an oversized message by closing the connection.
            raise BusMisconfigured(f"{size} bytes are more than the broker takes in one message")
        try:
            await self.client.publish(subject, payload, reply=reply, headers=headers)
        except NatsError as error:  # closed or reconnecting: with buffering off nothing was kept
            raise NotSentError from error

    async def request(
        self, subject: str, payload: bytes = b"", *, headers: dict[str, str] | None = None, timeout_s: float
    ) -> Msg:
        """Send and return the answer; raise `NotSentError`, `NoAnswerError` or `NobodyThereError`."""
        answer: asyncio.Future[Msg | None] = asyncio.get_running_loop().create_future()
        token, reply = self.expect(lambda message: None if answer.done() else answer.set_result(message))
        try:
            await self.send(subject, payload, reply=reply, headers=headers)
            async with asyncio.timeout(timeout_s):
                message = await answer
        except TimeoutError as error:
            raise NoAnswerError(f"no answer within {timeout_s:g} s") from error
        finally:
            self.forget(token)
        if message is None:
            raise NoAnswerError("the connection was lost")
        if message.headers and message.headers.get("Status") == "503" and not message.data:
            raise NobodyThereError
        return message

    def expect(self, sink: Sink) -> tuple[str, str]:
        """Call `sink` for each answer from now on; return the token to forget it by and the reply subject."""
        token = str(next(self._tokens))
        self._sinks[token] = sink
        return token, f"{self._inbox}.{token}"

    def forget(self, token: str) -> None:
        """Hear no more under `token`."""
        self._sinks.pop(token, None)

    async def subscribe(self, received: Callable[[Msg], Awaitable[None]], lost: Sink) -> str:
        """Open an inbox of its own and return its subject: deliveries of a stream come under the subject they were
        stored with, so only the subscription tells whose they are. `lost` hears of each lost connection.
        """
        inbox = self.client.new_inbox()
        await self.client.subscribe(f"{inbox}.*", cb=received)
        self._lost.append(lost)
        return inbox

    async def wait_connected(self, timeout_s: float) -> bool:
        """Return True as soon as there is a connection, False when there is none within `timeout_s`."""
        if self.client.is_connected:
            return True
        try:
            async with asyncio.timeout(max(0.0, timeout_s)):
                await self._up.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Disconnect for good; whoever still waits is told that the connection is lost."""
        self._closing = True
        self._lose_all()
        if not self.client.is_closed:
            await self.client.close()

    async def listen(self) -> None:
        """Open the inbox. Called once, after connecting; the client library renews it on every reconnect."""
        self._inbox = self.client.new_inbox()
        await self.client.subscribe(f"{self._inbox}.*", cb=self._received)
        await self.client.flush(timeout=_CONNECT_S)
        self._up.set()

    async def _received(self, message: Msg) -> None:
        sink = self._sinks.get(message.subject.rpartition(".")[2])
        if sink is not None:
            sink(message)

    def _lose_all(self) -> None:
        for sink in [*self._sinks.values(), *self._lost]:
            sink(None)

    async def on_disconnected(self) -> None:
        """Tell everybody who waits, and drop what was not yet written: it must not be sent by the reconnect."""
        self._up.clear()
        if (reconnecting := asyncio.current_task()) is not None:
            reconnecting.add_done_callback(self._reconnect_ended)
        self.client._pending.clear()  # noqa: SLF001 - the library keeps these even with buffering off
        self.client._pending_data_size = 0  # noqa: SLF001
        self._lose_all()
        if not self._closing:
            log.warning("bus.disconnected", client=self.name)

    def _reconnect_ended(self, task: "asyncio.Task[object]") -> None:
        """The library reconnects in a task that an error it does not expect ends, leaving it disconnected for ever."""
        if not self._closing and not task.cancelled() and task.exception() is not None:
            self._on_fatal(f"the broker client stopped reconnecting: {task.exception()!r}")

    async def on_reconnected(self) -> None:
        """Let those who wait for a connection go on."""
        self.last_error = ""
        self._up.set()
        log.info("bus.reconnected", client=self.name)

    async def on_closed(self) -> None:
        """Fatal unless we closed it: the library gives up for good on a refused login."""
        if not self._closing:
            self._on_fatal(f"the broker closed the connection for good: {self.last_error or 'no reason given'}")

    async def on_error(self, error: Exception) -> None:
        """Keep the reason; a refused subject is fatal, since callers only ever see it as a timeout."""
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if not self.last_error or not isinstance(error, OSError):
            # What the server said explains more than the broken socket that follows it.
            self.last_error = reason
        if "permissions violation" in str(error).lower():
            log.error("bus.permission_denied", client=self.name, reason=reason)
            self._on_fatal(f"the broker refuses a subject: {reason}; fix this user's permissions")
        else:
            log.debug("bus.client_error", client=self.name, reason=reason)


def _split_login(url: str) -> tuple[list[str], dict[str, Any]]:
    """Return the servers without credentials, and the credentials (of the first that has some) as options.

    Inside a URL they are used for that server only: nodes of a cluster that the client learns of while connected would
    refuse it when it needs them, at the moment its own node dies.
    """
    parts = [urlsplit(one.strip() if "://" in one else f"nats://{one.strip()}") for one in url.split(",")]
    servers = [part._replace(netloc=part.netloc.rpartition("@")[2]).geturl() for part in parts]
    owner = next((part for part in parts if part.username is not None), None)
    if owner is None or owner.username is None:
        return servers, {}
    if owner.password is None:
        return servers, {"token": unquote(owner.username)}
    return servers, {"user": unquote(owner.username), "password": unquote(owner.password)}


def _size(headers: dict[str, str] | None) -> int:
    """Return how many bytes headers take on the wire: a version line, `name: value` lines and an empty one."""
    return 14 + sum(len(name) + len(value.encode()) + 4 for name, value in headers.items()) if headers else 0


async def open_connection(url: str, *, name: str, on_fatal: OnFatal, within_s: float = 30.0) -> Connection:
    """Connect to one of the servers in `url` (divided by commas); raise `BusUnavailable` when none answers in time."""
    servers, login = _split_login(url)
    client = Client()
    connection = Connection(client, name=name, on_fatal=on_fatal)
    try:
        async with asyncio.timeout(within_s):
            await client.connect(
                servers,
                **login,
                name=name,
                error_cb=connection.on_error,
                disconnected_cb=connection.on_disconnected,
                reconnected_cb=connection.on_reconnected,
                closed_cb=connection.on_closed,
                max_reconnect_attempts=-1,
                reconnect_time_wait=_RECONNECT_S,  # type: ignore[arg-type]  # seconds, fractions work
                connect_timeout=_CONNECT_S,
                ping_interval=_PING_S,
                max_outstanding_pings=_MISSED_PINGS,
                pending_size=0,
            )
            await connection.listen()
    except (TimeoutError, NatsError, OSError) as error:
        await connection.close()
        reason = connection.last_error or type(error).__name__
        # `url` may hold a password and stays out of the message.
        raise BusUnavailable(f"no broker answered within {within_s:g} s ({reason}); is it running?") from None
    return connection
