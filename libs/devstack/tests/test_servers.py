"""The promises of the embedded servers, on the real servers."""

import asyncio
import os
import signal
import subprocess
import sys

import asyncpg
import nats
import psutil
import pytest
from warmlane_devstack.servers import NatsCluster, NatsServer, PostgresServer, S3Server, ServerFailed, free_ports, sigv4


async def write_nats(server):
    client = await nats.connect(server.url)
    stream = client.jetstream()
    await stream.add_stream(name="KEPT", subjects=["kept"])
    await stream.publish("kept", b"precious")
    await client.close()


async def read_nats(server):
    client = await nats.connect(server.url)
    message = await client.jetstream().get_last_msg("KEPT", "kept")
    await client.close()
    return message.data


async def write_postgres(server):
    connection = await asyncpg.connect(server.dsn)
    await connection.execute("CREATE TABLE kept (value bytea)")
    await connection.execute("INSERT INTO kept VALUES ($1)", b"precious")
    await connection.close()


async def read_postgres(server):
    connection = await asyncpg.connect(server.dsn)
    value = await connection.fetchval("SELECT value FROM kept")
    await connection.close()
    return value


def access(server, **changes):
    keys = {"access_key": server.access_key, "secret_key": server.secret_key, **changes}
    return sigv4.S3Access(host="127.0.0.1", port=server.port, region=server.region, **keys)


async def write_s3(server):
    assert sigv4.request(access(server), "PUT", f"/{server.bucket}/kept", b"precious") == 200


async def read_s3(server):
    return b"precious" if sigv4.request(access(server), "GET", f"/{server.bucket}/kept") == 200 else None


CASES = {
    "nats": (NatsServer, write_nats, read_nats),
    "postgres": (PostgresServer, write_postgres, read_postgres),
    "s3": (S3Server, write_s3, read_s3),
}


@pytest.mark.parametrize("name", CASES)
async def test_what_was_written_survives_sigkill_and_restart(name, tmp_path):
    make, write, read = CASES[name]
    server = make(tmp_path / name)
    with server:
        await write(server)
        first = server.pid
        server.kill()
        assert server.pid is None
        server.start()
        assert server.pid != first
        assert await read(server) == b"precious"
        server.restart()
        assert await read(server) == b"precious"


@pytest.mark.parametrize("name", CASES)
def test_stop_and_start_survive_repetition(name, tmp_path):
    server = CASES[name][0](tmp_path / name)
    server.stop()
    server.kill()
    server.start()
    pid = server.pid
    assert server.start().pid == pid
    server.stop()
    server.stop()
    assert server.pid is None


def test_nats_refuses_strangers(tmp_path):
    with NatsServer(tmp_path / "real") as server:
        assert server.probe()
        assert not NatsServer(tmp_path / "stranger", port=server.port, password="wrong").probe()


async def test_postgres_refuses_strangers_and_keeps_its_promises_to_the_disk(tmp_path):
    with PostgresServer(tmp_path) as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.dsn.replace(server.password, "wrong"))
        connection = await asyncpg.connect(server.create_database("another"))
        settings = {name: await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")}
        assert settings == {"fsync": "on", "synchronous_commit": "on"}
        assert await connection.fetchval("SELECT current_database()") == "another"
        await connection.close()


def test_s3_refuses_strangers(tmp_path):
    with S3Server(tmp_path) as server:
        assert sigv4.request(access(server, secret_key="wrong"), "GET", f"/{server.bucket}/.ready") == 403


def test_a_half_made_database_is_made_again(tmp_path):
    (tmp_path / "data").mkdir(parents=True)
    (tmp_path / "data" / "PG_VERSION").write_text("18\n")
    with PostgresServer(tmp_path) as server:
        assert server.probe()


async def test_a_cluster_elects_another_leader_when_one_node_dies(tmp_path):
    with NatsCluster(tmp_path) as cluster:
        client = await nats.connect(servers=cluster.url.split(","))
        stream = client.jetstream(timeout=10)
        await stream.add_stream(name="KEPT", subjects=["kept"], num_replicas=3)
        await stream.publish("kept", b"precious")
        leader = (await stream.stream_info("KEPT")).cluster.leader
        next(server for server in cluster.servers if server.server_name == leader).kill()
        survivor = next(server for server in cluster.servers if server.server_name != leader)
        await client.close()
        client = await nats.connect(survivor.url)
        assert await last_message(client) == b"precious"
        await client.close()


async def last_message(client):
    """Ask until the others have elected a leader that answers."""
    async with asyncio.timeout(30):
        while True:
            try:
                return (await client.jetstream(timeout=1).get_last_msg("KEPT", "kept")).data
            except (nats.errors.TimeoutError, nats.js.errors.ServiceUnavailableError, nats.errors.NoRespondersError):
                await asyncio.sleep(0.05)


def test_a_server_that_cannot_start_says_why(tmp_path):
    with NatsServer(tmp_path / "one") as holder:
        with pytest.raises(ServerFailed, match=r"nats did not start: .*address already in use"):
            NatsServer(tmp_path / "two", port=holder.port).start()


def test_servers_die_with_the_process_that_started_them(tmp_path, eventually):
    code = (
        "import sys, pathlib\n"
        "from warmlane_devstack.servers import NatsServer, PostgresServer\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "servers = [NatsServer(root / 'n').start(), PostgresServer(root / 'p').start()]\n"
        "print(*(server.pid for server in servers), flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        os.kill(parent.pid, signal.SIGKILL)
        for pid in pids:
            eventually(lambda pid=pid: not alive(pid))


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_free_ports_are_different():
    ports = free_ports(50)
    assert len(set(ports)) == 50
