"""Stalls: a disk that makes a server wait, a process that is frozen and thaws. Nothing breaks a connection; time just passes."""

import asyncio
import contextlib
import random
from pathlib import Path

import psutil
import pytest

pytest.importorskip("warmlane_devstack", reason="the servers live in the main environment")

from warmlane_testkit.chaos import Chaos
from warmlane_testkit.fleet import Fleet

pytestmark = [pytest.mark.fault, pytest.mark.timeout(420)]

SERVER_S = (0.5, 5.0)
MEMBER_S = (0.5, 20.0)
"""Up to longer than a claim holds without a heartbeat: whoever thaws then finds that another has gone on."""


class Stalls:
    """Freezes one thing after the other, with all its processes."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self._fleet = fleet
        self._random = random.Random(seed)
        self.frozen: list[str] = []

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(2)
                names = [*self._fleet.servers, *self._fleet.members]
                group.create_task(self._freeze(self._random.choice(names)))

    async def _freeze(self, name: str) -> None:
        server = self._fleet.servers.get(name)
        pid = server.pid if server is not None else self._fleet.members[name].pid
        seconds = self._random.uniform(*(MEMBER_S if server is None else SERVER_S))
        self.frozen.append(f"{name} {seconds:.1f} s")
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            family = [process, *process.children(recursive=True)]
            for one in family:
                one.suspend()
            try:
                await asyncio.sleep(seconds)
            finally:
                for one in family:
                    with contextlib.suppress(psutil.Error):
                        one.resume()


@pytest.mark.parametrize("seed", [random.randrange(10**6)])
async def test_what_stalls_breaks_no_promise(tmp_path: Path, seed: int) -> None:
    async with Fleet(tmp_path, gateways=2, admissions=2, shared=2) as fleet:
        chaos, stalls = Chaos(fleet, seed=seed), Stalls(fleet, seed)
        freezing = asyncio.create_task(stalls.run())
        try:
            report = await chaos.run(seconds=60, clients=6, kill_every_s=None)
        finally:
            freezing.cancel()
            await asyncio.gather(freezing, return_exceptions=True)
    print(f"seed {seed}, {len(stalls.frozen)} stalls: {', '.join(stalls.frozen)}", *report.lines(), sep="\n")
    assert len(stalls.frozen) > 20
    assert report.violations == []
    assert report.ends["done"] > 20
