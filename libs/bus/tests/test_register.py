"""The register under lost answers, dead servers and crowds."""

import asyncio

import pytest
from warmlane_bus import Lost, NatsBus, StateRegister, Stored, Undecided, Written, apply_topology
from warmlane_contracts.topology import STATE_STREAM, TOPOLOGY
from warmlane_testkit.builders import LANE, cancelled, claimed, done, new_job_id
from warmlane_testkit.clock import ManualClock
from warmlane_testkit.fake_bus import FakeBus

TRACE = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"


def write(register, record, after, **more):
    return register.write(record, after=after, traceparent=TRACE, correlation_id="c", **more)


async def test_what_is_written_is_what_is_read():
    clock = ManualClock()
    register, job = StateRegister(FakeBus(clock=clock), source="lane-anisora", clock=clock), new_job_id()
    record = claimed(job)
    written = await register.write(record, after=0, traceparent=TRACE, correlation_id="c", causation_id="e1")
    held = await register.read(LANE, job)
    assert (held.seq, held.record, held.time) == (written.seq, record, clock.now())
    envelope = held.envelope
    assert (envelope.id, envelope.source, envelope.subject) == (record.record_id, "lane-anisora", job)
    assert (envelope.traceparent, envelope.correlation_id, envelope.causation_id) == (TRACE, "c", "e1")


async def test_a_lost_answer_of_a_stored_record_counts_as_written():
    bus = FakeBus()
    register, job = StateRegister(bus, source="t"), new_job_id()
    bus.lose_answers(1)
    assert await write(register, claimed(job), 0) == Written(1)


async def test_a_lost_answer_of_a_record_that_came_second_counts_as_lost():
    bus = FakeBus()
    register, job = StateRegister(bus, source="t"), new_job_id()
    first = await write(register, claimed(job, worker="w1"), 0)
    bus.lose_answers(1)
    outcome = await write(register, claimed(job, worker="w2"), 0)
    assert isinstance(outcome, Lost)
    assert outcome.held.seq == first.seq


async def test_a_rival_between_reading_and_writing_wins():
    bus = FakeBus()
    register, job = StateRegister(bus, source="t"), new_job_id()
    claim = await write(register, claimed(job), 0)

    def cancel_first(subject):
        bus.before_publish = None
        from warmlane_contracts.envelope import Envelope, encode

        rival = cancelled(job)
        raw = encode(
            Envelope(
                id=rival.record_id, type=rival.TYPE, source="gateway", time=bus.clock.now(), subject=job, data=rival
            )
        )
        stream = bus.streams[STATE_STREAM]
        assert isinstance(
            stream.store(subject, raw, message_id=rival.record_id, expect_last_seq=claim.seq, headers={}), Stored
        )

    bus.before_publish = cancel_first
    outcome = await write(register, done(job, claim.seq), claim.seq)
    assert isinstance(outcome, Lost)
    assert outcome.held.record.by == "key:test"


async def test_with_the_broker_away_it_is_undecided():
    clock = ManualClock()
    bus = FakeBus(clock=clock)
    register, job = StateRegister(bus, source="t"), new_job_id()
    bus.go_away()
    writing = asyncio.create_task(write(register, claimed(job), 0, within_s=5))
    await clock.advance(30)
    assert isinstance(await writing, Undecided)


async def test_a_record_nobody_can_read_is_an_error_not_an_empty_register():
    bus = FakeBus()
    register, job = StateRegister(bus, source="t"), new_job_id()
    await bus.publish(f"wl.v1.state.{LANE}.{job}", b"{}", message_id="m")
    with pytest.raises(ValueError, match="not a valid message"):
        await register.read(LANE, job)


async def test_of_many_claimers_on_many_connections_exactly_one_wins_though_the_broker_is_killed(own_nats):
    """Every claimer that believes it won must be the one the register names, whatever happened to its answers."""
    buses = [await NatsBus.connect(own_nats.url, name=f"c{n}", on_fatal=pytest.fail) for n in range(8)]
    await apply_topology(buses[0], TOPOLOGY)
    registers = [StateRegister(bus, source=f"c{n}") for n, bus in enumerate(buses)]
    jobs = [new_job_id() for _ in range(12)]

    async def claim_all(n):
        return [(job, n, await write(registers[n], claimed(job, worker=f"w{n}"), 0)) for job in jobs]

    claimers = [asyncio.create_task(claim_all(n)) for n in range(len(buses))]
    for _ in range(2):
        await asyncio.sleep(0.01)
        own_nats.kill()
        await asyncio.sleep(0.05)
        own_nats.start()
    outcomes = [outcome for claims in await asyncio.gather(*claimers) for outcome in claims]
    for job in jobs:
        winners = [(n, outcome.seq) for at, n, outcome in outcomes if at == job and isinstance(outcome, Written)]
        held = await registers[0].read(LANE, job)
        assert winners == [(int(held.record.worker[1:]), held.seq)]
        assert not [1 for at, _, outcome in outcomes if at == job and isinstance(outcome, Undecided)]
    for bus in buses:
        await bus.close()


async def test_a_record_stored_before_the_broker_died_is_recognised_after_it(own_nats):
    """The broker forgets message ids of some messages when it is killed; the record's own id has to be enough."""
    bus = await NatsBus.connect(own_nats.url, name="t", on_fatal=pytest.fail)
    await apply_topology(bus, TOPOLOGY)
    register, job = StateRegister(bus, source="t"), new_job_id()
    record = claimed(job)
    first = await write(register, record, 0)
    own_nats.kill()
    own_nats.start()
    assert await write(register, record, 0) == first
    await bus.close()
