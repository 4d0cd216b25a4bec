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


@dataclass(frozen=True, slots=True)
class Queue:
    """One owner's waiting tasks in one lane: at the broker already, and held until their turn."""

    lane: str
    owner: str
    queued: int
    held: int


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
                "select message_id, subject, payload from outbox where not held and created_at < now() - make_interval(secs => $1)"
                " order by id limit $2 for update skip locked",
                older_than_s,
                limit,
            )
            yield [Outgoing(row["message_id"], row["subject"], bytes(row["payload"])) for row in rows], published
            if published:
                await connection.execute("delete from outbox where message_id = any($1)", published)

    async def queues(self) -> list[Queue]:
        """Return, for each lane and owner with waiting tasks, how many are at the broker and how many are held."""
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(
                "select tasks.lane, owner, count(*) filter (where held) as held,"
                " count(*) filter (where held is not true) as queued"
                " from tasks left join outbox on outbox.message_id = tasks.job_id"
                " where status = 'pending' and lane_mode = 'dedicated' group by tasks.lane, owner"
            )
        return [Queue(row["lane"], row["owner"], row["queued"], row["held"]) for row in rows]

    async def release(self, lane: str, most: int) -> list[Outgoing]:
        """Let those of a lane go whose turn it is; return them in that order. They are ours to publish, and the relay's if we die."""
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(
                "with turn as (select message_id, place from fair_queue where lane = $1 order by place limit $2),"
                " released as (update outbox set held = false, created_at = now()"
                " where held and message_id in (select message_id from turn) returning message_id, subject, payload)"
                " select message_id, subject, payload from released join turn using (message_id) order by place",
                lane,
                most,
            )
        return [Outgoing(row["message_id"], row["subject"], bytes(row["payload"])) for row in rows]
