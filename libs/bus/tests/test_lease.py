from datetime import timedelta

import pytest
from warmlane_bus import Lease, LeaseLost, Renewed, Undecided, sign_of_life
from warmlane_contracts.topology import LEASE_BUCKET
from warmlane_testkit.builders import LANE
from warmlane_testkit.clock import ManualClock
from warmlane_testkit.fake_bus import FakeBus

JOB = "j-1"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def bus(clock):
    return FakeBus(clock=clock)


@pytest.fixture
async def bucket(bus):
    return await bus.bucket(LEASE_BUCKET)


def lease(bucket, claim_seq, worker="w"):
    return Lease(bucket, lane=LANE, job_id=JOB, claim_seq=claim_seq, worker=worker)


async def test_a_renewal_whose_answer_was_lost_does_not_lose_the_lease(bus, bucket):
    mine = lease(bucket, 3)
    await mine.acquire()
    bus.lose_answers(1)
    assert isinstance(await mine.renew(), Undecided)
    assert isinstance(await mine.renew(), Renewed)


async def test_away_it_is_undecided_and_goes_on_afterwards(bus, bucket, clock):
    import asyncio

    mine = lease(bucket, 3)
    await mine.acquire()
    bus.go_away()
    renewing = asyncio.create_task(mine.renew())
    await clock.advance(5)
    assert isinstance(await renewing, Undecided)
    bus.come_back()
    assert isinstance(await mine.renew(), Renewed)


async def test_a_former_terms_lease_is_taken_over_and_its_late_write_does_not_stop_us(bucket):
    former, mine = lease(bucket, 3, "old"), lease(bucket, 5, "new")
    await former.acquire()
    await mine.acquire()
    sign = await sign_of_life(bucket, LANE, JOB)
    await bucket.update(
        f"{LANE}.{JOB}", b'{"worker":"old","claim_seq":3}', (await bucket.get(f"{LANE}.{JOB}")).revision
    )
    assert isinstance(await mine.renew(), Undecided)
    assert isinstance(await mine.renew(), Renewed)
    assert sign.worker == "new"


async def test_a_lease_that_aged_out_is_taken_again(bucket, clock):
    mine = lease(bucket, 3)
    await mine.acquire()
    await clock.advance(3601)
    assert isinstance(await mine.renew(), Undecided)
    assert isinstance(await mine.renew(), Renewed)


async def test_a_stale_lease_shows_its_age_by_the_brokers_clock(bucket, clock):
    await lease(bucket, 3).acquire()
    await clock.advance(16)
    sign = await sign_of_life(bucket, LANE, JOB)
    assert clock.now() - sign.renewed_at == timedelta(seconds=16)


async def test_a_lease_nobody_can_read_belongs_to_nobody(bucket):
    await bucket.put(f"{LANE}.{JOB}", b"\xff not json")
    mine = lease(bucket, 3)
    assert isinstance(await mine.acquire(), Renewed)


async def test_after_the_later_term_released_the_former_still_may_not_renew(bucket):
    """A released lease looks free; the register, not the lease, is what fences. But a renewal must not fail open."""
    former, later = lease(bucket, 3, "old"), lease(bucket, 5, "new")
    await former.acquire()
    await later.acquire()
    assert await former.renew() == LeaseLost("new", 5)
    await later.release()
    assert await former.renew() == LeaseLost("new", 5)
