"""What a run left behind, read from the real servers: the checker's input."""

import asyncio
import base64
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from warmlane_bus.jetstream import JetStreamRefused, parse_time
from warmlane_bus.nats_bus import NatsBus
from warmlane_contracts.envelope import decode
from warmlane_contracts.messages import Message, StateRecord
from warmlane_contracts.topology import EVENT_STREAM, LANE_STREAM, LEASE_BUCKET, STATE_STREAM, WAIT_STREAM
from warmlane_storage.objects import ObjectStore
from warmlane_storage.postgres import Postgres

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record of the register, with the broker's sequence and time."""

    seq: int
    at: datetime
    record: StateRecord


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client was told. `task_id` is None when it was refused; `correlation_id` finds the task all the same."""

    status: int
    correlation_id: str
    task_id: str | None = None
    code: str | None = None
    took_s: float = 0.0


@dataclass(slots=True)
class Evidence:
    """Everything a run left behind. `killed_workers` are worker ids that were killed and could not tell their end."""

    records: list[Recorded] = field(default_factory=list)
    facts: list[Message] = field(default_factory=list)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    outbox: int = 0
    answers: list[Answer] = field(default_factory=list)
    objects: set[str] = field(default_factory=set)
    leases: set[str] = field(default_factory=set)
    tokens: int = 0
    waiting: int = 0
    depths: list[int] = field(default_factory=list)
    killed_workers: set[str] = field(default_factory=set)


async def collect(
    bus: NatsBus,
    postgres: Postgres,
    objects: ObjectStore,
    *,
    answers: list[Answer],
    depths: list[int],
    killed_workers: set[str],
) -> Evidence:
    """Read the streams, the database and the object store."""
    states = await read_stream(bus, STATE_STREAM)
    async with postgres.connection() as connection:
        rows = await connection.fetch("select * from tasks")
        outbox = int(await connection.fetchval("select count(*) from outbox"))
    leases = await bus.bucket(LEASE_BUCKET)
    return Evidence(
        records=[Recorded(seq, at, cast("StateRecord", fact)) for seq, at, fact in states],
        facts=[fact for _, _, fact in await read_stream(bus, EVENT_STREAM)],
        tasks={row["task_id"]: dict(row) for row in rows},
        outbox=outbox,
        answers=answers,
        objects={info.key for info in await objects.list("results/")},
        leases={entry.key for entry in await leases.entries()},
        tokens=await bus.depth(LANE_STREAM),
        waiting=await bus.depth(WAIT_STREAM),
        depths=depths,
        killed_workers=killed_workers,
    )


async def read_stream(bus: NatsBus, stream: str) -> list[tuple[int, datetime, Message]]:
    """Return all messages of a stream, in order."""
    state = (await bus.api.ask(f"STREAM.INFO.{stream}"))["state"]
    found: list[tuple[int, datetime, Message]] = []
    for first in range(state["first_seq"], state["last_seq"] + 1, _AT_ONCE):
        last = min(first + _AT_ONCE, state["last_seq"] + 1)
        read = await asyncio.gather(*(_message(bus, stream, seq) for seq in range(first, last)))
        found += [message for message in read if message is not None]
    return found


async def _message(bus: NatsBus, stream: str, seq: int) -> tuple[int, datetime, Message] | None:
    try:
        answer = await bus.api.ask(f"STREAM.MSG.GET.{stream}", {"seq": seq})
    except JetStreamRefused:
        return None
    message = answer["message"]
    return message["seq"], parse_time(message["time"]), decode(base64.b64decode(message["data"])).data
