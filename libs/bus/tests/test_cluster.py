"""Three brokers that replicate, and the one that leads is killed. A single server hides what an election does."""

import asyncio
import time

import pytest
from warmlane_bus import NatsBus, StateRegister, Stored, Written, apply_topology, check_topology
from warmlane_contracts.topology import LANE_STREAM, STATE_STREAM, TOPOLOGY, lane_subject
from warmlane_testkit.builders import LANE, claimed, new_job_id


@pytest.fixture
async def cluster_bus(nats_cluster):
    bus = await NatsBus.connect(nats_cluster.url, name="test", on_fatal=pytest.fail)
    await apply_topology(bus, TOPOLOGY, replicas=3)
    yield bus
    await bus.close()


async def leader(bus, cluster, stream):
    info = await bus.api.ask(f"STREAM.INFO.{stream}")
    return next(server for server in cluster.servers if server.server_name == info["cluster"]["leader"])


@pytest.mark.timeout(90)
async def test_jobs_and_claims_survive_the_death_of_the_leader(nats_cluster, cluster_bus):
    bus = cluster_bus
    assert await check_topology(bus, TOPOLOGY, replicas=3) == []
    pull = await bus.pull(LANE_STREAM, LANE)
    register = StateRegister(bus, source="t")
    jobs = [new_job_id() for _ in range(60)]
    todo, killed = iter(jobs), asyncio.Event()
    longest = 0.0

    async def dispatch():
        nonlocal longest
        for job in todo:
            began = time.monotonic()
            outcome = await bus.publish(lane_subject(LANE, job), b"", message_id=job)
            longest = max(longest, time.monotonic() - began)
            assert isinstance(outcome, Stored), outcome
            if job == jobs[20]:
                (await leader(bus, nats_cluster, LANE_STREAM)).kill()
                killed.set()

    async def work():
        """Claim each job as a lane does; a job is ours only when its register says so."""
        claims = {}
        while len(claims) < len(jobs):
            delivery = await pull.fetch(5)
            if delivery is None:
                continue
            job = delivery.subject.rpartition(".")[2]
            outcome = await register.write(claimed(job), after=0, traceparent="", correlation_id="c")
            if isinstance(outcome, Written):
                claims[job] = outcome.seq
            else:
                held = await register.read(LANE, job)
                assert held is not None
                assert job in claims, "claimed by nobody else: a second delivery of our own"
            await delivery.ack()
        return claims

    _, _, claims = await asyncio.gather(dispatch(), dispatch(), work())
    assert killed.is_set()
    assert longest < 15, "a publish never needs more than its envelope"
    for job in jobs:
        held = await register.read(LANE, job)
        assert held.seq == claims[job]
    info = await bus.api.ask(f"STREAM.INFO.{STATE_STREAM}")
    assert info["state"]["messages"] == len(jobs), "one claim per job: no write was stored twice"
