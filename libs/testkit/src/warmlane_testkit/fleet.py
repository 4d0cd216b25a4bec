"""A fleet of real processes that may be killed: servers, gateways, admission replicas, scripted workers.

    async with Fleet(folder, gateways=3, admissions=3) as fleet:
        await fleet.kill("gateway-1")        it comes back by itself, as under any supervisor

Everything but the engines is what runs in production. Each process is started anew when it ends; servers keep their data.
Needs the development environment, which has the servers.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self

import httpx
import psutil
from warmlane_bus.nats_bus import NatsBus
from warmlane_bus.topology import apply_topology
from warmlane_contracts.apikey import new_key
from warmlane_contracts.topology import LANES, SHARED, TOPOLOGY
from warmlane_devstack.servers import NatsServer, PostgresServer, S3Server
from warmlane_devstack.servers.ports import free_ports
from warmlane_devstack.servers.process import EmbeddedServer

from warmlane_testkit.line import Line

_AGAIN_S = 0.2
_READY_S = 60.0


class Member:
    """One process, started again whenever it ends."""

    def __init__(self, name: str, argv: list[str], env: dict[str, str], log: Path, port: int) -> None:
        self.name = name
        self.port = port
        self._argv = argv
        self._env = env
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.ended: list[int] = []
        """The ids of its lives that are over."""

    @property
    def pid(self) -> int | None:
        """The present process's id, None between two lives."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def begin(self) -> None:
        """Start it, and keep it going."""
        self._keeping = asyncio.create_task(self._keep(), name=f"keep:{self.name}")

    def kill(self) -> int | None:
        """SIGKILL it; return the id it had, None when it was not running."""
        pid = self.pid
        if pid is not None and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        return pid

    async def end(self) -> None:
        """Kill it for good."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        self.kill()
        if self._process is not None:
            await self._process.wait()

    async def ready(self) -> None:
        """Wait until it says that it can do its work."""
        async with asyncio.timeout(_READY_S), httpx.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"http://127.0.0.1:{self.port}/readyz")).status_code == httpx.codes.OK:
                        return
                await asyncio.sleep(0.05)

    async def _keep(self) -> None:
        while True:
            with self._log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._argv, env=self._env, stdout=log, stderr=log, start_new_session=True
                )
            await self._process.wait()
            self.ended.append(self._process.pid)
            await asyncio.sleep(_AGAIN_S)


class Fleet:
    """See the module. `env` is given to every process, on top of what each needs; `{name}` in a value is the process's."""

    def __init__(
        self,
        folder: Path,
        *,
        gateways: int = 1,
        admissions: int = 1,
        lanes: tuple[str, ...] = LANES,
        shared: int = 1,
        env: dict[str, str] | None = None,
        failing_lines: bool = False,
    ) -> None:
        """Put a line that can fail between the processes and each server, if `failing_lines`."""
        self.folder = folder
        self.api_key = new_key()
        self.nats = NatsServer(folder / "nats")
        self.postgres = PostgresServer(folder / "postgres")
        self.s3 = S3Server(folder / "s3")
        self.members: dict[str, Member] = {}
        self.lines: dict[str, Line] = {}
        self._counts = (gateways, admissions, lanes, shared)
        self._env = env or {}
        self._failing_lines = failing_lines
        self._stack = contextlib.AsyncExitStack()
        self._bus: NatsBus | None = None

    @property
    def servers(self) -> dict[str, EmbeddedServer]:
        """The servers, by name."""
        return {"nats": self.nats, "postgres": self.postgres, "s3": self.s3}

    @property
    def bus(self) -> NatsBus:
        """A connection of the fleet's own."""
        assert self._bus is not None
        return self._bus

    @property
    def urls(self) -> list[str]:
        """Where the gateways are."""
        return [
            f"http://127.0.0.1:{member.port}" for name, member in self.members.items() if name.startswith("gateway")
        ]

    @property
    def killed_workers(self) -> set[str]:
        """The ids of workers that died, and could not tell how their last attempt ended."""
        return {f"{name}-{pid}" for name in self.workers() for pid in self.members[name].ended}

    def workers(self) -> list[str]:
        """Return the names of the workers."""
        return [name for name in self.members if name.startswith(("lane-", "shared-"))]

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in self.servers.values()))
        self._bus = await NatsBus.connect(self.nats.url, name="fleet", on_fatal=print)
        await apply_topology(self._bus, TOPOLOGY)
        await self._migrate()
        if self._failing_lines:
            for name, port in (("nats", self.nats.port), ("postgres", self.postgres.port), ("s3", self.s3.port)):
                self.lines[name] = await self._stack.enter_async_context(Line(port))
        gateways, admissions, lanes, shared = self._counts
        for number in range(gateways):
            self._add(f"gateway-{number}", ["-m", "warmlane_gateway", "serve"])
        for number in range(admissions):
            self._add(f"admission-{number}", ["-m", "warmlane_degraded.admission"])
        for lane in lanes:
            self._add(f"lane-{lane}", ["-m", "warmlane_testkit.scripted_worker", lane])
        for number in range(shared):
            self._add(f"shared-{number}", ["-m", "warmlane_testkit.scripted_worker", SHARED])
        await asyncio.gather(*(member.ready() for member in self.members.values()))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(member.end() for member in self.members.values()))
        if self._bus is not None:
            await self._bus.close()
        await self._stack.aclose()
        await asyncio.gather(*(asyncio.to_thread(server.kill) for server in self.servers.values()))

    @contextlib.asynccontextmanager
    async def client(self, number: int = 0, *, timeout_s: float = 60.0) -> AsyncIterator[httpx.AsyncClient]:
        """Lend a client of one of the gateways."""
        url = self.urls[number % len(self.urls)]
        limits = httpx.Limits(max_connections=500, max_keepalive_connections=50)
        async with httpx.AsyncClient(
            base_url=url, headers={"X-API-Key": self.api_key}, timeout=timeout_s, limits=limits
        ) as client:
            yield client

    async def kill(self, name: str) -> None:
        """SIGKILL a member, an engine (`engine-of:lane-anisora`) or a server; servers are started again here."""
        if name in self.servers:
            server = self.servers[name]
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        elif name.startswith("engine-of:"):
            pid = self.members[name.removeprefix("engine-of:")].pid
            if pid is not None:
                with contextlib.suppress(psutil.Error):
                    for child in psutil.Process(pid).children():
                        child.kill()
        else:
            self.members[name].kill()

    async def until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Wait for a condition; return whether it came true."""
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    def _add(self, name: str, arguments: list[str]) -> None:
        [port] = free_ports(1)
        scratch = self.folder / "scratch" / name
        scratch.mkdir(parents=True, exist_ok=True)
        env = os.environ | self._access() | {key: value.replace("{name}", name) for key, value in self._env.items()}
        env |= {"WARMLANE_HTTP_HOST": "127.0.0.1", "WARMLANE_HTTP_PORT": str(port), "WARMLANE_SCRATCH": str(scratch)}
        env |= {"MODELS_ROOT": str(self.folder / "models"), "WARMLANE_REPLICA": name}
        # The worker's id must tell one life of a worker from the next, and the pid is known only inside.
        argv = [sys.executable, "-c", _WITH_PID, name, *arguments]
        member = Member(name, argv, env, self.folder / f"{name}.log", port)
        self.members[name] = member
        member.begin()

    def _through(self, name: str, address: str, port: int) -> str:
        """Return a server's address, by its line where it has one."""
        line = self.lines.get(name)
        return address if line is None else address.replace(f":{port}", f":{line.port}")

    def _access(self) -> dict[str, str]:
        return {
            "WARMLANE_NATS_URL": self._through("nats", self.nats.url, self.nats.port),
            "WARMLANE_POSTGRES_DSN": self._through("postgres", self.postgres.dsn, self.postgres.port),
            "WARMLANE_S3_ENDPOINT": self._through("s3", self.s3.endpoint, self.s3.port),
            "WARMLANE_S3_ACCESS_KEY": self.s3.access_key,
            "WARMLANE_S3_SECRET_KEY": self.s3.secret_key,
            "WARMLANE_S3_BUCKET": self.s3.bucket,
            "WARMLANE_S3_REGION": self.s3.region,
            "WARMLANE_BOOTSTRAP_API_KEY": self.api_key,
            "WARMLANE_ENGINE": "tiny",
            "WARMLANE_LOG_FORMAT": "json",
            "WARMLANE_ORPHAN_SETTLE_S": "5",
        }

    async def _migrate(self) -> None:
        migrating = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "warmlane_gateway", "migrate"), env=os.environ | self._access()
        )
        assert await migrating.wait() == 0, "the database could not be prepared"


_WITH_PID = """
import os, runpy, sys
name, module = sys.argv[1], sys.argv[3]
os.environ["WARMLANE_WORKER_ID"] = f"{name}-{os.getpid()}"
os.environ.pop("LD_PRELOAD", None)  # a false clock is for this process, not for its engine
sys.argv = [module, *sys.argv[4:]]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
