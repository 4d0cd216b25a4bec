"""A task as the gateway knows it: what was asked, who asked, and where it stands."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from warmlane_contracts.errors import ErrorCode
from warmlane_contracts.messages import InputRef, JobRequested
from warmlane_jobs.task import TaskState, TaskStatus


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task that is about to become durable, and the message that will carry it. One that is `held` waits for its turn
    before it is published.
    """

    owner: str
    type: str
    job: JobRequested
    correlation_id: str
    traceparent: str
    subject: str
    payload: bytes
    priority: int = 5
    held: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """A stored task. `state` is the projection; the rest never changes."""

    task_id: str
    owner: str
    type: str
    model: str
    mode: str
    lane: str
    job_id: str
    params: dict[str, Any]
    inputs: tuple[InputRef, ...]
    output_format: str
    seed: int
    correlation_id: str
    traceparent: str
    created_at: datetime
    change_seq: int
    state: TaskState

    @property
    def waits_for_shared(self) -> bool:
        """True while the task waits for a shared worker and nobody has begun it."""
        return self.state.status is TaskStatus.PENDING and self.state.lane_mode == "degraded_shared"

    @property
    def refused(self) -> bool:
        """True when the task was never begun because there was no room or no time for it."""
        return self.state.error_code == ErrorCode.QUEUE_OVERLOADED and self.state.attempt == 0

    @property
    def trace_id(self) -> str:
        """The trace this task belongs to."""
        return self.traceparent.split("-")[1] if self.traceparent else ""

    @property
    def folders(self) -> list[str]:
        """Where everything lies that exists for this task alone: what attempts left behind as well as the clip."""
        return [inputs_folder(self.task_id), f"results/{self.task_id}/"]


INPUTS = "inputs/"
"""Where pictures lie that belong to one task alone."""


def inputs_folder(task_id: str) -> str:
    """Return where the pictures lie that a request brought itself."""
    return f"{INPUTS}{task_id}/"
