"""Turns: round robin between keys, priorities within one, a bound for each."""

from typing import Any

import httpx
import pytest
from warmlane_contracts.apikey import new_key
from warmlane_contracts.messages import Cancelled
from warmlane_contracts.topology import LANE_STREAM
from warmlane_testkit.waiting import eventually

BODY = {"model": "phr00t", "prompt": "x"}
AT_THE_BROKER = 8


@pytest.fixture
async def guest(gateway: Any, client: httpx.AsyncClient) -> Any:
    """Return a client with a key of its own."""
    key = new_key()
    await gateway.gateway._wired.keys.ensure(key, "guest")
    async with httpx.AsyncClient(base_url=client.base_url, headers={"X-API-Key": key}, timeout=20) as made:
        yield made


async def make(client: httpx.AsyncClient, count: int, **changes: Any) -> list[str]:
    answers = [await client.post("/generate", json=BODY | changes) for _ in range(count)]
    assert {answer.status_code for answer in answers} == {202}
    return [answer.json()["task_id"] for answer in answers]


async def served(bus: Any, lane: Any, count: int) -> list[str]:
    """Have the lane do so many jobs; return whose they were, in order."""
    order = []
    for _ in range(count):
        delivery, job = await lane.fetch()
        await lane.finish(delivery, job, await lane.claim(job))
        order.append(job.task_id)
    return order


async def test_another_keys_first_task_goes_before_a_flood(client, guest, lane, bus) -> None:
    flood = await make(client, 30)
    [mine] = await make(guest, 1)
    assert await bus.depth(LANE_STREAM) <= AT_THE_BROKER
    position = (await guest.get(f"/status/{mine}")).json()["queue_position"]
    assert position <= AT_THE_BROKER, "the flood goes first"
    order = await served(bus, lane, 31)
    assert order.index(mine) <= AT_THE_BROKER + 2
    assert sorted(order) == sorted([*flood, mine]), "every task has its turn"


async def test_priority_counts_among_ones_own(client, lane, bus) -> None:
    await make(client, AT_THE_BROKER + 4, priority=2)
    [urgent] = await make(client, 1, priority=9)
    order = await served(bus, lane, AT_THE_BROKER + 5)
    assert order.index(urgent) <= AT_THE_BROKER + 1


async def test_positions_count_up_without_gaps(client, bus) -> None:
    tasks = await make(client, 12)

    async def positions() -> bool:
        seen = [(await client.get(f"/status/{task}")).json()["queue_position"] for task in tasks]
        return seen == list(range(12))

    await eventually(positions)


async def test_a_key_that_has_too_many_waiting_is_told_so_and_others_are_not(client, guest, gateway, bus) -> None:
    turns = gateway.gateway._wired.accept._must_wait.__self__
    turns._bound = 3
    await make(client, 3)
    refused = await client.post("/generate", json=BODY)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert int(refused.headers["Retry-After"]) >= 1
    await make(guest, 1)


async def test_a_held_task_that_is_cancelled_never_runs(client, lane, bus, status) -> None:
    *others, cancelled = await make(client, AT_THE_BROKER + 2)
    assert (await client.post(f"/tasks/{cancelled}/cancel")).status_code == 200
    for _ in others:
        delivery, job = await lane.fetch()
        while job.task_id == cancelled:  # its token comes in its turn; the register says that it has ended
            held = await lane.register.read(job.lane, job.job_id)
            assert isinstance(held.record, Cancelled)
            await delivery.ack()
            delivery, job = await lane.fetch()
        await lane.finish(delivery, job, await lane.claim(job))
    assert (await status(cancelled))["status"] == "cancelled"


async def test_held_tasks_that_are_cancelled_leave_nothing_waiting(gateway, client, status) -> None:
    tasks = await make(client, AT_THE_BROKER + 6)
    for task_id in reversed(tasks):  # those first whose turn has not come
        assert (await client.post(f"/tasks/{task_id}/cancel")).status_code == 200
        await status(task_id, "cancelled")

    async def left() -> int:
        [row] = await gateway.rows("select count(*) from outbox")
        return int(row["count"])

    async def nothing() -> bool:
        return await left() == 0

    await eventually(nothing)


@pytest.mark.parametrize("priority", [-1, 10, "high", 1.5, True])
async def test_a_priority_that_is_none_is_refused(client, priority) -> None:
    answer = await client.post("/generate", json=BODY | {"priority": priority})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "priority"
