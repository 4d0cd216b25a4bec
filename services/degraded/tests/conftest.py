"""Admission replicas in the test's process, on a real broker, and workers that do as they are told."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from warmlane_bus.nats_bus import NatsBus
from warmlane_bus.register import Held, StateRegister
from warmlane_contracts.envelope import encode, seal
from warmlane_contracts.messages import JobRequested, LaneRecord, LaneRouting
from warmlane_contracts.topology import DIRECTORY_BUCKET, ROUTING_BUCKET, SHARED, directory_key, lane_subject
from warmlane_degraded.admission.main import Admission
from warmlane_degraded.admission.settings import AdmissionSettings, ReplicaSettings
from warmlane_runtime.service import Service
from warmlane_runtime.settings import NatsSettings
from warmlane_testkit.builders import job_requested


@dataclass
class World:
    """The broker as everybody else uses it."""

    bus: NatsBus
    register: StateRegister

    async def worker(self, lane: str, **changes: Any) -> None:
        """Show a worker in the directory; it fades like any other."""
        mode = "degraded_shared" if lane == SHARED else "dedicated"
        fields = {"availability": "ready", "warm": True, "mode": mode, "engine": "tiny"} | changes
        record = LaneRecord(lane_key=lane, worker="w", model=lane, updated_at=datetime.now(UTC), **fields)
        bucket = await self.bus.bucket(DIRECTORY_BUCKET)
        await bucket.put(directory_key(lane, "w"), record.model_dump_json().encode())

    async def choose(self, lane: str, choice: str, denied: str | None = None) -> None:
        """Decide about a lane as a person does."""
        decided = LaneRouting(lane=lane, choice=choice, denied=denied, by="key:ops", decided_at=datetime.now(UTC))
        bucket = await self.bus.bucket(ROUTING_BUCKET)
        await bucket.put(lane, decided.model_dump_json().encode())

    async def submit(self, lane: str = "anisora", **changes: Any) -> JobRequested:
        """Hand a job to its lane."""
        job = job_requested(lane=lane, model=lane, **changes)
        envelope = seal(job, source="test", subject=job.job_id, correlation_id="corr")
        await self.bus.publish(lane_subject(lane, job.job_id), encode(envelope), message_id=job.job_id)
        return job

    async def last(self, job: JobRequested) -> Held | None:
        """Read a job's last record."""
        return await self.register.read(job.lane, job.job_id)


@pytest.fixture
def world(bus: NatsBus) -> World:
    """Return the broker as everybody else uses it."""
    return World(bus, StateRegister(bus, source="test"))


@pytest.fixture
async def admission(nats_server: Any, bus: NatsBus) -> AsyncIterator[Callable[..., Awaitable[Admission]]]:
    """Return a function that starts a replica; all are stopped after the test."""
    made: list[tuple[Admission, Service]] = []

    async def make(replica: str = "admission-0", look_s: float = 0.05) -> Admission:
        settings = AdmissionSettings(
            admission=ReplicaSettings(replica=replica, look_s=look_s),
            nats=NatsSettings(nats_url=SecretStr(nats_server.url)),
        )
        service = Service("degraded-admission")
        part = Admission(settings, service=service)
        made.append((part, service))
        await part.start()
        return part

    yield make
    for part, service in made:
        await service.tasks.stop()
        await part.stop()
