"""The one function that changes what is known of a task.

The gateway's projector feeds it the records of the register and the progress events, in stream order, and stores what
it returns. Replaying the streams therefore gives the same tasks again.

    pending ──Claimed──► processing ──Done──► done
       ▲                    │ ├──Failed──► failed
       └──────Released──────┘ └──Cancelled──► cancelled
    pending ──Failed | Expired | Rejected──► failed        pending ──Cancelled──► cancelled
                       processing ──Expired──► failed      (a shared worker claimed it too late; it did not run)

`done`, `failed` and `cancelled` are dead ends. Progress never goes back while an attempt runs; a new attempt starts
again from 0 and says so by its number. Late facts (of an older claim, or after the end) change nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from warmlane_contracts.errors import ErrorCode
from warmlane_contracts.messages import (
    Cancelled,
    Claimed,
    Done,
    Expired,
    Failed,
    FallbackReason,
    LaneMode,
    Rejected,
    Released,
    ResultRef,
    Stage,
    StateRecord,
    TaskProgressed,
    Timings,
)


class TaskStatus(StrEnum):
    """What a client sees of a task."""

    PENDING = "pending"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True when nothing can follow."""
        return self in _ENDED


_ENDED = frozenset({TaskStatus.DONE, TaskStatus.FAILED, TaskStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class TaskState:
    """The changing part of a task. `state_seq` and `event_seq` are the last stream sequences taken in; `lane_mode` says
    where the task was sent, and from its claim on what kind of worker has it.
    """

    status: TaskStatus = TaskStatus.PENDING
    progress: int = 0
    stage: Stage = Stage.QUEUED
    step: int = 0
    steps: int = 0
    attempt: int = 0
    worker: str | None = None
    lane_mode: LaneMode = "dedicated"
    fallback_reason: FallbackReason | None = None
    claim_seq: int = 0
    state_seq: int = 0
    event_seq: int = 0
    live_preview_key: str | None = None
    result: ResultRef | None = None
    timings: Timings | None = None
    error_code: str | None = None
    error_message: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


def record_state(task: TaskState, record: StateRecord, seq: int, at: datetime) -> TaskState:
    """Return the task after the register's record `seq`, written `at`. A record already taken in changes nothing."""
    if seq <= task.state_seq:
        return task
    task = replace(task, state_seq=seq)
    if task.status.ended:
        return task
    match record:
        case Claimed():
            return _claimed(task, record, seq, at)
        case Released():
            return replace(_queued_again(task), worker=None)
        case Done():
            return _done(task, record, at)
        case Failed() | Rejected():
            return _failed(task, record.code, record.message, at)
        case Expired():
            return _failed(task, ErrorCode.QUEUE_OVERLOADED, record.reason, at)
        case Cancelled():
            return replace(task, status=TaskStatus.CANCELLED, live_preview_key=None, finished_at=at)


def record_progress(task: TaskState, event: TaskProgressed, seq: int) -> TaskState:
    """Return the task after a progress event. Events of another claim, or that go back, change nothing visible."""
    if seq <= task.event_seq:
        return task
    task = replace(task, event_seq=seq)
    if task.status is not TaskStatus.PROCESSING or event.claim_seq != task.claim_seq:
        return task
    if event.progress < task.progress:
        return task
    return replace(
        task,
        progress=min(event.progress, 99),
        stage=event.stage,
        step=event.step,
        steps=event.steps or task.steps,
        live_preview_key=event.live_preview_key or task.live_preview_key,
    )


def _claimed(task: TaskState, record: Claimed, seq: int, at: datetime) -> TaskState:
    return replace(
        _queued_again(task),
        status=TaskStatus.PROCESSING,
        stage=Stage.CLAIMED,
        attempt=record.attempt,
        worker=record.worker,
        lane_mode=record.lane_mode,
        fallback_reason=record.fallback_reason,
        claim_seq=seq,
        started_at=task.started_at or at,
    )


def _queued_again(task: TaskState) -> TaskState:
    return replace(
        task, status=TaskStatus.PENDING, stage=Stage.QUEUED, progress=0, step=0, steps=0, live_preview_key=None
    )


def _done(task: TaskState, record: Done, at: datetime) -> TaskState:
    return replace(
        task,
        status=TaskStatus.DONE,
        stage=Stage.DONE,
        progress=100,
        attempt=record.attempt,
        worker=record.worker,
        live_preview_key=None,
        result=record.result,
        timings=record.timings,
        finished_at=at,
    )


def _failed(task: TaskState, code: str, message: str, at: datetime) -> TaskState:
    return replace(
        task,
        status=TaskStatus.FAILED,
        live_preview_key=None,
        error_code=str(code),
        error_message=message,
        finished_at=at,
    )
