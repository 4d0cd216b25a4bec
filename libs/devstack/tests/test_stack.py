"""`warmlane up` as a person uses it, with the embedded servers alone: the services have tests of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest
from warmlane_devstack.exits import Exit
from warmlane_devstack.servers import NatsServer, PostgresServer
from warmlane_devstack.stack.services import SERVICES

WITHOUT = [part for service in SERVICES for part in ("--without", service.name)]


def warmlane(*arguments):
    argv = [sys.executable, "-m", "warmlane_devstack.cli.main", *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


def running(data):
    return json.loads((data / "run.json").read_text())


def pid_of(data, name):
    return running(data)["processes"][name]["pid"]


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A detached stack of servers; stopped at the end whatever happened."""
    path = tmp_path_factory.mktemp("stack") / "data"
    started = warmlane("up", "--detach", "--data", path, *WITHOUT)
    assert started.returncode == 0, started.stderr
    assert "Warmlane is ready" in started.stdout
    yield path
    assert warmlane("down", "--data", path).returncode == 0


def test_run_json_holds_what_is_promised(data):
    content = running(data)
    keys = "url api_key admin_key nats_url postgres_dsn s3_endpoint s3_access_key s3_secret_key otlp_endpoint processes"
    assert set(content) == set(keys.split())
    assert set(content["processes"]) == {"nats", "postgres", "s3"}
    assert all(alive(entry["pid"]) for entry in content["processes"].values())
    assert (data / "run.json").stat().st_mode & 0o777 == 0o600


def test_the_key_is_shown_to_people_only_not_to_logs(data, tmp_path):
    key = running(data)["api_key"]
    assert len(key) > 30
    assert not [path for path in (data / "logs").iterdir() if key in path.read_text()]


@pytest.mark.parametrize("name", ["nats", "postgres", "s3"])
def test_a_killed_server_comes_back_under_its_new_pid(data, name, eventually):
    first = pid_of(data, name)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: pid_of(data, name) != first)
    assert alive(pid_of(data, name))


async def test_what_was_written_is_there_after_the_server_was_killed(data, eventually):
    dsn = running(data)["postgres_dsn"]
    port = int(dsn.rpartition(":")[2].partition("/")[0])
    eventually(lambda: answers(port))
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
    first = pid_of(data, "postgres")
    os.kill(first, signal.SIGKILL)
    connection.terminate()
    eventually(lambda: pid_of(data, "postgres") != first and answers(port))
    connection = await asyncpg.connect(dsn, timeout=20)
    assert await connection.fetchval("SELECT value FROM kept") == 42
    await connection.close()


def answers(port):
    return PostgresServer(Path("unused"), port=port).probe()


def test_a_second_up_on_the_same_folder_is_one_line(data):
    for arguments in (("up", "--data", data, *WITHOUT), ("up", "--detach", "--data", data, *WITHOUT)):
        second = warmlane(*arguments)
        assert second.returncode == Exit.FAILED
        assert second.stderr.count("\n") == 1
        assert "already runs" in second.stderr
        assert "make down" in second.stderr


def test_a_taken_port_is_one_line_that_names_its_holder(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        refused = warmlane("up", "--data", tmp_path, "--port", port, *WITHOUT)
    assert refused.returncode == Exit.FAILED
    assert refused.stderr.count("\n") == 1
    assert f"port {port} is taken" in refused.stderr
    assert f"(pid {os.getpid()})" in refused.stderr


def test_an_unknown_service_is_bad_usage(tmp_path):
    refused = warmlane("up", "--data", tmp_path, "--without", "lane-sora")
    assert refused.returncode == Exit.BAD_USAGE
    assert "no such service" in refused.stderr


def test_a_killed_supervisor_leaves_no_process_and_the_next_up_works(tmp_path, eventually):
    data = tmp_path / "data"
    assert warmlane("up", "--detach", "--data", data, *WITHOUT).returncode == 0
    first = running(data)
    supervisor = int((data / "lock").read_text())
    os.kill(supervisor, signal.SIGKILL)
    for entry in first["processes"].values():
        eventually(lambda entry=entry: not alive(entry["pid"]))
    assert (data / "run.json").exists()
    again = warmlane("up", "--detach", "--data", data, *WITHOUT)
    assert again.returncode == 0, again.stderr
    second = running(data)
    assert {key: second[key] for key in second if key != "processes"} == {
        key: first[key] for key in first if key != "processes"
    }
    assert warmlane("down", "--data", data).returncode == 0
    assert not (data / "run.json").exists()
    assert not any(alive(entry["pid"]) for entry in second["processes"].values())


def test_ctrl_c_stops_everything_and_exits_well(tmp_path, eventually):
    data = tmp_path / "data"
    argv = [sys.executable, "-m", "warmlane_devstack.cli.main", "up", "--data", str(data), *WITHOUT]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as stack:
        eventually((data / "run.json").exists)
        pids = [entry["pid"] for entry in running(data)["processes"].values()]
        stack.send_signal(signal.SIGINT)
        out, err = stack.communicate(timeout=60)
    assert (stack.returncode, err) == (0, "")
    assert out.endswith("stopped\n")
    assert not any(alive(pid) for pid in pids)
    assert not (data / "run.json").exists()


def test_down_without_a_stack_is_no_error(tmp_path):
    nothing = warmlane("down", "--data", tmp_path)
    assert nothing.returncode == 0
    assert "no stack runs" in nothing.stdout


def test_external_servers_are_used_and_not_started(tmp_path):
    with NatsServer(tmp_path / "nats") as nats:
        data = tmp_path / "data"
        started = warmlane("up", "--detach", "--data", data, "--external-nats", nats.url, *WITHOUT)
        assert started.returncode == 0, started.stderr
        try:
            assert running(data)["nats_url"] == nats.url
            assert set(running(data)["processes"]) == {"postgres", "s3"}
        finally:
            warmlane("down", "--data", data)
        assert nats.probe()


def test_an_external_s3_needs_its_keys(tmp_path):
    refused = warmlane("up", "--data", tmp_path, "--external-s3", "http://127.0.0.1:9", *WITHOUT)
    assert refused.returncode == Exit.BAD_USAGE
    assert "WARMLANE_S3_ACCESS_KEY and WARMLANE_S3_SECRET_KEY" in refused.stderr


def test_the_real_engine_without_models_says_what_is_missing(tmp_path):
    models = tmp_path / "models"
    refused = warmlane("up", "--data", tmp_path / "data", "--engine", "real", "--models-root", models)
    assert refused.returncode == Exit.NOT_FOUND
    assert refused.stderr.count("\n") == 1
    assert str(models / "anisora") in refused.stderr
    assert str(models / "phr00t") in refused.stderr
