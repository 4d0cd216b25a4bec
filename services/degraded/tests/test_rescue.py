"""What a shared worker took and fell silent on is handed out again; everything else is left alone."""

from typing import Any

import pytest
from warmlane_bus.lease import Lease
from warmlane_contracts.envelope import decode
from warmlane_contracts.topology import LANE_STREAM, LEASE_BUCKET, RESCUE, SHARED, STATE_STREAM, lane_subject, lease_key
from warmlane_testkit.builders import cancelled, claimed, job_requested, released
from warmlane_testkit.waiting import eventually


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmlane_degraded.admission.rescue.STALE_S", 0.3)
    monkeypatch.setattr("warmlane_jobs.rescue.STALE_S", 0.3)


async def claim(world: Any, **changes: Any) -> tuple[Any, int]:
    job = job_requested()
    fields = {"lane_mode": "degraded_shared", "fallback_reason": "capacity", "job": job} | changes
    outcome = await world.register.write(claimed(job.job_id, **fields), after=0, traceparent="", correlation_id="corr")
    return job, outcome.seq


async def token(bus: Any, job: Any, lane: str = SHARED) -> Any:
    async def there() -> Any:
        return await bus.last(LANE_STREAM, lane_subject(lane, job.job_id))

    return decode((await eventually(there, within_s=10)).data)


async def watched(bus: Any) -> int:
    info = await bus.api.ask(f"CONSUMER.INFO.{STATE_STREAM}.{RESCUE}")
    return info["num_pending"] + info["num_ack_pending"]


async def test_a_silent_claim_is_handed_to_the_shared_workers_with_the_whole_job(world, admission, bus) -> None:
    job, _ = await claim(world)
    await admission()
    envelope = await token(bus, job)
    assert envelope.data == job
    assert envelope.correlation_id == "corr"


async def test_a_lane_that_is_ready_gets_the_rescued_job(world, admission, bus) -> None:
    await world.worker("anisora")
    job, _ = await claim(world)
    await admission()
    assert (await token(bus, job, "anisora")).data.job_id == job.job_id


async def test_a_job_given_back_without_a_token_is_handed_out(world, admission, bus) -> None:
    job, seq = await claim(world)
    await world.register.write(released(job.job_id, seq, job=job), after=seq, traceparent="", correlation_id="")
    await admission()
    assert (await token(bus, job)).data.job_id == job.job_id


async def test_many_replicas_hand_a_job_out_once(world, admission, bus) -> None:
    job, _ = await claim(world)
    for number in range(3):
        await admission(f"admission-{number}")
    await token(bus, job)
    other, _ = await claim(world)
    await token(bus, other)
    assert await bus.depth(LANE_STREAM) == 2


async def test_a_living_holder_keeps_its_job(world, admission, bus) -> None:
    job, seq = await claim(world)
    lease = Lease(await bus.bucket(LEASE_BUCKET), lane=job.lane, job_id=job.job_id, claim_seq=seq, worker="worker-1")
    await lease.acquire()
    silent, _ = await claim(world)
    await admission()
    looks = 0

    async def looked_twice() -> bool:
        nonlocal looks
        await lease.renew()
        looks += 1
        return looks > 30 and await bus.last(LANE_STREAM, lane_subject(SHARED, silent.job_id)) is not None

    await eventually(looked_twice, within_s=10)
    assert await bus.last(LANE_STREAM, lane_subject(SHARED, job.job_id)) is None


async def test_what_has_ended_is_forgotten_and_its_lease_with_it(world, admission, bus) -> None:
    job, seq = await claim(world)
    leases = await bus.bucket(LEASE_BUCKET)
    await Lease(leases, lane=job.lane, job_id=job.job_id, claim_seq=seq, worker="worker-1").acquire()
    await world.register.write(cancelled(job.job_id), after=seq, traceparent="", correlation_id="")
    dedicated, _ = await claim(world, lane_mode="dedicated", fallback_reason=None, job=None)
    await admission()

    async def all_forgotten() -> bool:
        return await watched(bus) == 0 and await leases.get(lease_key(job.lane, job.job_id)) is None

    await eventually(all_forgotten, within_s=10)
    assert await bus.depth(LANE_STREAM) == 0, f"{dedicated.job_id} has a token of its own"
