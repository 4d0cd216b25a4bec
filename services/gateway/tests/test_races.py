"""What happens at the same moment: cancels against claims and ends, streams against changes and deletes."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from warmlane_bus.register import Lost, Written
from warmlane_contracts.messages import TERMINAL
from warmlane_testkit.builders import claimed, done


@pytest.mark.parametrize("round_number", range(4))
async def test_a_claim_and_cancels_at_once_agree_on_one_story(client, submit, status, lane, bus, round_number) -> None:
    task_id = await submit()
    _, job = await lane.fetch()
    claim = lane.register.write(claimed(job.job_id, lane=job.lane), after=0, traceparent="", correlation_id="")
    cancels = [client.post(f"/tasks/{task_id}/cancel") for _ in range(4)]
    order = [claim, *cancels] if round_number % 2 else [*cancels, claim]
    outcomes = await asyncio.gather(*order)
    answers = [outcome for outcome in outcomes if isinstance(outcome, httpx.Response)]
    assert {(answer.status_code, answer.json()["status"]) for answer in answers} == {(200, "cancelled")}
    assert (await status(task_id))["status"] == "cancelled"
    subject = f"wl.v1.state.{job.lane}.{job.job_id}"
    info = await bus.api.ask("STREAM.INFO.WL_STATE", {"subjects_filter": subject})
    claims = sum(isinstance(outcome, Written) for outcome in outcomes)
    assert info["state"]["subjects"][subject] == 1 + claims, "one cancellation, whoever wrote it"


async def test_a_cancel_and_an_end_at_once_leave_exactly_one_of_them(client, submit, status, lane) -> None:
    task_id = await submit()
    _, job = await lane.fetch()
    claim_seq = await lane.claim(job)
    await status(task_id, "processing")
    end = lane.register.write(
        done(job.job_id, claim_seq, lane=job.lane), after=claim_seq, traceparent="", correlation_id=""
    )
    answer, outcome = await asyncio.gather(client.post(f"/tasks/{task_id}/cancel"), end)
    held = await lane.register.read(job.lane, job.job_id)
    assert isinstance(held.record, TERMINAL)
    if isinstance(outcome, Lost):
        assert (answer.status_code, (await status(task_id, "cancelled"))["result"]) == (200, None)
    else:
        assert (answer.status_code, answer.json()["code"]) == (409, "task_finished")
        await status(task_id, "done")


async def test_many_followers_hear_the_same_end(client, submit, status, lane) -> None:
    task_id = await submit()
    following = [asyncio.create_task(events(client, task_id)) for _ in range(5)]
    delivery, job = await lane.fetch()
    claim_seq = await lane.claim(job)
    await status(task_id, "processing")
    await lane.finish(delivery, job, claim_seq)
    heard = await asyncio.wait_for(asyncio.gather(*following), 10)
    assert {(stream[-2][0], stream[-1][0]) for stream in heard} == {("status", "end")}
    assert len({json.dumps(stream[-2][1]) for stream in heard}) == 1
    for stream in heard:
        order = ["pending", "processing", "done"]
        seen = [order.index(data["status"]) for name, data in stream if name == "status"]
        assert seen == sorted(seen)


async def test_a_waiting_task_that_is_followed_again_is_told_once_where_it_now_stands(client, submit) -> None:
    task_id = await submit()
    async with client.stream("GET", f"/status/{task_id}/events") as stream:
        last = await anext(line async for line in stream.aiter_lines() if line.startswith("id: "))
    headers = {"Last-Event-ID": last[4:]}
    async with client.stream("GET", f"/status/{task_id}/events", headers=headers) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "retry: 1000"
        await client.post(f"/tasks/{task_id}/cancel")
        heard = [json.loads(line[6:]) async for line in lines if line.startswith("data: {") and line != "data: {}"]
    assert [(data["status"], data["queue_position"]) for data in heard] == [("pending", 0), ("cancelled", None)]
    assert heard[0]["change"] == int(last[4:])


async def test_whoever_waits_is_told_that_the_queue_moves(client, submit) -> None:
    first, second = await submit(), await submit()
    async with asyncio.timeout(8), client.stream("GET", f"/status/{second}/events") as stream:
        positions = (json.loads(line[6:])["queue_position"] async for line in stream.aiter_lines() if "{" in line)
        assert await anext(positions) == 1
        await client.post(f"/tasks/{first}/cancel")
        assert await anext(positions) == 0


async def events(client: httpx.AsyncClient, task_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Follow a task to the end; return the events' names and data."""
    seen, name = [], ""
    async with client.stream("GET", f"/status/{task_id}/events") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                seen.append((name, json.loads(line[6:])))
    return seen
