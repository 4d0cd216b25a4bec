import asyncio

import pytest
from warmlane_bus import Stored, Unknown
from warmlane_contracts.topology import TOPOLOGY, lane_subject, wait_subject
from warmlane_testkit.clock import ManualClock, settle
from warmlane_testkit.conformance.bus import SUITE_TOPOLOGY, BusConformance
from warmlane_testkit.fake_bus import FakeBus
from warmlane_testkit.fake_stream import matches


class TestFakeBus(BusConformance):
    @pytest.fixture
    async def bus(self):
        return FakeBus(SUITE_TOPOLOGY)


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.*.c", "a.b.c", True),
        ("a.*", "a.b.c", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("a.b", "a.b", True),
        ("a.b", "a", False),
        ("a", "a.b", False),
    ],
)
def test_subject_patterns(pattern, subject, expected):
    assert matches(pattern, subject) is expected


async def test_time_passes_only_when_it_is_moved():
    clock = ManualClock()
    bus = FakeBus(TOPOLOGY, clock=clock)
    await bus.publish(lane_subject("anisora", "j"), b"", message_id="j")
    pull = await bus.pull("WL_LANE", "anisora")
    first = await pull.fetch(1)
    again = asyncio.create_task(pull.fetch(60))
    await clock.advance(14.9)
    assert not again.done()
    await clock.advance(0.2)
    assert (await again).deliveries == first.deliveries + 1


async def test_the_wait_queue_forgets_after_thirty_seconds():
    clock = ManualClock()
    bus = FakeBus(TOPOLOGY, clock=clock)
    for n in range(25):
        assert isinstance(await bus.publish(wait_subject("anisora", f"j{n}"), b"", message_id=f"j{n}"), Stored)
    assert not isinstance(await bus.publish(wait_subject("anisora", "more"), b"", message_id="more"), Stored)
    await clock.advance(30.1)
    assert bus.messages("WL_WAIT") == []
    assert isinstance(await bus.publish(wait_subject("anisora", "more"), b"", message_id="more"), Stored)


async def test_away_a_publish_ends_unknown_after_its_time_and_leaves_nothing():
    clock = ManualClock()
    bus = FakeBus(TOPOLOGY, clock=clock)
    bus.go_away()
    publishing = asyncio.create_task(bus.publish(lane_subject("anisora", "j"), b"", message_id="j", within_s=15))
    await clock.advance(14)
    assert not publishing.done()
    await clock.advance(2)
    assert await publishing == Unknown("not connected to the broker", maybe_stored=False)
    bus.come_back()
    assert bus.messages("WL_LANE") == []


async def test_a_publish_goes_through_when_the_broker_comes_back_in_time():
    clock = ManualClock()
    bus = FakeBus(TOPOLOGY, clock=clock)
    bus.go_away()
    publishing = asyncio.create_task(bus.publish(lane_subject("anisora", "j"), b"", message_id="j"))
    await clock.advance(5)
    bus.come_back()
    await settle()
    assert isinstance(await publishing, Stored)


async def test_a_lost_answer_leaves_the_message_stored():
    bus = FakeBus(TOPOLOGY)
    bus.lose_answers(1)
    outcome = await bus.publish(lane_subject("anisora", "j"), b"", message_id="j")
    assert isinstance(outcome, Unknown)
    assert outcome.maybe_stored
    assert len(bus.messages("WL_LANE")) == 1
