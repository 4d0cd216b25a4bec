"""What makes a connection useless for good, and what only looks like it."""

import pytest
from warmlane_bus import BusUnavailable, NatsBus, Unknown, apply_topology
from warmlane_bus.connection import _split_login
from warmlane_contracts.topology import TOPOLOGY
from warmlane_devstack.servers import NatsServer
from warmlane_testkit.waiting import eventually


async def test_nobody_there_is_said_within_the_time_and_without_the_password():
    with pytest.raises(BusUnavailable) as away:
        await NatsBus.connect("nats://user:hunter22@127.0.0.1:1", name="t", on_fatal=pytest.fail, within_s=0.5)
    assert "is it running?" in str(away.value)
    assert "hunter22" not in repr(away.value)


async def test_a_refused_login_is_said(own_nats):
    url = own_nats.url.replace(own_nats.password, "wrong-password")
    with pytest.raises(BusUnavailable, match=r"(?i)authorization"):
        await NatsBus.connect(url, name="t", on_fatal=lambda _: None, within_s=1)


async def test_a_refused_subject_is_fatal(tmp_path):
    """The one who publishes only sees a timeout; without this a service would retry a forbidden subject for ever."""
    users = """
authorization { users: [
  { user: full, password: full }
  { user: limited, password: limited, permissions { publish: ["wl.v1.event.>", "$JS.API.>"], subscribe: ["_INBOX.>"] } }
] }
"""
    with NatsServer(tmp_path, user="full", password="full", extra=users) as server:
        reasons = []
        base = f"127.0.0.1:{server.port}"
        admin = await NatsBus.connect(f"nats://full:full@{base}", name="admin", on_fatal=pytest.fail)
        await apply_topology(admin, TOPOLOGY)
        bus = await NatsBus.connect(f"nats://limited:limited@{base}", name="t", on_fatal=reasons.append)
        outcome = await bus.publish("wl.v1.lane.anisora.j", b"", message_id="j", within_s=0.5)
        assert isinstance(outcome, Unknown)
        await eventually(lambda: reasons)
        assert "wl.v1.lane.anisora.j" in reasons[0]
        assert "fix this user's permissions" in reasons[0]
        await bus.close()
        await admin.close()


@pytest.mark.parametrize(
    ("url", "servers", "login"),
    [
        ("nats://h:1", ["nats://h:1"], {}),
        ("h:1", ["nats://h:1"], {}),
        ("nats://u:p%40ss@h:1", ["nats://h:1"], {"user": "u", "password": "p@ss"}),
        ("nats://tok@h:1", ["nats://h:1"], {"token": "tok"}),
        (
            "nats://u:p@a:1, nats://u:p@b:2,c:3",
            ["nats://a:1", "nats://b:2", "nats://c:3"],
            {"user": "u", "password": "p"},
        ),
        ("tls://u:p@[::1]:4222", ["tls://[::1]:4222"], {"user": "u", "password": "p"}),
    ],
)
def test_credentials_count_for_every_server(url, servers, login):
    assert _split_login(url) == (servers, login)


async def test_a_node_that_was_only_heard_of_is_used_when_ours_dies(nats_cluster):
    first = nats_cluster.servers[0]
    bus = await NatsBus.connect(first.url, name="t", on_fatal=pytest.fail)
    first.kill()
    await eventually(lambda: bus.connected and bus.connection.client.connected_url.port != first.port)
    assert bus.connection.last_error == ""
    await bus.close()


async def test_many_servers_in_one_url(own_nats):
    bus = await NatsBus.connect(f"nats://127.0.0.1:1, {own_nats.url}", name="t", on_fatal=pytest.fail, within_s=5)
    assert bus.connected
    await bus.close()


async def test_a_client_that_stopped_reconnecting_is_fatal_not_silent(own_nats, monkeypatch):
    reasons = []
    bus = await NatsBus.connect(own_nats.url, name="t", on_fatal=reasons.append)

    async def broken():
        raise ValueError("an error the library does not expect")

    monkeypatch.setattr(bus.connection.client, "_select_next_server", broken)
    own_nats.kill()
    await eventually(lambda: reasons)
    assert "stopped reconnecting" in reasons[0]
    await bus.close()
