"""Messages with every field filled in, so that a test names only what it is about."""

from datetime import UTC, datetime
from typing import Any

from warmlane_contracts.ids import job_id_for, new_ulid, task_id_of
from warmlane_contracts.messages import (
    Cancelled,
    Claimed,
    ClipParams,
    Done,
    Failed,
    JobRequested,
    Released,
    ResultRef,
    Timings,
)

LANE = "anisora"
WORKER = "worker-1"


def new_job_id() -> str:
    """Return the id of a new task's first job."""
    return job_id_for(new_ulid(), 1)


def clip_params(**changes: Any) -> ClipParams:  # noqa: ANN401 - any field of the message
    """Return small parameters that every lane accepts."""
    fields = {"prompt": "a paper boat", "width": 64, "height": 64, "num_frames": 5, "fps": 8, "steps": 4, "cfg": 1.0}
    return ClipParams(**(fields | {"seed": 7} | changes))


def job_requested(job_id: str | None = None, **changes: Any) -> JobRequested:  # noqa: ANN401
    """Return a job for the AniSora lane."""
    job_id = job_id or new_job_id()
    fields: dict[str, Any] = {
        "task_id": task_id_of(job_id),
        "job_id": job_id,
        "lane": LANE,
        "model": "anisora",
        "mode": "i2v",
        "params": clip_params(),
        "accepted_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return JobRequested(**(fields | changes))


def claimed(job_id: str, **changes: Any) -> Claimed:  # noqa: ANN401
    """Return the first attempt's claim."""
    return Claimed(**(_record(job_id) | {"worker": WORKER, "attempt": 1} | changes))


def done(job_id: str, claim_seq: int, **changes: Any) -> Done:  # noqa: ANN401
    """Return the outcome of the attempt that holds `claim_seq`."""
    fields = {"claim_seq": claim_seq, "worker": WORKER, "attempt": 1, "timings": Timings(total_s=1.5)}
    return Done(**(_record(job_id) | fields | {"result": result_ref(job_id, claim_seq)} | changes))


def failed(job_id: str, claim_seq: int | None = None, **changes: Any) -> Failed:  # noqa: ANN401
    """Return a failure."""
    fields = {"claim_seq": claim_seq, "code": "engine_failed", "message": "The engine failed.", "attempt": 1}
    return Failed(**(_record(job_id) | fields | changes))


def released(job_id: str, claim_seq: int, **changes: Any) -> Released:  # noqa: ANN401
    """Return a holder's giving back."""
    return Released(**(_record(job_id) | {"claim_seq": claim_seq, "attempt": 1, "reason": "soft_stop"} | changes))


def cancelled(job_id: str, **changes: Any) -> Cancelled:  # noqa: ANN401
    """Return an owner's cancellation."""
    return Cancelled(**(_record(job_id) | {"by": "key:test", "reason": "owner"} | changes))


def result_ref(job_id: str, claim_seq: int, **changes: Any) -> ResultRef:  # noqa: ANN401
    """Return a reference to a clip that need not exist."""
    folder = f"results/{task_id_of(job_id)}/{claim_seq}"
    fields = {
        "key": f"{folder}/clip.mp4",
        "content_type": "video/mp4",
        "bytes": 1000,
        "sha256": "0" * 64,
        "preview_key": f"{folder}/preview.webp",
        "width": 64,
        "height": 64,
        "frames": 5,
        "fps": 8,
        "duration_s": 0.625,
        "seed": 7,
    }
    return ResultRef(**(fields | changes))


def _record(job_id: str) -> dict[str, Any]:
    return {"task_id": task_id_of(job_id), "job_id": job_id, "lane": LANE, "record_id": new_ulid()}
