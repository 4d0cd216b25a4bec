"""The pool on a real server: whole transactions, named outages, and a way back after them."""

import asyncio

import asyncpg
import pytest
from pydantic import SecretStr
from warmlane_devstack.servers import PostgresServer
from warmlane_storage.postgres import UNAVAILABLE, Postgres, PostgresSettings
from warmlane_testkit.waiting import eventually


@pytest.fixture
async def postgres(postgres_dsn):
    pool = Postgres(PostgresSettings(postgres_dsn=SecretStr(postgres_dsn), postgres_pool=2, postgres_timeout_s=0.5))
    await pool.start()
    yield pool
    await pool.stop()


async def test_before_the_start_there_is_no_pool(postgres_dsn):
    with pytest.raises(RuntimeError, match="was not started"):
        Postgres(PostgresSettings(postgres_dsn=SecretStr(postgres_dsn))).pool  # noqa: B018 - the access is the test


async def test_a_transaction_is_whole_or_nothing(postgres):
    async with postgres.connection() as connection:
        await connection.execute("create table t (n integer not null)")
    with pytest.raises(asyncpg.NotNullViolationError):
        await insert(postgres, 1, None)
    await insert(postgres, 2)
    async with postgres.connection() as connection:
        assert [row["n"] for row in await connection.fetch("select n from t")] == [2]


async def test_json_comes_back_as_it_went(postgres):
    value = {"prompt": 'a "paper" boat\n', "n": 2**53, "list": [None, True, 0.5]}
    async with postgres.connection() as connection:
        assert await connection.fetchval("select $1::jsonb", value) == value


async def test_a_wait_for_a_connection_ends(postgres):
    async with postgres.connection(), postgres.connection():
        with pytest.raises(UNAVAILABLE):
            async with postgres.connection():
                pass
    async with postgres.connection() as connection:
        assert await connection.fetchval("select 1") == 1


async def test_a_statement_that_takes_too_long_ends_and_its_connection_works_on(postgres):
    async with postgres.connection() as connection:
        with pytest.raises(UNAVAILABLE):
            await connection.execute("select pg_sleep(30)")
        assert await connection.fetchval("select 1") == 1


async def test_the_listener_is_no_part_of_the_pool(postgres):
    heard = asyncio.Event()
    listener = await postgres.listener()
    await listener.add_listener("news", lambda *_: heard.set())
    async with postgres.connection() as first, postgres.connection():
        await first.execute("select pg_notify('news', '')")
    await asyncio.wait_for(heard.wait(), 5)
    await listener.close()


async def test_a_server_that_is_killed_is_unavailable_until_it_is_back(tmp_path_factory):
    with PostgresServer(tmp_path_factory.mktemp("own-postgres")) as server:
        pool = Postgres(PostgresSettings(postgres_dsn=SecretStr(server.dsn), postgres_timeout_s=2))
        await pool.start()
        asking = asyncio.create_task(ask(pool, "select pg_sleep(1)"))
        await eventually(lambda: active(pool))
        server.kill()
        with pytest.raises(UNAVAILABLE):
            await asking
        with pytest.raises(UNAVAILABLE):
            await ask(pool, "select 1")
        server.start()
        await eventually(lambda: answers(pool))
        await pool.stop()


async def insert(pool, *numbers):
    async with pool.transaction() as connection:
        for number in numbers:
            await connection.execute("insert into t values ($1)", number)


async def ask(pool, query):
    async with pool.connection() as connection:
        return await connection.fetchval(query)


async def active(pool):
    return await ask(pool, "select count(*) from pg_stat_activity where query like '%pg_sleep(1)' and state = 'active'")


async def answers(pool):
    try:
        return await ask(pool, "select 1")
    except UNAVAILABLE:
        return False
