"""What the rest of Warmlane sees of the broker: protocols and the outcomes they return.

A broker call has more ends than success and error. Whether a publish was stored can be *unknown*, and code that treats
unknown as failure runs a job twice. So outcomes are values that have to be looked at, and exceptions are left for two
things: the broker cannot be asked (`BusUnavailable`) and the broker is set up wrong (`BusMisconfigured`).
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


class BusUnavailable(Exception):
    """The broker did not answer in time. Nothing is known to have changed; try again later."""


class BusMisconfigured(Exception):
    """The broker refuses what we do for a reason that retrying cannot cure. Fix the topology or the permissions."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The message is in the stream at `seq`. `duplicate`: an earlier try, or another publisher of this id, put it there."""

    seq: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Conflict:
    """The condition did not hold when this try arrived. What came first may be an earlier try of the same publish, whose
    answer was lost: read the last message before believing that somebody else was quicker, as `StateRegister` does.
    """


@dataclass(frozen=True, slots=True)
class Full:
    """The stream is at its limit and refuses new messages. Nothing was stored. Answer busy; do not retry blindly."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Time is over without an answer. `maybe_stored` False: it certainly never left this process, or was refused."""

    reason: str = ""
    maybe_stored: bool = True


PublishOutcome = Stored | Conflict | Full | Unknown


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message. `time` is the broker's, UTC."""

    subject: str
    data: bytes
    seq: int
    time: datetime
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """The present value of a key. `revision` is what `update` must be conditioned on; `time` is the broker's, UTC."""

    key: str
    value: bytes
    revision: int
    time: datetime


@dataclass(frozen=True, slots=True)
class Hint:
    """A message that was not stored and will not come again."""

    subject: str
    data: bytes


class Delivery(Protocol):
    """One delivery of a stored message to us. Until it is acknowledged it comes again, to us or to another."""

    @property
    def subject(self) -> str: ...
    @property
    def data(self) -> bytes: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def seq(self) -> int:
        """The stream sequence."""
        ...

    @property
    def time(self) -> datetime:
        """When the broker stored the message, UTC."""
        ...

    @property
    def deliveries(self) -> int:
        """How often the broker delivered it, this time included. It starts over when a consumer is made anew: never
        derive an attempt or a term from it.
        """
        ...

    async def ack(self) -> bool:
        """Acknowledge and wait for the broker's word. False: unknown, it may be delivered again. True proves only that
        the message is gone, not that it was still ours.
        """
        ...

    async def ack_soon(self) -> None:
        """Acknowledge without waiting: for projections, where a repeat is harmless."""
        ...

    async def in_progress(self) -> None:
        """Say that work goes on, so that the ack wait starts over. Lost without an error when the broker is away."""
        ...

    async def nak(self, delay_s: float = 0.0) -> None:
        """Give it back; it is delivered again after `delay_s`."""
        ...

    async def term(self) -> None:
        """Give it up: it is never delivered again."""
        ...


class Pull(Protocol):
    """A durable consumer that exists already, from which messages are pulled. Several tasks may fetch at once."""

    async def fetch(self, timeout_s: float) -> Delivery | None:
        """Return the next message, None when none came within `timeout_s`. A broker restart only delays it."""
        ...

    async def fetch_many(self, n: int, timeout_s: float) -> list[Delivery]:
        """Return up to `n` messages: as soon as there is at least one, all that are there; none after `timeout_s`."""
        ...


class Bucket(Protocol):
    """A key-value bucket. Keys are subject tokens joined by dots. Every method may raise `BusUnavailable`."""

    async def get(self, key: str) -> Entry | None:
        """Return the newest value, read from the leader; None when there is none, it was deleted, or it is too old."""
        ...

    async def put(self, key: str, value: bytes, *, within_s: float = 15.0) -> int:
        """Write unconditionally; return the new revision."""
        ...

    async def create(self, key: str, value: bytes, *, within_s: float = 15.0) -> int | None:
        """Write when the key has no value; return the new revision, None when it has one."""
        ...

    async def update(self, key: str, value: bytes, revision: int, *, within_s: float = 15.0) -> int | None:
        """Write when `revision` is still the key's; return the new revision, None when it is not."""
        ...

    async def delete(self, key: str, *, within_s: float = 15.0) -> None:
        """Remove the value, if any."""
        ...

    async def entries(self) -> list[Entry]:
        """Return all present values, in no order. Not a snapshot: each value is the newest at the time it is read."""
        ...


class Bus(Protocol):
    """The broker."""

    @property
    def connected(self) -> bool:
        """Say whether there is a connection right now. It comes back by itself."""
        ...

    async def close(self) -> None:
        """Disconnect. Safe to call twice. Running calls end as if the broker were away."""
        ...

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        message_id: str,
        expect_last_seq: int | None = None,
        headers: dict[str, str] | None = None,
        within_s: float = 15.0,
    ) -> PublishOutcome:
        """Store a message and return what became of it; retries inside `within_s`, always under the same `message_id`.

        With `expect_last_seq` it is stored only when that is the sequence of the subject's last message (0: it has
        none). Raise `BusMisconfigured` when retrying cannot help.
        """
        ...

    async def last(self, stream: str, subject: str) -> Message | None:
        """Return the last message of a subject, read from the leader. Raise `BusUnavailable` when there is no answer."""
        ...

    async def depth(self, stream: str) -> int:
        """Return how many messages a stream holds, those in somebody's hands included. Raise `BusUnavailable`."""
        ...

    async def remove(self, stream: str, seq: int) -> None:
        """Take a message out of a stream, also out of somebody's hands; one that is gone is as good. Raise `BusUnavailable`."""
        ...

    async def pull(self, stream: str, durable: str) -> Pull:
        """Bind to a consumer that the topology made; nothing is created. Raise `BusMisconfigured` when it is not there."""
        ...

    async def bucket(self, name: str) -> Bucket:
        """Return a bucket that the topology made."""
        ...

    async def hint(self, subject: str, data: bytes = b"") -> None:
        """Tell whoever listens right now. No promise: correctness must never depend on it."""
        ...

    def hints(self, subject: str) -> AbstractAsyncContextManager[AsyncIterator[Hint]]:
        """Listen to hints inside the block. Wildcards are allowed here and only here."""
        ...
