"""The data folder: one stack at a time, the same secrets tomorrow, one line when it cannot be used."""

import json
import os
import socket
import subprocess

import pytest
from warmlane_devstack.exits import CommandFailed, Exit
from warmlane_devstack.stack.datadir import DataDir
from warmlane_devstack.stack.secrets import SECRETS


def test_secrets_and_ports_are_the_same_tomorrow_and_private(tmp_path):
    today, tomorrow = DataDir(tmp_path / "d"), DataDir(tmp_path / "d")
    with today.hold(1):
        secrets, ports = [today.secret(name) for name in SECRETS], today.ports("s3", 4)
    with tomorrow.hold(1):
        assert [tomorrow.secret(name) for name in SECRETS] == secrets
        assert tomorrow.ports("s3", 4) == ports
    assert len(set(secrets)) == len(SECRETS)
    assert (tmp_path / "d" / "state.json").stat().st_mode & 0o777 == 0o600


def test_a_port_somebody_took_is_replaced(tmp_path):
    data = DataDir(tmp_path)
    with data.hold(1):
        [port] = data.ports("nats")
        with socket.create_server(("127.0.0.1", port)):
            assert data.ports("nats") != [port]


def test_two_stacks_that_start_at_once_never_choose_the_same_port(tmp_path):
    one, other = DataDir(tmp_path / "one"), DataDir(tmp_path / "other")
    with one.hold(1), other.hold(1):
        [port] = one.ports("gateway")
        assert one.take(port)
        assert not other.take(port)
    with other.hold(1):
        assert other.take(port)


def test_only_one_holds_it_and_the_other_is_told_who(tmp_path):
    with DataDir(tmp_path).hold(4711):
        assert DataDir(tmp_path).holder() == 4711
        with pytest.raises(CommandFailed, match=r"already runs on .* \(pid 4711\); stop it with `make down`"):
            with DataDir(tmp_path).hold(1):
                pass
    assert DataDir(tmp_path).holder() is None


def test_unreadable_state_is_not_silently_replaced(tmp_path):
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(CommandFailed, match="not readable") as failed:
        with DataDir(tmp_path).hold(1):
            pass
    assert failed.value.exit_code == Exit.CORRUPT
    assert (tmp_path / "state.json").read_text() == "{"


def test_a_secret_added_by_a_newer_version_is_made_and_the_old_ones_stay(tmp_path):
    (tmp_path / "state.json").write_text(json.dumps({"secrets": {"api_key": "old"}, "ports": {}}))
    data = DataDir(tmp_path)
    with data.hold(1):
        assert data.secret("api_key") == "old"
        assert data.secret("admin_key")


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    argv = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path]
    mounted = subprocess.run(argv, check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount here: {mounted.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_disk_without_room_is_one_line_before_anything_starts(small_disk):
    with pytest.raises(CommandFailed, match=r"no space: \d+ MB free at .*, 512 MB needed; free some") as failed:
        with DataDir(small_disk).hold(1):
            pass
    assert failed.value.exit_code == Exit.NO_SPACE


def test_a_disk_that_fills_up_later_is_one_line_too(small_disk, monkeypatch):
    monkeypatch.setattr("warmlane_devstack.stack.datadir.MIN_FREE_BYTES", 0)
    with pytest.raises(CommandFailed, match="no space") as failed:
        with DataDir(small_disk).hold(1):
            (small_disk / "big").write_bytes(b"x" * 2_000_000)
    assert failed.value.exit_code == Exit.NO_SPACE
