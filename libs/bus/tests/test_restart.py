"""The broker dies and comes back under running calls. Real SIGKILLs of a real server."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from warmlane_bus import BusUnavailable, NatsBus, Stored, Unknown, apply_topology
from warmlane_contracts.topology import LANE_STREAM, LEASE_BUCKET, TOPOLOGY, lane_subject
from warmlane_testkit.waiting import eventually


@pytest.fixture
async def lane_bus(own_nats):
    bus = await NatsBus.connect(own_nats.url, name="test", on_fatal=pytest.fail)
    await apply_topology(bus, TOPOLOGY)
    yield bus
    await bus.close()


async def lost(bus):
    await eventually(lambda: not bus.connected, within_s=5, why="the client notices")


async def test_a_fetch_goes_on_across_a_restart(own_nats, lane_bus):
    pull = await lane_bus.pull(LANE_STREAM, "anisora")
    waiting = asyncio.create_task(pull.fetch(30))
    await asyncio.sleep(0.1)  # the request has to be on the server when it dies
    own_nats.kill()
    await lost(lane_bus)
    own_nats.start()
    back = time.monotonic()
    assert isinstance(await lane_bus.publish(lane_subject("anisora", "j"), b"", message_id="j"), Stored)
    delivery = await waiting
    assert delivery is not None
    assert time.monotonic() - back < 3


async def test_a_publish_goes_through_when_the_broker_comes_back_in_time(own_nats, lane_bus):
    own_nats.kill()
    await lost(lane_bus)
    publishing = asyncio.create_task(lane_bus.publish(lane_subject("anisora", "j"), b"", message_id="j"))
    await asyncio.sleep(0)
    own_nats.start()
    assert isinstance(await publishing, Stored)
    assert len(await stored(lane_bus)) == 1


async def test_what_was_answered_unknown_while_away_is_never_sent_later(own_nats, lane_bus):
    """The client library alone would buffer it and deliver it on reconnect: a job its client was told had failed."""
    own_nats.kill()
    outcomes = await asyncio.gather(
        *(lane_bus.publish(lane_subject("anisora", f"j{n}"), b"", message_id=f"j{n}", within_s=0.5) for n in range(20))
    )
    assert all(isinstance(outcome, Unknown) for outcome in outcomes)
    own_nats.start()
    assert isinstance(await lane_bus.publish(lane_subject("anisora", "last"), b"", message_id="last"), Stored)
    assert await stored(lane_bus) == ["wl.v1.lane.anisora.last"]


async def test_what_was_not_yet_written_when_the_connection_broke_is_dropped(own_nats, lane_bus):
    """The library keeps commands it could not write and sends them after the reconnect, buffering off or not."""
    client = lane_bus.connection.client
    own_nats.kill()
    await client._send_command(b"PUB wl.v1.lane.anisora.ghost 0\r\n\r\n")
    await lost(lane_bus)
    own_nats.start()
    assert isinstance(await lane_bus.publish(lane_subject("anisora", "last"), b"", message_id="last"), Stored)
    assert await stored(lane_bus) == ["wl.v1.lane.anisora.last"]


async def test_nothing_acknowledged_is_lost_or_doubled_when_the_broker_is_killed_under_load(own_nats, lane_bus):
    jobs = [f"j{n}" for n in range(300)]
    todo = iter(jobs)

    async def publisher():
        return [(job, await lane_bus.publish(lane_subject("anisora", job), b"", message_id=job)) for job in todo]

    publishers = [asyncio.create_task(publisher()) for _ in range(16)]
    await asyncio.sleep(0.02)
    own_nats.kill()
    await lost(lane_bus)
    own_nats.start()
    outcomes = [pair for pairs in await asyncio.gather(*publishers) for pair in pairs]
    assert all(isinstance(outcome, Stored) for _, outcome in outcomes)
    assert sorted(await stored(lane_bus)) == sorted(lane_subject("anisora", job) for job in jobs)


async def test_an_ack_is_repeated_until_the_broker_is_back(own_nats, lane_bus):
    await lane_bus.publish(lane_subject("anisora", "j"), b"", message_id="j")
    pull = await lane_bus.pull(LANE_STREAM, "anisora")
    delivery = await pull.fetch(5)
    own_nats.stop()  # not killed: a broker may forget a delivery it made an instant before, and ignores its ack then
    await lost(lane_bus)
    acking = asyncio.create_task(delivery.ack())
    await asyncio.sleep(0)
    own_nats.start()
    assert await acking
    assert await stored(lane_bus) == []


async def test_a_bucket_says_that_the_broker_is_away(own_nats, lane_bus):
    bucket = await lane_bus.bucket(LEASE_BUCKET)
    revision = await bucket.put("a.b", b"1")
    own_nats.kill()
    with pytest.raises(BusUnavailable):
        await bucket.update("a.b", b"2", revision, within_s=0.3)
    own_nats.start()
    entry = await eventually(lambda: bucket.get("a.b"))
    assert entry.value == b"1"


async def test_hints_are_heard_again_after_a_restart(own_nats, lane_bus):
    async with lane_bus.hints("h.*") as hints:
        own_nats.kill()
        await lost(lane_bus)
        await lane_bus.hint("h.away")
        own_nats.start()
        await eventually(lambda: lane_bus.connected)
        await lane_bus.hint("h.back")
        assert (await asyncio.wait_for(anext(hints), 2)).subject == "h.back"


async def test_a_broker_that_stands_still_is_not_waited_for_longer_than_asked(own_nats, lane_bus):
    os.kill(own_nats.pid, signal.SIGSTOP)
    try:
        await eventually(lambda: stands_still(own_nats.pid))
        began = time.monotonic()
        outcome = await lane_bus.publish(lane_subject("anisora", "j"), b"", message_id="j", within_s=0.5)
        assert isinstance(outcome, Unknown)
        assert outcome.maybe_stored
        assert time.monotonic() - began < 1
    finally:
        os.kill(own_nats.pid, signal.SIGCONT)
    again = await lane_bus.publish(lane_subject("anisora", "j"), b"", message_id="j")
    assert isinstance(again, Stored)
    assert await stored(lane_bus) == ["wl.v1.lane.anisora.j"], "the same id is stored once, whenever it arrives"


def stands_still(pid):
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)


async def stored(bus):
    """Return the subjects of what the lane stream holds, read message by message."""
    info = await bus.api.ask(f"STREAM.INFO.{LANE_STREAM}", {"subjects_filter": ">"})
    subjects = info["state"].get("subjects") or {}
    return [subject for subject, count in subjects.items() for _ in range(count)]
