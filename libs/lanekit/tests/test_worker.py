"""A whole worker on a real broker: every way a job can go, and that it ends exactly once."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from warmlane_bus.lease import Lease
from warmlane_bus.ports import Stored
from warmlane_bus.register import Written
from warmlane_contracts.envelope import decode
from warmlane_contracts.ids import new_ulid
from warmlane_contracts.messages import (
    Cancelled,
    Claimed,
    Done,
    Failed,
    InputRef,
    LaneRecord,
    MemoryCleaned,
    MemoryMeasured,
    Released,
    TaskProgressed,
)
from warmlane_contracts.topology import (
    DIRECTORY_BUCKET,
    EVENT_STREAM,
    LANE_STREAM,
    LEASE_BUCKET,
    PROJECTOR_EVENTS,
    cancel_hint_subject,
    directory_key,
    lane_subject,
)
from warmlane_testkit.waiting import eventually

LANE = "anisora"


async def ended(last: Any, job: Any) -> Any:
    """Return the job's terminal record."""

    async def terminal() -> Any:
        held = await last(job)
        return held if held and isinstance(held.record, Done | Failed | Cancelled) else None

    return (await eventually(terminal, within_s=20)).record


async def events_of(bus: Any, wanted: int) -> list[Any]:
    pull = await bus.pull(EVENT_STREAM, PROJECTOR_EVENTS)
    found: list[Any] = []
    while len(found) < wanted:
        batch = await pull.fetch_many(100, 2)
        assert batch, f"only {found}"
        found += [decode(delivery.data).data for delivery in batch]
        for delivery in batch:
            await delivery.ack()
    return found


async def queue_is_empty(bus: Any) -> bool:
    info = await bus.api.ask(f"STREAM.INFO.{LANE_STREAM}")
    return info["state"]["messages"] == 0


async def test_a_job_is_done_once_and_its_files_are_where_the_record_says(
    make_worker, submit, last, bus, objects
) -> None:
    await make_worker()
    job = await submit("steps=2")
    done = await ended(last, job)
    assert isinstance(done, Done)
    assert done.result.key == f"results/{job.task_id}/{done.claim_seq}/clip.mp4"
    assert await objects.get(done.result.key) == b"clip of 7 with 0 images"
    assert await objects.get(done.result.preview_key) == b"preview"
    assert (done.attempt, done.result.seed, done.timings.denoise_s) == (1, 7, 0.1)
    await eventually(lambda: queue_is_empty(bus))
    kept = await eventually(lambda: two_left(objects, job))
    assert set(kept) == {done.result.key, done.result.preview_key}


async def two_left(objects: Any, job: Any) -> list[str]:
    keys = [info.key for info in await objects.list(f"results/{job.task_id}/")]
    return keys if len(keys) == 2 else []


async def test_progress_and_memory_are_told(make_worker, submit, last, bus) -> None:
    await make_worker()
    job = await submit("steps=3 pause=0.05")
    await ended(last, job)

    async def all_told() -> list[Any]:
        found = await events_of(bus, 1)
        told.extend(found)
        kinds = {type(event) for event in told}
        return told if {TaskProgressed, MemoryCleaned, MemoryMeasured} <= kinds else []

    told: list[Any] = []
    await eventually(all_told)
    progress = [event for event in told if isinstance(event, TaskProgressed)]
    assert [event.progress for event in progress] == sorted(event.progress for event in progress)
    assert any(event.live_preview_key for event in progress)
    assert all(event.claim_seq == progress[0].claim_seq for event in progress)
    (cleaned,) = [event for event in told if isinstance(event, MemoryCleaned)]
    assert (cleaned.task_id, cleaned.outcome, cleaned.freed_bytes) == (job.task_id, "done", 800)


async def test_a_crash_costs_the_engine_and_an_attempt_not_the_worker(make_worker, submit, last) -> None:
    worker = await make_worker(reload_s=0.05)
    job = await submit("steps=1 then=crash")
    failed = await ended(last, job)
    assert isinstance(failed, Failed)
    assert (failed.code, failed.attempt) == ("engine_crashed", 3)
    assert "segmentation fault" in failed.message
    following = await submit("steps=1")
    assert isinstance(await ended(last, following), Done)
    assert worker.resident.residency.warm


async def test_a_failure_of_the_engine_is_final(make_worker, submit, last) -> None:
    await make_worker()
    failed = await ended(last, await submit("then=fail"))
    assert isinstance(failed, Failed)
    assert (failed.code, failed.attempt) == ("engine_failed", 1)


@pytest.mark.parametrize("sha256", ["0" * 64, None], ids=["wrong bytes", "missing"])
async def test_an_input_that_is_not_what_was_promised(make_worker, submit, last, objects, sha256) -> None:
    await make_worker()
    if sha256:
        await objects.put("inputs/x/reference-0.png", b"picture", content_type="image/png")
    reference = InputRef(
        role="reference", key="inputs/x/reference-0.png", sha256=sha256 or "1" * 64, content_type="image/png"
    )
    failed = await ended(last, await submit("steps=1", inputs=(reference,)))
    assert isinstance(failed, Failed)
    assert failed.code == "input_unavailable"


async def test_inputs_reach_the_engine(make_worker, submit, last, objects) -> None:
    import hashlib

    await make_worker()
    await objects.put("inputs/x/a.png", b"picture", content_type="image/png")
    reference = InputRef(
        role="reference",
        key="inputs/x/a.png",
        sha256=hashlib.sha256(b"picture").hexdigest(),
        content_type="image/png",
    )
    done = await ended(last, await submit("steps=1", inputs=(reference,)))
    assert await objects.get(done.result.key) == b"clip of 7 with 1 images"


async def cancel(register: Any, bus: Any, job: Any, *, after: int, hint: bool) -> None:
    record = Cancelled(task_id=job.task_id, job_id=job.job_id, lane=LANE, record_id=new_ulid(), by="key:test")
    assert isinstance(await register.write(record, after=after, traceparent="", correlation_id=""), Written)
    if hint:
        await bus.hint(cancel_hint_subject(LANE, job.job_id))


@pytest.mark.parametrize("hint", [True, False], ids=["by hint", "by heartbeat"])
async def test_a_running_job_stops_and_leaves_nothing(make_worker, submit, last, register, bus, objects, hint) -> None:
    worker = await make_worker(heartbeat_s=5.0 if hint else 0.2)
    job = await submit("steps=100000 pause=0.02")
    held = await eventually(lambda: last(job))
    await eventually(lambda: objects.list(f"results/{job.task_id}/"))
    await cancel(register, bus, job, after=held.seq, hint=hint)
    await eventually(lambda: queue_is_empty(bus), within_s=4)

    async def swept() -> bool:
        return not await objects.list(f"results/{job.task_id}/")

    await eventually(swept)
    assert isinstance((await last(job)).record, Cancelled)
    assert worker.resident.residency.warm
    assert isinstance(await ended(last, await submit("steps=1")), Done)


async def test_a_job_that_was_cancelled_before_never_starts(make_worker, submit, last, register, bus) -> None:
    job = await submit("steps=1")
    await cancel(register, bus, job, after=0, hint=False)
    await make_worker()
    await eventually(lambda: queue_is_empty(bus))
    assert (await last(job)).envelope.data == (await last(job)).record
    assert isinstance((await last(job)).record, Cancelled)


async def test_a_soft_stop_finishes_the_job_in_hand(make_worker, submit, last) -> None:
    worker = await make_worker()
    job = await submit("steps=20 pause=0.05")
    await eventually(lambda: last(job))
    await worker.stop(soft_s=10)
    assert isinstance((await last(job)).record, Done)


async def test_a_hard_stop_releases_the_job_and_another_worker_has_it_at_once(make_worker, submit, last) -> None:
    first = await make_worker("worker-1")
    job = await submit("steps=40 pause=0.05")
    await eventually(lambda: last(job))
    await first.stop()
    assert isinstance((await last(job)).record, Released)
    began = asyncio.get_running_loop().time()
    await make_worker("worker-2")
    done = await ended(last, job)
    assert (done.worker, done.attempt) == ("worker-2", 2)
    assert asyncio.get_running_loop().time() - began < 12, "it did not have to wait for the ack wait"


async def test_a_claim_that_another_took_over_can_write_nothing(make_worker, submit, last, register, objects) -> None:
    """A worker that was frozen past its lease finds a later claim: its clip is refused and swept."""
    worker = await make_worker(heartbeat_s=30.0)
    job = await submit("steps=10 pause=0.05")
    held = await eventually(lambda: last(job))
    taken = Claimed(
        task_id=job.task_id, job_id=job.job_id, lane=LANE, record_id=new_ulid(), worker="worker-9", attempt=2
    )
    outcome = await register.write(taken, after=held.seq, traceparent="", correlation_id="")
    assert isinstance(outcome, Written)

    async def idle() -> bool:
        return worker._loop is not None and worker._loop.current_task is None

    await eventually(idle)
    assert (await last(job)).seq == outcome.seq, "the last record is still the other's claim"
    assert await objects.list(f"results/{job.task_id}/") == []


async def test_attempts_are_bounded_by_the_register(make_worker, submit, last, register) -> None:
    job = await submit("steps=1", max_attempts=2)
    after = 0
    for attempt in (1, 2):
        claim = Claimed(
            task_id=job.task_id, job_id=job.job_id, lane=LANE, record_id=new_ulid(), worker="dead", attempt=attempt
        )
        outcome = await register.write(claim, after=after, traceparent="", correlation_id="")
        after = outcome.seq
    await make_worker()
    failed = await ended(last, job)
    assert (failed.code, failed.attempt) == ("attempts_exhausted", 2)


async def test_a_second_copy_of_a_token_takes_nothing_from_a_living_holder(
    make_worker, submit, last, register, bus
) -> None:
    job = await submit("steps=1")
    claim = Claimed(
        task_id=job.task_id, job_id=job.job_id, lane=LANE, record_id=new_ulid(), worker="elsewhere", attempt=1
    )
    outcome = await register.write(claim, after=0, traceparent="", correlation_id="")
    bucket = await bus.bucket(LEASE_BUCKET)
    await Lease(bucket, lane=LANE, job_id=job.job_id, claim_seq=outcome.seq, worker="elsewhere").acquire()
    await make_worker()
    assert isinstance(await ended(last, await submit("steps=1")), Done)
    assert (await last(job)).seq == outcome.seq


@pytest.mark.parametrize("payload", [b"not json", b'{"type": "warmlane.v9.job"}'])
async def test_what_is_no_job_is_removed_and_stops_nobody(make_worker, submit, last, bus, payload) -> None:
    await make_worker()
    assert isinstance(await bus.publish(lane_subject(LANE, "poison-1"), payload, message_id="poison"), Stored)
    assert isinstance(await ended(last, await submit("steps=1")), Done)
    await eventually(lambda: queue_is_empty(bus))


async def test_the_directory_says_who_is_warm_and_forgets_who_leaves(make_worker, submit, last, bus) -> None:
    worker = await make_worker()
    bucket = await bus.bucket(DIRECTORY_BUCKET)

    async def record() -> LaneRecord | None:
        entry = await bucket.get(directory_key(LANE, "worker-1"))
        return LaneRecord.model_validate_json(entry.value) if entry else None

    async def warm() -> bool:
        found = await record()
        return found is not None and found.warm and found.availability == "ready"

    await eventually(warm)
    await ended(last, await submit("steps=1"))

    async def timed() -> bool:
        found = await record()
        return found is not None and found.service_s is not None and found.current_task is None

    await eventually(timed)
    assert (await record()).updated_at <= datetime.now(UTC)
    await worker.stop()
    assert await record() is None


async def test_a_model_that_cannot_be_loaded_is_said_and_tried_again(make_worker) -> None:
    worker = await make_worker(model_id="broken", reload_s=0.05)
    reason = await eventually(lambda: "the folder is broken" in (worker.resident.why_not_warm() or ""))
    assert reason
    assert worker.resident.residency.state == "lost"


async def test_a_worker_whose_disk_is_full_takes_nothing_and_goes_on_when_there_is_room(
    make_worker, submit, last, bus
) -> None:
    worker = await make_worker(scratch_least_bytes=2**62)
    bucket = await bus.bucket(DIRECTORY_BUCKET)

    async def availability() -> Any:
        entry = await bucket.get(directory_key(LANE, "worker-1"))
        return LaneRecord.model_validate_json(entry.value).availability if entry else None

    async def is_unavailable() -> bool:
        return await availability() == "unavailable"

    await eventually(is_unavailable)
    job = await submit()
    assert await last(job) is None
    assert "bytes free" in worker.scratch.why_full()
    worker.scratch._least_bytes = 0
    assert isinstance(await ended(last, job), Done)

    async def is_ready() -> bool:
        return await availability() == "ready"

    await eventually(is_ready)
