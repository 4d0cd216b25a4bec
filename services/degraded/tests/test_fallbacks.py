"""A lane's fallback is noticed, told once, and over by itself."""

from typing import Any

from warmlane_contracts.envelope import decode
from warmlane_contracts.messages import FallbackActivated, FallbackEnded, LaneFallback
from warmlane_contracts.topology import EVENT_STREAM, PROJECTOR_EVENTS, ROUTING_BUCKET, SHARED, fallback_key
from warmlane_testkit.waiting import eventually


async def told(bus: Any, kind: type, wanted: int = 1) -> list[Any]:
    pull = await bus.pull(EVENT_STREAM, PROJECTOR_EVENTS)
    found: list[Any] = []

    async def all_there() -> bool:
        for delivery in await pull.fetch_many(100, 0.2):
            found.append(decode(delivery.data).data)
            await delivery.ack()
        return sum(isinstance(fact, kind) for fact in found) >= wanted

    await eventually(all_there, within_s=10)
    return [fact for fact in found if isinstance(fact, FallbackActivated | FallbackEnded)]


async def kept(bus: Any, lane: str) -> LaneFallback | None:
    entry = await (await bus.bucket(ROUTING_BUCKET)).get(fallback_key(lane))
    return LaneFallback.model_validate_json(entry.value) if entry else None


async def test_a_lane_that_cannot_be_used_falls_back_with_its_cause_and_returns_by_itself(
    world, admission, bus
) -> None:
    await world.worker("anisora")
    await world.worker("phr00t", availability="unavailable", warm=False)
    await world.worker(SHARED)
    await admission()
    [activated] = await told(bus, FallbackActivated)
    assert (activated.lane, activated.reason) == ("phr00t", "capacity")
    assert (await kept(bus, "phr00t")).reason == "capacity"
    assert await kept(bus, "anisora") is None

    await world.worker("phr00t")
    [ended] = await told(bus, FallbackEnded)
    assert (ended.lane, ended.reason) == ("phr00t", "capacity")
    assert ended.seconds >= 0

    async def forgotten() -> bool:
        return await kept(bus, "phr00t") is None

    await eventually(forgotten)


async def test_three_replicas_tell_a_fallback_once(world, admission, bus) -> None:
    await world.worker("anisora")
    await world.worker("phr00t")
    await world.worker(SHARED)
    for number in range(3):
        await admission(f"admission-{number}")
    await world.choose("anisora", "degraded")
    first = await told(bus, FallbackActivated)
    await world.choose("anisora", "auto")
    rest = await told(bus, FallbackEnded)
    assert [type(fact) for fact in (*first, *rest)] == [FallbackActivated, FallbackEnded]
    assert {fact.reason for fact in (*first, *rest)} == {"manual"}


async def test_a_changed_cause_is_a_new_fallback(world, admission, bus) -> None:
    await world.worker("phr00t")
    await world.worker(SHARED)
    await admission()
    [first] = await told(bus, FallbackActivated)
    assert (first.lane, first.reason) == ("anisora", "capacity")
    await world.choose("anisora", "auto", denied="quota")
    later = await told(bus, FallbackActivated)
    assert [(type(fact), fact.reason) for fact in later] == [(FallbackEnded, "capacity"), (FallbackActivated, "quota")]
