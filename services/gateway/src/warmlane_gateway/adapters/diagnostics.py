"""Diagnostics in PostgreSQL: what lanes, memory and queues did, for whoever investigates."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from warmlane_storage.postgres import Connection, Postgres

from warmlane_gateway.adapters.storable import storable
from warmlane_gateway.domain.diagnostic import Diagnostic

_INSERT = """
insert into diagnostics (event_id, kind, task_id, model, lane, lane_mode, value, reason, detail, at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (event_id) do nothing
"""


@dataclass(frozen=True, slots=True)
class DiagnosticFilter:
    """Which diagnostics a list shows, and where the page begins: before row `before`. `after`: only newer ones."""

    kinds: tuple[str, ...] = ()
    lane: str | None = None
    task_id: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    after: int | None = None
    limit: int = 50


class Diagnostics:
    """Reads diagnostics and forgets old ones."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def list(self, wanted: DiagnosticFilter) -> "list[dict[str, Any]]":
        """Return a page, newest first."""
        values: list[Any] = []
        conditions = ["true"]
        for condition, value in (
            ("kind = any(${})", list(wanted.kinds) or None),
            ("lane = ${}", wanted.lane),
            ("task_id = ${}", wanted.task_id),
            ("reason = ${}", wanted.reason),
            ("at >= ${}", wanted.since),
            ("at < ${}", wanted.until),
            ("id < ${}", wanted.before),
            ("id > ${}", wanted.after),
        ):
            if value is not None:
                values.append(value)
                conditions.append(condition.format(len(values)))
        query = f"select * from diagnostics where {' and '.join(conditions)} order by id desc limit {wanted.limit:d}"  # noqa: S608 - conditions are ours, values are parameters
        async with self._postgres.connection() as connection:
            return [dict(row) for row in await connection.fetch(query, *values)]

    async def forget(self, *, older_than_s: float) -> int:
        """Delete what is older; return how many rows went."""
        async with self._postgres.connection() as connection:
            done = await connection.execute(
                "delete from diagnostics where at < now() - make_interval(secs => $1)", older_than_s
            )
            return int(done.rsplit(" ", 1)[-1])


async def store_diagnostics(connection: Connection, found: Sequence[Diagnostic]) -> None:
    """Keep diagnostics in the caller's transaction, each once, and announce them."""
    if not found:
        return
    rows = [
        (
            one.event_id,
            one.kind,
            storable(one.task_id),
            storable(one.model),
            storable(one.lane),
            storable(one.lane_mode),
            one.value,
            storable(one.reason),
            storable(one.detail),
            one.at,
        )
        for one in found
    ]
    await connection.executemany(_INSERT, rows)
    await connection.execute("select pg_notify('diagnostics', '')")
