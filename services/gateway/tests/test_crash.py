"""The gateway as a process of its own: killed between commit and publish, refused a wrong schema, silent about secrets."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from warmlane_contracts.topology import LANE_STREAM
from warmlane_gateway.main import MIGRATIONS
from warmlane_storage.migrations import Migrations
from warmlane_testkit.waiting import eventually


@pytest.fixture
def environment(gateway_settings: Any) -> dict[str, str]:
    settings = gateway_settings
    return {
        **os.environ,
        "WARMLANE_NATS_URL": settings.nats.nats_url.get_secret_value(),
        "WARMLANE_POSTGRES_DSN": settings.postgres.postgres_dsn.get_secret_value(),
        "WARMLANE_S3_ENDPOINT": settings.objects.s3_endpoint,
        "WARMLANE_S3_ACCESS_KEY": settings.objects.s3_access_key,
        "WARMLANE_S3_SECRET_KEY": settings.objects.s3_secret_key.get_secret_value(),
        "WARMLANE_S3_BUCKET": settings.objects.s3_bucket,
        "WARMLANE_HTTP_PORT": str(settings.http.http_port),
        "WARMLANE_BOOTSTRAP_API_KEY": settings.bootstrap_api_key.get_secret_value(),
        "WARMLANE_ENGINE": "tiny",
    }


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Any]:
    running: list[subprocess.Popen[str]] = []

    def begin(**changes: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "warmlane_gateway"],
            env=environment | changes,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
async def process_client(gateway_settings: Any) -> Any:
    key = gateway_settings.bootstrap_api_key.get_secret_value()
    url = f"http://127.0.0.1:{gateway_settings.http.http_port}"
    transport = httpx.AsyncHTTPTransport(retries=8)
    async with httpx.AsyncClient(base_url=url, headers={"X-API-Key": key}, transport=transport, timeout=20) as client:
        yield client


async def messages(bus: Any) -> int:
    return int((await bus.api.ask(f"STREAM.INFO.{LANE_STREAM}"))["state"]["messages"])


async def test_killed_between_commit_and_publish_the_task_still_runs(
    bus, start, process_client, gateway_settings
) -> None:
    await Migrations(MIGRATIONS, gateway_settings.postgres.postgres_dsn).upgrade()
    doomed = start(WARMLANE_FAULT="gateway.committed")
    with pytest.raises(httpx.HTTPError):
        await process_client.post("/generate", json={"model": "phr00t", "prompt": "committed, not published"})
    assert doomed.wait(10) == -signal.SIGKILL
    assert await messages(bus) == 0
    start()
    tasks = (await process_client.get("/tasks")).json()["items"]
    assert [task["prompt"] for task in tasks] == ["committed, not published"]

    async def dispatched() -> bool:
        return await messages(bus) == 1

    await eventually(dispatched, within_s=15)


async def test_killed_between_publish_and_mark_nothing_happens_twice(
    bus, start, process_client, gateway_settings
) -> None:
    await Migrations(MIGRATIONS, gateway_settings.postgres.postgres_dsn).upgrade()
    first = start(WARMLANE_FAULT="gateway.committed")
    with pytest.raises(httpx.HTTPError):
        await process_client.post("/generate", json={"model": "phr00t", "prompt": "x"})
    first.wait(10)
    second = start(WARMLANE_FAULT="relay.published")
    assert second.wait(20) == -signal.SIGKILL
    assert await messages(bus) == 1
    start()
    assert (await process_client.get("/readyz")).status_code == 200

    async def emptied() -> bool:
        import asyncpg

        connection = await asyncpg.connect(gateway_settings.postgres.postgres_dsn.get_secret_value())
        try:
            return await connection.fetchval("select count(*) from outbox") == 0
        finally:
            await connection.close()

    await eventually(emptied, within_s=15)
    assert await messages(bus) == 1


async def test_a_wrong_schema_is_refused_with_what_to_do(bus, start) -> None:
    refused = start()
    output, _ = refused.communicate(timeout=30)
    assert "run the migrate command first" in output
    assert refused.returncode == 1


async def test_no_secret_is_ever_logged(bus, start, process_client, gateway_settings) -> None:
    await Migrations(MIGRATIONS, gateway_settings.postgres.postgres_dsn).upgrade()
    process = start(WARMLANE_LOG_LEVEL="debug")
    key = gateway_settings.bootstrap_api_key.get_secret_value()
    assert (await process_client.get("/models", params={"api_key": key})).status_code == 200
    await process_client.post("/generate", json={"model": "phr00t", "prompt": "x"})
    await process_client.get(f"/status/{key}")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "http.answered" in output
    secrets = [
        key,
        gateway_settings.objects.s3_secret_key.get_secret_value(),
        gateway_settings.postgres.postgres_dsn.get_secret_value().split("@")[0].rsplit(":", 1)[-1],
    ]
    assert [secret for secret in secrets if secret in output] == []
