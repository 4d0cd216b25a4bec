"""Real servers for tests, as a pytest plugin: nothing to import, ask for them by name.

| fixture | scope | is |
|---|---|---|
| `nats_server`, `postgres_server`, `s3_server` | session | a running server, empty at first; kill none of them |
| `own_nats` | test | a server of this test's own: kill it as you like |
| `nats_cluster` | test | three servers that replicate |
| `bus` | test | a `NatsBus` on `nats_server`, with the topology and nothing stored |
| `objects` | test | an `S3Objects` on `s3_server`; keys are shared with other tests, so use ids of your own |
| `postgres_dsn` | test | a database of this test's own |

Servers are children of the test run and die with it.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

pytest.register_assert_rewrite("warmlane_testkit.conformance", "warmlane_testkit.waiting")

if TYPE_CHECKING:
    from warmlane_bus.nats_bus import NatsBus
    from warmlane_devstack.servers import NatsCluster, NatsServer, PostgresServer, S3Server
    from warmlane_storage.objects import S3Objects

_databases = itertools.count(1)


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["NatsServer"]:
    """Start a broker for the whole run."""
    from warmlane_devstack.servers import NatsServer  # noqa: PLC0415 - the lane environment has no servers

    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def own_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator["NatsServer"]:
    """Start a broker for one test."""
    from warmlane_devstack.servers import NatsServer  # noqa: PLC0415

    with NatsServer(tmp_path_factory.mktemp("own-nats")) as server:
        yield server


@pytest.fixture
def nats_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator["NatsCluster"]:
    """Start three brokers for one test."""
    from warmlane_devstack.servers import NatsCluster  # noqa: PLC0415

    with NatsCluster(tmp_path_factory.mktemp("nats-cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["PostgresServer"]:
    """Start PostgreSQL for the whole run."""
    from warmlane_devstack.servers import PostgresServer  # noqa: PLC0415

    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def postgres_dsn(postgres_server: "PostgresServer") -> str:
    """Make an empty database."""
    return postgres_server.create_database(f"test_{next(_databases)}")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["S3Server"]:
    """Start an S3 server for the whole run."""
    from warmlane_devstack.servers import S3Server  # noqa: PLC0415

    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def objects(s3_server: "S3Server") -> "S3Objects":
    """Address the bucket of `s3_server`."""
    from warmlane_storage.objects import ObjectSettings, S3Objects  # noqa: PLC0415

    settings = ObjectSettings(
        s3_endpoint=s3_server.endpoint,
        s3_access_key=s3_server.access_key,
        s3_secret_key=SecretStr(s3_server.secret_key),
        s3_bucket=s3_server.bucket,
        s3_region=s3_server.region,
    )
    return S3Objects.from_settings(settings)


@pytest.fixture
async def bus(nats_server: "NatsServer") -> AsyncIterator["NatsBus"]:
    """Connect, remove what the test before left, and apply the topology."""
    from warmlane_bus.nats_bus import NatsBus  # noqa: PLC0415 - import cost only for tests that need it
    from warmlane_bus.topology import apply_topology  # noqa: PLC0415
    from warmlane_contracts.topology import TOPOLOGY  # noqa: PLC0415

    bus = await NatsBus.connect(nats_server.url, name="test", on_fatal=pytest.fail)
    try:
        await remove_streams(bus)
        await apply_topology(bus, TOPOLOGY)
        yield bus
    finally:
        await bus.close()


async def remove_streams(bus: "NatsBus") -> None:
    """Remove every stream, and with it all that was stored."""
    answer: dict[str, Any] = await bus.api.ask("STREAM.NAMES")
    await asyncio.gather(*(bus.api.ask(f"STREAM.DELETE.{name}") for name in answer.get("streams") or []))
