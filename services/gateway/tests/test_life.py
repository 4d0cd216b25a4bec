"""A task's life as clients see it: status, events, cancel, results, gallery; and projections that can be replayed."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from warmlane_contracts.messages import Cancelled, Failed
from warmlane_contracts.topology import LANE_STREAM
from warmlane_testkit.builders import claimed, failed, released
from warmlane_testkit.waiting import eventually


async def follow(
    client: httpx.AsyncClient, task_id: str, last_id: str | None = None
) -> list[tuple[int, dict[str, Any]]]:
    """Return the events of a task to the end of its stream: change number and status."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    seen: list[tuple[int, dict[str, Any]]] = []
    number = 0
    async with client.stream("GET", f"/status/{task_id}/events", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-cache, no-transform"
        async for line in stream.aiter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: {") and line != "data: {}":
                seen.append((number, json.loads(line[6:])))
    return seen


async def test_from_pending_to_done(client, submit, status, lane) -> None:
    task_id = await submit(seed=7)
    waiting = await status(task_id)
    assert (waiting["status"], waiting["queue_position"], waiting["stage"]) == ("pending", 0, "queued")
    assert waiting["eta_s"] > 0
    following = asyncio.create_task(follow(client, task_id))
    delivery, job = await lane.fetch()
    claim_seq = await lane.claim(job)
    running = await status(task_id, "processing")
    assert (running["attempt"], running["worker"], running["queue_position"]) == (1, "worker-1", None)
    await lane.objects.put("results/live.webp", b"live", content_type="image/webp")
    await lane.progress(job, claim_seq, 40, 2, live_preview_key="results/live.webp")
    await eventually(lambda: at(status, task_id, 40))
    await lane.progress(job, claim_seq, 30, 1)
    await lane.progress(job, claim_seq + 99, 90, 4)
    preview = await client.get((await status(task_id))["preview_url"])
    assert (preview.content, preview.headers["cache-control"]) == (b"live", "no-store")
    assert (await client.get(f"/results/{task_id}")).json()["code"] == "result_not_ready"
    await lane.finish(delivery, job, claim_seq)
    done = await status(task_id, "done")
    assert (done["progress"], done["result"]["url"], done["error"]) == (100, f"/results/{task_id}", None)
    assert done["timings"]["total_s"] == 1.5
    events = await asyncio.wait_for(following, 10)
    numbers = [number for number, _ in events]
    assert numbers == sorted(numbers)
    progress = [body["progress"] for _, body in events]
    assert progress == sorted(progress)
    assert events[-1][1] == done


async def at(status: Any, task_id: str, progress: int) -> bool:
    return (await status(task_id))["progress"] == progress


async def test_a_stream_that_is_resumed_repeats_nothing(client, submit, status, lane) -> None:
    task_id = await submit()
    await lane.make()
    done = await status(task_id, "done")
    events = await follow(client, task_id)
    assert [body["status"] for _, body in events] == ["done"]
    assert await follow(client, task_id, str(done["change"])) == []
    assert len(await follow(client, task_id, str(done["change"] - 1))) == 1
    assert len(await follow(client, task_id, "nonsense")) == 1


async def test_a_waiting_task_that_is_cancelled_never_reaches_a_lane(client, submit, lane) -> None:
    task_id = await submit()
    _, job = await lane.fetch()
    answer = await client.post(f"/tasks/{task_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    held = await lane.register.read("phr00t", job.job_id)
    assert isinstance(held.record, Cancelled)
    again = await client.post(f"/tasks/{task_id}/cancel")
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")


async def test_a_running_task_is_cancelled_on_top_of_its_claim(client, submit, status, lane, bus) -> None:
    task_id = await submit()
    _, job = await lane.fetch()
    async with bus.hints("wl.v1.hint.cancel.phr00t.*") as hints:
        claim_seq = await lane.claim(job)
        await status(task_id, "processing")
        assert (await client.post(f"/tasks/{task_id}/cancel")).json()["status"] == "cancelled"
        hint = await asyncio.wait_for(anext(hints), 5)
        assert hint.subject.endswith(job.job_id)
    record = failed(job.job_id, claim_seq, lane="phr00t")
    outcome = await lane.register.write(record, after=claim_seq, traceparent="", correlation_id="")
    assert type(outcome).__name__ == "Lost"


async def test_a_finished_task_cannot_be_cancelled(client, submit, status, lane) -> None:
    task_id = await submit()
    await lane.make()
    await status(task_id, "done")
    answer = await client.post(f"/tasks/{task_id}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "task_finished")


async def test_a_failure_says_why(submit, status, lane) -> None:
    task_id = await submit()
    _, job = await lane.fetch()
    claim_seq = await lane.claim(job)
    record = failed(job.job_id, claim_seq, lane="phr00t", message="The device was lost. Try again.")
    assert isinstance(record, Failed)
    await lane.write(record, after=claim_seq)
    body = await status(task_id, "failed")
    assert body["error"] == {"code": "engine_failed", "message": "The device was lost. Try again."}


async def test_a_second_attempt_starts_again(submit, status, lane) -> None:
    task_id = await submit()
    delivery, job = await lane.fetch()
    first = await lane.claim(job)
    await status(task_id, "processing")  # progress that is read before its claim shows nothing
    await lane.progress(job, first, 60, 3)
    await eventually(lambda: at(status, task_id, 60))
    second = await lane.write(released(job.job_id, first, lane="phr00t"), after=first)
    assert (await status(task_id, "pending"))["progress"] == 0
    third = await lane.write(claimed(job.job_id, lane="phr00t", attempt=2), after=second)
    assert (await status(task_id, "processing"))["attempt"] == 2
    await lane.finish(delivery, job, third)
    await status(task_id, "done")


@pytest.mark.parametrize(
    ("header", "code", "body", "content_range"),
    [
        (None, 200, b"0123456789", None),
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=5-500", 206, b"56789", "bytes 5-9/10"),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("nonsense", 200, b"0123456789", None),
    ],
)
async def test_ranges(client, submit, status, lane, header, code, body, content_range) -> None:
    task_id = await submit()
    await lane.make()
    await status(task_id, "done")
    answer = await client.get(f"/results/{task_id}", headers={"Range": header} if header else {})
    assert (answer.status_code, answer.content) == (code, body)
    assert answer.headers.get("content-range") == content_range
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"


async def test_results_that_are_known_gone_or_out_of_range(client, submit, status, lane, objects) -> None:
    task_id = await submit()
    await lane.make()
    await status(task_id, "done")
    answer = await client.get(f"/results/{task_id}")
    known = await client.get(f"/results/{task_id}", headers={"If-None-Match": answer.headers["etag"]})
    assert known.status_code == 304
    outside = await client.get(f"/results/{task_id}", headers={"Range": "bytes=10-"})
    assert (outside.status_code, outside.json()["code"]) == (416, "range_not_satisfiable")
    for info in await objects.list(f"results/{task_id}/"):
        await objects.delete(info.key)
    for path in (f"/results/{task_id}", f"/preview/{task_id}"):
        gone = await client.get(path)
        assert (gone.status_code, gone.json()["code"]) == (410, "result_gone")


async def test_the_gallery_pages_filters_and_deletes(gateway, client, submit, status, lane, objects) -> None:
    task_ids = []
    for prompt in ("a red kite", "a blue kite", "a boat"):
        task_ids.append(await submit(prompt=prompt))
        await lane.make()
        await status(task_ids[-1], "done")
    waiting = await submit(prompt="a kite that waits")
    first = (await client.get("/gallery", params={"limit": 2})).json()
    assert [item["task_id"] for item in first["items"]] == [task_ids[2], task_ids[1]]
    rest = (await client.get("/gallery", params={"limit": 2, "before": first["next"]})).json()
    assert ([item["task_id"] for item in rest["items"]], rest["next"]) == ([task_ids[0]], None)
    kites = (await client.get("/gallery", params={"text": "KITE"})).json()["items"]
    assert [item["task_id"] for item in kites] == [task_ids[1], task_ids[0]]
    assert (await client.get("/gallery", params={"model": "anisora"})).json()["items"] == []
    assert (await client.delete(f"/gallery/{waiting}")).status_code == 409
    assert (await client.delete(f"/gallery/{task_ids[0]}")).status_code == 204
    assert (await client.delete(f"/gallery/{task_ids[0]}")).status_code == 404

    async def swept() -> bool:
        return not await objects.list(f"results/{task_ids[0]}/") and not await gateway.rows("select 1 from trash")

    await eventually(swept)
    listed = (await client.get("/tasks", params={"status": "pending"})).json()["items"]
    assert [item["task_id"] for item in listed] == [waiting]


async def test_tasks_of_others_do_not_exist(gateway, submit) -> None:
    from warmlane_contracts.apikey import new_key

    task_id = await submit()
    other = new_key()
    await gateway.gateway._wired.keys.ensure(other, "other")
    async with httpx.AsyncClient(base_url=gateway.client.base_url, headers={"X-API-Key": other}) as stranger:
        for method, path in (
            ("GET", f"/status/{task_id}"),
            ("GET", f"/results/{task_id}"),
            ("POST", f"/tasks/{task_id}/cancel"),
            ("DELETE", f"/gallery/{task_id}"),
        ):
            assert (await stranger.request(method, path)).json()["code"] == "task_not_found"
        assert (await stranger.get("/tasks")).json()["items"] == []


_PROJECTION = (
    "select task_id, status, progress, stage, attempt, worker, claim_seq, state_seq, result, timings, error_code,"
    " started_at, finished_at from tasks order by task_id"
)


async def test_replaying_the_streams_gives_the_same_rows(gateway, submit, status, lane, bus) -> None:
    done = await submit()
    await lane.make()
    broken = await submit()
    _, job = await lane.fetch()
    claim_seq = await lane.claim(job)
    await lane.write(failed(job.job_id, claim_seq, lane="phr00t"), after=claim_seq)
    await status(done, "done")
    await status(broken, "failed")
    before = [tuple(row) for row in await gateway.rows(_PROJECTION)]
    await gateway.rows(
        "update tasks set status = 'pending', progress = 0, stage = 'queued', attempt = 0, worker = null, claim_seq = 0,"
        " state_seq = 0, event_seq = 0, result = null, timings = null, error_code = null, started_at = null,"
        " finished_at = null"
    )
    from warmlane_bus.topology import apply_topology
    from warmlane_contracts.topology import PROJECTOR_STATE, STATE_STREAM, TOPOLOGY
    from warmlane_gateway.consumers.projector import Projector

    await bus.api.ask(f"CONSUMER.DELETE.{STATE_STREAM}.{PROJECTOR_STATE}")
    await apply_topology(bus, TOPOLOGY)
    replay = asyncio.create_task(
        Projector.both(bus=bus, postgres=gateway.gateway._postgres, tasks=gateway.gateway._wired.tasks)[0].run()
    )

    async def same() -> bool:
        return [tuple(row) for row in await gateway.rows(_PROJECTION)] == before

    try:
        # What the running gateway's projector held of the old consumer comes again after its ack wait.
        await eventually(same, within_s=35)
    finally:
        replay.cancel()


async def test_a_job_that_is_published_twice_is_one_message(gateway, submit, bus) -> None:
    await submit()
    relay_rows = await gateway.rows("select 1")
    assert relay_rows

    async def sent() -> bool:
        return not await gateway.rows("select 1 from outbox")

    await eventually(sent)
    (row,) = await gateway.rows("select job_id, lane from tasks")
    subject = f"wl.v1.lane.{row['lane']}.{row['job_id']}"
    await gateway.rows(
        "insert into outbox (message_id, subject, payload, created_at) values ($1, $2, $3, now() - interval '1 hour')",
        row["job_id"],
        subject,
        b"again",
    )
    await eventually(sent)
    assert (await bus.api.ask(f"STREAM.INFO.{LANE_STREAM}"))["state"]["messages"] == 1
