"""The schema goes up, down and up again on a real server, by however many at once."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr
from warmlane_gateway.main import MIGRATIONS
from warmlane_storage.migrations import Migrations, WrongRevision
from warmlane_storage.postgres import Postgres, PostgresSettings


async def tables(dsn: str) -> set[str]:
    postgres = Postgres(PostgresSettings(postgres_dsn=SecretStr(dsn)))
    await postgres.start()
    async with postgres.connection() as connection:
        rows = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
    await postgres.stop()
    return {row["tablename"] for row in rows} - {"alembic_version"}


@pytest.mark.parametrize("database", ["one", "two"])
async def test_up_down_up_on_a_fresh_database(postgres_server: Any, database: str) -> None:
    dsn = postgres_server.create_database(f"fresh_{database}")
    migrations = Migrations(MIGRATIONS, SecretStr(dsn))
    assert await migrations.current() is None
    await migrations.upgrade()
    first = await tables(dsn)
    assert {"tasks", "outbox", "idempotency", "api_keys", "assets", "trash"} <= first
    await migrations.check()
    await migrations.downgrade("base")
    assert await tables(dsn) == set()
    await migrations.upgrade()
    await migrations.upgrade()
    assert await tables(dsn) == first
    assert await migrations.current() == migrations.head


async def test_replicas_that_migrate_together_do_not_race(postgres_dsn: str) -> None:
    await asyncio.gather(*(Migrations(MIGRATIONS, SecretStr(postgres_dsn)).upgrade() for _ in range(4)))
    await Migrations(MIGRATIONS, SecretStr(postgres_dsn)).check()


async def test_a_wrong_revision_says_what_to_do(postgres_dsn: str) -> None:
    migrations = Migrations(MIGRATIONS, SecretStr(postgres_dsn))
    with pytest.raises(WrongRevision, match="run the migrate command first"):
        await migrations.check()
    await migrations.upgrade()
    postgres = Postgres(PostgresSettings(postgres_dsn=SecretStr(postgres_dsn)))
    await postgres.start()
    async with postgres.connection() as connection:
        await connection.execute("update alembic_version set version_num = '9999'")
    await postgres.stop()
    with pytest.raises(WrongRevision, match="start the newer version"):
        await migrations.check()
