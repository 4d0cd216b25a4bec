"""From options and a held data folder to the units to run and the facts to publish. Starts nothing."""

import http.client
import json
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

import psutil

from warmlane_devstack.exits import CommandFailed, Exit
from warmlane_devstack.servers import NatsServer, PostgresServer, S3Server
from warmlane_devstack.servers.process import Launch
from warmlane_devstack.servers.s3 import PORT_COUNT, REGION
from warmlane_devstack.stack.datadir import DataDir
from warmlane_devstack.stack.options import DEFAULT_PORT, StackOptions
from warmlane_devstack.stack.services import (
    MIGRATIONS,
    MODEL_FOLDERS,
    SERVICES,
    TINY_MODELS,
    TINY_NAMES,
    TOPOLOGY,
    Environment,
    Reads,
    ServiceSpec,
    StepSpec,
)
from warmlane_devstack.stack.unit import Unit, unit_of
from warmlane_devstack.stack.workspace import Workspace

BUCKET = "warmlane"
PROBE_TIMEOUT_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything to run. `facts` are run.json's addresses and keys; `settled` asks once whether all know of each other."""

    units: tuple[Unit, ...]
    settled: Callable[[], bool]
    facts: dict[str, str | None]
    url: str
    data: Path


class Planner:
    """Works one plan out. Raises CommandFailed for what a person has to change first."""

    def __init__(self, options: StackOptions, data: DataDir, workspace: Workspace) -> None:
        self._options = options
        self._data = data
        self._workspace = workspace
        names = {service.name for service in SERVICES}
        unknown = options.without - names
        if unknown:
            message = f"--without {', '.join(sorted(unknown))}: no such service; there are {', '.join(sorted(names))}"
            raise CommandFailed(message, Exit.BAD_USAGE)
        self._services = [service for service in SERVICES if service.name not in options.without]
        self._models_root = self._choose_models_root()
        self._servers: list[Unit] = []
        self._access: dict[Reads, dict[str, str]] = {
            Reads.NATS: {"WARMLANE_NATS_URL": self._nats()},
            Reads.POSTGRES: {"WARMLANE_POSTGRES_DSN": self._postgres()},
            Reads.OBJECTS: self._objects(),
            Reads.MODELS: {**self._models(), **self._threads()},
            Reads.API_KEYS: {
                "WARMLANE_BOOTSTRAP_API_KEY": data.secret("api_key"),
                "WARMLANE_ADMIN_KEY": data.secret("admin_key"),
            },
        }

    def plan(self) -> Plan:
        port = self._gateway_port()
        steps = [self._step(spec) for spec in self._steps()]
        services = [self._service(spec, port) for spec in self._services]
        units = [*self._servers, *steps, *services]
        present = {unit.name for unit in units}
        url = f"http://127.0.0.1:{port}"
        objects = self._access[Reads.OBJECTS]
        facts: dict[str, str | None] = {
            "url": url,
            "api_key": self._data.secret("api_key"),
            "admin_key": self._data.secret("admin_key"),
            "nats_url": self._access[Reads.NATS]["WARMLANE_NATS_URL"],
            "postgres_dsn": self._access[Reads.POSTGRES]["WARMLANE_POSTGRES_DSN"],
            "s3_endpoint": objects["WARMLANE_S3_ENDPOINT"],
            "s3_access_key": objects["WARMLANE_S3_ACCESS_KEY"],
            "s3_secret_key": objects["WARMLANE_S3_SECRET_KEY"],
            "otlp_endpoint": os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"),
        }
        return Plan(
            units=tuple(only_needing(unit, present) for unit in units),
            settled=self._settled(port),
            facts=facts,
            url=url,
            data=self._data.path,
        )

    def _settled(self, gateway_port: int) -> Callable[[], bool]:
        names = {service.name for service in self._services}
        lanes = {folder for name, folder in MODEL_FOLDERS.items() if name in names}
        return (lambda: lanes <= lanes_seen(gateway_port)) if "gateway" in names else (lambda: True)

    def _nats(self) -> str:
        if self._options.external_nats:
            return self._options.external_nats
        server = NatsServer(
            self._data.path / "nats",
            port=self._data.ports("nats")[0],
            password=self._data.secret("nats_password"),
        )
        self._servers.append(unit_of(server))
        return server.url

    def _postgres(self) -> str:
        if self._options.external_postgres:
            return self._options.external_postgres
        server = PostgresServer(
            self._data.path / "postgres",
            port=self._data.ports("postgres")[0],
            password=self._data.secret("postgres_password"),
        )
        self._servers.append(unit_of(server))
        return server.dsn

    def _objects(self) -> dict[str, str]:
        if self._options.external_s3:
            return external_objects(self._options.external_s3)
        server = S3Server(
            self._data.path / "s3",
            ports=self._data.ports("s3", PORT_COUNT),
            access_key=self._data.secret("s3_access_key"),
            secret_key=self._data.secret("s3_secret_key"),
            bucket=BUCKET,
        )
        self._servers.append(unit_of(server))
        return {
            "WARMLANE_S3_ENDPOINT": server.endpoint,
            "WARMLANE_S3_ACCESS_KEY": server.access_key,
            "WARMLANE_S3_SECRET_KEY": server.secret_key,
            "WARMLANE_S3_BUCKET": server.bucket,
            "WARMLANE_S3_REGION": server.region,
        }

    def _models(self) -> dict[str, str]:
        """How weights are had: the tiny ones through the store, from the folder they are made in; real ones as the operator
        says, from folders that are there unless WARMLANE_MODEL_STORE asks for the store.
        """
        root = {"MODELS_ROOT": str(self._models_root)}
        if self._options.engine == "real":
            return root
        store = {"WARMLANE_MODEL_STORE": "true", "WARMLANE_MODELS_ENSURE": ",".join(TINY_NAMES)}
        return root | store | {"WAN_MODELS_MANIFEST": str(self._tiny_models / "models.toml")}

    @property
    def _tiny_models(self) -> Path:
        return self._data.path / "tiny-models"

    @property
    def _through_store(self) -> bool:
        return os.environ.get("WARMLANE_MODEL_STORE", "").lower() in {"1", "true", "yes"}

    def _threads(self) -> dict[str, str]:
        """Tiny engines share the processor; left alone, each lane's threads spin for all cores and triple load times."""
        if self._options.engine == "real" or "OMP_NUM_THREADS" in os.environ:
            return {}
        lanes = sum(service.environment is Environment.LANE for service in self._services)
        return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // max(1, lanes)))}

    def _steps(self) -> list[StepSpec]:
        """What has to be done first for the services of this stack, and for them only."""
        tiny = self._options.engine == "tiny"
        missing = self._missing_models()
        if missing and not tiny and not self._through_store:
            message = f"no model in {', '.join(map(str, missing))}; put it there, or choose --models-root or --without"
            raise CommandFailed(message, Exit.NOT_FOUND)
        needed = {name for service in self._services for name in service.needs}
        topology = replace(TOPOLOGY, arguments=("apply",)) if self._options.external_nats else TOPOLOGY
        steps = [topology, MIGRATIONS, *([TINY_MODELS] if tiny else [])]
        return [step for step in steps if step.name in needed]

    def _missing_models(self) -> list[Path]:
        folders = [self._models_root / MODEL_FOLDERS[s.name] for s in self._services if s.name in MODEL_FOLDERS]
        return [folder for folder in folders if not (folder / "model_index.json").exists()]

    def _choose_models_root(self) -> Path:
        """Untrained weights never go into the folder that MODELS_ROOT names for real ones; --models-root may."""
        chosen = self._options.models_root
        if chosen is None and self._options.engine == "real" and os.environ.get("MODELS_ROOT"):
            chosen = Path(os.environ["MODELS_ROOT"])
        return (chosen or self._data.path / "models").absolute()

    def _gateway_port(self) -> int:
        wanted = self._options.port
        if wanted is not None:
            if not self._data.take(wanted):
                raise CommandFailed(port_taken(wanted))
            port = wanted
        else:
            kept = self._data.known_port("gateway") or DEFAULT_PORT
            port = kept if self._data.take(kept) else self._data.ports("gateway")[0]
        self._data.keep_port("gateway", port)
        return port

    def _service(self, spec: ServiceSpec, gateway_port: int) -> Unit:
        port = gateway_port if spec.name == "gateway" else self._data.ports(spec.name)[0]
        scratch = self._data.path / "scratch" / spec.name
        own = {
            "WARMLANE_HTTP_HOST": "127.0.0.1",
            "WARMLANE_HTTP_PORT": str(port),
            # A little less than our patience: the service ends its soft stop itself and says so.
            "WARMLANE_SOFT_STOP_S": str(0.8 * spec.stop_within_s),
            # On the stack's own disk, so that nothing is left elsewhere.
            "WARMLANE_SCRATCH": str(scratch),
        }
        return Unit(
            name=spec.name,
            prepare=lambda: empty(scratch),
            launch=lambda: self._launch(spec, (), own),
            probe=readyz(port),
            needs=spec.needs,
            stop_within_s=spec.stop_within_s,
            awaited=spec.awaited,
        )

    def _step(self, spec: StepSpec) -> Unit:
        places = {"tiny_models": self._tiny_models, "tiny_manifest": self._tiny_models / "models.toml"}
        arguments = tuple(argument.format(**places) for argument in spec.arguments)
        return Unit(name=spec.name, launch=lambda: self._launch(spec, arguments, {}), probe=None, needs=spec.needs)

    def _launch(self, spec: ServiceSpec | StepSpec, arguments: tuple[str, ...], own: dict[str, str]) -> Launch:
        main = spec.environment is Environment.MAIN
        python = self._workspace.main_python if main else self._workspace.lane_python
        env = {"PYTHONUNBUFFERED": "1", "WARMLANE_LOG_FORMAT": "json", "WARMLANE_ENGINE": self._options.engine, **own}
        for reads in sorted(spec.reads):
            env |= self._access[reads]
        return Launch(argv=(python, "-m", spec.module, *arguments), env=env, cwd=self._data.path)


def empty(folder: Path) -> None:
    """What a killed worker left half-made is of no use to the next one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def only_needing(unit: Unit, present: set[str]) -> Unit:
    """The unit without needs that this stack does not run: external servers, models that are there."""
    return replace(unit, needs=tuple(name for name in unit.needs if name in present))


def external_objects(endpoint: str) -> dict[str, str]:
    """Access to an S3 that is not ours: the endpoint by option, the rest by environment."""
    keys = ("WARMLANE_S3_ACCESS_KEY", "WARMLANE_S3_SECRET_KEY")
    missing = [key for key in keys if not os.environ.get(key)]
    if missing:
        message = f"--external-s3 needs its keys in the environment: set {' and '.join(missing)}"
        raise CommandFailed(message, Exit.BAD_USAGE)
    return {
        "WARMLANE_S3_ENDPOINT": endpoint,
        **{key: os.environ[key] for key in keys},
        "WARMLANE_S3_BUCKET": os.environ.get("WARMLANE_S3_BUCKET", BUCKET),
        "WARMLANE_S3_REGION": os.environ.get("WARMLANE_S3_REGION", REGION),
    }


def readyz(port: int) -> Callable[[], bool]:
    return lambda: fetch(port, "/readyz") is not None


def lanes_seen(gateway_port: int) -> set[str]:
    """The lanes that the gateway would send a task to now: it learns of a lane up to a second after it is ready."""
    health = json.loads(fetch(gateway_port, "/health") or b"{}")
    return {lane for lane, availability in health.get("lanes", {}).items() if availability == "ready"}


def fetch(port: int, path: str) -> bytes | None:
    """The body of a 200 from this machine, None for anything else."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PROBE_TIMEOUT_S)) as connection:
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.read() if response.status == HTTPStatus.OK else None
        except (OSError, http.client.HTTPException):
            return None


def port_taken(port: int) -> str:
    """One line that names who holds the port, where that can be known."""
    holder = ""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                holder = f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return f"port {port} is taken{holder}; choose another with --port"
