"""Real servers for development and tests, as child processes on loopback: NATS, PostgreSQL, S3.

    with NatsServer(tmp_path / "nats") as nats:
        ... nats.url ...

Each takes its folder, and optionally ports and secrets; it makes what it is not given. `start`, `stop`, `kill` (SIGKILL)
and `restart` keep data, ports and secrets. Start them from a thread that lives as long as they should: they die with it.
"""

from warmlane_devstack.servers.nats import NatsCluster, NatsServer
from warmlane_devstack.servers.ports import free_ports
from warmlane_devstack.servers.postgres import PostgresServer
from warmlane_devstack.servers.process import ServerFailed
from warmlane_devstack.servers.s3 import S3Server

__all__ = ["NatsCluster", "NatsServer", "PostgresServer", "S3Server", "ServerFailed", "free_ports"]
