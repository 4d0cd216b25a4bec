"""Run a stack in this process: hold its folder, start all, publish run.json, keep it running, stop all.

    hold ─► clean what a dead supervisor left ─► plan ─► start ─► publish, `on_ready` ─► … ─► SIGINT, SIGTERM ─► stop
                                                          └─ a unit that does not come up ─────────────────────► stop

A second signal while stopping ends the patience with soft stops.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass

from rich.console import Console

from warmlane_devstack.stack.datadir import DataDir
from warmlane_devstack.stack.logs import Screen
from warmlane_devstack.stack.options import StackOptions
from warmlane_devstack.stack.plan import Plan, Planner
from warmlane_devstack.stack.progress import Progress
from warmlane_devstack.stack.runfile import RunFile, clean_stale
from warmlane_devstack.stack.services import SERVICES
from warmlane_devstack.stack.supervisor import Supervisor
from warmlane_devstack.stack.unit import State
from warmlane_devstack.stack.workspace import Workspace

SETTLES_WITHIN_S, SETTLED_EVERY_S = 10.0, 0.1
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A stack that serves."""

    plan: Plan
    seconds: float


def run_stack(
    options: StackOptions,
    *,
    console: Console,
    progress: Progress,
    on_ready: Callable[[Ready], None],
) -> None:
    """Return when the stack was told to stop and nothing of it is left. Raises CommandFailed when it cannot run."""
    data = DataDir(options.data)
    with data.hold(os.getpid()):
        clean_stale(data.path)
        plan = Planner(options, data, Workspace.of_this_environment()).plan()
        shown = frozenset(service.name for service in SERVICES) if not options.verbose else None
        screen = Screen(console, shown or frozenset(unit.name for unit in plan.units))
        asyncio.run(_Run(plan, data, screen, progress).serve(on_ready))


class _Run:
    def __init__(self, plan: Plan, data: DataDir, screen: Screen, progress: Progress) -> None:
        self._plan = plan
        self._data = data
        self._screen = screen
        self._progress = progress
        self._runfile = RunFile(data.path, plan.facts)
        self._up = False

    async def serve(self, on_ready: Callable[[Ready], None]) -> None:
        began = time.monotonic()
        told = asyncio.Event()
        supervisor = Supervisor(
            self._plan.units,
            logs=self._data.logs,
            show=self._show,
            changed=self._changed,
            started=self._runfile.started,
        )
        with self._signals(told, supervisor):
            try:
                if await self._unless_told(told, self._start(supervisor)):
                    self._progress.close()
                    self._runfile.publish()
                    self._up = True
                    on_ready(Ready(plan=self._plan, seconds=time.monotonic() - began))
                    await self._unless_told(told, supervisor.run())
            finally:
                self._up = False
                self._progress.close()
                await supervisor.stop()
                self._runfile.remove()

    async def _start(self, supervisor: Supervisor) -> None:
        await supervisor.start()
        # Ready one by one is not yet ready together; all the same, what does not settle is no reason not to serve.
        deadline = time.monotonic() + SETTLES_WITHIN_S
        while time.monotonic() < deadline and not await asyncio.to_thread(self._plan.settled):  # noqa: ASYNC110  # not ours
            await asyncio.sleep(SETTLED_EVERY_S)

    async def _unless_told(self, told: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
        """Do `work`; False when told to stop first. What `work` raises is raised."""
        working, asked = asyncio.ensure_future(work), asyncio.ensure_future(told.wait())
        await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if working.done():
            working.result()
            return True
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        return False

    @contextlib.contextmanager
    def _signals(self, told: asyncio.Event, supervisor: Supervisor) -> Iterator[None]:
        loop = asyncio.get_running_loop()

        def asked() -> None:
            if told.is_set():
                supervisor.hurry()
            told.set()

        for number in SIGNALS:
            loop.add_signal_handler(number, asked)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def _show(self, name: str, line: bytes) -> None:
        if self._up:
            self._screen.line(name, line)

    def _changed(self, name: str, state: State, detail: str) -> None:
        if not self._up:
            self._progress.changed(name, state, detail)
        elif state in {State.RESTARTING, State.READY}:
            self._screen.line(name, f"supervisor: {name} {state}".encode())
