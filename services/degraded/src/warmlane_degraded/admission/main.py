"""Admission, put together: the only place where its parts meet."""

import asyncio
from functools import partial

import structlog
from prometheus_client import REGISTRY
from warmlane_bus.lane_directory import LaneDirectory
from warmlane_bus.nats_bus import NatsBus
from warmlane_bus.ports import BusUnavailable
from warmlane_bus.register import StateRegister
from warmlane_contracts.topology import LANES, LEASE_BUCKET, ROUTING_BUCKET, SHARED, WAIT_STREAM
from warmlane_runtime.health import Checks, HealthServer
from warmlane_runtime.lifecycle import Part
from warmlane_runtime.logging import configure_logging
from warmlane_runtime.service import Service, run_service
from warmlane_runtime.settings import load

from warmlane_degraded.admission.fallbacks import Fallbacks
from warmlane_degraded.admission.metrics import DEPTH, READY
from warmlane_degraded.admission.rescue import Rescue
from warmlane_degraded.admission.settings import AdmissionSettings
from warmlane_degraded.admission.withdrawal import Withdrawal

log = structlog.get_logger(__name__)

NAME = "degraded-admission"


def main() -> int:
    """Run until told to stop; return the exit code."""
    settings = load(AdmissionSettings)
    redactor = configure_logging(settings.log, service=NAME)
    redactor.register(settings.nats.nats_url)
    return run_service(partial(_build, settings))


async def _build(settings: AdmissionSettings) -> Service:
    service = Service(NAME, soft_stop_s=settings.stop.soft_stop_s)
    admission = Admission(settings, service=service)
    checks = Checks()
    checks.add("broker", admission.why_not_connected)
    checks.add("stop", lambda: "stopping" if service.stopping else None)
    http = settings.http
    service.add(HealthServer(host=http.http_host, port=http.http_port, checks=checks, registry=REGISTRY))
    service.add(admission)
    return service


class Admission(Part):
    """Everything of the process but its health server. It owns nothing: whatever it holds comes back to another."""

    def __init__(self, settings: AdmissionSettings, *, service: Service) -> None:
        super().__init__()
        self._settings = settings
        self._service = service
        self._bus: NatsBus | None = None

    def why_not_connected(self) -> str | None:
        """Say why the broker cannot be used, None when it can: a readiness check."""
        return None if self._bus is not None and self._bus.connected else "not connected"

    async def open(self) -> None:
        """Connect, and begin to watch."""
        settings, spawn = self._settings, self._service.tasks.spawn
        self._bus = bus = await NatsBus.connect(
            settings.nats.nats_url.get_secret_value(), name=settings.admission.replica, on_fatal=self._service.fail
        )
        register = StateRegister(bus, source=f"warmlane/{NAME}")
        leases = await bus.bucket(LEASE_BUCKET)
        directory = LaneDirectory(lanes=LANES)
        await directory.open(bus)
        fallbacks = Fallbacks(
            bus=bus,
            bucket=await bus.bucket(ROUTING_BUCKET),
            directory=directory,
            replica=settings.admission.replica,
        )
        spawn("admission:look", self._look(bus, directory, fallbacks))
        spawn("admission:rescue", Rescue(bus=bus, register=register, leases=leases, directory=directory).run())
        for lane in LANES:
            withdrawal = Withdrawal(lane=lane, bus=bus, register=register, leases=leases, directory=directory)
            spawn(f"admission:withdrawal:{lane}", withdrawal.run())

    async def close(self) -> None:
        """Disconnect. Tokens in hand come back after their ack wait."""
        if self._bus is not None:
            await self._bus.close()

    async def _look(self, bus: NatsBus, directory: LaneDirectory, fallbacks: Fallbacks) -> None:
        while True:
            try:
                await directory.refresh()
                await fallbacks.note()
                DEPTH.set(await bus.depth(WAIT_STREAM))
            except BusUnavailable as away:
                log.warning("admission.lanes_not_read", reason=str(away))
            for lane in (*directory.lanes, SHARED):
                READY.labels(lane).set(sum(worker.availability == "ready" for worker in directory.workers(lane)))
            await asyncio.sleep(self._settings.admission.look_s)
