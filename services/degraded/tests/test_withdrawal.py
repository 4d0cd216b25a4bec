"""What waits in a lane in vain is offered to the shared workers, and ends once."""

from typing import Any

from warmlane_bus.register import Written
from warmlane_contracts.envelope import decode
from warmlane_contracts.messages import Expired, JobRequested
from warmlane_contracts.topology import LANE_STREAM, SHARED, WAIT_STREAM, wait_consumer, wait_subject
from warmlane_testkit.builders import claimed
from warmlane_testkit.waiting import eventually


async def offered(bus: Any, job: Any) -> JobRequested:
    async def there() -> Any:
        return await bus.last(WAIT_STREAM, wait_subject(job.lane, job.job_id))

    return decode((await eventually(there)).data).data


async def lane_is_empty(bus: Any) -> bool:
    return await bus.depth(LANE_STREAM) == 0


async def test_a_job_of_a_forced_lane_is_offered_with_the_cause_and_claimed_once(world, admission, bus) -> None:
    await world.worker(SHARED)
    await world.choose("anisora", "degraded")
    job = await world.submit()
    await admission()
    offer = await offered(bus, job)
    assert (offer.lane_mode, offer.fallback_reason, offer.job_id) == ("degraded_shared", "manual", job.job_id)
    assert not await lane_is_empty(bus), "the lane's token goes with the claim, not before"
    pull = await bus.pull(WAIT_STREAM, wait_consumer("anisora"))
    delivery = await pull.fetch(5)
    record = claimed(job.job_id, lane=job.lane, lane_mode="degraded_shared", fallback_reason="manual", job=offer)
    assert isinstance(await world.register.write(record, after=0, traceparent="", correlation_id=""), Written)
    await delivery.ack()
    await eventually(lambda: lane_is_empty(bus))


async def test_a_ready_lane_keeps_its_jobs(world, admission, bus) -> None:
    await world.worker("anisora")
    await world.worker(SHARED)
    kept = await world.submit()
    await world.choose("phr00t", "degraded")
    moved = await world.submit("phr00t")
    await admission()
    await offered(bus, moved)
    assert await bus.last(WAIT_STREAM, wait_subject("anisora", kept.job_id)) is None


async def test_a_job_nobody_takes_in_time_expires_once(world, admission, bus, monkeypatch) -> None:
    monkeypatch.setattr("warmlane_degraded.admission.withdrawal.WAIT_S", 0.3)
    await world.worker(SHARED)
    await world.choose("anisora", "degraded")
    job = await world.submit()
    for number in range(2):
        await admission(f"admission-{number}")

    async def expired() -> Any:
        held = await world.last(job)
        return held if held and isinstance(held.record, Expired) else None

    held = await eventually(expired)
    assert held.record.waited_s >= 0.3
    await eventually(lambda: lane_is_empty(bus))
    assert (await world.last(job)).seq == held.seq


async def test_jobs_are_offered_a_few_at_a_time(world, admission, bus) -> None:
    await world.worker(SHARED, service_s=10.0)
    await world.choose("anisora", "degraded")
    jobs = [await world.submit() for _ in range(6)]
    await admission()
    await offered(bus, jobs[1])
    assert await bus.depth(WAIT_STREAM) == 2
    assert await bus.last(WAIT_STREAM, wait_subject("anisora", jobs[2].job_id)) is None


async def test_a_lane_that_is_back_gets_its_jobs_back(world, admission, bus) -> None:
    await world.worker(SHARED)
    await world.choose("anisora", "degraded")
    job = await world.submit()
    await admission()
    await offered(bus, job)
    await world.worker("anisora")
    await world.choose("anisora", "auto")
    delivery = await (await bus.pull(LANE_STREAM, "anisora")).fetch(5)
    assert decode(delivery.data).data.job_id == job.job_id
