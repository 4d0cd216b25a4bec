"""PostgreSQL goes away and comes back: nothing is lost, and every answer meanwhile says what to do."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from warmlane_devstack.servers import PostgresServer
from warmlane_storage.postgres import PostgresSettings
from warmlane_testkit.waiting import eventually


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Start a database that may be killed."""
    with PostgresServer(tmp_path_factory.mktemp("own-postgres")) as server:
        yield server


@pytest.fixture
def gateway_settings(gateway_settings: Any, database: PostgresServer) -> Any:
    """Point the gateway at it."""
    dsn = SecretStr(database.dsn)
    return gateway_settings.model_copy(
        update={"postgres": PostgresSettings(postgres_dsn=dsn, postgres_pool=4, postgres_timeout_s=2)}
    )


async def test_what_lanes_report_while_the_database_is_away_is_projected_afterwards(
    gateway, client, submit, status, lane, database
) -> None:
    finished, running = await submit(), await submit()
    first = await lane.fetch()
    claim_seq = await lane.claim(first[1])
    await status(finished, "processing")
    following = asyncio.create_task(followed(client, finished))
    database.kill()
    await lane.finish(*first, claim_seq)
    second = await lane.fetch()
    claim_seq = await lane.claim(second[1])
    await lane.progress(second[1], claim_seq, 50, 2)
    refused = await client.post("/generate", json={"model": "phr00t", "prompt": "x"})
    assert (refused.status_code, refused.json()["code"]) == (503, "dependency_unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert (await client.get("/livez")).status_code == 200
    database.start()

    async def caught_up() -> bool:
        both = [await read(client, task_id) for task_id in (finished, running)]
        return [body.get("status") for body in both] == ["done", "processing"]

    await eventually(caught_up, within_s=30)
    await lane.progress(second[1], claim_seq, 75, 3)
    await eventually(lambda: progressed(client, running, 75))
    assert gateway.service.tasks.fault is None
    assert len((await client.get("/tasks")).json()["items"]) == 2
    await asyncio.wait_for(following, 8)  # sooner than the stream looks by itself
    await eventually(lambda: is_ready(client))


async def test_a_task_is_accepted_or_refused_but_never_half(gateway, client, bus, database) -> None:
    stop = asyncio.Event()
    accepted: list[str] = []

    async def submitting() -> None:
        while not stop.is_set():
            answer = await client.post("/generate", json={"model": "phr00t", "prompt": "x"})
            assert answer.status_code in {202, 503}, answer.text
            if answer.status_code == 202:
                accepted.append(answer.json()["task_id"])

    clients = [asyncio.create_task(submitting()) for _ in range(4)]
    await eventually(lambda: len(accepted) >= 8)
    database.kill()
    database.start()
    before = len(accepted)
    await eventually(lambda: len(accepted) >= before + 8, within_s=30)
    stop.set()
    await asyncio.gather(*clients)

    async def dispatched() -> bool:
        return await gateway.rows("select 1 from outbox where not held") == []

    await eventually(dispatched, within_s=20)
    held = len(await gateway.rows("select 1 from outbox where held"))
    rows = {row["task_id"] for row in await gateway.rows("select task_id from tasks")}
    assert set(accepted) <= rows, "a task that was promised is gone"
    stored = (await bus.api.ask("STREAM.INFO.WL_LANE"))["state"]["messages"]
    assert stored + held == len(rows), "one message for every row whose turn has come, none without"


async def followed(client: httpx.AsyncClient, task_id: str) -> None:
    """Follow a task to its end as a browser does: come back when the stream breaks off."""
    last = ""
    while True:
        try:
            async with client.stream("GET", f"/status/{task_id}/events", headers={"Last-Event-ID": last}) as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("id: "):
                        last = line[4:]
                    if line == "event: end":
                        return
        except httpx.HTTPError:
            pass
        await asyncio.sleep(0.1)


async def read(client: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    return dict((await client.get(f"/status/{task_id}")).json())


async def progressed(client: httpx.AsyncClient, task_id: str, progress: int) -> bool:
    return (await read(client, task_id))["progress"] == progress


async def is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200
