"""A clip that no worker could hold is refused before anything is stored; what was measured shows in the catalogue."""

from datetime import UTC, datetime
from typing import Any

import pytest
from warmlane_contracts.memory_model import Calibration, Line
from warmlane_contracts.messages import LaneRecord
from warmlane_contracts.topology import DIRECTORY_BUCKET, SHARED, directory_key
from warmlane_testkit.waiting import eventually

BODY = {"model": "phr00t", "prompt": "x", "width": 832, "height": 480, "num_frames": 81}
CALIBRATION = Calibration(
    model="phr00t",
    device="test",
    meter="simulated",
    points=5,
    denoising=Line(base=1000, slope=1),
    decoding=Line(base=1000, slope=0.01),
    residual=10,
)
PEAK = 1000 + 32760 + 10


@pytest.fixture
def show(bus: Any, gateway: Any) -> Any:
    """Return a function that shows a measured worker to the gateway."""

    async def one(lane: str, budget: int | None) -> None:
        record = LaneRecord(
            lane_key=lane,
            worker="w",
            model="phr00t",
            mode="degraded_shared" if lane == SHARED else "dedicated",
            warm=True,
            availability="ready",
            engine="tiny",
            budget_bytes=budget,
            calibrations=(CALIBRATION,),
            updated_at=datetime.now(UTC),
        )
        bucket = await bus.bucket(DIRECTORY_BUCKET)
        await bucket.put(directory_key(lane, "w"), record.model_dump_json().encode())
        lanes = gateway.gateway._wired.lanes
        await eventually(lambda: [one.budget_bytes for one in lanes.workers(lane)] == [budget])

    return one


async def test_a_clip_that_fits_nobody_is_refused_with_the_largest_size_that_fits(client, show, gateway) -> None:
    await show("phr00t", PEAK // 2)
    answer = await client.post("/generate", json=BODY)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "exceeds_memory_budget")
    allowed = {error["field"]: error["allowed"] for error in problem["errors"]}
    assert f"{allowed['width']}×{allowed['height']}" in problem["user_action"]
    assert await gateway.rows("select 1 from tasks") == []
    smaller = await client.post("/generate", json=BODY | allowed)
    assert smaller.status_code == 202, "what was said to fit is refused"


async def test_a_roomier_shared_worker_is_enough(client, show) -> None:
    await show("phr00t", PEAK // 2)
    await show(SHARED, PEAK)
    assert (await client.post("/generate", json=BODY)).status_code == 202


async def test_where_nothing_was_measured_nothing_is_refused(client, show) -> None:
    await show("phr00t", None)
    assert (await client.post("/generate", json=BODY)).status_code == 202


async def test_the_catalogue_tells_what_was_measured(client, show) -> None:
    await show("phr00t", 5000)
    memory = (await client.get("/models")).json()["memory"]
    assert memory["anisora"] == []
    [known] = memory["phr00t"]
    assert known["budget_bytes"] == 5000
    assert known["calibration"]["points"] == 5
    assert known["default_peak_bytes"] > 1000
