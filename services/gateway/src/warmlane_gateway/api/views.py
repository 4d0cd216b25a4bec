"""What answers look like. Field names and meanings are part of the API; see docs/api."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from warmlane_contracts.catalogue import Model
from warmlane_contracts.memory_model import Calibration
from warmlane_contracts.messages import FallbackReason, LaneRecord, RoutingChoice, Timings
from warmlane_contracts.topology import SHARED, WAIT_DEPTH, WAIT_S
from warmlane_jobs.routing import Degraded
from warmlane_jobs.task import TaskStatus

from warmlane_gateway.consumers.lanes import Lanes
from warmlane_gateway.domain.task import Task
from warmlane_gateway.domain.timeline import Span


class Accepted(BaseModel):
    """A task that is durable and will be dispatched."""

    task_id: str = Field(examples=["01KE4WD3V0B6Y4T9C0Q2M9N8XH"])
    status: Literal["pending"] = "pending"


class TaskError(BaseModel):
    """Why a task failed."""

    code: str = Field(examples=["engine_failed"])
    message: str


class Result(BaseModel):
    """A finished clip."""

    url: str = Field(examples=["/results/01KE4WD3V0B6Y4T9C0Q2M9N8XH"])
    content_type: str = Field(examples=["video/mp4"])
    bytes: int
    sha256: str
    width: int
    height: int
    frames: int
    fps: int
    duration_s: float


class TaskView(BaseModel):
    """Where a task stands. Also the data of every `status` event."""

    task_id: str
    status: TaskStatus
    progress: int = Field(ge=0, le=100)
    stage: str = Field(
        description="queued, claimed, loading, encoding_prompt, denoising, decoding, encoding, uploading, done"
    )
    step: int
    steps: int
    queue_position: int | None = Field(description="Tasks before this one in its lane's queue; null once it runs.")
    eta_s: float | None = Field(description="Estimated seconds until done, while it waits.")
    attempt: int
    type: str
    model: str
    mode: str
    lane: str
    lane_mode: str = Field(description="dedicated or degraded_shared")
    fallback_reason: str | None
    worker: str | None
    prompt: str
    params: dict[str, Any]
    seed: int
    output_format: str
    error: TaskError | None
    result: Result | None
    preview_url: str | None = Field(description="A live picture while it is made, a poster afterwards.")
    timings: Timings | None
    trace_id: str
    correlation_id: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    change: int = Field(description="Grows with every change of any task: the id of this state's event.")


class TaskPage(BaseModel):
    """A page of tasks, newest first. `next` asks for the following page; null at the end."""

    items: list[TaskView]
    next: str | None


class LaneMemory(BaseModel):
    """The engine's memory as its meter read it last, in bytes; summed over the lane's workers."""

    used_bytes: int
    peak_bytes: int | None
    budget_bytes: int | None


class LaneView(BaseModel):
    """A lane, its workers, its queue, and where its requests go."""

    lane: str
    availability: Literal["ready", "cold", "unavailable"]
    warm: bool
    mode: Literal["dedicated", "degraded_shared"] = Field(description="Where a request for the lane goes now.")
    routing: Literal["auto", "dedicated", "degraded"] = Field(description="What was decided; auto: its state decides.")
    fallback_reason: FallbackReason | None = Field(description="Why its requests go to shared workers.")
    since: datetime | None = Field(description="Since when they do.")
    waiting: int
    service_s: float | None = Field(description="Mean seconds a clip takes; null before the first.")
    memory: LaneMemory | None
    updated_at: datetime | None = Field(description="When a worker of the lane was last heard of.")
    workers: list[dict[str, Any]]


class DegradedView(BaseModel):
    """The shared workers and their queue. Depth and wait are part of the contract."""

    waiting: int
    depth: int = WAIT_DEPTH
    wait_s: float = WAIT_S
    oldest_s: float | None = Field(description="How long the first of those waiting has waited.")
    service_s: float | None
    memory: LaneMemory | None
    workers: list[dict[str, Any]]


class LanesView(BaseModel):
    """All lanes, and what takes their work when they cannot."""

    lanes: list[LaneView]
    degraded: DegradedView


class LaneDecision(BaseModel):
    """Where a lane's requests shall go."""

    model_config = ConfigDict(extra="forbid")

    mode: RoutingChoice
    reason: FallbackReason | None = Field(
        default=None, description="manual for a person's decision; quota or capacity when a lane could not be started."
    )


class DiagnosticView(BaseModel):
    """A fact about lanes, memory or queues. See docs/api for what `value` and `reason` hold in each kind."""

    id: int
    kind: str
    task_id: str | None
    model: str | None
    lane: str | None
    lane_mode: str | None
    value: float | None
    reason: str | None
    timestamp: datetime
    detail: dict[str, Any]


class DiagnosticPage(BaseModel):
    """A page of diagnostics, newest first. `next` asks for the following page; null at the end."""

    items: list[DiagnosticView]
    next: int | None


class SpanView(BaseModel):
    """A part of a task's life. Depth 1 lies within the depth 0 before it."""

    name: str = Field(
        description="accepted, queue or admission, attempt N, a stage, or how it ended (done, failed, cancelled, expired, "
        "rejected)"
    )
    start: datetime
    end: datetime | None = Field(description="Null while it lasts.")
    status: Literal["ok", "failed", "lost", "running"]
    depth: int
    attempt: int | None
    detail: dict[str, Any]


class TimelineView(BaseModel):
    """What became of a task, in the order in which it happened, and what its lane and memory did meanwhile."""

    task: TaskView
    spans: list[SpanView]
    diagnostics: list[DiagnosticView]


class ModelMemory(BaseModel):
    """What was measured of a model: device memory in bytes."""

    budget_bytes: int
    default_peak_bytes: int = Field(description="What a clip of the default size takes at its peak.")
    calibration: Calibration


class ModelsView(BaseModel):
    """The catalogue. Forms are made from it."""

    profile: str
    schema_version: int
    models: list[Model]
    memory: dict[str, list[ModelMemory]] = Field(description="By model: how a clip's peak follows from its size.")


class LinkView(BaseModel):
    """A sign-in link."""

    path: str = Field(examples=["/app/sign-in#Zm9v…"], description="On this host. Works once.")
    expires_in_s: int


class SessionView(BaseModel):
    """Who is signed in."""

    name: str
    operator: bool = Field(description="May decide about lanes and look into everybody's tasks.")
    expires_at: datetime


class ConsoleSnapshot(BaseModel):
    """The first event of the console's stream: everything it shows that changes by itself."""

    tasks: list[TaskView] = Field(description="Those that wait or run, and the newest.")
    deleted: list[str] = Field(description="Tasks deleted since the last event seen.")
    lanes: LanesView
    diagnostics: list[DiagnosticView] = Field(description="Newest first; for operators only.")


class DeletedTask(BaseModel):
    """A task that is gone for good."""

    task_id: str


class AssetView(BaseModel):
    """An uploaded picture."""

    asset_id: str
    content_type: str
    bytes: int
    width: int
    height: int
    sha256: str
    url: str


def task_view(task: Task, *, queue_position: int | None = None, eta_s: float | None = None) -> TaskView:
    """Return a task as clients see it."""
    state = task.state
    return TaskView(
        task_id=task.task_id,
        status=state.status,
        progress=state.progress,
        stage=state.stage,
        step=state.step,
        steps=state.steps,
        queue_position=queue_position,
        eta_s=None if eta_s is None else round(eta_s, 1),
        attempt=state.attempt,
        type=task.type,
        model=task.model,
        mode=task.mode,
        lane=task.lane,
        lane_mode=state.lane_mode,
        fallback_reason=state.fallback_reason,
        worker=state.worker,
        prompt=task.params["prompt"],
        params=task.params,
        seed=task.seed,
        output_format=task.output_format,
        error=TaskError(code=state.error_code, message=state.error_message or "") if state.error_code else None,
        result=_result(task),
        preview_url=_preview_url(task),
        timings=state.timings,
        trace_id=task.trace_id,
        correlation_id=task.correlation_id,
        created_at=task.created_at,
        started_at=state.started_at,
        finished_at=state.finished_at,
        change=task.change_seq,
    )


def lane_view(lanes: Lanes, lane: str) -> LaneView:
    """Return a lane as clients see it."""
    workers, route = lanes.workers(lane), lanes.route(lane)
    states = {worker.availability for worker in workers}
    routing, fallback = lanes.directory.routing(lane), lanes.directory.fallback(lane)
    degraded = isinstance(route, Degraded)
    return LaneView(
        lane=lane,
        availability="ready" if "ready" in states else "cold" if "cold" in states else "unavailable",
        warm=any(worker.warm for worker in workers),
        mode="degraded_shared" if degraded else "dedicated",
        routing=routing.choice if routing else "auto",
        fallback_reason=route.reason if isinstance(route, Degraded) else None,
        since=fallback.since if fallback and degraded else None,
        waiting=lanes.waiting(lane),
        service_s=lanes.service_s(lane),
        memory=_memory(workers),
        updated_at=max((worker.updated_at for worker in workers), default=None),
        workers=[worker.model_dump(mode="json") for worker in workers],
    )


def degraded_view(lanes: Lanes) -> DegradedView:
    """Return the shared workers and their queue as clients see them."""
    workers = lanes.workers(SHARED)
    return DegradedView(
        waiting=lanes.offered,
        oldest_s=lanes.oldest_wait_s,
        service_s=lanes.service_s(SHARED),
        memory=_memory(workers),
        workers=[worker.model_dump(mode="json") for worker in workers],
    )


def lanes_view(lanes: Lanes) -> LanesView:
    """Return all lanes and the shared workers as clients see them."""
    return LanesView(lanes=[lane_view(lanes, lane) for lane in lanes.names], degraded=degraded_view(lanes))


def diagnostic_view(row: dict[str, Any]) -> DiagnosticView:
    """Return a diagnostic as operators see it."""
    return DiagnosticView.model_validate({**row, "timestamp": row["at"]})


def span_view(span: Span) -> SpanView:
    """Return a span as investigators see it."""
    return SpanView.model_validate(span, from_attributes=True)


def _memory(workers: list[LaneRecord]) -> LaneMemory | None:
    measured = [worker for worker in workers if worker.used_bytes is not None]
    if not measured:
        return None
    peaks = [worker.peak_bytes for worker in measured if worker.peak_bytes is not None]
    budgets = [worker.budget_bytes for worker in measured if worker.budget_bytes is not None]
    return LaneMemory(
        used_bytes=sum(worker.used_bytes or 0 for worker in measured),
        peak_bytes=max(peaks) if peaks else None,
        budget_bytes=sum(budgets) if budgets else None,
    )


def _result(task: Task) -> Result | None:
    stored = task.state.result
    if stored is None:
        return None
    fields = stored.model_dump(exclude={"key", "preview_key", "seed"})
    return Result(url=f"/results/{task.task_id}", **fields)


def _preview_url(task: Task) -> str | None:
    state = task.state
    if state.result is None and state.live_preview_key is None:
        return None
    return f"/preview/{task.task_id}?v={state.attempt}.{state.step}.{int(state.result is not None)}"
