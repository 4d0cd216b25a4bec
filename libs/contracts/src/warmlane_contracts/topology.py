"""All streams, consumers, buckets and subjects, declared once.

    gateway ─ job.requested ─► WL_LANE   wl.v1.lane.<lane>.<job>     work queue, one durable per lane
    lanes   ─ state.* ───────► WL_STATE  wl.v1.state.<lane>.<job>    register: the first conditioned record wins
    lanes   ─ facts ─────────► WL_EVENTS wl.v1.event.<lane>.<kind>.<job or ->
    gateway ─ waiting job ───► WL_WAIT   wl.v1.wait.<lane>.<job>     at most 25, at most 30 s: the broker counts

`warmlane_bus` applies this table and refuses a server whose configuration has drifted from it; the AsyncAPI document
is written from it. Every stream stays on disk, and servers run with `sync_interval: always`: an acknowledged publish
has to survive a power cut.
"""

from dataclasses import dataclass
from typing import Literal

from warmlane_contracts.ids import check_token

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MIB = 1024 * 1024

ACK_WAIT_S = 15.0
"""A lane that has not said it lives for this long loses its job to the next worker."""
HEARTBEAT_S = 5.0
"""How often a holder renews its lease and its claim on the message; a third of `ACK_WAIT_S`."""
WAIT_DEPTH = 25
"""How many requests may wait for the degraded worker. Part of the contract: no setting changes it."""
WAIT_S = 30.0
"""How long a request may wait for the degraded worker. Part of the contract: no setting changes it."""
WAIT_ACK_WAIT_S = 5.0
"""How long a shared worker may take from a waiting job's delivery to its claim."""
MAX_ATTEMPTS = 3
LANES = ("anisora", "phr00t")
SHARED = "shared"
"""Stands for the shared worker where a subject or a directory key has a lane: rescued jobs queue there."""
LANE_WORKERS = 16
"""How many workers of one lane may have a job in hand at once."""
NO_JOB = "-"
"""Stands where a subject has a job token and the fact belongs to no job."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream: its subjects, how long it keeps messages, and what it does when it is full. 0 means no limit."""

    name: str
    subjects: tuple[str, ...]
    purpose: str
    retention: Literal["limits", "workqueue"] = "limits"
    discard: Literal["old", "new"] = "old"
    max_msgs: int = 0
    max_msgs_per_subject: int = 0
    max_bytes: int = 0
    max_age_s: float = 0
    duplicate_window_s: float = 2 * MINUTE
    deny_delete: bool = False
    deny_purge: bool = False


@dataclass(frozen=True, slots=True)
class Consumer:
    """A durable pull consumer with explicit acknowledgement and unlimited deliveries (attempts are counted by us)."""

    stream: str
    durable: str
    filter_subject: str
    purpose: str
    ack_wait_s: float = ACK_WAIT_S
    max_ack_pending: int = 1


@dataclass(frozen=True, slots=True)
class Bucket:
    """A key-value bucket that keeps the last value of a key for `ttl_s` seconds."""

    name: str
    purpose: str
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything a broker must have before a service starts."""

    streams: tuple[Stream, ...]
    consumers: tuple[Consumer, ...]
    buckets: tuple[Bucket, ...]


LANE_STREAM = "WL_LANE"
WAIT_STREAM = "WL_WAIT"
STATE_STREAM = "WL_STATE"
EVENT_STREAM = "WL_EVENTS"
LEASE_BUCKET = "wl_lease"
DIRECTORY_BUCKET = "wl_lanes"
ROUTING_BUCKET = "wl_routing"
PROJECTOR_STATE = "gateway-state"
PROJECTOR_EVENTS = "gateway-events"
RESCUE = "rescue"

EventKind = Literal["progress", "lane", "cold_start", "memory", "model", "fallback"]


def lane_subject(lane: str, job_id: str) -> str:
    """Return where a job is handed to its lane."""
    return f"wl.v1.lane.{check_token(lane)}.{check_token(job_id)}"


def state_subject(lane: str, job_id: str) -> str:
    """Return the subject that is a job's register."""
    return f"wl.v1.state.{check_token(lane)}.{check_token(job_id)}"


def event_subject(lane: str, kind: EventKind, job_id: str = NO_JOB) -> str:
    """Return where a lane reports a fact of a kind."""
    return f"wl.v1.event.{check_token(lane)}.{kind}.{check_token(job_id)}"


def all_lane_jobs() -> str:
    """Return the subject on which every job handed to any lane can be heard as it is published, without consuming it."""
    return "wl.v1.lane.*.*"


def wait_subject(lane: str, job_id: str) -> str:
    """Return where a job of a lane waits for the shared worker."""
    return f"wl.v1.wait.{check_token(lane)}.{check_token(job_id)}"


def is_waiting(subject: str) -> bool:
    """Say whether a subject is that of a job that waits for a shared worker."""
    return subject.startswith("wl.v1.wait.")


def wait_consumer(lane: str) -> str:
    """Return the name of the consumer that hands a lane's waiting jobs to shared workers."""
    return f"wait-{check_token(lane)}"


def shared_work() -> tuple[str, str]:
    """Return the subjects on which work for a shared worker can be heard as it is published, without consuming it."""
    return "wl.v1.wait.*.*", f"wl.v1.lane.{SHARED}.*"


def cancel_hint_subject(lane: str, job_id: str) -> str:
    """Return where a holder is told, without promise of delivery, that its job was cancelled."""
    return f"wl.v1.hint.cancel.{check_token(lane)}.{check_token(job_id)}"


def cancel_hints_of(lane: str) -> str:
    """Return the subject that hears the cancel hints of all jobs of a lane."""
    return f"wl.v1.hint.cancel.{check_token(lane)}.*"


def lease_key(lane: str, job_id: str) -> str:
    """Return the key of a job's lease."""
    return f"{check_token(lane)}.{check_token(job_id)}"


def directory_key(lane: str, worker: str) -> str:
    """Return the key of a worker's record in the lane directory."""
    return f"{check_token(lane)}.{check_token(worker)}"


def fallback_key(lane: str) -> str:
    """Return the key under which a lane's fallback stands in the routing bucket, beside the lane's own key."""
    return f"{check_token(lane)}.fallback"


TOPOLOGY = Topology(
    streams=(
        Stream(
            LANE_STREAM,
            ("wl.v1.lane.*.*",),
            "Jobs for dedicated lanes; a job stays unacknowledged while it runs.",
            retention="workqueue",
            discard="new",
            max_bytes=256 * MIB,
            duplicate_window_s=5 * MINUTE,
        ),
        Stream(
            WAIT_STREAM,
            ("wl.v1.wait.*.*",),
            "Jobs that wait for the shared worker. The broker enforces depth and wait.",
            retention="workqueue",
            discard="new",
            max_msgs=WAIT_DEPTH,
            max_age_s=WAIT_S,
            duplicate_window_s=WAIT_S,
        ),
        Stream(
            STATE_STREAM,
            ("wl.v1.state.*.*",),
            "The register of claims and outcomes, and the audit feed: one write.",
            max_msgs_per_subject=64,
            max_age_s=30 * DAY,
            deny_delete=True,
            deny_purge=True,
        ),
        Stream(
            EVENT_STREAM,
            ("wl.v1.event.*.*.*",),
            "Facts: progress, lanes, memory, models.",
            max_bytes=1024 * MIB,
            max_age_s=7 * DAY,
        ),
    ),
    consumers=(
        *(
            Consumer(
                LANE_STREAM,
                lane,
                f"wl.v1.lane.{lane}.*",
                f"Hands jobs to the workers of the {lane} lane, one at a time to each.",
                max_ack_pending=LANE_WORKERS,
            )
            for lane in LANES
        ),
        Consumer(
            LANE_STREAM,
            SHARED,
            f"wl.v1.lane.{SHARED}.*",
            "Hands rescued jobs to shared workers, whatever their lane.",
            max_ack_pending=LANE_WORKERS,
        ),
        # One for each lane, so that a shared worker can go on with the model it holds. The broker frees the place with the
        # acknowledgement that follows the claim at once, so a short ack wait frees a dead claimer's place soon.
        *(
            Consumer(
                WAIT_STREAM,
                wait_consumer(lane),
                f"wl.v1.wait.{lane}.*",
                f"Hands waiting jobs of the {lane} lane to shared workers.",
                ack_wait_s=WAIT_ACK_WAIT_S,
                max_ack_pending=LANE_WORKERS,
            )
            for lane in LANES
        ),
        Consumer(
            STATE_STREAM,
            RESCUE,
            "wl.v1.state.*.*",
            "Shows every record to one admission replica, which keeps it until the job has gone on.",
            max_ack_pending=10_000,
        ),
        Consumer(
            STATE_STREAM, PROJECTOR_STATE, "wl.v1.state.*.*", "Projects outcomes into tasks.", max_ack_pending=1000
        ),
        Consumer(
            EVENT_STREAM, PROJECTOR_EVENTS, "wl.v1.event.*.*.*", "Projects progress into tasks.", max_ack_pending=1000
        ),
    ),
    buckets=(
        Bucket(LEASE_BUCKET, "Who is alive on which job; liveness only, never truth.", ttl_s=HOUR),
        Bucket(DIRECTORY_BUCKET, "The lane directory: one record per living worker.", ttl_s=4 * HEARTBEAT_S),
        Bucket(
            ROUTING_BUCKET, "What operators and lane controllers decided about a lane; kept until changed.", ttl_s=0
        ),
    ),
)
