"""Everything may be killed at any time, and no promise is broken. Longer runs: `python bench/kills.py --minutes 10`."""

import random
from pathlib import Path

import pytest

pytest.importorskip("warmlane_devstack", reason="the servers live in the main environment")

from warmlane_testkit.chaos import Chaos
from warmlane_testkit.fleet import Fleet

pytestmark = [pytest.mark.fault, pytest.mark.timeout(420)]


@pytest.mark.parametrize("seed", [random.randrange(10**6)])
async def test_random_kills_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    async with Fleet(tmp_path, gateways=2, admissions=2, shared=2) as fleet:
        report = await Chaos(fleet, seed=seed).run(seconds=60, clients=6, kill_every_s=4)
    print("\n".join(report.lines()))
    assert report.violations == []
    assert report.ends["done"] > 50


async def test_a_quiet_run_keeps_every_promise(tmp_path: Path) -> None:
    async with Fleet(tmp_path) as fleet:
        report = await Chaos(fleet, seed=1).run(seconds=10, clients=4, kill_every_s=None)
    print("\n".join(report.lines()))
    assert report.violations == []
    assert report.cleanups >= report.attempts > 0
