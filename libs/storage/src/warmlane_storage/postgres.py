"""The pool of PostgreSQL connections, and the errors that mean "not now" instead of "never"."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
import orjson
from pydantic import Field, SecretStr
from warmlane_runtime.lifecycle import Part
from warmlane_runtime.settings import Settings

Connection: TypeAlias = asyncpg.Connection
Row: TypeAlias = asyncpg.Record

UNAVAILABLE = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what is left of a connection that died under a statement
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
"""What a call raises when the database is away, starting, or full of connections."""
DISK_FULL = asyncpg.DiskFullError
PASSING = (*UNAVAILABLE, DISK_FULL)
"""What work in the background waits out: stopping the service would help nobody."""
UNIQUE_VIOLATION = asyncpg.UniqueViolationError


class PostgresSettings(Settings):
    """Where the database is, and how many connections one process may hold."""

    postgres_dsn: SecretStr
    postgres_pool: int = Field(default=8, ge=2, le=100)
    postgres_timeout_s: float = Field(default=10.0, gt=0)
    """How long one statement, or the wait for a connection, may take."""


class Postgres(Part):
    """The pool. Start it before use."""

    def __init__(self, settings: PostgresSettings) -> None:
        super().__init__()
        self._settings = settings
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> None:
        """Connect; raise what asyncpg raises when the server cannot be reached."""
        self._pool = await asyncpg.create_pool(
            self._settings.postgres_dsn.get_secret_value(),
            min_size=2,
            max_size=self._settings.postgres_pool,
            command_timeout=self._settings.postgres_timeout_s,
            init=_speak_json,
        )

    async def close(self) -> None:
        """Drop all connections."""
        if self._pool is not None:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection for the block."""
        async with self.pool.acquire(timeout=self._settings.postgres_timeout_s) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection with a transaction that commits at the block's end."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def listener(self) -> Connection:
        """Open a connection outside the pool, for LISTEN. The caller closes it."""
        return await asyncpg.connect(self._settings.postgres_dsn.get_secret_value(), timeout=10)

    @property
    def pool(self) -> asyncpg.Pool:
        """The pool itself; raise `RuntimeError` before the start."""
        if self._pool is None:
            raise RuntimeError("the database pool was not started")
        return self._pool


async def _speak_json(connection: Connection) -> None:
    def encode(value: Any) -> str:  # noqa: ANN401 - any JSON value
        return orjson.dumps(value).decode()

    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=encode, decoder=orjson.loads)
