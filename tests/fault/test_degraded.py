"""The promises of degraded mode, with real processes: nothing runs out of memory, nobody waits too long, all ends agree."""

import asyncio
import base64
import io
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("warmlane_devstack", reason="the servers live in the main environment")

from PIL import Image
from warmlane_contracts.messages import MemoryCleaned, MemoryMeasured
from warmlane_contracts.topology import EVENT_STREAM, WAIT_DEPTH, WAIT_S
from warmlane_testkit.chaos import Chaos
from warmlane_testkit.checker import check
from warmlane_testkit.evidence import read_stream
from warmlane_testkit.fleet import Fleet

pytestmark = [pytest.mark.fault, pytest.mark.timeout(420)]

ALTERNATING = 1000


def picture() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


async def test_a_thousand_alternating_requests_fit_a_budget_of_one_model(tmp_path: Path) -> None:
    """The scripted models take 600 bytes each of a device of 1000: a second one beside the first could not load."""
    bodies: list[dict[str, Any]] = [
        {"model": "anisora", "prompt": "steps=1 pause=0", "reference_image": picture()},
        {"model": "phr00t", "prompt": "steps=1 pause=0"},
    ]
    async with Fleet(tmp_path, lanes=(), env={"WARMLANE_SIMULATED_VRAM_BYTES": "1000"}) as fleet:
        chaos = Chaos(fleet, seed=1)
        numbers = iter(range(ALTERNATING))

        async def one_after_the_other(client: Any) -> None:
            for number in numbers:
                await chaos.submit(client, bodies[number % 2])

        async with fleet.client() as client:
            await asyncio.gather(*(one_after_the_other(client) for _ in range(8)))
        evidence = await chaos.settle()
        facts = [fact for _, _, fact in await read_stream(fleet.bus, EVENT_STREAM)]
    assert chaos.report.answers == {"202": ALTERNATING}
    assert {row["status"] for row in evidence.tasks.values()} == {"done"}
    evicted = [fact.allocated_bytes for fact in facts if isinstance(fact, MemoryMeasured) and fact.stage == "evicted"]
    print(f"{ALTERNATING} done, {len(evicted)} switches, every one released: {set(evicted) == {0}}")
    assert len(evicted) > ALTERNATING / 8, "the requests did not alternate"
    assert set(evicted) == {0}, "a switch left something behind"
    cleaned = [fact for fact in facts if isinstance(fact, MemoryCleaned) and fact.task_id]
    assert len(cleaned) == ALTERNATING
    assert check(evidence) == []


@pytest.mark.parametrize("kill_every_s", [None, 2.0])
async def test_two_hundred_at_once_wait_at_most_25_deep_and_30_s(tmp_path: Path, kill_every_s: float | None) -> None:
    async with Fleet(tmp_path, gateways=3, admissions=3, lanes=()) as fleet:
        chaos = Chaos(fleet, seed=1)
        watching = asyncio.create_task(chaos._watch_depth())
        killing = asyncio.create_task(kill_admissions(fleet, kill_every_s))

        async def ask(number: int) -> None:
            async with fleet.client(number) as client:
                await chaos.submit(client, {"model": "phr00t", "prompt": "steps=1 pause=10"})

        began = time.monotonic()
        await asyncio.gather(*(ask(number) for number in range(200)))
        took_s = time.monotonic() - began
        killing.cancel()
        evidence = await chaos.settle()
        watching.cancel()
        await asyncio.gather(watching, killing, return_exceptions=True)
    refused = sorted(answer.took_s for answer in chaos.answers if answer.status == 503)
    waited = [answer for answer in chaos.answers if answer.took_s > WAIT_S / 2]
    at_once = [s for s in refused if s < WAIT_S / 2]
    print(
        f"{chaos.report.answers}, deepest {max(chaos.depths)}, refused at once {len(at_once)} (slowest {at_once[-1]:.2f} s), "
        f"longest wait {refused[-1]:.1f} s, all answered in {took_s:.1f} s"
    )
    assert check(evidence) == []
    assert len(chaos.answers) == 200
    assert max(chaos.depths) == WAIT_DEPTH
    # Two hundred clients of one process need seconds to be heard at all: as long as the slowest answer that waits for nothing.
    assert refused[-1] - at_once[-1] < WAIT_S + 2.0, "somebody waited too long"
    # Whether the first one's place was free again before the others came is a matter of milliseconds.
    assert len(at_once) in {200 - WAIT_DEPTH - 1, 200 - WAIT_DEPTH}, "all but those who could wait are refused at once"
    assert all(answer.code in {None, "queue_overloaded"} for answer in waited)


async def kill_admissions(fleet: Fleet, every_s: float | None) -> None:
    number = 0
    while every_s is not None:
        await asyncio.sleep(every_s)
        await fleet.kill(f"admission-{number % 3}")
        number += 1


async def test_a_lane_that_is_off_falls_back_with_the_cause_and_returns_within_ten_seconds(tmp_path: Path) -> None:
    body = {"model": "phr00t", "prompt": "steps=1"}
    async with Fleet(tmp_path) as fleet, fleet.client() as client:

        async def mode() -> Any:
            lanes = {lane["lane"]: lane for lane in (await client.get("/lanes")).json()["lanes"]}
            return lanes["phr00t"]["mode"], lanes["phr00t"]["fallback_reason"]

        async def until(wanted: Any, within_s: float) -> float:
            began = time.monotonic()
            while await mode() != wanted:
                assert time.monotonic() - began < within_s, await mode()
                await asyncio.sleep(0.1)
            return time.monotonic() - began

        async def made() -> Any:
            task_id = (await client.post("/generate", json=body)).raise_for_status().json()["task_id"]
            while (status := (await client.get(f"/status/{task_id}")).json())["status"] != "done":
                assert status["status"] != "failed", status
                await asyncio.sleep(0.05)
            return status["lane_mode"], status["fallback_reason"]

        await until(("dedicated", None), 10)
        assert await made() == ("dedicated", None)
        lane = fleet.members["lane-phr00t"]
        await lane.end()
        off_s = await until(("degraded_shared", "capacity"), 30)
        assert await made() == ("degraded_shared", "capacity")
        lane.begin()
        await lane.ready()
        back_s = await until(("dedicated", None), 10)
        assert await made() == ("dedicated", None)
        print(f"off noticed after {off_s:.1f} s, back {back_s:.1f} s after the lane was ready")
