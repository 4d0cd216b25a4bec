"""Ended tasks whose folder may still hold what nobody refers to, until the sweep has looked."""

from dataclasses import dataclass

from warmlane_storage.postgres import Postgres


@dataclass(frozen=True, slots=True)
class Leftover:
    """An ended task's results folder, and what in it has to stay."""

    task_id: str
    keep: frozenset[str]

    @property
    def folder(self) -> str:
        """Where all its attempts stored."""
        return f"results/{self.task_id}/"


class Leftovers:
    """Reads and empties the list."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def due(self, *, older_than_s: float, limit: int) -> list[Leftover]:
        """Return tasks that ended longer ago: by then whoever lost has noticed and stores nothing more."""
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(
                "select leftovers.task_id, result->>'key' as clip, result->>'preview_key' as preview"
                " from leftovers left join tasks using (task_id)"
                " where ended_at < now() - make_interval(secs => $1) order by ended_at limit $2",
                older_than_s,
                limit,
            )
        return [
            Leftover(row["task_id"], frozenset(key for key in (row["clip"], row["preview"]) if key)) for row in rows
        ]

    async def forget(self, swept: list[Leftover]) -> None:
        """Say that these folders hold nothing but what has to stay."""
        async with self._postgres.connection() as connection:
            await connection.execute(
                "delete from leftovers where task_id = any($1)", [leftover.task_id for leftover in swept]
            )
