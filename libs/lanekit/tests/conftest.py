"""The scripted engine as a process, and a whole worker on a real broker."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from warmlane_bus.nats_bus import NatsBus
from warmlane_bus.register import Held, StateRegister
from warmlane_contracts.catalogue import load_catalogue
from warmlane_contracts.envelope import encode, seal
from warmlane_contracts.messages import ClipParams, JobRequested
from warmlane_contracts.topology import lane_subject
from warmlane_lanekit.engine_process import EngineProcess
from warmlane_lanekit.settings import LaneSettings, WorkerSettings
from warmlane_lanekit.worker import Worker
from warmlane_runtime.service import Service
from warmlane_runtime.settings import NatsSettings
from warmlane_testkit.builders import clip_params, job_requested
from warmlane_testkit.fake_objects import FakeObjects

ENTRY = "warmlane_testkit.scripted_engine:ScriptedEngine"
LANE = "anisora"
MakeWorker = Callable[..., Awaitable[Worker]]
Submit = Callable[..., Awaitable[JobRequested]]


@pytest.fixture
async def engine() -> AsyncIterator[EngineProcess]:
    """Return a scripted engine's process, started."""
    process = EngineProcess(ENTRY)
    await process.start()
    yield process
    await process.kill()


@pytest.fixture
def objects() -> FakeObjects:
    """Return an object store in memory (it passes the suite of the real one)."""
    return FakeObjects()


@pytest.fixture
def register(bus: NatsBus) -> StateRegister:
    """Return the register, as another service sees it."""
    return StateRegister(bus, source="test")


@pytest.fixture
async def make_worker(
    bus: NatsBus, nats_server: Any, objects: FakeObjects, tmp_path: Path
) -> AsyncIterator[MakeWorker]:
    """Return a function that starts a worker; all are stopped after the test."""
    made: list[tuple[Worker, Service]] = []
    model = load_catalogue().model_of(LANE)
    scripted = model.model_copy(update={"runtime": model.runtime.model_copy(update={"engine": ENTRY})})

    async def make(
        worker_id: str = "worker-1", *, model_id: str | None = None, shared: bool = False, **changes: Any
    ) -> Worker:
        entry = scripted if model_id is None else scripted.model_copy(update={"id": model_id})
        other = entry.model_copy(update={"id": "phr00t", "lane": "phr00t"})
        mine = WorkerSettings(
            worker_id=worker_id, scratch=tmp_path / "scratch", MODELS_ROOT=tmp_path, **{"heartbeat_s": 0.3, **changes}
        )
        settings = LaneSettings(worker=mine, nats=NatsSettings(nats_url=SecretStr(nats_server.url)))
        service = Service("lane-test", soft_stop_s=5)
        models = (entry, other) if shared else (entry,)
        worker = Worker(settings, service=service, models=models, objects=objects, shared=shared)
        made.append((worker, service))
        await worker.start()
        return worker

    yield make
    for worker, service in made:
        await worker.stop()
        await service.tasks.stop()


@pytest.fixture
def submit(bus: NatsBus) -> Submit:
    """Return a function that hands a job with a script to the lane."""

    async def send(script: str = "steps=2", **changes: Any) -> JobRequested:
        params: ClipParams = clip_params(prompt=script)
        job = job_requested(params=params, lane=LANE, **changes)
        envelope = seal(job, source="test", subject=job.job_id, correlation_id="corr")
        await bus.publish(lane_subject(LANE, job.job_id), encode(envelope), message_id=job.job_id)
        return job

    return send


@pytest.fixture
def last(register: StateRegister) -> Callable[[JobRequested], Awaitable[Held | None]]:
    """Return a function that reads a job's last record."""
    return lambda job: register.read(LANE, job.job_id)
