"""The gateway, put together: the only place where its parts meet."""

import json
import sys
from pathlib import Path

import structlog
import uvloop
from prometheus_client import REGISTRY
from warmlane_bus.nats_bus import NatsBus
from warmlane_bus.ports import Bus
from warmlane_bus.register import StateRegister
from warmlane_contracts.catalogue import Profile, load_catalogue
from warmlane_runtime.health import Checks
from warmlane_runtime.lifecycle import Part
from warmlane_runtime.logging import configure_logging
from warmlane_runtime.service import Service, run_service
from warmlane_runtime.settings import load
from warmlane_storage.migrations import Migrations
from warmlane_storage.objects import S3Objects
from warmlane_storage.postgres import Postgres, PostgresSettings

from warmlane_gateway.adapters.assets import Assets
from warmlane_gateway.adapters.diagnostics import Diagnostics
from warmlane_gateway.adapters.history import History
from warmlane_gateway.adapters.keys import ApiKeys
from warmlane_gateway.adapters.leftovers import Leftovers
from warmlane_gateway.adapters.outbox import Outbox
from warmlane_gateway.adapters.sessions import Sessions
from warmlane_gateway.adapters.tasks import Tasks
from warmlane_gateway.adapters.trash import Trash
from warmlane_gateway.api.app import make_app, serve_with
from warmlane_gateway.api.wired import Wired
from warmlane_gateway.consumers.changes import Changes
from warmlane_gateway.consumers.dispatch import Dispatch, Relay
from warmlane_gateway.consumers.intake import Intake
from warmlane_gateway.consumers.lanes import Lanes
from warmlane_gateway.consumers.projector import Projector
from warmlane_gateway.consumers.retention import Retention
from warmlane_gateway.consumers.settle import Settle
from warmlane_gateway.consumers.sweep import Sweep
from warmlane_gateway.consumers.turns import Turns
from warmlane_gateway.server import HttpServer
from warmlane_gateway.settings import GatewaySettings
from warmlane_gateway.usecases.accept import Accept
from warmlane_gateway.usecases.cancel import Cancel
from warmlane_gateway.usecases.decide_lane import DecideLane
from warmlane_gateway.usecases.images import ImageStore
from warmlane_gateway.usecases.offer import Offers

log = structlog.get_logger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
CONSOLE = Path(__file__).parents[2] / "web" / "dist"
"""Where a checkout builds the console."""


def serve() -> int:
    """Run the gateway until it is told to stop; return the exit code."""
    settings = load(GatewaySettings)
    redactor = configure_logging(settings.log, service="gateway")
    redactor.register(
        settings.nats.nats_url,
        settings.postgres.postgres_dsn,
        settings.objects.s3_secret_key,
        settings.bootstrap_api_key,
    )

    async def build() -> Service:
        service = Service("gateway", soft_stop_s=settings.stop.soft_stop_s)
        service.add(Gateway(settings, service))
        return service

    return run_service(build, runner=uvloop.run)


def migrate(revision: str) -> int:
    """Bring the database to a revision (`head`, `base`, or a number); return the exit code."""
    settings = load(PostgresSettings)
    migrations = Migrations(MIGRATIONS, settings.postgres_dsn)
    move = migrations.downgrade(revision) if revision == "base" else migrations.upgrade(revision)
    uvloop.run(move)
    return 0


def print_openapi() -> int:
    """Print the OpenAPI document."""
    sys.stdout.write(json.dumps(make_app().openapi(), indent=2, ensure_ascii=False) + "\n")
    return 0


class Gateway(Part):
    """Everything of the gateway's process."""

    def __init__(self, settings: GatewaySettings, service: Service) -> None:
        super().__init__()
        self._settings = settings
        self._service = service
        self._postgres = Postgres(settings.postgres)
        self._bus: NatsBus | None = None
        self._dispatch: Dispatch | None = None
        self._offers: Offers | None = None
        self._settle: Settle | None = None
        self._http: HttpServer | None = None

    async def open(self) -> None:
        """Check the schema, connect, start what runs beside the requests, and listen."""
        await Migrations(MIGRATIONS, self._settings.postgres.postgres_dsn).check()
        await self._postgres.start()
        self._bus = bus = await NatsBus.connect(
            self._settings.nats.nats_url.get_secret_value(), name="gateway", on_fatal=self._service.fail
        )
        self._wired = await self._wire(bus)
        http = self._settings.http
        app = serve_with(self._wired, max_body_bytes=self._settings.limits.max_body_bytes)
        self._http = HttpServer(app, host=http.http_host, port=http.http_port)
        await self._http.start()

    async def drain(self) -> None:
        """Finish the requests in flight, and publish what they accepted. Those that wait for a worker are answered now."""
        if self._offers is not None:
            await self._offers.drain()
        if self._http is not None:
            await self._http.drain()
        if self._dispatch is not None:
            await self._dispatch.drain()

    async def close(self) -> None:
        """Stop listening and disconnect."""
        if self._http is not None:
            await self._http.stop()
        if self._bus is not None:
            await self._bus.close()
        await self._postgres.stop()

    async def _wire(self, bus: Bus) -> Wired:
        settings, spawn = self._settings, self._service.tasks.spawn
        profile: Profile = "tiny" if settings.engine == "tiny" else "production"
        catalogue = load_catalogue(profile)
        objects = S3Objects.from_settings(settings.objects)
        tasks, outbox, assets = Tasks(self._postgres), Outbox(self._postgres), Assets(self._postgres)
        keys, changes = ApiKeys(self._postgres), Changes(self._postgres)
        if settings.bootstrap_api_key is not None:
            await keys.ensure(settings.bootstrap_api_key.get_secret_value(), "bootstrap", operator=True)
        names = tuple(dict.fromkeys(model.lane for model in catalogue.models))
        lanes = Lanes(bus=bus, tasks=tasks, lanes=names, bound=settings.limits.lane_queue_bound)
        intake = Intake(tasks.accept)
        self._dispatch = dispatch = Dispatch(bus, outbox)
        register, diagnostics = StateRegister(bus, source="warmlane/gateway"), Diagnostics(self._postgres)
        self._offers = offers = Offers(
            bus=bus, register=register, changes=changes, outbox=dispatch, retry_after_s=lanes.retry_after_s
        )
        longest_s = {"video": settings.limits.video_longest_s, "image": settings.limits.image_longest_s}
        self._settle = settle = Settle(tasks=tasks, offers=offers, register=register, longest_s=longest_s)
        sessions = Sessions(self._postgres)
        turns = Turns(
            outbox=outbox,
            publish=dispatch.publish,
            ready_workers=lambda lane: lanes.directory.facts(lane).ready_workers,
            service_s=lanes.service_s,
            bound=settings.limits.key_queue_bound,
        )
        images = ImageStore(objects=objects, assets=assets, limits=settings.limits)
        spawn("gateway:intake", intake.run())
        spawn("gateway:dispatch", dispatch.run())
        spawn("gateway:turns", turns.run())
        spawn("gateway:relay", Relay(bus, outbox, offers).run())
        spawn("gateway:changes", changes.run())
        spawn("gateway:lanes", lanes.run())
        spawn("gateway:settle", settle.run())
        spawn("gateway:retention", Retention(diagnostics=diagnostics, tasks=tasks, sessions=sessions).run())
        sweep = Sweep(
            objects, Trash(self._postgres), Leftovers(self._postgres), settle_s=settings.limits.orphan_settle_s
        )
        spawn("gateway:sweep", sweep.run())
        for projector in Projector.both(bus=bus, postgres=self._postgres, tasks=tasks):
            spawn(f"gateway:{projector.name}", projector.run())
        return Wired(
            catalogue=catalogue,
            profile=profile,
            accept=Accept(
                catalogue=catalogue,
                images=images,
                keys=tasks,
                make_durable=intake,
                dispatch=dispatch,
                offer=offers,
                route=lanes.route,
                check_queue=lanes.check_queue,
                check_memory=lanes.check_memory,
                must_wait=turns.must_wait,
            ),
            cancel=Cancel(bus, register),
            images=images,
            tasks=tasks,
            assets=assets,
            keys=keys,
            sessions=sessions,
            history=History(self._postgres),
            objects=objects,
            lanes=lanes,
            decide_lane=DecideLane(bus),
            diagnostics=diagnostics,
            changes=changes,
            checks=self._checks(bus),
            registry=REGISTRY,
            stopping=lambda: self._service.stopping,
            secure_cookies=settings.secure_cookies,
            console=settings.console or CONSOLE,
        )

    def _checks(self, bus: Bus) -> Checks:
        async def database() -> str | None:
            async with self._postgres.connection() as connection:
                await connection.execute("select 1")
            return None

        checks = Checks()
        checks.add("broker", lambda: None if bus.connected else "not connected")
        checks.add("database", database)
        checks.add("stop", lambda: "stopping" if self._service.stopping else None)
        return checks
