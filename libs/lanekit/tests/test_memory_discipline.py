"""One model at a time in a budget that holds one: nothing is left behind, and running out costs nobody else anything."""

from typing import Any

import pytest
from warmlane_contracts.envelope import decode, encode, seal
from warmlane_contracts.messages import (
    TERMINAL,
    Done,
    Failed,
    FallbackReason,
    LaneMode,
    MemoryCleaned,
    MemoryMeasured,
    Released,
)
from warmlane_contracts.topology import EVENT_STREAM, PROJECTOR_EVENTS, STATE_STREAM, state_subject, wait_subject
from warmlane_lanekit.meter import BUDGET, OutOfMemory, RssMeter, SimulatedMeter, simulated_meter, taken
from warmlane_testkit.builders import clip_params, job_requested
from warmlane_testkit.waiting import eventually

ONE_MODEL = "1000"  # the scripted engine's weights take 600, a clip 100


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give engines a simulated device that holds one model."""
    monkeypatch.setenv(BUDGET, ONE_MODEL)


@pytest.fixture
def run(bus: Any, register: Any) -> Any:
    """Return a function that has a shared worker do a job and returns its end."""
    lane_mode: LaneMode = "degraded_shared"
    reason: FallbackReason = "capacity"

    async def one(script: str = "steps=1", lane: str = "anisora") -> Any:
        fields = {"lane_mode": lane_mode, "fallback_reason": reason}
        job = job_requested(params=clip_params(prompt=script), lane=lane, model=lane, **fields)
        envelope = seal(job, source="test", subject=job.job_id)
        await bus.publish(wait_subject(lane, job.job_id), encode(envelope), message_id=job.job_id)

        async def ended() -> Any:
            held = await register.read(lane, job.job_id)
            return held if held and isinstance(held.record, TERMINAL) else None

        return (await eventually(ended, within_s=20)).record

    return one


async def memory_facts(bus: Any, generations: int) -> list[Any]:
    pull = await bus.pull(EVENT_STREAM, PROJECTOR_EVENTS)
    found: list[Any] = []

    async def all_there() -> bool:
        for delivery in await pull.fetch_many(500, 1):
            found.append(decode(delivery.data).data)
            await delivery.ack()
        cleaned = [fact for fact in found if isinstance(fact, MemoryCleaned) and fact.task_id]
        measured = [fact for fact in found if isinstance(fact, MemoryMeasured) and fact.task_id]
        return len(cleaned) >= generations and len(measured) >= generations

    await eventually(all_there, within_s=20)
    return [fact for fact in found if isinstance(fact, MemoryCleaned | MemoryMeasured)]


async def test_twenty_alternating_jobs_fit_a_budget_of_one_model(make_worker, run, bus, budget) -> None:
    worker = await make_worker(shared=True)
    for number in range(20):
        assert isinstance(await run(lane=("anisora", "phr00t")[number % 2]), Done)
    facts = await memory_facts(bus, 20)
    evicted = [fact for fact in facts if isinstance(fact, MemoryMeasured) and fact.stage == "evicted"]
    assert [fact.allocated_bytes for fact in evicted] == [0] * 19, "a model was loaded over another's remains"
    freed = [fact.freed_bytes for fact in facts if isinstance(fact, MemoryCleaned) and fact.outcome == "evicted"]
    assert freed == [600] * 19
    peaks = {fact.peak_bytes for fact in facts if isinstance(fact, MemoryMeasured) and fact.task_id}
    assert peaks == {700}
    assert worker.resident.resident_model == "phr00t"


async def test_an_eviction_that_leaks_costs_the_process_and_nothing_else(make_worker, run, budget, monkeypatch) -> None:
    monkeypatch.setattr("warmlane_lanekit.shared_resident._TOLERANCE_BYTES", 0)
    worker = await make_worker(shared=True, reload_s=0.05)
    assert isinstance(await run("leaks=1"), Done)
    pid = worker.resident.engine.pid
    assert isinstance(await run(lane="phr00t"), Done)
    assert worker.resident.engine.pid != pid


async def test_a_job_that_runs_out_of_memory_gets_one_clean_try_and_the_next_task_is_unaffected(
    make_worker, run, bus, budget
) -> None:
    await make_worker(shared=True, reload_s=0.05)
    record = await run("takes=500")
    assert isinstance(record, Failed)
    assert (record.code, record.attempt) == ("gpu_out_of_memory", 2)
    assert "of 1000 are free" in record.message
    history = await bus.last(STATE_STREAM, state_subject(record.lane, record.job_id))
    assert isinstance(decode(history.data).data, Failed)
    assert isinstance(await run(), Done)
    facts = await memory_facts(bus, 3)
    assert [fact.outcome for fact in facts if isinstance(fact, MemoryCleaned) and fact.task_id] == [
        "abandoned",
        "failed",
        "done",
    ]


async def test_a_dedicated_lane_recovers_from_running_out_of_memory(make_worker, submit, last, budget) -> None:
    await make_worker(reload_s=0.05)

    async def ended(job: Any) -> Any:
        async def terminal() -> Any:
            held = await last(job)
            return held if held and isinstance(held.record, TERMINAL) else None

        return (await eventually(terminal, within_s=20)).record

    record = await ended(await submit("takes=500"))
    assert (record.code, record.attempt) == ("gpu_out_of_memory", 2)
    assert isinstance(await ended(await submit()), Done)


async def test_a_hanging_engine_is_ended_and_its_job_tried_again(make_worker, submit, last) -> None:
    await make_worker(hang_least_s=0.2, hang_most_s=1.0, reload_s=0.05)
    job = await submit("then=hang")

    async def failed() -> Any:
        held = await last(job)
        return held if held and isinstance(held.record, Failed) else None

    record = (await eventually(failed, within_s=30)).record
    assert (record.code, record.attempt) == ("engine_hung", 3)
    assert not isinstance(record, Released)


def meters() -> list[Any]:
    return [RssMeter(), SimulatedMeter(1000)]


@pytest.mark.parametrize("meter", meters(), ids=lambda meter: type(meter).__name__)
def test_every_meter_reads_and_takes(meter: Any) -> None:
    before = meter.read()
    assert before.rss_bytes > 0
    meter.reset_peak()
    with taken(meter, "x", 400):
        inside = meter.read()
    after = meter.read()
    assert inside.allocated_bytes in {None, 400}
    assert after.allocated_bytes in {None, 0}
    assert after.peak_bytes in {None, 400}
    meter.give("never taken")


def test_a_simulated_device_refuses_what_does_not_fit_and_stays_usable() -> None:
    meter = SimulatedMeter(1000)
    meter.take("weights", 600)
    with pytest.raises(OutOfMemory, match="tried to allocate 500 bytes for activations; 400 of 1000 are free"):
        meter.take("activations", 500)
    meter.take("activations", 400)
    assert meter.read().free_bytes == 0
    meter.give("activations")
    meter.reset_peak()
    assert (meter.read().peak_bytes, meter.read().total_bytes) == (600, 1000)


def test_there_is_a_simulated_device_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BUDGET, raising=False)
    assert simulated_meter() is None
    monkeypatch.setenv(BUDGET, "5")
    made = simulated_meter()
    assert made is not None
    assert made.read().total_bytes == 5
