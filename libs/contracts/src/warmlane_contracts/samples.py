"""One sample of every message: the source of the golden files, and a place to see what a message looks like."""

from collections.abc import Iterator
from datetime import UTC, datetime

from warmlane_contracts.envelope import Envelope
from warmlane_contracts.messages import (
    Cancelled,
    Claimed,
    ClipParams,
    ColdStarted,
    Done,
    Expired,
    Failed,
    FallbackActivated,
    FallbackEnded,
    InputRef,
    JobRequested,
    LaneChanged,
    MemoryCleaned,
    MemoryMeasured,
    Message,
    ModelEnsured,
    ModelFailed,
    ModelProgressed,
    Rejected,
    Released,
    ResultRef,
    Stage,
    TaskProgressed,
    Timings,
)

_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_TASK = "01KE0000000000000000000000"
_JOB = f"{_TASK}-1"
_LANE = "anisora"
_WORKER = "anisora-0"
_HELD = {"task_id": _TASK, "job_id": _JOB, "lane": _LANE, "record_id": "01KE0000000000000000000001"}
_PLACE = {"lane": _LANE, "worker": _WORKER, "model": "anisora"}


def samples() -> Iterator[Envelope[Message]]:
    """Yield every message once, in an envelope, always the same."""
    for number, message in enumerate(_messages()):
        yield Envelope[Message](
            id=f"01KE00000000000000000001{number:02d}",
            type=message.TYPE,
            source="warmlane/lane-anisora",
            time=_AT,
            subject=_JOB,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            correlation_id="01KE0000000000000000000002",
            causation_id="01KE0000000000000000000003",
            data=message,
        )


def _messages() -> Iterator[Message]:
    yield _job()
    yield Claimed(**_HELD, worker=_WORKER, attempt=1)
    yield Done(**_HELD, claim_seq=41, worker=_WORKER, attempt=1, result=_result(), timings=_timings())
    yield Failed(**_HELD, claim_seq=41, code="engine_failed", message="The engine failed. Try again.", attempt=3)
    yield Released(**_HELD, claim_seq=41, attempt=1, reason="soft_stop")
    yield Cancelled(**_HELD, by="key:studio", reason="owner")
    yield Expired(**_HELD, reason="No worker took it within 30 s.", waited_s=30.0)
    yield Rejected(**_HELD, code="queue_overloaded", message="25 requests wait already.")
    yield TaskProgressed(
        task_id=_TASK,
        job_id=_JOB,
        lane=_LANE,
        claim_seq=41,
        attempt=1,
        stage=Stage.DENOISING,
        step=3,
        steps=8,
        progress=35,
        live_preview_key=f"results/{_TASK}/41/live.webp",
    )
    yield LaneChanged(lane=_LANE, worker=_WORKER, availability="ready", warm=True, detail="loaded")
    yield ColdStarted(**_PLACE, seconds=6.5)
    yield MemoryCleaned(
        **_PLACE, task_id=_TASK, lane_mode="dedicated", outcome="done", freed_bytes=1048576, seconds=0.01
    )
    yield MemoryMeasured(**_PLACE, task_id=_TASK, lane_mode="dedicated", stage="post_generation", rss_bytes=734003200)
    yield FallbackActivated(lane=_LANE, worker="admission-0", reason="capacity")
    yield FallbackEnded(lane=_LANE, worker="admission-0", reason="capacity", seconds=42.5)
    at = {"node": "node-0", "model": "anisora@3.2.0#bf16"}
    yield ModelProgressed(**at, phase="downloading", bytes_done=1048576, bytes_total=69000000000)
    yield ModelEnsured(**at, how="fetched", bytes_fetched=69000000000, seconds=381.5)
    yield ModelFailed(**at, code="NO_SPACE", detail="anisora needs 69.0 GB; 12.0 GB are free")


def _job() -> JobRequested:
    return JobRequested(
        task_id=_TASK,
        job_id=_JOB,
        lane=_LANE,
        model="anisora",
        mode="i2v",
        params=ClipParams(
            prompt="A fox runs through snow", width=832, height=480, num_frames=81, fps=16, steps=8, cfg=1.0, seed=7
        ),
        inputs=(
            InputRef(
                role="reference", key=f"inputs/{_TASK}/reference-0.png", sha256="ab" * 32, content_type="image/png"
            ),
        ),
        accepted_at=_AT,
    )


def _result() -> ResultRef:
    return ResultRef(
        key=f"results/{_TASK}/41/clip.mp4",
        content_type="video/mp4",
        bytes=654321,
        sha256="cd" * 32,
        preview_key=f"results/{_TASK}/41/preview.webp",
        width=832,
        height=480,
        frames=81,
        fps=16,
        duration_s=5.0625,
        seed=7,
    )


def _timings() -> Timings:
    return Timings(queue_s=0.2, input_s=0.01, denoise_s=20.5, decode_s=4.1, encode_s=0.8, upload_s=0.1, total_s=25.7)
