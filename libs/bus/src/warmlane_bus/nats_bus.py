"""The broker as NATS JetStream: one connection, and the nouns that work over it put together."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from warmlane_bus.bucket import NatsBucket, bind_bucket
from warmlane_bus.connection import Connection, OnFatal, open_connection
from warmlane_bus.hints import listen_hints, send_hint
from warmlane_bus.jetstream import JetStreamApi
from warmlane_bus.ports import Bus, Hint, Message, PublishOutcome
from warmlane_bus.publish import Publisher
from warmlane_bus.pull import NatsPull, bind_pull
from warmlane_bus.subject import checked


class NatsBus:
    """See `ports.Bus`. Made by `connect`."""

    def __init__(self, connection: Connection) -> None:
        """Work over a connection that is open."""
        self.connection = connection
        self.api = JetStreamApi(connection)
        self._publisher = Publisher(connection)

    @classmethod
    async def connect(cls, url: str, *, name: str, on_fatal: OnFatal, within_s: float = 30.0) -> "NatsBus":
        """Connect as `name` (it shows in the broker's monitoring); raise `BusUnavailable` when nobody answers in time.

        `on_fatal` is called with a reason when the connection can never work again: no permission for a subject, or
        the login refused. `Service.fail` fits.
        """
        return cls(await open_connection(url, name=name, on_fatal=on_fatal, within_s=within_s))

    @property
    def connected(self) -> bool:
        """Say whether there is a connection right now."""
        return self.connection.connected

    async def close(self) -> None:
        """Disconnect for good."""
        await self.connection.close()

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
        """Store a message and return what became of it."""
        return await self._publisher.publish(
            subject, data, message_id=message_id, expect_last_seq=expect_last_seq, headers=headers, within_s=within_s
        )

    async def last(self, stream: str, subject: str, *, within_s: float = 10.0) -> Message | None:
        """Return the last message of a subject, from the leader."""
        return await self.api.last(stream, checked(subject), within_s=within_s)

    async def depth(self, stream: str) -> int:
        """Return how many messages a stream holds."""
        return await self.api.depth(stream)

    async def remove(self, stream: str, seq: int) -> None:
        """Take a message out of a stream."""
        await self.api.remove(stream, seq)

    async def pull(self, stream: str, durable: str) -> NatsPull:
        """Bind to a consumer."""
        return await bind_pull(self.api, stream, durable)

    async def bucket(self, name: str) -> NatsBucket:
        """Bind to a bucket."""
        return await bind_bucket(self.api, self._publisher, name)

    async def hint(self, subject: str, data: bytes = b"") -> None:
        """Tell whoever listens right now."""
        await send_hint(self.connection, subject, data)

    def hints(self, subject: str) -> AbstractAsyncContextManager[AsyncIterator[Hint]]:
        """Listen to hints inside the block."""
        return listen_hints(self.connection, subject)


if TYPE_CHECKING:

    def _is_a_bus(bus: NatsBus) -> Bus:
        return bus
