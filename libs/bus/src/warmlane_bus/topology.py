"""Makes the broker what the topology table says, and refuses one that is something else.

    table ─► wanted JSON per stream, consumer, bucket ─► ask the broker ─┬─ not there ─► create
                                                                        ├─ equal ─────► leave
                                                                        └─ differs ───► refuse, naming field, want, have

A drifted limit is a broken promise that shows weeks later (a wait queue of 1000, an event stream that forgets), so
nothing is adjusted silently: an operator decides, with `update`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import structlog
from warmlane_contracts.topology import Bucket, Consumer, Stream, Topology

from warmlane_bus.jetstream import JetStreamApi, JetStreamRefused
from warmlane_bus.nats_bus import NatsBus
from warmlane_bus.ports import BusMisconfigured

log = structlog.get_logger(__name__)

OLDEST_SERVER = (2, 15, 1)
"""Older ones acknowledge what a power cut can take (research on 2.12) or lack per-append sync on replicas."""

_NOT_FOUND = 404
_NS = 1_000_000_000
_DUPLICATE_WINDOW_S = 120.0


@dataclass(frozen=True, slots=True)
class Drift:
    """One field that is not as declared. `have` is None when the whole thing is missing."""

    where: str
    field: str
    want: object
    have: object

    def __str__(self) -> str:
        return f"{self.where}: {self.field} should be {self.want!r}, is {self.have!r}"


class TopologyDrifted(BusMisconfigured):
    """The broker has something of ours that is set up differently."""

    def __init__(self, drifts: list[Drift]) -> None:
        """Name every difference."""
        details = "; ".join(str(drift) for drift in drifts)
        super().__init__(
            f"the broker differs from the topology: {details}. Run `python -m warmlane_bus apply --update`."
        )
        self.drifts = drifts


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One thing the broker must have: how to ask for it, make it, change it, and what it must be."""

    where: str
    info: str
    create: str
    update: str
    config: dict[str, Any]
    stream: str | None = None  # the stream a consumer belongs to

    def body(self) -> dict[str, Any]:
        """Return the request that creates or changes it."""
        return self.config if self.stream is None else {"stream_name": self.stream, "config": self.config}


async def apply_topology(bus: NatsBus, topology: Topology, *, replicas: int = 1, update: bool = False) -> list[str]:
    """Create what is missing and return its names; raise `TopologyDrifted` if anything that exists differs.

    With `update` what differs is changed instead; what the broker cannot change raises `BusMisconfigured`. Doing it
    twice, or from two places at once, does no harm.
    """
    check_server(bus)
    made: list[str] = []
    drifts: list[Drift] = []
    for wanted in _wanted(topology, replicas):
        have = await _config(bus.api, wanted)
        found = [] if have is None else _compare(wanted, have)
        if have is None or (found and update):
            await _make(bus.api, wanted, wanted.create if have is None else wanted.update)
            made.append(wanted.where)
        else:
            drifts += found
    if drifts:
        raise TopologyDrifted(drifts)
    log.info("bus.topology_applied", made=made, replicas=replicas)
    return made


async def check_topology(bus: NatsBus, topology: Topology, *, replicas: int = 1) -> list[Drift]:
    """Return every difference, missing things included; change nothing."""
    drifts: list[Drift] = []
    for wanted in _wanted(topology, replicas):
        have = await _config(bus.api, wanted)
        drifts += [Drift(wanted.where, "exists", True, None)] if have is None else _compare(wanted, have)  # noqa: FBT003
    return drifts


def check_server(bus: NatsBus) -> None:
    """Raise `BusMisconfigured` when the server is older than what Warmlane was tried against."""
    version = bus.connection.client.connected_server_version
    if (version.major, version.minor, version.patch) < OLDEST_SERVER:
        wanted = ".".join(map(str, OLDEST_SERVER))
        raise BusMisconfigured(f"nats-server {version.major}.{version.minor}.{version.patch} is too old; use {wanted}+")


def _wanted(topology: Topology, replicas: int) -> Iterator[_Wanted]:
    for stream in topology.streams:
        yield _stream(stream.name, _stream_config(stream, replicas))
    for bucket in topology.buckets:
        yield _stream(f"KV_{bucket.name}", _bucket_config(bucket, replicas))
    for consumer in topology.consumers:
        name = f"{consumer.stream}.{consumer.durable}"
        # One subject creates and changes a consumer.
        make = f"CONSUMER.DURABLE.CREATE.{name}"
        yield _Wanted(
            name, f"CONSUMER.INFO.{name}", make, make, _consumer_config(consumer, replicas), stream=consumer.stream
        )


def _stream(name: str, config: dict[str, Any]) -> _Wanted:
    return _Wanted(name, f"STREAM.INFO.{name}", f"STREAM.CREATE.{name}", f"STREAM.UPDATE.{name}", config)


def _stream_config(stream: Stream, replicas: int) -> dict[str, Any]:
    """Return what the broker must say of a stream; its "no limit" is -1."""
    return {
        "name": stream.name,
        "description": stream.purpose,
        "subjects": list(stream.subjects),
        "retention": stream.retention,
        "discard": stream.discard,
        "storage": "file",
        "num_replicas": replicas,
        "max_msgs": stream.max_msgs or -1,
        "max_msgs_per_subject": stream.max_msgs_per_subject or -1,
        "max_bytes": stream.max_bytes or -1,
        "max_age": int(stream.max_age_s * _NS),
        "duplicate_window": int(stream.duplicate_window_s * _NS),
        "deny_delete": stream.deny_delete,
        "deny_purge": stream.deny_purge,
        "allow_direct": False,
    }


def _bucket_config(bucket: Bucket, replicas: int) -> dict[str, Any]:
    """Return the stream a bucket is: the layout every NATS tool knows as a key-value bucket."""
    return {
        "name": f"KV_{bucket.name}",
        "description": bucket.purpose,
        "subjects": [f"$KV.{bucket.name}.>"],
        "retention": "limits",
        "discard": "new",
        "storage": "file",
        "num_replicas": replicas,
        "max_msgs": -1,
        "max_msgs_per_subject": 1,
        "max_bytes": -1,
        "max_age": int(bucket.ttl_s * _NS),
        "duplicate_window": int(min(bucket.ttl_s or _DUPLICATE_WINDOW_S, _DUPLICATE_WINDOW_S) * _NS),
        "deny_delete": True,
        "deny_purge": False,
        "allow_rollup_hdrs": True,
        "allow_direct": True,
    }


def _consumer_config(consumer: Consumer, replicas: int) -> dict[str, Any]:
    """Return what the broker must say of a durable. Deliveries are unlimited: a limit strands a work queue's message."""
    return {
        "durable_name": consumer.durable,
        "name": consumer.durable,
        "description": consumer.purpose,
        "filter_subject": consumer.filter_subject,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": int(consumer.ack_wait_s * _NS),
        "max_deliver": -1,
        "max_ack_pending": consumer.max_ack_pending,
        "replay_policy": "instant",
        "num_replicas": replicas,
    }


async def _config(api: JetStreamApi, wanted: _Wanted) -> dict[str, Any] | None:
    """Return the broker's configuration of a thing, None when it does not exist."""
    try:
        answer = await api.ask(wanted.info)
    except JetStreamRefused as refused:
        if refused.error.code == _NOT_FOUND:
            return None
        raise BusMisconfigured(str(refused)) from refused
    config: dict[str, Any] = answer["config"]
    return config


async def _make(api: JetStreamApi, wanted: _Wanted, verb: str) -> None:
    try:
        await api.ask(verb, wanted.body())
    except JetStreamRefused as refused:
        # Two services applying at once: fine when the other one made the same.
        have = await _config(api, wanted)
        if have is None or _compare(wanted, have):
            raise BusMisconfigured(f"cannot make {wanted.where}: {refused}") from refused


def _compare(wanted: _Wanted, have: dict[str, Any]) -> list[Drift]:
    """Return the fields that differ. A field the broker leaves out has that field's zero value."""
    return [
        Drift(wanted.where, field, want, have.get(field))
        for field, want in wanted.config.items()
        if not _equal(want, have.get(field))
    ]


def _equal(want: object, have: object) -> bool:
    return want == have if have is not None else not want
