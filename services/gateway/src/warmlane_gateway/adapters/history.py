"""What became of each task, fact by fact: the rows a timeline is drawn from."""

from collections.abc import Sequence

from warmlane_storage.postgres import Connection, Postgres

from warmlane_gateway.adapters.storable import storable
from warmlane_gateway.domain.timeline import Moment

_INSERT = """
insert into task_history (event_id, task_id, at, kind, attempt, worker, detail) values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing
"""
_MOST = 1000


class History:
    """Reads histories."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def of(self, task_id: str) -> Sequence[Moment]:
        """Return a task's moments in the order in which they happened."""
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(
                "select * from task_history where task_id = $1 order by at, event_id limit $2", task_id, _MOST
            )
        return [Moment(**row) for row in rows]


async def store_history(connection: Connection, moments: Sequence[Moment]) -> None:
    """Keep moments in the caller's transaction, each once. Their tasks exist: the caller holds their rows."""
    if moments:
        rows = [
            (one.event_id, one.task_id, one.at, one.kind, one.attempt, storable(one.worker), storable(one.detail))
            for one in moments
        ]
        await connection.executemany(_INSERT, rows)
