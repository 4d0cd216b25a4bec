"""A whole gateway in the test's own process, on real NATS, PostgreSQL and S3; and a lane that does as it is told."""

import asyncio
import base64
import io
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from PIL import Image
from pydantic import SecretStr
from warmlane_bus.nats_bus import NatsBus
from warmlane_bus.ports import Delivery
from warmlane_bus.register import StateRegister, Written
from warmlane_contracts.apikey import new_key
from warmlane_contracts.envelope import decode, encode, seal
from warmlane_contracts.messages import JobRequested, Stage, TaskProgressed
from warmlane_contracts.topology import LANE_STREAM, event_subject
from warmlane_gateway.main import MIGRATIONS, Gateway
from warmlane_gateway.settings import GatewaySettings, LimitSettings
from warmlane_runtime.service import Service
from warmlane_runtime.settings import HttpSettings, NatsSettings
from warmlane_storage.migrations import Migrations
from warmlane_storage.objects import ObjectSettings, S3Objects
from warmlane_storage.postgres import PostgresSettings
from warmlane_testkit.builders import claimed, done


@dataclass
class Running:
    """A gateway that serves, and a client with its key."""

    gateway: Gateway
    client: httpx.AsyncClient
    key: str
    settings: GatewaySettings
    service: Service

    async def rows(self, query: str, *values: Any) -> list[Any]:
        """Ask the database."""
        async with self.gateway._postgres.connection() as connection:
            return list(await connection.fetch(query, *values))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def gateway_settings(nats_server: Any, postgres_dsn: str, s3_server: Any) -> GatewaySettings:
    """Point a gateway at the test's servers."""
    return GatewaySettings(
        engine="tiny",
        bootstrap_api_key=SecretStr(new_key()),
        nats=NatsSettings(nats_url=SecretStr(nats_server.url)),
        postgres=PostgresSettings(postgres_dsn=SecretStr(postgres_dsn)),
        objects=ObjectSettings(
            s3_endpoint=s3_server.endpoint,
            s3_access_key=s3_server.access_key,
            s3_secret_key=SecretStr(s3_server.secret_key),
            s3_bucket=s3_server.bucket,
        ),
        http=HttpSettings(http_port=free_port()),
        limits=LimitSettings(max_body_bytes=2_000_000, max_image_bytes=1_000_000, max_image_pixels=4_000_000),
    )


@pytest.fixture
async def gateway(bus: NatsBus, gateway_settings: GatewaySettings) -> AsyncIterator[Running]:
    """Return a running gateway on an empty database and an empty broker."""
    await Migrations(MIGRATIONS, gateway_settings.postgres.postgres_dsn).upgrade()
    service = Service("gateway")
    part = Gateway(gateway_settings, service)
    await part.start()
    key = gateway_settings.bootstrap_api_key.get_secret_value()
    url = f"http://127.0.0.1:{gateway_settings.http.http_port}"
    async with httpx.AsyncClient(base_url=url, headers={"X-API-Key": key}, timeout=20) as client:
        yield Running(part, client, key, gateway_settings, service)
    await part.stop()
    await service.tasks.stop()


@pytest.fixture
def client(gateway: Running) -> httpx.AsyncClient:
    """Return a client with the gateway's key."""
    return gateway.client


class Lane:
    """Plays a worker of the phr00t lane, step by step."""

    def __init__(self, bus: NatsBus, objects: S3Objects) -> None:
        self.bus = bus
        self.objects = objects
        self.register = StateRegister(bus, source="test-lane")

    async def fetch(self) -> tuple[Delivery, JobRequested]:
        """Take the next job off the queue."""
        pull = await self.bus.pull(LANE_STREAM, "phr00t")
        delivery = await pull.fetch(5)
        assert delivery is not None
        job = decode(delivery.data).data
        assert isinstance(job, JobRequested)
        return delivery, job

    async def claim(self, job: JobRequested, *, after: int = 0, attempt: int = 1) -> int:
        """Claim it; return the claim's sequence."""
        return await self.write(claimed(job.job_id, lane=job.lane, attempt=attempt), after=after)

    async def write(self, record: Any, *, after: int) -> int:
        """Write a record on the job's register."""
        outcome = await self.register.write(record, after=after, traceparent="", correlation_id="")
        assert isinstance(outcome, Written)
        return outcome.seq

    async def progress(self, job: JobRequested, claim_seq: int, progress: int, step: int, **changes: Any) -> None:
        """Report progress."""
        event = TaskProgressed(
            task_id=job.task_id,
            job_id=job.job_id,
            lane=job.lane,
            claim_seq=claim_seq,
            attempt=1,
            stage=Stage.DENOISING,
            step=step,
            steps=4,
            progress=progress,
            **changes,
        )
        envelope = seal(event, source="test", subject=job.job_id)
        await self.bus.publish(
            event_subject(job.lane, "progress", job.job_id), encode(envelope), message_id=envelope.id
        )

    async def finish(self, delivery: Delivery, job: JobRequested, claim_seq: int, data: bytes = b"0123456789") -> None:
        """Store a clip and its preview, and write the outcome."""
        record = done(job.job_id, claim_seq, lane=job.lane)
        await self.objects.put(record.result.key, data, content_type="video/mp4")
        await self.objects.put(record.result.preview_key, b"poster", content_type="image/webp")
        await self.write(record, after=claim_seq)
        await delivery.ack()

    async def make(self) -> JobRequested:
        """Do the next job from claim to outcome."""
        delivery, job = await self.fetch()
        await self.finish(delivery, job, await self.claim(job))
        return job


@pytest.fixture
def lane(bus: NatsBus, objects: S3Objects) -> Lane:
    """Return a lane that does as it is told."""
    return Lane(bus, objects)


@pytest.fixture
def submit(client: httpx.AsyncClient) -> Callable[..., Any]:
    """Return a function that submits a task and returns its id."""

    async def send(**body: Any) -> str:
        answer = await client.post("/generate", json={"model": "phr00t", "prompt": "a paper boat", **body})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["task_id"])

    return send


@pytest.fixture
def status(client: httpx.AsyncClient) -> Callable[..., Any]:
    """Return a function that reads a task's status, and waits until it is one of those wanted."""

    async def read(task_id: str, *wanted: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                body = (await client.get(f"/status/{task_id}")).raise_for_status().json()
                if not wanted or body["status"] in wanted:
                    return body
                await asyncio.sleep(0.01)

    return read


def picture_uri(kind: str = "PNG", size: tuple[int, int] = (32, 24), colour: str = "red") -> str:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def picture() -> Callable[..., str]:
    """Return a function that makes a picture as a data URI."""
    return picture_uri
