"""A worker, put together: the only place where its parts meet.

    run_worker("lane-anisora", model="anisora")     keeps one model, takes its lane's jobs
    run_shared_worker("degraded-worker")            keeps one model at a time, takes rescued and waiting jobs

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
from warmlane_contracts.errors import ErrorCode
from warmlane_contracts.messages import Availability, ColdStarted, JobRequested, LaneChanged, LaneRecord, Message
from warmlane_contracts.topology import DIRECTORY_BUCKET, LANE_STREAM, LEASE_BUCKET, EventKind, cancel_hints_of
from warmlane_runtime.health import Checks, HealthServer
from warmlane_runtime.lifecycle import Part
from warmlane_runtime.logging import configure_logging
from warmlane_runtime.service import Service, run_service
from warmlane_runtime.settings import load
from warmlane_storage.objects import ObjectStore, S3Objects

from warmlane_lanekit.attempt import Attempts
from warmlane_lanekit.calibrations import read_calibration
from warmlane_lanekit.claim import now
from warmlane_lanekit.claim_loop import ClaimLoop
from warmlane_lanekit.directory import Directory, availability
from warmlane_lanekit.engine import EngineFault
from warmlane_lanekit.engine_process import EngineProcess
from warmlane_lanekit.facts import Facts
from warmlane_lanekit.residence import Residence
from warmlane_lanekit.resident import Resident
from warmlane_lanekit.scratch import Scratch
from warmlane_lanekit.service_time import ServiceTimes
from warmlane_lanekit.settings import LaneSettings
from warmlane_lanekit.shared_queue import JobQueue, SharedQueue
from warmlane_lanekit.shared_resident import SharedResident
from warmlane_lanekit.watchdog import Watchdog
from warmlane_lanekit.weights import Weights, open_weights

log = structlog.get_logger(__name__)


def run_worker(service_name: str, *, model: str) -> int:
    """Run the worker of a model's lane until it is told to stop; return the exit code."""
    entry = load_catalogue().model_of(model)
    if entry is None:
        raise ValueError(f"the catalogue has no model {model}")
    return run_models(service_name, (entry,), shared=False)


def run_shared_worker(service_name: str) -> int:
    """Run a worker that may hold any model of the catalogue, one at a time; return the exit code."""
    return run_models(service_name, load_catalogue().models, shared=True)


def run_models(service_name: str, models: tuple[Model, ...], *, shared: bool) -> int:
    """Run a worker of these models until it is told to stop; return the exit code."""
    settings = load(LaneSettings)
    redactor = configure_logging(settings.log, service=service_name)
    redactor.register(settings.nats.nats_url, settings.objects.s3_secret_key)
    return run_service(partial(_build, settings, service_name, models, shared=shared))


async def _build(settings: LaneSettings, service_name: str, models: tuple[Model, ...], *, shared: bool) -> Service:
    service = Service(service_name, soft_stop_s=settings.stop.soft_stop_s)
    objects = S3Objects.from_settings(settings.objects)
    worker = Worker(settings, service=service, models=models, objects=objects, shared=shared)
    checks = Checks()
    checks.add("broker", worker.why_not_connected)
    checks.add("engine" if shared else "model", worker.resident.why_not_warm)
    checks.add("scratch", worker.scratch.why_full)
    checks.add("stop", lambda: "stopping" if service.stopping else None)
    service.add(
        HealthServer(host=settings.http.http_host, port=settings.http.http_port, checks=checks, registry=REGISTRY)
    )
    service.add(worker)
    return service


class Worker(Part):
    """Everything of a worker's process but its health server. One that is not `shared` has exactly one model."""

    def __init__(
        self,
        settings: LaneSettings,
        *,
        service: Service,
        models: tuple[Model, ...],
        objects: ObjectStore,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._service = service
        self._models = models
        self._objects = objects
        self._worker_id = settings.worker.worker_id
        self._times = ServiceTimes()
        self.scratch = Scratch(settings.worker.scratch, least_bytes=settings.worker.scratch_least_bytes)
        self._bus: NatsBus | None = None
        self._facts: Facts | None = None
        self._directory: Directory | None = None
        self._loop: ClaimLoop | None = None
        self._claiming: asyncio.Task[None] | None = None
        root = settings.worker.models_root
        self._calibrations = tuple(found for model in models if (found := read_calibration(root, model.id)))
        self._shared = self._make_shared() if shared else None
        self.resident: Residence = self._shared or self._make_resident(models[0])

    def why_not_connected(self) -> str | None:
        """Say why the broker cannot be used, None when it can: a readiness check."""
        return None if self._bus is not None and self._bus.connected else "not connected"

    async def open(self) -> None:
        """Start the engine's imports, connect, and begin to take jobs as soon as the model is warm."""
        self.scratch.open()
        await self.resident.start_process()
        self._bus = bus = await NatsBus.connect(
            self._settings.nats.nats_url.get_secret_value(), name=self._worker_id, on_fatal=self._service.fail
        )
        self._facts = facts = Facts(
            bus=bus, objects=self._objects, lane=self.resident.lane, source=f"warmlane/{self._service.name}"
        )
        directory = await bus.bucket(DIRECTORY_BUCKET)
        self._directory = Directory(directory, lane=self.resident.lane, worker=self._worker_id)
        attempts = await self._make_attempts(bus, facts)
        spawn = self._service.tasks.spawn
        spawn("lane:facts", facts.run())
        spawn("lane:directory", self._directory.run())
        for lane in sorted(self._lanes):
            spawn(f"lane:hints:{lane}", self._pass_on_hints(bus, attempts, lane))
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
            watchdog=Watchdog(least_s=mine.hang_least_s, most_s=mine.hang_most_s),
            check_fits=self._check_fits,
        )

    async def _make_queue(self, bus: NatsBus) -> JobQueue:
        shared = self._shared
        if shared is None:
            return await bus.pull(LANE_STREAM, self.resident.lane)
        lanes = tuple(sorted(self._lanes))
        queue = await SharedQueue.bind(bus, lanes=lanes, resident_lane=lambda: shared.resident_lane)
        self._service.tasks.spawn("lane:listen", queue.listen(bus))
        return queue

    async def _claims(self, bus: NatsBus, attempts: Attempts) -> None:
        self._loop = ClaimLoop(
            lanes=self._lanes,
            worker=self._worker_id,
            bus=bus,
            queue=await self._make_queue(bus),
            register=StateRegister(bus, source=f"warmlane/{self._service.name}"),
            leases=await bus.bucket(LEASE_BUCKET),
            resident=self.resident,
            attempts=attempts,
            scratch=self.scratch,
            fetch_s=self._settings.worker.fetch_s,
            changed=self._record_changed,
        )
        await self._loop.run()

    async def _pass_on_hints(self, bus: NatsBus, attempts: Attempts, lane: str) -> None:
        async with bus.hints(cancel_hints_of(lane)) as hints:
            async for hint in hints:
                attempts.hint(hint.subject.rsplit(".", 1)[-1])

    @property
    def _lanes(self) -> frozenset[str]:
        return frozenset(model.lane for model in self._models)

    def _make_resident(self, model: Model) -> Resident:
        return Resident(
            model=model,
            weights=self._open_weights(model),
            worker=self._worker_id,
            reload_s=self._settings.worker.reload_s,
            make_process=partial(EngineProcess, model.runtime.engine),
            changed=self._residency_changed,
        )

    def _make_shared(self) -> SharedResident:
        engines = tuple(dict.fromkeys(model.runtime.engine for model in self._models))
        return SharedResident(
            models={model.id: model for model in self._models},
            weights={model.id: self._open_weights(model) for model in self._models},
            worker=self._worker_id,
            reload_s=self._settings.worker.reload_s,
            make_process=partial(EngineProcess, *engines),
            changed=self._record_changed,
            tell=self._tell,
        )

    def _open_weights(self, model: Model) -> Weights:
        mine = self._settings.worker
        return open_weights(
            model.id,
            store=mine.model_store,
            models_root=mine.models_root,
            node=self._worker_id,
            tell=partial(self._tell, "model"),
        )

    def _residency_changed(self) -> None:
        """Tell the world; a shared worker's changes are its own affair, and its loads tell themselves."""
        self._record_changed()
        residency, lane, worker = self.resident.residency, self.resident.lane, self._worker_id
        changed = LaneChanged(
            lane=lane,
            worker=worker,
            availability=availability(residency),
            warm=residency.warm,
            detail=residency.reason or residency.state,
        )
        self._tell("lane", changed)
        if residency.warm:
            seconds = self.resident.cold_start_s or 0.0
            started = ColdStarted(lane=lane, worker=worker, model=self.resident.resident_model, seconds=seconds)
            self._tell("cold_start", started)

    def _availability(self) -> Availability:
        """A shared worker is ready without a model; nobody is with a full disk."""
        if self.scratch.why_full() is not None:
            return "unavailable"
        if self._shared is None:
            return availability(self.resident.residency)
        return "cold" if self.resident.why_not_warm() else "ready"

    def _check_fits(self, job: JobRequested) -> None:
        """Raise `EngineFault` for a clip that this worker's device cannot hold, before the device is touched."""
        calibration = next((one for one in self._calibrations if one.model == job.model), None)
        budget = self._settings.worker.budget_of(self.resident.reading.total_bytes)
        if calibration is None or budget is None:
            return
        asked = job.params
        peak = calibration.peak_bytes(width=asked.width, height=asked.height, frames=asked.num_frames)
        if peak > budget:
            raise EngineFault(
                ErrorCode.EXCEEDS_MEMORY_BUDGET,
                f"The clip would take {peak} bytes of device memory; this worker has {budget}. Ask for a smaller one.",
            )

    def _tell(self, kind: EventKind, fact: Message) -> None:
        if self._facts is not None:
            self._facts.tell(kind, fact)

    def _record_changed(self) -> None:
        if self._directory is None:
            return
        residency, reading = self.resident.residency, self.resident.reading
        self._directory.touch(
            LaneRecord(
                lane_key=self.resident.lane,
                worker=self._worker_id,
                model=self.resident.resident_model,
                mode=self.resident.mode,
                warm=residency.warm,
                availability=self._availability(),
                engine=self._settings.worker.engine,
                current_task=self._loop.current_task if self._loop else None,
                service_s=self._times.mean,
                # Where there is no device, the engine's memory is the machine's.
                used_bytes=reading.rss_bytes if reading.allocated_bytes is None else reading.allocated_bytes,
                peak_bytes=reading.peak_bytes,
                budget_bytes=self._settings.worker.budget_of(reading.total_bytes),
                calibrations=self._calibrations,
                updated_at=now(),
            )
        )
