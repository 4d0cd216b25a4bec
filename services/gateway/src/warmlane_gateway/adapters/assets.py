"""Uploaded assets in PostgreSQL; their bytes are in object storage."""

from warmlane_storage.postgres import Postgres

from warmlane_gateway.domain.asset import Asset


class Assets:
    """Reads and writes assets."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def add(self, asset: Asset) -> None:
        """Store an asset's record."""
        async with self._postgres.connection() as connection:
            await connection.execute(
                "insert into assets (asset_id, owner, key, sha256, content_type, bytes, width, height)"
                " values ($1, $2, $3, $4, $5, $6, $7, $8)",
                asset.asset_id,
                asset.owner,
                asset.key,
                asset.sha256,
                asset.content_type,
                asset.bytes,
                asset.width,
                asset.height,
            )

    async def get(self, asset_id: str, owner: str) -> Asset | None:
        """Return an owner's asset."""
        if "\0" in asset_id:
            return None  # PostgreSQL would refuse the question
        async with self._postgres.connection() as connection:
            row = await connection.fetchrow("select * from assets where asset_id = $1 and owner = $2", asset_id, owner)
        return Asset(**dict(row)) if row else None
