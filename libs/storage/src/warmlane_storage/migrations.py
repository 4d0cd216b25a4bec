"""Schema migrations by Alembic: up, down, and the check that a service makes before it starts.

Migrations run under an advisory lock, so that replicas that start together do not race; the second finds nothing to do.
A service never migrates by itself and never starts on another revision than its own.
"""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

_LOCK = 0x7761726D
"""Any number, the same in every replica."""


class WrongRevision(Exception):
    """The database's schema is not the one this code was written for."""


class Migrations:
    """The migrations in one folder, for one database."""

    def __init__(self, folder: Path, dsn: SecretStr) -> None:
        self._folder = folder
        self._url = make_url(dsn.get_secret_value()).set(drivername="postgresql+asyncpg")

    @property
    def head(self) -> str:
        """The newest revision there is."""
        head = ScriptDirectory.from_config(self._config()).get_current_head()
        if head is None:
            raise RuntimeError(f"{self._folder} holds no migration")
        return head

    async def upgrade(self, revision: str = "head") -> None:
        """Bring the schema up to `revision`; does nothing when it is there."""
        await self._run(lambda config: command.upgrade(config, revision))

    async def downgrade(self, revision: str) -> None:
        """Bring the schema down to `revision` (`base`: nothing left)."""
        await self._run(lambda config: command.downgrade(config, revision))

    async def current(self) -> str | None:
        """Return the database's revision, None when it has none."""
        engine = create_async_engine(self._url, poolclass=NullPool)
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
        finally:
            await engine.dispose()

    async def check(self) -> None:
        """Raise `WrongRevision`, with what to do, unless the database is at `head`."""
        current, head = await self.current(), self.head
        if current != head:
            known = {script.revision for script in ScriptDirectory.from_config(self._config()).walk_revisions()}
            ahead = current is not None and current not in known
            advice = "start the newer version" if ahead else "run the migrate command first"
            raise WrongRevision(f"the database is at revision {current or 'none'}, this version needs {head}: {advice}")

    def _config(self) -> Config:
        config = Config()
        config.set_main_option("script_location", str(self._folder).replace("%", "%%"))
        return config

    async def _run(self, action: Callable[[Config], None]) -> None:
        def locked(connection: Connection) -> None:
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            config = self._config()
            config.attributes["connection"] = connection
            action(config)

        engine = create_async_engine(self._url, poolclass=NullPool)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(locked)
        finally:
            await engine.dispose()
