"""A lane's worker, put together: the only place where its parts meet.

    run_worker("lane-anisora", model="anisora")

starts the engine's imports, connects, loads, and takes jobs until told to stop. Soft stop: the job in hand is finished.
Hard stop: its engine is killed and the job released, so that another worker has it at once.
"""

import asyncio
from functools import partial

import structlog
from prometheus_client import REGISTRY
from warmlane_bus.nats_bus import NatsBus
from warmlane_bus.register import StateRegister
from warmlane_contracts.catalogue import Model, load_catalogue
from warmlane_contracts.messages import ColdStarted, LaneChanged, LaneRecord, Message
from warmlane_contracts.topology import DIRECTORY_BUCKET, LANE_STREAM, LEASE_BUCKET, cancel_hints_of
from warmlane_runtime.health import Checks, HealthServer
from warmlane_runtime.lifecycle import Part
from warmlane_runtime.logging import configure_logging
from warmlane_runtime.service import Service, run_service
from warmlane_runtime.settings import load
from warmlane_storage.objects import ObjectStore, S3Objects

from warmlane_lanekit.attempt import Attempts
from warmlane_lanekit.claim import now
from warmlane_lanekit.claim_loop import ClaimLoop
from warmlane_lanekit.directory import Directory, availability
from warmlane_lanekit.engine_process import EngineProcess
from warmlane_lanekit.facts import Facts
from warmlane_lanekit.resident import Resident
from warmlane_lanekit.service_time import ServiceTimes
from warmlane_lanekit.settings import LaneSettings
from warmlane_lanekit.weights import open_weights

log = structlog.get_logger(__name__)


def run_worker(service_name: str, *, model: str) -> int:
    """Run the worker of a model's lane until it is told to stop; return the exit code."""
    settings = load(LaneSettings)
    redactor = configure_logging(settings.log, service=service_name)
    redactor.register(settings.nats.nats_url, settings.objects.s3_secret_key)
    entry = load_catalogue().model_of(model)
    if entry is None:
        raise ValueError(f"the catalogue has no model {model}")
    return run_service(partial(_build, settings, service_name, entry))


async def _build(settings: LaneSettings, service_name: str, model: Model) -> Service:
    service = Service(service_name, soft_stop_s=settings.stop.soft_stop_s)
    worker = Worker(settings, service=service, model=model, objects=S3Objects.from_settings(settings.objects))
    checks = Checks()
    checks.add("broker", worker.why_not_connected)
    checks.add("model", worker.resident.why_not_warm)
    checks.add("stop", lambda: "stopping" if service.stopping else None)
    service.add(
        HealthServer(host=settings.http.http_host, port=settings.http.http_port, checks=checks, registry=REGISTRY)
    )
    service.add(worker)
    return service


class Worker(Part):
    """Everything of a lane's process but its health server."""

    def __init__(self, settings: LaneSettings, *, service: Service, model: Model, objects: ObjectStore) -> None:
        super().__init__()
        self._settings = settings
        self._service = service
        self._model = model
        self._objects = objects
        self._worker_id = settings.worker.worker_id
        self._times = ServiceTimes()
        self._bus: NatsBus | None = None
        self._facts: Facts | None = None
        self._directory: Directory | None = None
        self._loop: ClaimLoop | None = None
        self._claiming: asyncio.Task[None] | None = None
        self.resident = Resident(
            model=model,
            weights=open_weights(
                model.id,
                store=settings.worker.model_store,
                models_root=settings.worker.models_root,
                node=self._worker_id,
                tell=self._tell_model,
            ),
            worker=self._worker_id,
            reload_s=settings.worker.reload_s,
            make_process=partial(EngineProcess, model.runtime.engine),
            changed=self._residency_changed,
        )

    def why_not_connected(self) -> str | None:
        """Say why the broker cannot be used, None when it can: a readiness check."""
        return None if self._bus is not None and self._bus.connected else "not connected"

    async def open(self) -> None:
        """Start the engine's imports, connect, and begin to take jobs as soon as the model is warm."""
        self._settings.worker.scratch.mkdir(parents=True, exist_ok=True)
        await self.resident.start_process()
        self._bus = bus = await NatsBus.connect(
            self._settings.nats.nats_url.get_secret_value(), name=self._worker_id, on_fatal=self._service.fail
        )
        self._facts = facts = Facts(
            bus=bus, objects=self._objects, lane=self._model.lane, source=f"warmlane/{self._service.name}"
        )
        directory = await bus.bucket(DIRECTORY_BUCKET)
        self._directory = Directory(directory, lane=self._model.lane, worker=self._worker_id)
        attempts = await self._make_attempts(bus, facts)
        spawn = self._service.tasks.spawn
        spawn("lane:facts", facts.run())
        spawn("lane:directory", self._directory.run())
        spawn("lane:hints", self._pass_on_hints(bus, attempts))
        spawn("lane:residency", self.resident.run())
        self._claiming = spawn("lane:claims", self._claims(bus, attempts))

    async def drain(self) -> None:
        """Finish the job in hand."""
        if self._loop is not None:
            await self._loop.drain()

    async def close(self) -> None:
        """Release the job in hand, end the engine, leave the directory."""
        if self._claiming is not None:
            self._claiming.cancel()
            await asyncio.gather(self._claiming, return_exceptions=True)
        await self.resident.close()
        if self._directory is not None:
            await self._directory.remove()
        if self._bus is not None:
            await self._bus.close()

    async def _make_attempts(self, bus: NatsBus, facts: Facts) -> Attempts:
        mine = self._settings.worker
        return Attempts(
            resident=self.resident,
            register=StateRegister(bus, source=f"warmlane/{self._service.name}"),
            leases=await bus.bucket(LEASE_BUCKET),
            objects=self._objects,
            facts=facts,
            times=self._times,
            scratch=mine.scratch,
            heartbeat_s=mine.heartbeat_s,
            cancel_grace_s=mine.cancel_grace_s,
            commit_s=mine.commit_s,
        )

    async def _claims(self, bus: NatsBus, attempts: Attempts) -> None:
        self._loop = ClaimLoop(
            lane=self._model.lane,
            worker=self._worker_id,
            pull=await bus.pull(LANE_STREAM, self._model.lane),
            register=StateRegister(bus, source=f"warmlane/{self._service.name}"),
            leases=await bus.bucket(LEASE_BUCKET),
            resident=self.resident,
            attempts=attempts,
            fetch_s=self._settings.worker.fetch_s,
            changed=self._record_changed,
        )
        await self._loop.run()

    async def _pass_on_hints(self, bus: NatsBus, attempts: Attempts) -> None:
        async with bus.hints(cancel_hints_of(self._model.lane)) as hints:
            async for hint in hints:
                attempts.hint(hint.subject.rsplit(".", 1)[-1])

    def _residency_changed(self) -> None:
        residency, facts = self.resident.residency, self._facts
        self._record_changed()
        if facts is None:
            return
        lane, worker = self._model.lane, self._worker_id
        facts.tell(
            "lane",
            LaneChanged(
                lane=lane,
                worker=worker,
                availability=availability(residency),
                warm=residency.warm,
                detail=residency.reason or residency.state,
            ),
        )
        if residency.warm:
            seconds = self.resident.cold_start_s or 0.0
            facts.tell("cold_start", ColdStarted(lane=lane, worker=worker, model=self._model.id, seconds=seconds))

    def _tell_model(self, fact: Message) -> None:
        if self._facts is not None:
            self._facts.tell("model", fact)

    def _record_changed(self) -> None:
        if self._directory is None:
            return
        residency = self.resident.residency
        self._directory.touch(
            LaneRecord(
                lane_key=self._model.lane,
                worker=self._worker_id,
                model=self._model.id,
                mode="dedicated",
                warm=residency.warm,
                availability=availability(residency),
                engine=self._settings.worker.engine,
                current_task=self._loop.current_task if self._loop else None,
                service_s=self._times.mean,
                updated_at=now(),
            )
        )
