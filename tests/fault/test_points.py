"""Each durable step is failed where it hurts most: the process dies right there, again and again."""

from pathlib import Path

import pytest

pytest.importorskip("warmlane_devstack", reason="the servers live in the main environment")

from warmlane_contracts.topology import LANES
from warmlane_testkit.chaos import Chaos
from warmlane_testkit.fleet import Fleet

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

POINTS = (
    "gateway.committed",
    "gateway.offering",
    "relay.published",
    "projector.applied",
    "lane.claimed",
    "lane.place_freed",
    "lane.generating",
    "lane.uploaded",
    "lane.committed",
)


@pytest.mark.parametrize("point", POINTS)
async def test_dying_at_a_durable_step_breaks_no_promise(tmp_path: Path, point: str) -> None:
    # Without a lane of its own every request is offered to the shared worker.
    lanes = () if point in {"gateway.offering", "lane.place_freed"} else LANES
    async with Fleet(tmp_path, gateways=2, lanes=lanes, env={"WARMLANE_FAULT": f"{point}:10"}) as fleet:
        chaos = Chaos(fleet, seed=3)
        report = await chaos.run(seconds=12, clients=4, kill_every_s=None)
        deaths = sum(len(member.ended) for member in fleet.members.values())
    print("\n".join([point, f"deaths {deaths}", *report.lines()]))
    assert report.violations == []
    assert report.ends["done"] > 20
    if point != "relay.published":  # the relay has work only when somebody else died
        assert deaths > 0, "nobody ever came to this step"
