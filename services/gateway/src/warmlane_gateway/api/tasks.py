"""A task's status, its events, the list of tasks, and cancel."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse
from warmlane_jobs.task import TaskStatus

from warmlane_gateway.adapters.diagnostics import DiagnosticFilter
from warmlane_gateway.adapters.tasks import TaskFilter
from warmlane_gateway.api.document import EVENTS
from warmlane_gateway.api.events import HEADERS, status_events
from warmlane_gateway.api.status import settled, with_queue
from warmlane_gateway.api.views import Accepted, TaskPage, TaskView, TimelineView, diagnostic_view, span_view, task_view
from warmlane_gateway.api.wired import Asker, OwnTask, Parts, SeenTask, operator, origin
from warmlane_gateway.domain.timeline import spans_of

router = APIRouter(tags=["tasks"])

_LONGEST_NUMBER = 18
"""Digits of a number that a change can have."""


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


Wanted = Annotated[str, AfterValidator(_storable)]
"""Text to look for. PostgreSQL refuses a NUL even in a question."""


def _in_utc(at: datetime) -> datetime:
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is no time that can be stored") from None


Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A time to look from or to; without a zone it is UTC."""
Limit = Annotated[int, Query(ge=1, le=100, description="How many a page holds.")]
Before = Annotated[
    Wanted | None, Query(max_length=26, description="Tasks older than this one: `next` of the page before.")
]


@router.get("/status/{task_id}", summary="Where a task stands")
async def status(task: OwnTask, parts: Parts) -> TaskView:
    """Return the whole status. It never goes back, except that a new attempt starts its progress again."""
    return await with_queue(task, parts.tasks, parts.lanes)


@router.get("/status/{task_id}/events", response_class=StreamingResponse, responses=EVENTS, summary="Follow a task")
async def events(
    request: Request,
    task: OwnTask,
    parts: Parts,
    last_event_id: Annotated[str | None, Header(description="The id of the last event seen.")] = None,
) -> StreamingResponse:
    """Stream `status` events: the present state first, then every change, each the whole status. The stream ends
    after the event that ends the task.
    """
    seen = _change(last_event_id or "")
    stream = status_events(task, parts.tasks, parts.lanes, parts.changes, seen=seen, gone=request.is_disconnected)
    return StreamingResponse(stream, media_type="text/event-stream", headers=HEADERS)


@router.get("/tasks", summary="Your tasks")
async def tasks(
    parts: Parts,
    asker: Asker,
    limit: Limit = 20,
    before: Before = None,
    status: Annotated[list[TaskStatus] | None, Query()] = None,
    model: Annotated[Wanted | None, Query(max_length=64)] = None,
    mode: Annotated[Wanted | None, Query(max_length=64)] = None,
    lane: Annotated[Wanted | None, Query(max_length=64)] = None,
    code: Annotated[Wanted | None, Query(max_length=64)] = None,
    text: Annotated[Wanted | None, Query(max_length=200, description="Part of the prompt.")] = None,
    lane_mode: Annotated[Literal["dedicated", "degraded_shared"] | None, Query()] = None,
    fallback_reason: Annotated[Wanted | None, Query(max_length=64)] = None,
    task_id: Annotated[str | None, Query(pattern="^[0-9A-Za-z]{1,26}$", description="How the id begins.")] = None,
    since: Moment | None = None,
    until: Moment | None = None,
    everyones: Annotated[bool, Query(description="Everybody's tasks: for operators.")] = False,  # noqa: FBT002
) -> TaskPage:
    """List your tasks, newest first."""
    if everyones:
        await operator(asker)
    wanted = TaskFilter(
        owner=None if everyones else asker.owner,
        lane_mode=lane_mode,
        fallback_reason=fallback_reason,
        task_id=task_id.upper() if task_id else None,
        statuses=tuple(status or ()),
        model=model,
        mode=mode,
        lane=lane,
        code=code,
        text=text,
        since=since,
        until=until,
        before=before,
        limit=limit,
    )
    found = await parts.tasks.list(wanted)
    return TaskPage(
        items=[await with_queue(task, parts.tasks, parts.lanes) for task in found],
        next=found[-1].task_id if len(found) == limit else None,
    )


@router.get("/tasks/{task_id}/timeline", summary="What became of a task")
async def timeline(task: SeenTask, parts: Parts, asker: Asker) -> TimelineView:
    """Return a task's life as spans: how long it waited, each attempt with its stages, kills and fallbacks, and how it
    ended; for operators also what its lane and memory did because of it.
    """
    spans = spans_of(task, await parts.history.of(task.task_id))
    told = await parts.diagnostics.list(DiagnosticFilter(task_id=task.task_id, limit=200)) if asker.operator else []
    return TimelineView(
        task=await with_queue(task, parts.tasks, parts.lanes),
        spans=[span_view(span) for span in spans],
        diagnostics=[diagnostic_view(row) for row in reversed(told)],
    )


@router.post("/tasks/{task_id}/cancel", summary="Cancel a task")
async def cancel(request: Request, task: OwnTask, parts: Parts, asker: Asker) -> TaskView:
    """Cancel a task: a waiting one never starts, a running one stops at its next step. Again is fine; a task that has
    already ended otherwise answers `task_finished`.
    """
    await parts.cancel(task, f"key:{asker.key_id}", request.scope["correlation_id"], request.scope["traceparent"])
    return task_view(await settled(task, parts.tasks, parts.changes))


class Again(BaseModel):
    """How a task is made again."""

    model_config = ConfigDict(extra="forbid")

    seed: int | None = Field(
        default=None, ge=-1, lt=2**53, description="Another seed; -1 draws one; the same if absent."
    )


@router.post("/tasks/{task_id}/rerun", status_code=202, summary="Make a task again")
async def rerun(
    request: Request,
    task: OwnTask,
    parts: Parts,
    asker: Asker,
    how: Again | None = None,
    prefer: Annotated[str | None, Header(description="`respond-async`: answer at once.")] = None,
) -> Accepted:
    """Make a new task with the same parameters and pictures: a finished clip with another seed, or a job that was given up
    (`GET /tasks?status=failed&code=attempts_exhausted` lists those).
    """
    at_once = "respond-async" in (prefer or "").lower()
    seed = how.seed if how else None
    return Accepted(task_id=await parts.accept.again(task, origin(request, asker), seed=seed, wait=not at_once))


def _change(event_id: str) -> int:
    """Return the change an event's id stands for, 0 for what is no id of ours."""
    return int(event_id) if event_id.isdecimal() and len(event_id) <= _LONGEST_NUMBER else 0
