"""Objects that nothing refers to any more, until the sweep has deleted them.

A key that ends at a slash is a folder: everything in it.
"""

from warmlane_storage.postgres import Postgres


class Trash:
    """Reads and empties the trash."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def some(self, limit: int) -> list[str]:
        """Return some keys to delete, those that wait longest first."""
        async with self._postgres.connection() as connection:
            rows = await connection.fetch("select key from trash order by added_at limit $1", limit)
            return [row["key"] for row in rows]

    async def forget(self, keys: list[str]) -> None:
        """Say that what these keys named is gone."""
        async with self._postgres.connection() as connection:
            await connection.execute("delete from trash where key = any($1)", keys)
