"""Keeps all units of the stack running, starts them as soon as what they need is ready, stops them in reverse order.

Postcondition of `stop`: no process of the stack is left, whatever state it was in. A supervisor that is SIGKILLed takes
its processes with it, because each asked the kernel for that (see servers/launch.py).
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from warmlane_devstack.stack.kept import Kept
from warmlane_devstack.stack.logs import RotatedFile
from warmlane_devstack.stack.unit import State, Unit

# Each process has one thread waiting for its end and at most one probing it.
THREADS = 64


class Supervisor:
    """Make it inside the running loop; `start`, then `run`, then `stop`."""

    def __init__(
        self,
        units: Sequence[Unit],
        *,
        logs: Path,
        show: Callable[[str, bytes], None],
        changed: Callable[[str, State, str], None],
        started: Callable[[str, int], None],
    ) -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        self._files = {unit.name: RotatedFile(logs / f"{unit.name}.log") for unit in units}
        self._kept = {
            unit.name: Kept(unit, log=self._files[unit.name], show=show, changed=changed, started=started)
            for unit in units
        }
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._hurry = asyncio.Event()

    async def start(self) -> None:
        """Return once every unit is ready that is waited for. Raises CommandFailed as soon as one cannot."""
        for name, kept in self._kept.items():
            self._tasks[name] = asyncio.create_task(kept.run(self._kept), name=f"keep:{name}")
        ready = asyncio.create_task(self._all_ready(), name="all-ready")
        try:
            await self._first_of(ready)
        finally:
            ready.cancel()

    async def run(self) -> None:
        """Return never; raise what ended one of the units for good."""
        await self._first_of(asyncio.get_running_loop().create_future())

    async def stop(self) -> None:
        """End everything, those first that others do not need."""
        for tier in reversed(tiers([kept.unit for kept in self._kept.values()])):
            await asyncio.gather(*(self._kept[name].stop(self._hurry) for name in tier))
            for name in tier:
                if name in self._tasks:
                    self._tasks[name].cancel()
            await asyncio.gather(*(self._tasks[name] for name in tier if name in self._tasks), return_exceptions=True)
        for file in self._files.values():
            file.close()

    def hurry(self) -> None:
        """No more waiting for soft stops."""
        self._hurry.set()

    async def _all_ready(self) -> None:
        for kept in self._kept.values():
            if kept.unit.awaited:
                await kept.ready.wait()

    async def _first_of(self, goal: "asyncio.Future[Any]") -> None:
        """Wait for `goal`; a unit that fails meanwhile raises here."""
        pending: set[asyncio.Future[Any]] = {goal, *self._tasks.values()}
        while not goal.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {goal}:
                await task


def tiers(units: Sequence[Unit]) -> list[list[str]]:
    """Names in layers: each layer needs only those before it. Raises ValueError for a unit nobody can start."""
    left = {unit.name: set(unit.needs) for unit in units}
    layers: list[list[str]] = []
    while left:
        free = [name for name, needs in left.items() if not needs & left.keys()]
        if not free:
            message = f"these units need each other: {', '.join(sorted(left))}"
            raise ValueError(message)
        layers.append(free)
        for name in free:
            del left[name]
    return layers
