"""The broker, object storage or the projector's process dies at its worst moment: nothing is lost or done twice."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from warmlane_bus import NatsBus, apply_topology
from warmlane_contracts.topology import LANE_STREAM, TOPOLOGY
from warmlane_devstack.servers import NatsServer, S3Server
from warmlane_gateway.main import MIGRATIONS
from warmlane_runtime.settings import NatsSettings
from warmlane_storage.migrations import Migrations
from warmlane_storage.objects import ObjectSettings
from warmlane_testkit.waiting import eventually


@pytest.fixture
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Start an object store that may be killed."""
    with S3Server(tmp_path_factory.mktemp("own-s3")) as server:
        yield server


@pytest.fixture
async def bus(own_nats: NatsServer) -> AsyncIterator[NatsBus]:
    """Connect to a broker that may be killed."""
    bus = await NatsBus.connect(own_nats.url, name="test", on_fatal=pytest.fail)
    await apply_topology(bus, TOPOLOGY)
    yield bus
    await bus.close()


@pytest.fixture
def gateway_settings(gateway_settings: Any, own_nats: NatsServer, storage: S3Server) -> Any:
    """Point the gateway at servers of the test's own."""
    objects = ObjectSettings(
        s3_endpoint=storage.endpoint,
        s3_access_key=storage.access_key,
        s3_secret_key=SecretStr(storage.secret_key),
        s3_bucket=storage.bucket,
    )
    nats = NatsSettings(nats_url=SecretStr(own_nats.url))
    return gateway_settings.model_copy(update={"nats": nats, "objects": objects})


async def messages(bus: NatsBus) -> int:
    return int((await bus.api.ask(f"STREAM.INFO.{LANE_STREAM}"))["state"]["messages"])


async def test_what_is_accepted_while_the_broker_is_away_is_dispatched_once(
    gateway, client, submit, bus, own_nats
) -> None:
    first = await submit()
    own_nats.kill()

    async def noticed() -> bool:
        return (await client.get("/readyz")).status_code == 503

    await eventually(noticed)
    second, third = await submit(), await submit()
    refused = await client.post(f"/tasks/{first}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (503, "dependency_unavailable")
    assert (await client.get(f"/status/{second}")).json()["status"] == "pending"
    own_nats.start()

    async def dispatched() -> bool:
        return bus.connected and not await gateway.rows("select 1 from outbox") and await messages(bus) == 3

    await eventually(dispatched, within_s=40)
    assert (await client.post(f"/tasks/{third}/cancel")).json()["status"] == "cancelled"
    assert gateway.service.tasks.fault is None


async def test_without_storage_a_picture_is_refused_and_a_prompt_is_not(
    gateway, client, submit, status, lane, storage, picture
) -> None:
    finished = await submit()
    await lane.make()
    await status(finished, "done")
    storage.kill()
    with_picture = {"model": "phr00t", "prompt": "x", "reference_image": picture()}
    refused = await client.post("/generate", json=with_picture, timeout=40)
    assert (refused.status_code, refused.json()["code"]) == (503, "dependency_unavailable")
    assert len(await gateway.rows("select 1 from tasks")) == 1
    assert await gateway.rows("select 1 from outbox") == []
    await submit()
    clip = await client.get(f"/results/{finished}", timeout=40)
    assert (clip.status_code, clip.json()["code"]) == (503, "dependency_unavailable")
    assert (await client.delete(f"/gallery/{finished}")).status_code == 204
    assert gateway.service.tasks.fault is None
    storage.start()

    async def swept() -> bool:
        return not await gateway.rows("select 1 from trash")

    await eventually(swept, within_s=60)
    assert await lane.objects.list(f"results/{finished}/") == []


async def test_a_projector_killed_before_it_acknowledges_repeats_without_effect(
    bus, gateway_settings, process_client, process, lane
) -> None:
    await Migrations(MIGRATIONS, gateway_settings.postgres.postgres_dsn).upgrade()
    doomed = process(WARMLANE_FAULT="projector.applied")
    answer = await process_client.post("/generate", json={"model": "phr00t", "prompt": "x"})
    task_id = answer.json()["task_id"]
    _, job = await lane.fetch()
    claim_seq = await lane.claim(job)
    assert doomed.wait(20) == -signal.SIGKILL
    process()
    claimed = (await process_client.get(f"/status/{task_id}")).json()
    assert (claimed["status"], claimed["attempt"]) == ("processing", 1)
    await lane.progress(job, claim_seq, 40, 2)

    async def half() -> bool:
        return (await process_client.get(f"/status/{task_id}")).json()["progress"] == 40

    await eventually(half)

    async def all_taken() -> bool:
        info = await bus.api.ask("CONSUMER.INFO.WL_STATE.gateway-state")
        return (info["num_ack_pending"], info["num_pending"]) == (0, 0)

    await eventually(all_taken, within_s=30)  # the claim came again after its ack wait
    again = (await process_client.get(f"/status/{task_id}")).json()
    assert (again["status"], again["attempt"], again["progress"]) == ("processing", 1, 40)
    assert again["started_at"] == claimed["started_at"]


@pytest.fixture
def process(gateway_settings: Any) -> Iterator[Any]:
    """Return a function that starts a gateway of its own process."""
    running: list[subprocess.Popen[bytes]] = []
    objects, settings = gateway_settings.objects, gateway_settings
    environment = os.environ | {
        "WARMLANE_NATS_URL": settings.nats.nats_url.get_secret_value(),
        "WARMLANE_POSTGRES_DSN": settings.postgres.postgres_dsn.get_secret_value(),
        "WARMLANE_S3_ENDPOINT": objects.s3_endpoint,
        "WARMLANE_S3_ACCESS_KEY": objects.s3_access_key,
        "WARMLANE_S3_SECRET_KEY": objects.s3_secret_key.get_secret_value(),
        "WARMLANE_HTTP_PORT": str(settings.http.http_port),
        "WARMLANE_BOOTSTRAP_API_KEY": settings.bootstrap_api_key.get_secret_value(),
        "WARMLANE_ENGINE": "tiny",
    }

    def start(**changes: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "warmlane_gateway"]
        running.append(subprocess.Popen(command, env=environment | changes, stdout=subprocess.DEVNULL))
        return running[-1]

    yield start
    for started in running:
        started.kill()
        started.wait()


@pytest.fixture
async def process_client(gateway_settings: Any) -> Any:
    import httpx

    key = gateway_settings.bootstrap_api_key.get_secret_value()
    url = f"http://127.0.0.1:{gateway_settings.http.http_port}"
    transport = httpx.AsyncHTTPTransport(retries=8)
    async with httpx.AsyncClient(base_url=url, headers={"X-API-Key": key}, transport=transport, timeout=20) as client:
        yield client


@pytest.fixture
def objects(gateway_settings: Any) -> Any:
    """Address the store of the test's own."""
    from warmlane_storage.objects import S3Objects

    return S3Objects.from_settings(gateway_settings.objects)
