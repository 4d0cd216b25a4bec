"""API keys in PostgreSQL, with a short memory: a key that was revoked is refused five seconds later at most."""

import hmac
import time

from warmlane_contracts.apikey import is_well_formed, key_id
from warmlane_storage.postgres import Postgres

from warmlane_gateway.domain.apikey import Caller, key_hash

_REMEMBERED_S = 5.0
_MOST = 10_000


class ApiKeys:
    """Recognises callers by their keys."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._seen: dict[bytes, tuple[float, Caller]] = {}

    async def caller(self, key: str) -> Caller | None:
        """Return whose key this is, None when nobody's. Raises what the database raises: no answer is no entry."""
        if not is_well_formed(key):
            return None
        digest, now = key_hash(key), time.monotonic()
        seen = self._seen.get(digest)
        if seen is not None and now - seen[0] < _REMEMBERED_S:
            return seen[1]
        caller = await self._look_up(key, digest)
        if caller is not None:
            if len(self._seen) >= _MOST:
                self._seen.clear()
            self._seen[digest] = (now, caller)
        return caller

    async def ensure(self, key: str, name: str, *, operator: bool = False) -> None:
        """Make the key known if it is not, and an operator's if it shall be one."""
        async with self._postgres.connection() as connection:
            await connection.execute(
                "insert into api_keys (key_id, name, hash, operator) values ($1, $2, $3, $4)"
                " on conflict (key_id) do update set operator = api_keys.operator or excluded.operator",
                key_id(key),
                name,
                key_hash(key),
                operator,
            )

    async def _look_up(self, key: str, digest: bytes) -> Caller | None:
        async with self._postgres.connection() as connection:
            row = await connection.fetchrow(
                "select key_id, name, hash, operator from api_keys where key_id = $1 and revoked_at is null",
                key_id(key),
            )
        if row is None or not hmac.compare_digest(bytes(row["hash"]), digest):
            return None
        return Caller(row["key_id"], row["name"], row["operator"])
