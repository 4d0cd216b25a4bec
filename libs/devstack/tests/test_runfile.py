"""run.json: private, current, and not believed when it is stale."""

import json
import os
import subprocess
import sys

import psutil
import pytest
from warmlane_devstack.stack.runfile import RunFile, Running, clean_stale


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_it_appears_when_published_private_and_follows_restarts(tmp_path, sleeper):
    file = RunFile(tmp_path, {"url": "http://x"})
    file.started("nats", os.getpid())
    assert not file.path.exists()
    file.publish()
    assert file.path.stat().st_mode & 0o777 == 0o600
    file.started("nats", sleeper.pid)
    content = json.loads(file.path.read_text())
    assert content["url"] == "http://x"
    assert content["processes"]["nats"]["pid"] == sleeper.pid
    file.remove()
    assert not file.path.exists()


def test_what_a_dead_supervisor_left_is_ended(tmp_path, sleeper):
    file = RunFile(tmp_path, {})
    file.started("nats", sleeper.pid)
    file.publish()
    assert clean_stale(tmp_path) == 1
    assert sleeper.wait(10) is not None
    assert not file.path.exists()


def test_another_process_that_got_the_pid_is_left_alone(tmp_path, sleeper):
    started = psutil.Process(sleeper.pid).create_time() - 100
    entry = {"pid": sleeper.pid, "started": started}
    (tmp_path / "run.json").write_text(json.dumps({"processes": {"nats": entry}}))
    assert clean_stale(tmp_path) == 0
    assert sleeper.poll() is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"processes": {"nats": {}}}', '{"processes": {"nats": 3}}'])
def test_a_broken_file_is_no_obstacle(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    running = Running.read(tmp_path)
    assert running is None or running.living() == []
    assert clean_stale(tmp_path) == 0
