"""Pulling messages from a durable consumer, so that a restart of the broker costs a moment and not a timeout.

    fetch ─► request ─► server ─┬─ message, under the subject it was stored with ─► whoever waits longest
                               ├─ status 404, 408: none now                     ─► the one who made the request
                               └─ status 409, 503, or the connection is lost    ─► the same; asks again at once

A pull request lives on the server for at most five seconds and is then made anew. A delivery nobody takes any more (its
fetch was cancelled) is given back instead of being held until the ack wait is over.

Only binds: consumers are made by the topology. The library's own subscribe would silently create one that differs.
"""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

import structlog
from nats.aio.msg import Msg

from warmlane_bus.connection import Connection, NoAnswerError, NobodyThereError, NotSentError
from warmlane_bus.jetstream import JetStreamApi, JetStreamRefused, headers_of
from warmlane_bus.patience import Patience
from warmlane_bus.ports import BusMisconfigured, Delivery
from warmlane_bus.subject import checked

log = structlog.get_logger(__name__)

REQUEST_S = 5.0
_GRACE_S = 0.5  # for the server's own word that a request expired
_ACK_S = 6.0  # without the broker's word the message comes again, and the register tells whoever gets it to ack
_NOTHING_NOW = {"404", "408"}
_HEARTBEAT = "100"
_ACK, _NAK, _WORKING, _TERM = b"", b"-NAK", b"+WPI", b"+TERM"


@dataclass(frozen=True, slots=True)
class NatsDelivery:
    """One delivery; see `ports.Delivery`."""

    subject: str
    data: bytes
    headers: dict[str, str]
    seq: int
    time: datetime
    deliveries: int
    reply: str
    connection: Connection

    @classmethod
    def of(cls, message: Msg, connection: Connection) -> "NatsDelivery":
        """Read the sequence, time and count that the broker writes into the reply subject (both of its forms)."""
        meta = message.metadata
        return cls(
            subject=message.subject,
            data=message.data,
            headers=headers_of(message),
            seq=meta.sequence.stream,
            time=meta.timestamp,
            deliveries=meta.num_delivered,
            reply=message.reply,
            connection=connection,
        )

    async def ack(self) -> bool:
        """Acknowledge, again and again until the broker confirms; False after six seconds without its word."""
        patience = Patience(self.connection, _ACK_S)
        while True:
            try:
                await self.connection.request(self.reply, _ACK, timeout_s=patience.try_s)
            except (NotSentError, NoAnswerError, NobodyThereError):
                if not await patience.again():
                    return False
            else:
                return True

    async def ack_soon(self) -> None:
        """Acknowledge without waiting."""
        await self._tell(_ACK)

    async def in_progress(self) -> None:
        """Restart the ack wait."""
        await self._tell(_WORKING)

    async def nak(self, delay_s: float = 0.0) -> None:
        """Give it back."""
        delay = b" " + json.dumps({"delay": int(delay_s * 1e9)}).encode() if delay_s > 0 else b""
        await self._tell(_NAK + delay)

    async def term(self) -> None:
        """Give it up for good."""
        await self._tell(_TERM)

    async def _tell(self, word: bytes) -> None:
        try:
            await self.connection.send(self.reply, word)
        except NotSentError:
            # The ack wait runs out and the message comes again, which every consumer has to cope with anyway.
            log.debug("bus.settle_not_sent", subject=self.subject, word=word.decode())


class NatsPull:
    """Pulls from one consumer; see `ports.Pull`. Made by `bind_pull`."""

    def __init__(self, connection: Connection, *, stream: str, durable: str) -> None:
        """Bind; `open` before the first fetch."""
        self._connection = connection
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._waiting: dict[str, _Request] = {}
        self._tokens = count(1)
        self._inbox = ""

    async def open(self) -> None:
        """Open the inbox that all fetches share."""
        self._inbox = await self._connection.subscribe(self._received, self._lost)

    async def fetch(self, timeout_s: float) -> NatsDelivery | None:
        """Return the next message, if one comes within `timeout_s`."""
        deliveries = await self._wait(timeout_s)
        return deliveries[0] if deliveries else None

    async def fetch_many(self, n: int, timeout_s: float) -> list[Delivery]:
        """Return what is there, up to `n`; wait up to `timeout_s` for a first one."""
        ready = await self._ask(n, REQUEST_S, no_wait=True)
        if ready.deliveries or timeout_s <= 0:
            return [*ready.deliveries]
        first = await self._wait(timeout_s)
        if not first or n == 1:
            return [*first]
        rest = await self._ask(n - 1, REQUEST_S, no_wait=True)
        return [*first, *rest.deliveries]

    async def _wait(self, timeout_s: float) -> list[NatsDelivery]:
        """Ask for one message, again and again, until it comes or the time is over."""
        patience = Patience(self._connection, timeout_s)
        while patience.left_s > 0:
            answer = await self._ask(1, min(REQUEST_S, patience.left_s))
            if answer.deliveries:
                return answer.deliveries
            if answer.trouble and not await patience.again():
                break
        return []

    async def _ask(self, n: int, wait_s: float, *, no_wait: bool = False) -> "_Request":
        """Make one pull request and return it with what it brought."""
        request = _Request(self._connection, n)
        token = str(next(self._tokens))
        self._waiting[token] = request
        wish = {"batch": n} | ({"no_wait": True} if no_wait else {"expires": int(wait_s * 1e9)})
        try:
            await self._connection.send(self._next, json.dumps(wish).encode(), reply=f"{self._inbox}.{token}")
            async with asyncio.timeout(wait_s + _GRACE_S):
                await request.done.wait()
        except NotSentError:
            request.end("not connected to the broker")
        except TimeoutError:
            request.end(None)
        except asyncio.CancelledError:
            for delivery in request.deliveries:
                await delivery.nak()
            raise
        finally:
            del self._waiting[token]
        return request

    async def _received(self, message: Msg) -> None:
        status = message.headers.get("Status") if message.headers else None
        if status:
            request = self._waiting.get(message.subject.rpartition(".")[2])
            if request is not None:
                request.told(status, (message.headers or {}).get("Description", ""))
            return
        delivery = NatsDelivery.of(message, self._connection)
        for request in self._waiting.values():
            if not request.done.is_set():
                request.take(delivery)
                return
        await delivery.nak()

    def _lost(self, _message: object) -> None:
        for request in self._waiting.values():
            request.end("the connection was lost")


@dataclass(slots=True)
class _Request:
    """One pull request and what it brought. `trouble` says why the server could not serve it."""

    connection: Connection
    wanted: int
    deliveries: list[NatsDelivery] = field(default_factory=list)
    trouble: str | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, delivery: NatsDelivery) -> None:
        """Keep a delivery; done with the last one wanted."""
        self.deliveries.append(delivery)
        if len(self.deliveries) >= self.wanted:
            self.done.set()

    def told(self, status: str, description: str) -> None:
        """Understand the server's word about this request."""
        if status in _NOTHING_NOW:
            self.end(None)
        elif status != _HEARTBEAT:
            # 409 (leadership change, shutdown, consumer deleted) or 503 (nobody leads the consumer).
            self.end(f"{status} {description}".strip())

    def end(self, trouble: str | None) -> None:
        """Wait no longer."""
        self.trouble = trouble
        self.done.set()
        if trouble:
            log.debug("bus.pull_interrupted", reason=trouble)


async def bind_pull(api: JetStreamApi, stream: str, durable: str) -> NatsPull:
    """Return a pull on an existing consumer; raise `BusMisconfigured` when there is none."""
    try:
        await api.ask(f"CONSUMER.INFO.{checked(stream)}.{checked(durable)}")
    except JetStreamRefused as refused:
        message = f"no consumer {durable} on {stream} ({refused.error}); run `python -m warmlane_bus apply`"
        raise BusMisconfigured(message) from refused
    pull = NatsPull(api.connection, stream=stream, durable=durable)
    await pull.open()
    return pull
