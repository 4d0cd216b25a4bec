"""The console's files, its stream of events, and what an investigator sees of a task."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from warmlane_contracts.apikey import new_key
from warmlane_testkit.builders import claimed, released
from warmlane_testkit.waiting import eventually


class Stream:
    """Reads a console's stream in the background."""

    def __init__(self, lines) -> None:
        self.events: list[tuple[str, str, dict]] = []
        self._lines = lines

    async def read(self) -> None:
        event_id = name = ""
        async for line in self._lines:
            field, _, value = line.partition(": ")
            if field == "id":
                event_id = value
            elif field == "event":
                name = value
            elif field == "data":
                self.events.append((name, event_id, json.loads(value)))

    def named(self, name: str) -> list[dict]:
        return [data for said, _, data in self.events if said == name]

    async def seen(self, name: str, check=lambda _: True) -> dict:
        async def found():
            return next((data for data in self.named(name) if check(data)), None)

        return await eventually(found, why=f"an event {name}")


@asynccontextmanager
async def console(client: httpx.AsyncClient, last: str | None = None):
    headers = {"Last-Event-ID": last} if last else {}
    async with client.stream("GET", "/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = Stream(answer.aiter_lines())
        reading = asyncio.create_task(stream.read())
        try:
            await stream.seen("snapshot")
            yield stream
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def test_everything_a_task_does_is_told(client, submit, status, lane) -> None:
    before = await submit()
    async with console(client) as stream:
        assert [task["task_id"] for task in stream.named("snapshot")[0]["tasks"]] == [before]
        assert {one["lane"] for one in stream.named("snapshot")[0]["lanes"]["lanes"]} == {"anisora", "phr00t"}
        task_id = await submit()
        first = await stream.seen("task", lambda task: task["task_id"] == task_id)
        assert first["status"] == "pending"
        for _ in range(2):
            await lane.make()
        done = await stream.seen("task", lambda task: task["task_id"] == task_id and task["status"] == "done")
        assert done == await status(task_id)
        assert (await client.delete(f"/gallery/{task_id}")).status_code == 204
        assert await stream.seen("task_deleted") == {"task_id": task_id}
        last = stream.events[-1][1]
    assert (await client.delete(f"/gallery/{before}")).status_code == 204
    async with console(client, last) as again:
        snapshot = again.named("snapshot")[0]
        assert snapshot["tasks"] == []
        assert before in snapshot["deleted"]


async def test_a_place_in_the_queue_is_told_when_it_moves(client, submit, lane) -> None:
    await submit()
    second = await submit()
    async with console(client) as stream:
        mine = next(task for task in stream.named("snapshot")[0]["tasks"] if task["task_id"] == second)
        assert mine["queue_position"] == 1
        await lane.make()
        await stream.seen("task", lambda task: task["task_id"] == second and task["queue_position"] == 0)


async def test_others_see_nothing_of_it(gateway, client, submit, lane) -> None:
    key = new_key()
    await gateway.gateway._wired.keys.ensure(key, "somebody")
    async with (
        httpx.AsyncClient(base_url=client.base_url, headers={"X-API-Key": key}) as other,
        console(other) as theirs,
    ):
        async with console(client) as mine:
            task_id = await submit()
            await lane.make()
            await mine.seen("task", lambda task: task["status"] == "done")
            await client.delete(f"/gallery/{task_id}")
            await mine.seen("task_deleted")
        assert theirs.named("task") == theirs.named("task_deleted") == []
        assert theirs.named("snapshot")[0]["diagnostics"] == []
        assert (await other.get(f"/tasks/{task_id}/timeline")).status_code == 404
        assert (await other.get("/tasks", params={"everyones": True})).status_code == 403


async def test_operators_hear_of_lanes_and_diagnostics(client) -> None:
    async with console(client) as stream:
        await client.post("/lanes/phr00t/mode", json={"mode": "degraded", "reason": "manual"})
        lanes = await stream.seen("lanes", lambda told: any(one["routing"] == "degraded" for one in told["lanes"]))
        assert lanes["degraded"]["depth"] == 25


@pytest.mark.parametrize(
    "last", ["x", "1", "-1.2", "9" * 18 + "." + "9" * 18, "9" * 30 + ".1", "1." + "9" * 30, "1.2.3"]
)
async def test_whatever_is_named_as_the_last_event_a_snapshot_comes(client, last) -> None:
    async with console(client, last) as stream:
        assert stream.named("snapshot")[0]["deleted"] == []


async def test_a_stop_says_goodbye(gateway, client) -> None:
    async with console(client) as stream:
        object.__setattr__(gateway.gateway._wired, "stopping", lambda: True)
        await eventually(lambda: stream.named("bye"))


async def test_the_timeline_of_two_attempts(client, submit, status, lane) -> None:
    task_id = await submit()
    delivery, job = await lane.fetch()
    first = await lane.claim(job)
    await status(task_id, "processing")
    await lane.progress(job, first, 60, 3)
    second = await lane.write(released(job.job_id, first, lane="phr00t"), after=first)
    third = await lane.write(claimed(job.job_id, lane="phr00t", attempt=2, worker="worker-2"), after=second)
    await lane.finish(delivery, job, third)
    await status(task_id, "done")

    async def told() -> dict:
        body = (await client.get(f"/tasks/{task_id}/timeline")).raise_for_status().json()
        assert "denoising" in [span["name"] for span in body["spans"]]
        return body

    body = await eventually(told)
    assert body["task"]["task_id"] == task_id
    assert [(span["name"], span["status"]) for span in body["spans"]] == [
        ("accepted", "ok"),
        ("queue", "ok"),
        ("attempt 1", "failed"),
        ("denoising", "failed"),
        ("queue", "ok"),
        ("attempt 2", "ok"),
        ("done", "ok"),
    ]
    assert body["spans"][2]["detail"]["worker"] == "worker-1"
    assert body["spans"][5]["detail"]["worker"] == "worker-2"
    times = [span["start"] for span in body["spans"] if span["depth"] == 0]
    assert times == sorted(times)


async def test_tasks_are_found_by_what_is_known_of_them(client, submit) -> None:
    task_id = await submit()
    for wanted, found in (
        ({"task_id": task_id[:20].lower()}, True),
        ({"task_id": "7" * 10}, False),
        ({"lane_mode": "dedicated", "everyones": True}, True),
        ({"lane_mode": "degraded_shared"}, False),
        ({"fallback_reason": "manual"}, False),
    ):
        items = (await client.get("/tasks", params=wanted)).raise_for_status().json()["items"]
        assert [item["task_id"] for item in items] == ([task_id] if found else []), wanted
    assert (await client.get("/tasks", params={"task_id": "%"})).status_code == 422


@pytest.mark.parametrize("path", ["/tasks", "/gallery", "/admin/diagnostics"])
@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
async def test_times_outside_of_time_are_refused(client, path, at) -> None:
    for field in ("since", "until"):
        answer = await client.get(path, params={field: at})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


@pytest.fixture
def built(gateway, tmp_path):
    """Give the gateway a built console."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>Warmlane</title>")
    (tmp_path / "assets" / "index-abc.js").write_text("console.log(1)")
    part = gateway.gateway
    application = part._http._server.config.app._app
    application.state.wired = replace(part._wired, console=tmp_path)
    return tmp_path


async def test_the_consoles_files(built, client) -> None:
    for path in ("/app/", "/app/gallery", "/app/tasks/anything"):
        page = await client.get(path)
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-cache")
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
    script = await client.get("/app/assets/index-abc.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]
    assert (await client.get("/app/assets/gone.js")).status_code == 404
    assert (await client.head("/app/")).status_code == 200
    assert (await client.get("/")).headers["location"] == "/app/"
    outside = await client.get("/app/%2e%2e/%2e%2e/etc/passwd")
    assert "root:" not in outside.text


async def test_a_console_that_is_not_built_says_so(gateway, client) -> None:
    application = gateway.gateway._http._server.config.app._app
    application.state.wired = replace(gateway.gateway._wired, console=None)
    answer = await client.get("/app/")
    assert answer.status_code == 503
    assert "make console" in answer.text
