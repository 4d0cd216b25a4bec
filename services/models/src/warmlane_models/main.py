"""The models service, put together.

    settings ─► store ─► worklist ◄─ models this node shall have
                             ▲  └─► facts on the broker
                             └───── requests heard on the broker

The store works without the broker: a node can fetch its models while the broker is still being started.
"""

import asyncio
import os
from functools import partial

import structlog
from prometheus_client import REGISTRY
from warmlane_bus.nats_bus import NatsBus
from warmlane_contracts.messages import Message
from warmlane_modelstore.settings import StoreSettings
from warmlane_modelstore.store import ModelStore
from warmlane_runtime.health import Checks, HealthServer
from warmlane_runtime.lifecycle import Part
from warmlane_runtime.logging import configure_logging
from warmlane_runtime.service import Service, run_service
from warmlane_runtime.settings import load

from warmlane_models.announce import Announcer
from warmlane_models.health import ModelsHealth
from warmlane_models.prewarm import prewarm
from warmlane_models.settings import ServiceSettings
from warmlane_models.worklist import Worklist

log = structlog.get_logger(__name__)

NAME = "models"


def main() -> int:
    """Run until told to stop; return the exit code."""
    settings = load(ServiceSettings)
    redactor = configure_logging(settings.log, service=NAME)
    redactor.register(settings.nats.nats_url)
    return run_service(partial(_build, settings))


async def _build(settings: ServiceSettings) -> Service:
    service = Service(NAME, soft_stop_s=settings.stop.soft_stop_s)
    store = ModelStore.open(StoreSettings.from_environ(os.environ))
    models = Models(settings, service=service, store=store)
    checks = Checks()
    checks.add("models", models.health.why_not_complete)
    checks.add("stop", lambda: "stopping" if service.stopping else None)
    service.add(
        HealthServer(
            host=settings.http.http_host,
            port=settings.http.http_port,
            checks=checks,
            registry=REGISTRY,
            pages={"/health/models": models.health.page},
        )
    )
    service.add(models)
    return service


class Models(Part):
    """Everything of the process but its health server."""

    def __init__(self, settings: ServiceSettings, *, service: Service, store: ModelStore) -> None:
        super().__init__()
        mine = settings.models
        self._settings = settings
        self._service = service
        self._store = store
        self._bus: NatsBus | None = None
        self._announcer: Announcer | None = None
        self.worklist = Worklist(
            store, node=mine.models_node, tell=self._tell, report_s=mine.models_report_s, retry_s=mine.models_retry_s
        )
        self.health = ModelsHealth(store, self.worklist, mine.models_ensure)

    async def open(self) -> None:
        """Begin with what this node shall have; connect beside it."""
        for name in self._settings.models.models_ensure:
            self.worklist.offer(name)
        self._service.tasks.spawn("models:worklist", self.worklist.run())
        self._service.tasks.spawn("models:broker", self._listen())

    async def drain(self) -> None:
        """Stop the download in hand; what came stays for the next start."""
        await asyncio.to_thread(self._store.cancel)

    async def close(self) -> None:
        """Let go of the broker. The download's thread ends at its next buffer."""
        self._store.cancel()
        if self._bus is not None:
            await self._bus.close()

    async def _listen(self) -> None:
        """Connect, however long it takes, and hear requests."""
        settings = self._settings
        self._bus = bus = await NatsBus.connect(
            settings.nats.nats_url.get_secret_value(),
            name=settings.models.models_node,
            on_fatal=self._service.fail,
            within_s=float("inf"),
        )
        self._announcer = Announcer(bus, source=f"warmlane/{NAME}")
        if settings.models.models_prewarm:
            await prewarm(bus, self.worklist)
        else:
            await asyncio.Event().wait()

    async def _tell(self, message: Message) -> None:
        if self._announcer is not None:
            await self._announcer.tell(message)
