"""A shared worker on a real broker: any model, one at a time, whatever waits or was rescued."""

from datetime import timedelta
from typing import Any

import pytest
from warmlane_bus.lease import Lease
from warmlane_bus.register import Written
from warmlane_contracts.envelope import decode, encode, seal
from warmlane_contracts.ids import new_ulid
from warmlane_contracts.messages import (
    TERMINAL,
    Cancelled,
    Claimed,
    Done,
    Expired,
    Failed,
    LaneRecord,
    MemoryCleaned,
    MemoryMeasured,
)
from warmlane_contracts.topology import (
    DIRECTORY_BUCKET,
    EVENT_STREAM,
    LANE_STREAM,
    LEASE_BUCKET,
    PROJECTOR_EVENTS,
    SHARED,
    STATE_STREAM,
    WAIT_STREAM,
    directory_key,
    lane_subject,
    state_subject,
    wait_subject,
)
from warmlane_testkit.builders import clip_params, job_requested
from warmlane_testkit.waiting import eventually


@pytest.fixture
def offer(bus: Any) -> Any:
    """Return a function that puts a job among those that wait."""

    async def send(
        script: str = "steps=2", *, lane: str = "anisora", subject: Any = wait_subject, **changes: Any
    ) -> Any:
        fields = {"lane_mode": "degraded_shared", "fallback_reason": "quota"} | changes
        job = job_requested(params=clip_params(prompt=script), lane=lane, model=lane, **fields)
        envelope = seal(job, source="test", subject=job.job_id, correlation_id="corr")
        await bus.publish(subject(lane, job.job_id), encode(envelope), message_id=job.job_id)
        return job

    return send


@pytest.fixture
def outcome(register: Any) -> Any:
    """Return a function that waits for a job's terminal record."""

    async def read(job: Any) -> Any:
        async def terminal() -> Any:
            held = await register.read(job.lane, job.job_id)
            return held if held and isinstance(held.record, TERMINAL) else None

        return (await eventually(terminal, within_s=20)).record

    return read


async def waiting(bus: Any) -> int:
    return (await bus.api.ask(f"STREAM.INFO.{WAIT_STREAM}"))["state"]["messages"]


async def facts(bus: Any, *wanted: type) -> list[Any]:
    pull = await bus.pull(EVENT_STREAM, PROJECTOR_EVENTS)
    found: list[Any] = []

    async def all_there() -> bool:
        for delivery in await pull.fetch_many(100, 1):
            found.append(decode(delivery.data).data)
            await delivery.ack()
        return all(any(isinstance(fact, kind) for fact in found) for kind in wanted)

    await eventually(all_there, within_s=20)
    return found


async def test_a_waiting_job_is_claimed_freed_from_the_queue_and_done(make_worker, offer, outcome, bus) -> None:
    await make_worker(shared=True)
    job = await offer("steps=20 pause=0.05")
    await eventually(lambda: _none_waits(bus))
    record = await _claim_of(bus, job)
    assert (record.lane_mode, record.fallback_reason, record.attempt) == ("degraded_shared", "quota", 1)
    assert isinstance(await outcome(job), Done)


async def _none_waits(bus: Any) -> bool:
    return await waiting(bus) == 0


async def _claim_of(bus: Any, job: Any) -> Claimed:
    message = await bus.last(STATE_STREAM, state_subject(job.lane, job.job_id))
    claimed = decode(message.data).data
    assert isinstance(claimed, Claimed), claimed
    return claimed


async def test_two_models_take_turns_and_each_is_evicted_before_the_other_loads(
    make_worker, offer, outcome, bus
) -> None:
    worker = await make_worker(shared=True)
    jobs = [await offer(lane=lane) for lane in ("anisora", "phr00t", "anisora", "phr00t")]
    assert [type(await outcome(job)) for job in jobs] == [Done] * 4
    pid = worker.resident.engine.pid
    found = await facts(bus, MemoryCleaned, MemoryMeasured)
    switches = [fact for fact in found if isinstance(fact, MemoryCleaned) and fact.outcome == "evicted"]
    # Two of a model in a row cost one load: the resident model's jobs go first.
    assert [fact.model for fact in switches] == ["anisora"]
    assert {fact.lane_mode for fact in found if isinstance(fact, MemoryCleaned)} == {"degraded_shared"}
    assert worker.resident.resident_model == "phr00t"
    assert worker.resident.engine.pid == pid, "a proven eviction needs no new process"


async def test_the_resident_model_goes_first_but_never_for_ever(make_worker, offer, outcome, bus, register) -> None:
    worker = await make_worker(shared=True)
    first = await offer()
    await outcome(first)
    other = await offer(lane="phr00t")
    same = [await offer() for _ in range(6)]
    seqs = {}
    for job in [other, *same]:
        await outcome(job)
        seqs[job.job_id] = (await register.read(job.lane, job.job_id)).seq
    before = sum(seqs[job.job_id] < seqs[other.job_id] for job in same)
    assert before <= 3, "the other model was starved"
    assert worker.resident.resident_model in {"anisora", "phr00t"}


async def test_a_job_claimed_too_late_does_not_run(make_worker, offer, outcome, bus, monkeypatch) -> None:
    monkeypatch.setattr("warmlane_lanekit.claim_loop.WAIT_S", -1.0)
    await make_worker(shared=True)
    record = await outcome(await offer())
    assert isinstance(record, Expired)
    assert record.waited_s >= 0
    await eventually(lambda: _none_waits(bus))


async def test_an_expired_job_is_not_run_but_leaves_its_place(make_worker, offer, register, bus) -> None:
    job = await offer()
    expired = Expired(
        task_id=job.task_id, job_id=job.job_id, lane=job.lane, record_id=new_ulid(), reason="r", waited_s=30
    )
    written = await register.write(expired, after=0, traceparent="", correlation_id="")
    await make_worker(shared=True)
    await eventually(lambda: _none_waits(bus))
    assert (await register.read(job.lane, job.job_id)).seq == written.seq


async def test_a_rescued_job_is_taken_over_and_a_living_holder_is_left_alone(
    make_worker, offer, outcome, bus, register
) -> None:
    job = job_requested(params=clip_params(prompt="steps=2"), lane="anisora", model="anisora")
    claim = Claimed(
        task_id=job.task_id, job_id=job.job_id, lane=job.lane, record_id=new_ulid(), worker="dead", attempt=1
    )
    held = await register.write(claim, after=0, traceparent="", correlation_id="")
    assert isinstance(held, Written)
    leases = await bus.bucket(LEASE_BUCKET)
    lease = Lease(leases, lane=job.lane, job_id=job.job_id, claim_seq=held.seq, worker="dead")
    await lease.acquire()
    await make_worker(shared=True)
    envelope = seal(job, source="test", subject=job.job_id)
    await bus.publish(lane_subject(SHARED, job.job_id), encode(envelope), message_id=f"{job.job_id}.{held.seq}")
    await _handed_out(bus)
    await outcome(await offer())  # one job after the other: by now the worker has decided about the token
    last = await bus.last(STATE_STREAM, state_subject(job.lane, job.job_id))
    assert last.seq == held.seq, "the living holder's job was taken"
    await leases.delete(f"{job.lane}.{job.job_id}")
    record = await outcome(job)
    assert isinstance(record, Done)
    assert record.attempt == 2


async def _handed_out(bus: Any) -> None:
    async def delivered() -> bool:
        info = await bus.api.ask(f"CONSUMER.INFO.{LANE_STREAM}.{SHARED}")
        return info["delivered"]["consumer_seq"] > 0

    await eventually(delivered)


async def test_a_crash_in_a_waiting_job_is_handed_out_again(make_worker, offer, outcome) -> None:
    await make_worker(shared=True, reload_s=0.05)
    record = await outcome(await offer("then=crash"))
    assert isinstance(record, Failed)
    assert (record.code, record.attempt) == ("engine_crashed", 3)


async def test_a_cancelled_job_stops_on_a_shared_worker(make_worker, offer, register, bus) -> None:
    await make_worker(shared=True)
    job = await offer("steps=200 pause=0.05", lane="phr00t")

    async def claimed() -> Any:
        held = await register.read(job.lane, job.job_id)
        return held if held and isinstance(held.record, Claimed) else None

    held = await eventually(claimed)
    cancel = Cancelled(task_id=job.task_id, job_id=job.job_id, lane=job.lane, record_id=new_ulid(), by="key:test")
    assert isinstance(await register.write(cancel, after=held.seq, traceparent="", correlation_id=""), Written)
    found = await facts(bus, MemoryCleaned)
    assert [fact.outcome for fact in found if isinstance(fact, MemoryCleaned)] == ["cancelled"]


async def test_the_directory_shows_a_shared_worker_and_what_it_holds(make_worker, offer, outcome, bus) -> None:
    await make_worker(shared=True)
    bucket = await bus.bucket(DIRECTORY_BUCKET)

    async def record(model: str) -> Any:
        entry = await bucket.get(directory_key(SHARED, "worker-1"))
        found = LaneRecord.model_validate_json(entry.value) if entry else None
        return found if found and found.availability == "ready" and found.model == model else None

    empty = await eventually(lambda: record(""))
    assert (empty.mode, empty.warm) == ("degraded_shared", False)
    await outcome(await offer(lane="phr00t"))
    held = await eventually(lambda: record("phr00t"))
    assert held.warm
    assert held.updated_at - empty.updated_at >= timedelta(0)
