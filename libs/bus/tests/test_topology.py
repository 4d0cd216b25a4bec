import dataclasses
import os
import subprocess
import sys

import pytest
from warmlane_bus import BusMisconfigured, TopologyDrifted, apply_topology, check_topology
from warmlane_contracts.topology import TOPOLOGY, WAIT_STREAM
from warmlane_testkit.fixtures import remove_streams


def changed(part, name, **changes):
    items = tuple(
        dataclasses.replace(item, **changes)
        if getattr(item, "durable", None) == name or getattr(item, "name", None) == name
        else item
        for item in getattr(TOPOLOGY, part)
    )
    return dataclasses.replace(TOPOLOGY, **{part: items})


async def test_applying_twice_makes_everything_once(bus):
    await remove_streams(bus)
    made = await apply_topology(bus, TOPOLOGY)
    assert len(made) == len(TOPOLOGY.streams) + len(TOPOLOGY.consumers) + len(TOPOLOGY.buckets)
    assert await apply_topology(bus, TOPOLOGY) == []
    assert await check_topology(bus, TOPOLOGY) == []


@pytest.mark.parametrize(
    ("part", "name", "changes", "expected"),
    [
        ("streams", WAIT_STREAM, {"max_msgs": 26}, "WL_WAIT: max_msgs should be 26, is 25"),
        ("streams", WAIT_STREAM, {"discard": "old"}, "WL_WAIT: discard should be 'old', is 'new'"),
        ("streams", "WL_STATE", {"deny_delete": False}, "WL_STATE: deny_delete should be False, is True"),
        ("streams", "WL_STATE", {"max_age_s": 0}, "WL_STATE: max_age should be 0, is 2592000000000000"),
        ("consumers", "anisora", {"ack_wait_s": 20}, "WL_LANE.anisora: ack_wait should be 20000000000, is 15000000000"),
        ("consumers", "anisora", {"max_ack_pending": 2}, "WL_LANE.anisora: max_ack_pending should be 2, is 16"),
        ("buckets", "wl_lease", {"ttl_s": 60}, "KV_wl_lease: max_age should be 60000000000, is 3600000000000"),
    ],
)
async def test_drift_is_refused_naming_field_want_and_have(bus, part, name, changes, expected):
    want = changed(part, name, **changes)
    with pytest.raises(TopologyDrifted) as refused:
        await apply_topology(bus, want)
    assert expected in str(refused.value)
    assert expected in [str(drift) for drift in await check_topology(bus, want)]
    assert await check_topology(bus, TOPOLOGY) == [], "nothing was changed"


async def test_drift_is_changed_only_when_asked(bus):
    want = changed("consumers", "anisora", max_ack_pending=2)
    assert await apply_topology(bus, want, update=True) == ["WL_LANE.anisora"]
    assert await check_topology(bus, want) == []


async def test_what_the_broker_cannot_change_is_an_error(bus):
    want = changed("streams", "WL_LANE", retention="limits")
    with pytest.raises(BusMisconfigured, match="WL_LANE"):
        await apply_topology(bus, want, update=True)


async def test_missing_things_are_drift_to_a_check(bus):
    await bus.api.ask("CONSUMER.DELETE.WL_LANE.anisora")
    assert [str(drift) for drift in await check_topology(bus, TOPOLOGY)] == [
        "WL_LANE.anisora: exists should be True, is None"
    ]


async def test_more_replicas_than_servers_is_refused_with_the_reason(bus):
    await remove_streams(bus)
    with pytest.raises(BusMisconfigured, match="replicas > 1 not supported in non-clustered mode"):
        await apply_topology(bus, TOPOLOGY, replicas=3)


def run_command(server, *arguments):
    env = {**os.environ, "WARMLANE_NATS_URL": server.url}
    return subprocess.run(
        [sys.executable, "-m", "warmlane_bus", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_command_applies_checks_and_says_what_differs(own_nats):
    before = run_command(own_nats, "check")
    assert before.returncode == 1
    assert "WL_LANE: exists should be True" in before.stdout
    applied = run_command(own_nats, "apply")
    assert applied.returncode == 0, applied.stderr
    assert "WL_STATE" in applied.stdout
    assert run_command(own_nats, "check").returncode == 0
    own_nats.kill()
    away = run_command(own_nats, "--within", "0.5", "check")
    assert away.returncode == 8
    assert "no broker answered" in away.stderr
    assert own_nats.password not in away.stderr
    own_nats.start()
