"""A task's life as spans: what an investigator sees.

    accepted ─► queue (or admission) ─► attempt 1 [claimed, loading, denoising, decoding, encoding, uploading] ─► outcome
                                            └─ released or lost ─► queue ─► attempt 2 …

Built from moments: the records of the register, and the first report of each stage of an attempt. A claim that follows a
claim says that the first worker was lost.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import Any, Literal

from warmlane_contracts.messages import Cancelled, Claimed, Done, Expired, Failed, Rejected, Released, TaskProgressed
from warmlane_contracts.messages.state import StateRecord

from warmlane_gateway.domain.task import Task

SpanStatus = Literal["ok", "failed", "lost", "running"]

_ENDS = ("done", "failed", "cancelled", "expired", "rejected")
_KINDS: dict[type[StateRecord], str] = {
    Claimed: "claimed",
    Done: "done",
    Failed: "failed",
    Released: "released",
    Cancelled: "cancelled",
    Expired: "expired",
    Rejected: "rejected",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to a task. `event_id` is that of the fact it was made from."""

    event_id: str
    task_id: str
    at: datetime
    kind: str
    attempt: int | None = None
    worker: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a task's life. `end` is None while it lasts; `depth` 1 lies within the `depth` 0 before it."""

    name: str
    start: datetime
    end: datetime | None
    status: SpanStatus
    depth: int = 0
    attempt: int | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def moment_of_record(record: StateRecord, *, event_id: str, at: datetime) -> Moment:
    """Return what a record of the register says happened."""
    said = record.model_dump(
        mode="json",
        include={"code", "message", "reason", "by", "lane_mode", "fallback_reason", "waited_s"},
        exclude_none=True,
    )
    return Moment(
        event_id=event_id,
        task_id=record.task_id,
        at=at,
        kind=_KINDS[type(record)],
        attempt=getattr(record, "attempt", None),
        worker=getattr(record, "worker", None),
        detail={name: value for name, value in said.items() if value not in ("", 0.0)},
    )


def moment_of_stage(event: TaskProgressed, *, at: datetime) -> Moment:
    """Return the moment at which an attempt's stage began. Every report of the stage gives the same id: the first counts."""
    event_id = f"{event.job_id}.{event.claim_seq}.{event.stage}"
    steps = {"steps": event.steps} if event.steps else {}
    return Moment(event_id, event.task_id, at, f"stage:{event.stage}", event.attempt, None, steps)


def spans_of(task: Task, moments: Sequence[Moment]) -> list[Span]:
    """Return a task's spans, each attempt's stages after it."""
    spans = [Span("accepted", task.created_at, task.created_at, "ok", detail=_accepted(task))]
    waits_since: datetime | None = task.created_at
    claim: Moment | None = None
    stages: list[Moment] = []
    for moment in sorted(moments, key=_order):
        if moment.kind.startswith("stage:"):
            stages.append(moment)
            continue
        if claim is not None:
            spans += _attempt(claim, stages, moment)
            claim, stages, waits_since = None, [], moment.at
        if moment.kind == "claimed":
            if waits_since is not None and waits_since != moment.at:
                spans.append(Span(_queue(moment), waits_since, moment.at, "ok"))
            claim, waits_since = moment, None
        elif moment.kind in _ENDS:
            if waits_since is not None and waits_since != moment.at:
                spans.append(Span(_queue_of(task), waits_since, moment.at, "failed"))
            status: SpanStatus = "ok" if moment.kind in {"done", "cancelled"} else "failed"
            spans.append(Span(moment.kind, moment.at, moment.at, status, detail=moment.detail))
            return spans
    if claim is not None:
        spans += _attempt(claim, stages, None)
    elif waits_since is not None:
        spans.append(Span(_queue_of(task), waits_since, None, "running"))
    return spans


def _attempt(claim: Moment, stages: Sequence[Moment], ended_by: Moment | None) -> Iterator[Span]:
    end = ended_by.at if ended_by else None
    status = _ended_how(ended_by)
    said = {"worker": claim.worker} | claim.detail
    if status == "lost":
        said["reason"] = "the worker did not answer any more; another one took the job"
    elif ended_by is not None and ended_by.kind == "released":
        said |= ended_by.detail
    yield Span(f"attempt {claim.attempt}", claim.at, end, status, attempt=claim.attempt, detail=said)
    within = [stage for stage in stages if stage.attempt == claim.attempt and stage.at >= claim.at]
    for stage, after in zip_longest(within, within[1:]):
        last = after is None
        yield Span(
            stage.kind.removeprefix("stage:"),
            stage.at,
            after.at if after else end,
            status if last else "ok",
            depth=1,
            attempt=claim.attempt,
            detail=stage.detail,
        )


def _ended_how(ended_by: Moment | None) -> SpanStatus:
    if ended_by is None:
        return "running"
    if ended_by.kind == "claimed":
        return "lost"
    return "ok" if ended_by.kind in {"done", "cancelled"} else "failed"


def _order(moment: Moment) -> tuple[datetime, bool]:
    """Outcomes after the stages of the same instant."""
    return moment.at, not moment.kind.startswith("stage:")


def _queue(claim: Moment) -> str:
    return "admission" if claim.detail.get("lane_mode") == "degraded_shared" else "queue"


def _queue_of(task: Task) -> str:
    return "admission" if task.state.lane_mode == "degraded_shared" else "queue"


def _accepted(task: Task) -> dict[str, Any]:
    return {"correlation_id": task.correlation_id, "model": task.model, "mode": task.mode, "lane": task.lane}
