"""Wall clocks that jump: ours only ever make us wait or look again, so no promise depends on them."""

import asyncio
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("warmlane_devstack", reason="the servers live in the main environment")

from warmlane_testkit.chaos import Chaos
from warmlane_testkit.fleet import Fleet

pytestmark = [pytest.mark.fault, pytest.mark.timeout(420)]

JUMPS_S = (-600, -45, 0, 45, 600)
"""Past every patience of ours, and within the quarter of an hour that an S3 signature may be off."""


@pytest.fixture(scope="module")
def libfaketime() -> str:
    """Return the library that gives a process another clock, installed where that needs nobody's leave."""
    if not found() and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-q", "libfaketime"], capture_output=True, check=False)
    libraries = found()
    if not libraries:
        pytest.skip("no libfaketime on this machine: install it (Debian, Ubuntu: apt install libfaketime)")
    return str(libraries[0])


def found() -> list[Path]:
    return sorted(Path("/usr/lib").glob("**/faketime/libfaketimeMT.so.1"))


@pytest.mark.parametrize("seed", [random.randrange(10**6)])
@pytest.mark.parametrize("kill_every_s", [None, 6.0])
async def test_jumping_clocks_break_no_promise(
    tmp_path: Path, libfaketime: str, kill_every_s: float | None, seed: int
) -> None:
    clocks = tmp_path / "clocks"
    clocks.mkdir()
    env = {
        "LD_PRELOAD": libfaketime,
        "FAKETIME_TIMESTAMP_FILE": str(clocks / "{name}"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    randomly = random.Random(seed)
    jumps: list[int] = []

    async def jump(fleet: Fleet) -> None:
        while True:
            await asyncio.sleep(2)
            jumps.append(randomly.choice(JUMPS_S))
            (clocks / randomly.choice(list(fleet.members))).write_text(f"{jumps[-1]:+d}s\n")

    async with Fleet(tmp_path / "fleet", gateways=2, admissions=2, shared=2, env=env) as fleet:
        chaos = Chaos(fleet, seed=seed)
        jumping = asyncio.create_task(jump(fleet))
        report = await chaos.run(seconds=40, clients=4, kill_every_s=kill_every_s)
        jumping.cancel()
        await asyncio.gather(jumping, return_exceptions=True)
    print(f"seed {seed}, {len(jumps)} jumps", *report.lines(), sep="\n")
    assert len(jumps) > 10
    assert report.violations == []
    assert report.ends["done"] > 20
