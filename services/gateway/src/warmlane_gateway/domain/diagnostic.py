"""A diagnostic: a fact about lanes, memory or queues in the one shape people search (requirement B9).

| kind | value | reason |
|---|---|---|
| `memory_cleanup` | bytes freed | how the generation ended |
| `memory_post_generation`, `memory_loaded`, `memory_evicted` | peak bytes, else resident bytes | |
| `fallback_activated` | | `capacity`, `quota` or `manual`; of a lane, or of one task |
| `fallback_ended` | seconds it lasted | the same |
| `queue_timeout` | seconds waited | |
| `queue_overloaded` | how many waited | |
| `lane_ready`, `lane_cold`, `lane_unavailable` | | the worker's words |
| `cold_start` | seconds from the start of the load to warm | |
| `model_ensured`, `model_failed` | seconds, none | how, the store's code |
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from warmlane_contracts.messages import (
    Claimed,
    ColdStarted,
    Expired,
    FallbackActivated,
    FallbackEnded,
    LaneChanged,
    MemoryCleaned,
    MemoryMeasured,
    Message,
    ModelEnsured,
    ModelFailed,
    Rejected,
)
from warmlane_contracts.topology import WAIT_DEPTH

KINDS = (
    "memory_cleanup",
    "memory_post_generation",
    "memory_loaded",
    "memory_evicted",
    "fallback_activated",
    "fallback_ended",
    "queue_timeout",
    "queue_overloaded",
    "lane_ready",
    "lane_cold",
    "lane_unavailable",
    "cold_start",
    "model_ensured",
    "model_failed",
)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One diagnostic. `event_id` is that of the fact it was made from."""

    event_id: str
    at: datetime
    kind: str
    task_id: str | None = None
    model: str | None = None
    lane: str | None = None
    lane_mode: str | None = None
    value: float | None = None
    reason: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def diagnostic_of(fact: Message, *, event_id: str, at: datetime) -> Diagnostic | None:
    """Return what a fact says about lanes, memory or queues, None when it says nothing."""
    shape = _SHAPES.get(type(fact), _nothing)(fact)
    if shape is None:
        return None
    if isinstance(fact, Claimed):
        # The task's own id, so that a task that was sent to the shared workers at once is not told twice.
        event_id = f"fallback.{fact.task_id}"
    named = fact.model_dump(mode="json", exclude_none=True)
    own = {name: named[name] for name in ("task_id", "model", "lane", "lane_mode") if name in named}
    detail = {name: value for name, value in named.items() if name not in _SAID}
    return Diagnostic(event_id=event_id, at=at, detail=detail, **(own | shape))


_SAID = frozenset({"task_id", "model", "lane", "lane_mode", "job", "record_id", "job_id"})

Shape = dict[str, Any] | None


def _nothing(_fact: Message) -> Shape:
    return None


def _cleaned(fact: MemoryCleaned) -> Shape:
    return {"kind": "memory_cleanup", "value": fact.freed_bytes, "reason": fact.outcome}


def _measured(fact: MemoryMeasured) -> Shape:
    return {"kind": f"memory_{fact.stage}", "value": fact.peak_bytes or fact.rss_bytes}


def _lane_fell_back(fact: FallbackActivated) -> Shape:
    return {"kind": "fallback_activated", "reason": fact.reason, "lane_mode": "degraded_shared"}


def _task_fell_back(fact: Claimed) -> Shape:
    if fact.lane_mode == "dedicated" or fact.job is None:
        return None
    return {"kind": "fallback_activated", "reason": fact.fallback_reason, "model": fact.job.model}


def _lane_returned(fact: FallbackEnded) -> Shape:
    return {"kind": "fallback_ended", "reason": fact.reason, "lane_mode": "dedicated", "value": fact.seconds}


def _lane_changed(fact: LaneChanged) -> Shape:
    return {"kind": f"lane_{fact.availability}", "reason": fact.reason or fact.detail, "lane_mode": fact.mode}


def _cold_started(fact: ColdStarted) -> Shape:
    return {"kind": "cold_start", "value": fact.seconds}


def _expired(fact: Expired) -> Shape:
    return {"kind": "queue_timeout", "value": fact.waited_s, "reason": fact.reason, "lane_mode": "degraded_shared"}


def _rejected(fact: Rejected) -> Shape:
    return {"kind": "queue_overloaded", "value": WAIT_DEPTH, "reason": fact.code, "lane_mode": "degraded_shared"}


def _ensured(fact: ModelEnsured) -> Shape:
    return {"kind": "model_ensured", "value": fact.seconds, "reason": fact.how}


def _not_had(fact: ModelFailed) -> Shape:
    return {"kind": "model_failed", "reason": fact.code}


_SHAPES: dict[type[Message], Callable[[Any], Shape]] = {
    MemoryCleaned: _cleaned,
    MemoryMeasured: _measured,
    FallbackActivated: _lane_fell_back,
    FallbackEnded: _lane_returned,
    Claimed: _task_fell_back,
    LaneChanged: _lane_changed,
    ColdStarted: _cold_started,
    Expired: _expired,
    Rejected: _rejected,
    ModelEnsured: _ensured,
    ModelFailed: _not_had,
}
