"""Requests for a lane that cannot take them: claimed by a shared worker, or refused the agreed way, and never both."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from warmlane_bus.register import Written
from warmlane_contracts.apikey import new_key
from warmlane_contracts.envelope import decode, encode, seal
from warmlane_contracts.messages import Expired, FallbackActivated, JobRequested, LaneRecord, MemoryCleaned, Rejected
from warmlane_contracts.topology import (
    DIRECTORY_BUCKET,
    LANE_STREAM,
    SHARED,
    WAIT_DEPTH,
    WAIT_STREAM,
    directory_key,
    event_subject,
    wait_consumer,
)
from warmlane_testkit.builders import claimed, done
from warmlane_testkit.waiting import eventually

BODY = {"model": "phr00t", "prompt": "a paper boat", "seed": 7}
SOON_S = 0.5


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the wait be over soon, for this process."""
    monkeypatch.setattr("warmlane_gateway.usecases.offer.WAIT_S", SOON_S)


class Shared:
    """Plays a shared worker."""

    def __init__(self, bus: Any, lane: Any) -> None:
        self.bus = bus
        self.lane = lane

    async def show(self, lane: str = SHARED, worker: str = "w", **changes: Any) -> None:
        mode = "degraded_shared" if lane == SHARED else "dedicated"
        fields = {"availability": "ready", "warm": True, "mode": mode, "engine": "tiny"} | changes
        record = LaneRecord(lane_key=lane, worker=worker, model=lane, updated_at=datetime.now(UTC), **fields)
        bucket = await self.bus.bucket(DIRECTORY_BUCKET)
        await bucket.put(directory_key(lane, worker), record.model_dump_json().encode())

    async def fetch(self) -> tuple[Any, JobRequested]:
        pull = await self.bus.pull(WAIT_STREAM, wait_consumer("phr00t"))
        delivery = await pull.fetch(10)
        assert delivery is not None, "nothing waits"
        job = decode(delivery.data).data
        assert isinstance(job, JobRequested)
        return delivery, job

    async def claim(self) -> tuple[JobRequested, int]:
        delivery, job = await self.fetch()
        record = claimed(
            job.job_id, lane=job.lane, lane_mode="degraded_shared", fallback_reason=job.fallback_reason, job=job
        )
        seq = await self.lane.write(record, after=0)
        await delivery.ack()
        return job, seq


@pytest.fixture
async def shared(gateway: Any, bus: Any, lane: Any) -> Shared:
    """Return a shared worker that the gateway sees; the lane itself has none."""
    made = Shared(bus, lane)
    await made.show()
    await eventually(lambda: gateway.gateway._wired.lanes.directory.ready_shared() > 0)
    return made


async def register_of(lane: Any, task_id: str) -> Any:
    held = await lane.register.read("phr00t", f"{task_id}-1")
    return held.record if held else None


async def test_the_answer_waits_until_a_shared_worker_claims_the_task(client, shared, status, gateway) -> None:
    asking = asyncio.create_task(client.post("/generate", json=BODY))
    job, seq = await shared.claim()
    answer = await asking
    assert (answer.status_code, answer.json()) == (202, {"task_id": job.task_id, "status": "pending"})
    assert (job.lane_mode, job.fallback_reason, job.lane) == ("degraded_shared", "capacity", "phr00t")
    body = await status(job.task_id, "processing")
    assert (body["lane_mode"], body["fallback_reason"]) == ("degraded_shared", "capacity")
    await shared.lane.write(done(job.job_id, seq, lane="phr00t"), after=seq)
    await status(job.task_id, "done")

    async def outbox_is_empty() -> bool:
        return not await gateway.rows("select 1 from outbox")

    await eventually(outbox_is_empty)


async def test_a_client_that_prefers_it_is_answered_at_once(client, shared, status) -> None:
    answer = await client.post("/generate", json=BODY, headers={"Prefer": "respond-async"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "respond-async")
    body = await status(answer.json()["task_id"])
    assert (body["status"], body["queue_position"]) == ("pending", 0)
    assert body["eta_s"] > 0


async def test_a_request_that_waited_too_long_is_refused_and_never_runs(client, shared, soon, status, lane) -> None:
    answer = await client.post("/generate", json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_overloaded")
    assert int(answer.headers["Retry-After"]) >= 1
    _, job = await shared.fetch()
    record = await register_of(lane, job.task_id)
    assert isinstance(record, Expired)
    outcome = await lane.register.write(claimed(job.job_id, lane="phr00t"), after=0, traceparent="", correlation_id="")
    assert not isinstance(outcome, Written), "a refused task was claimed"
    body = await status(job.task_id, "failed")
    assert (body["error"]["code"], body["attempt"]) == ("queue_overloaded", 0)


async def test_an_asynchronous_request_that_waited_too_long_fails_with_the_same_code(
    client, shared, soon, status
) -> None:
    answer = await client.post("/generate", json=BODY, headers={"Prefer": "respond-async"})
    body = await status(answer.json()["task_id"], "failed")
    assert body["error"]["code"] == "queue_overloaded"


async def test_the_twenty_sixth_is_refused_at_once_and_told_when_to_come_back(client, shared, lane, bus) -> None:
    await shared.show(service_s=12.0)
    asked = [
        asyncio.create_task(client.post("/generate", json=BODY, headers={"Prefer": "respond-async"}))
        for _ in range(WAIT_DEPTH + 5)
    ]
    answers = await asyncio.gather(*asked)
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [202] * WAIT_DEPTH + [503] * 5
    assert await bus.depth(WAIT_STREAM) == WAIT_DEPTH
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.json()["code"] == "queue_overloaded"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


async def test_a_refused_task_is_kept_as_refused(client, shared, gateway, status, lane) -> None:
    for _ in range(WAIT_DEPTH):
        assert (await client.post("/generate", json=BODY, headers={"Prefer": "respond-async"})).status_code == 202
    assert (await client.post("/generate", json=BODY)).status_code == 503
    [row] = await gateway.rows("select task_id from tasks order by task_id desc limit 1")
    body = await status(row["task_id"], "failed")
    assert body["error"]["code"] == "queue_overloaded"
    assert isinstance(await register_of(lane, row["task_id"]), Rejected)

    async def outbox_is_empty() -> bool:
        return not await gateway.rows("select 1 from outbox")

    await eventually(outbox_is_empty)


async def test_a_refused_idempotency_key_may_be_used_again(client, shared, soon) -> None:
    headers = {"Idempotency-Key": "once"}
    assert (await client.post("/generate", json=BODY, headers=headers)).status_code == 503
    await shared.fetch()
    asking = asyncio.create_task(client.post("/generate", json=BODY, headers=headers))
    job, _ = await shared.claim()
    answer = await asking
    assert (answer.status_code, answer.json()["task_id"]) == (202, job.task_id)
    again = await client.post("/generate", json=BODY, headers=headers)
    assert again.json()["task_id"] == job.task_id


async def test_a_cancel_while_it_waits_settles_it(client, shared, status) -> None:
    asking = asyncio.create_task(client.post("/generate", json=BODY))
    _, job = await shared.fetch()
    await status(job.task_id, "pending")
    assert (await client.post(f"/tasks/{job.task_id}/cancel")).status_code == 200
    assert (await asking).status_code == 202
    assert (await status(job.task_id))["status"] == "cancelled"


async def test_a_cancel_frees_the_place_at_once(client, shared, bus) -> None:
    asked = [await client.post("/generate", json=BODY, headers={"Prefer": "respond-async"}) for _ in range(26)]
    assert [answer.status_code for answer in asked] == [202] * 25 + [503]
    first = asked[0].json()["task_id"]
    assert (await client.post(f"/tasks/{first}/cancel")).status_code == 200
    assert await bus.depth(WAIT_STREAM) == 24
    assert (await client.post("/generate", json=BODY, headers={"Prefer": "respond-async"})).status_code == 202


async def test_a_gateway_that_stops_answers_those_who_wait(client, shared, gateway) -> None:
    asking = asyncio.create_task(client.post("/generate", json=BODY))
    await shared.fetch()
    await gateway.gateway._offers.drain()
    assert (await asking).status_code == 202


async def test_what_a_crash_left_offered_is_ended_by_any_gateway(client, shared, gateway, status, lane, bus) -> None:
    await gateway.gateway._offers.drain()  # nobody watches what comes now, as after a crash
    answer = await client.post("/generate", json=BODY, headers={"Prefer": "respond-async"})
    task_id = answer.json()["task_id"]
    delivery, _ = await shared.fetch()
    await delivery.term()  # the broker has forgotten it, as after 30 s
    async with gateway.gateway._postgres.connection() as connection:
        await connection.execute("update tasks set created_at = now() - interval '40 seconds'")
    body = await status(task_id, "failed")
    assert body["error"]["code"] == "queue_overloaded"
    assert isinstance(await register_of(lane, task_id), Expired)


async def test_what_the_broker_still_offers_is_left_alone(client, shared, gateway, lane) -> None:
    await gateway.gateway._offers.drain()
    answer = await client.post("/generate", json=BODY, headers={"Prefer": "respond-async"})
    async with gateway.gateway._postgres.connection() as connection:
        await connection.execute("update tasks set created_at = now() - interval '40 seconds'")
    settle = gateway.gateway._settle
    await settle.settle()
    assert await register_of(lane, answer.json()["task_id"]) is None


async def test_a_lane_that_is_back_gets_its_requests_again(client, shared, bus, lane) -> None:
    await shared.show("phr00t")

    async def dedicated() -> bool:
        lanes = {one["lane"]: one for one in (await client.get("/lanes")).json()["lanes"]}
        return lanes["phr00t"]["mode"] == "dedicated" and lanes["phr00t"]["fallback_reason"] is None

    await eventually(dedicated)
    assert (await client.post("/generate", json=BODY)).status_code == 202
    _, job = await lane.fetch()
    assert (job.lane_mode, job.fallback_reason) == ("dedicated", None)
    assert await bus.depth(WAIT_STREAM) == 0


async def test_an_operator_forces_a_lane_and_takes_it_back(client, shared, bus, lane) -> None:
    await shared.show("phr00t")
    answer = await client.post("/lanes/phr00t/mode", json={"mode": "degraded", "reason": "manual"})
    assert answer.status_code == 200, answer.text
    seen = answer.json()
    assert (seen["mode"], seen["routing"], seen["fallback_reason"]) == ("degraded_shared", "degraded", "manual")
    asking = asyncio.create_task(client.post("/generate", json=BODY))
    job, _ = await shared.claim()
    assert job.fallback_reason == "manual"
    assert (await asking).status_code == 202
    back = (await client.post("/lanes/phr00t/mode", json={"mode": "auto"})).json()
    assert (back["mode"], back["routing"], back["fallback_reason"]) == ("dedicated", "auto", None)


async def test_a_controller_reports_a_denied_start(client, shared) -> None:
    answer = await client.post("/lanes/anisora/mode", json={"mode": "auto", "reason": "quota"})
    assert (answer.json()["mode"], answer.json()["fallback_reason"]) == ("degraded_shared", "quota")


@pytest.mark.parametrize(
    ("lane_name", "body", "code"),
    [
        ("nobody", {"mode": "auto"}, 404),
        ("phr00t", {"mode": "fast"}, 422),
        ("phr00t", {"mode": "degraded", "reason": "quota"}, 422),
        ("phr00t", {"mode": "auto", "colour": "red"}, 422),
    ],
)
async def test_a_decision_that_makes_no_sense_is_refused(client, lane_name, body, code) -> None:
    answer = await client.post(f"/lanes/{lane_name}/mode", json=body)
    assert answer.status_code == code
    assert answer.json()["user_action"]


async def test_only_an_operator_decides_and_reads_diagnostics(gateway, client) -> None:
    key = new_key()
    await gateway.gateway._wired.keys.ensure(key, "guest")
    async with httpx.AsyncClient(base_url=client.base_url, headers={"X-API-Key": key}) as guest:
        for answer in (
            await guest.post("/lanes/phr00t/mode", json={"mode": "degraded"}),
            await guest.get("/admin/diagnostics"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert (await guest.get("/lanes")).status_code == 200


async def test_lanes_show_the_shared_workers_and_their_queue(client, shared) -> None:
    await client.post("/generate", json=BODY, headers={"Prefer": "respond-async"})

    async def seen() -> Any:
        degraded = (await client.get("/lanes")).json()["degraded"]
        return degraded if degraded["waiting"] == 1 and degraded["oldest_s"] is not None else None

    degraded = await eventually(seen)
    assert (degraded["depth"], degraded["wait_s"], len(degraded["workers"])) == (25, 30.0, 1)


async def test_diagnostics_are_kept_once_and_found(client, shared, bus, soon, status) -> None:
    assert (await client.post("/generate", json=BODY)).status_code == 503
    _, job = await shared.fetch()
    cleaned = MemoryCleaned(
        task_id=job.task_id,
        lane="phr00t",
        worker="w",
        model="phr00t",
        lane_mode="degraded_shared",
        outcome="done",
        freed_bytes=1024,
        seconds=0.1,
    )
    envelope = seal(cleaned, source="test", subject=job.job_id)
    for message_id in ("a", "b"):  # delivered twice
        await bus.publish(event_subject("phr00t", "memory", job.job_id), encode(envelope), message_id=message_id)
    fell = seal(FallbackActivated(lane="phr00t", worker="a", reason="capacity"), source="test", subject="phr00t")
    await bus.publish(event_subject("phr00t", "fallback"), encode(fell), message_id="c")

    async def of_task() -> Any:
        items = (await client.get("/admin/diagnostics", params={"task_id": job.task_id})).json()["items"]
        return items if len(items) == 3 else None

    items = await eventually(of_task)
    kinds = {item["kind"]: item for item in items}
    assert set(kinds) == {"fallback_activated", "queue_timeout", "memory_cleanup"}
    assert (kinds["fallback_activated"]["reason"], kinds["memory_cleanup"]["value"]) == ("capacity", 1024)
    assert kinds["queue_timeout"]["value"] >= SOON_S

    async def of_lane() -> bool:
        found = (await client.get("/admin/diagnostics", params={"kind": "fallback_activated"})).json()["items"]
        return len(found) == 2

    await eventually(of_lane)
    page = (await client.get("/admin/diagnostics", params={"limit": 1})).json()
    rest = (await client.get("/admin/diagnostics", params={"before": page["next"]})).json()
    assert page["items"][0]["id"] > rest["items"][0]["id"]
    assert rest["next"] is None
    refused = await client.get("/admin/diagnostics", params={"kind": "weather"})
    assert refused.status_code == 422


async def test_a_task_that_outlives_its_time_fails_and_its_holder_is_fenced(
    client, submit, lane, gateway, status, shared
) -> None:
    await shared.show("phr00t")
    await eventually(lambda: gateway.gateway._wired.lanes.directory.facts("phr00t").ready_workers > 0)
    task_id = await submit()
    _, job = await lane.fetch()
    seq = await lane.claim(job)
    await status(task_id, "processing")
    async with gateway.gateway._postgres.connection() as connection:
        await connection.execute("update tasks set started_at = now() - interval '31 minutes'")
    body = await status(task_id, "failed")
    assert body["error"]["code"] == "task_expired"
    late = await lane.register.write(done(job.job_id, seq, lane="phr00t"), after=seq, traceparent="", correlation_id="")
    assert not isinstance(late, Written)


async def test_a_full_lane_overflows_to_the_shared_workers(client, shared, gateway, bus) -> None:
    await shared.show("phr00t")
    lanes = gateway.gateway._wired.lanes
    lanes._bound = 1
    await eventually(lambda: lanes.directory.facts("phr00t").ready_workers > 0)
    assert (await client.post("/generate", json=BODY)).status_code == 202
    await eventually(lambda: lanes.waiting("phr00t") == 1)
    asking = asyncio.create_task(client.post("/generate", json=BODY))
    job, _ = await shared.claim()
    assert (job.fallback_reason, (await asking).status_code) == ("capacity", 202)
    assert await bus.depth(LANE_STREAM) == 1
