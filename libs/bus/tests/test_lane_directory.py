"""The lane directory: who counts as living, ready and gone, on a real broker with a clock of ours."""

from datetime import UTC, datetime
from typing import Any

import pytest
from warmlane_bus.lane_directory import GONE_S, LaneDirectory
from warmlane_contracts.messages import LaneFallback, LaneRecord, LaneRouting
from warmlane_contracts.topology import (
    DIRECTORY_BUCKET,
    ROUTING_BUCKET,
    SHARED,
    directory_key,
    fallback_key,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def directory(bus: Any, clock: Clock) -> LaneDirectory:
    made = LaneDirectory(lanes=("anisora", "phr00t"), clock=clock)
    await made.open(bus)
    return made


async def tell(bus: Any, lane: str, **changes: Any) -> None:
    fields = {"availability": "ready", "warm": True, "mode": "dedicated", "engine": "tiny", "updated_at": AT}
    record = LaneRecord(lane_key=lane, worker="w", model="anisora", **(fields | changes))
    bucket = await bus.bucket(DIRECTORY_BUCKET)
    await bucket.put(directory_key(lane, "w"), record.model_dump_json().encode())


async def test_a_ready_worker_makes_its_lane_ready(bus: Any, directory: LaneDirectory) -> None:
    await directory.refresh()
    assert directory.facts("anisora").ready_workers == 0
    await tell(bus, "anisora", service_s=4.0)
    await tell(bus, SHARED, mode="degraded_shared")
    await directory.refresh()
    facts = directory.facts("anisora", waiting=3, bound=9)
    assert (facts.ready_workers, facts.shared_workers, facts.unready_s) == (1, 1, 0.0)
    assert (facts.waiting, facts.bound) == (3, 9)
    assert directory.service_s("anisora") == 4.0
    assert directory.service_s("phr00t") is None


async def test_a_record_that_is_not_renewed_counts_as_gone_whatever_the_broker_keeps(
    bus: Any, directory: LaneDirectory, clock: Clock
) -> None:
    await tell(bus, "anisora")
    await directory.refresh()
    clock.now += GONE_S - 0.1
    await directory.refresh()
    assert directory.facts("anisora").ready_workers == 1
    clock.now += 0.2
    await directory.refresh()
    assert directory.facts("anisora").ready_workers == 0
    clock.now += 30
    assert directory.facts("anisora").unready_s == pytest.approx(30.2)
    await tell(bus, "anisora")
    await directory.refresh()
    assert directory.facts("anisora").unready_s == 0.0


async def test_decisions_and_fallbacks_are_read(bus: Any, directory: LaneDirectory) -> None:
    bucket = await bus.bucket(ROUTING_BUCKET)
    routing = LaneRouting(lane="anisora", choice="degraded", by="key:ops", decided_at=AT)
    await bucket.put("anisora", routing.model_dump_json().encode())
    fallback = LaneFallback(lane="phr00t", reason="quota", by="admission-0", since=AT)
    await bucket.put(fallback_key("phr00t"), fallback.model_dump_json().encode())
    await directory.refresh()
    assert directory.facts("anisora").choice == "degraded"
    assert (directory.routing("anisora"), directory.routing("phr00t")) == (routing, None)
    assert (directory.fallback("anisora"), directory.fallback("phr00t")) == (None, fallback)


async def test_a_record_nobody_understands_is_left_out(bus: Any, directory: LaneDirectory) -> None:
    bucket = await bus.bucket(DIRECTORY_BUCKET)
    await bucket.put(directory_key("anisora", "new"), b'{"from": "the future"}')
    await directory.refresh()
    assert directory.workers("anisora") == []
