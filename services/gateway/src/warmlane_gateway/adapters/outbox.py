"""The outbox: messages that are durable but perhaps not yet published."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from warmlane_storage.postgres import Postgres


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish. `message_id` makes publishing it twice harmless."""

    message_id: str
    subject: str
    payload: bytes


class Outbox:
    """Reads and empties the outbox."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def remove(self, message_ids: Sequence[str]) -> None:
        """Forget messages that were published.

        Does not wait for the disk: a row that comes back after a crash is published again, and the broker drops the copy.
        """
        async with self._postgres.transaction() as connection:
            await connection.execute("set local synchronous_commit to off")
            await connection.execute("delete from outbox where message_id = any($1)", list(message_ids))

    @asynccontextmanager
    async def stale(self, *, older_than_s: float, limit: int) -> AsyncIterator[tuple[list[Outgoing], list[str]]]:
        """Lend the oldest messages that nobody else is working on, and a list for the ids that were published.

        They stay locked until the block ends; those in the list are then forgotten.
        """
        published: list[str] = []
        async with self._postgres.transaction() as connection:
            rows = await connection.fetch(
                "select message_id, subject, payload from outbox where created_at < now() - make_interval(secs => $1)"
                " order by id limit $2 for update skip locked",
                older_than_s,
                limit,
            )
            yield [Outgoing(row["message_id"], row["subject"], bytes(row["payload"])) for row in rows], published
            if published:
                await connection.execute("delete from outbox where message_id = any($1)", published)
