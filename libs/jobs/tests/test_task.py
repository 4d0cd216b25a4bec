"""A task moves only along its arrows, whatever order and however often the facts arrive."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warmlane_contracts.messages import (
    TERMINAL,
    Cancelled,
    Claimed,
    Done,
    Expired,
    Failed,
    Rejected,
    Released,
    ResultRef,
    Stage,
    StateRecord,
    TaskProgressed,
    Timings,
)
from warmlane_jobs.attempt import AlreadyEnded, GiveUp, TakeAttempt, decide_attempt
from warmlane_jobs.task import TaskState, TaskStatus, record_progress, record_state

AT = datetime(2026, 1, 1, tzinfo=UTC)
HELD = {"task_id": "T", "job_id": "T-1", "lane": "anisora", "record_id": "r"}
RESULT = ResultRef(
    key="k",
    content_type="video/mp4",
    bytes=1,
    sha256="0",
    preview_key="p",
    width=64,
    height=64,
    frames=5,
    fps=16,
    duration_s=0.3,
    seed=1,
)


def claimed(attempt: int = 1) -> Claimed:
    return Claimed(**HELD, worker="w", attempt=attempt)


def done(claim_seq: int = 1) -> Done:
    return Done(**HELD, claim_seq=claim_seq, worker="w", attempt=1, result=RESULT, timings=Timings())


def progressed(claim_seq: int, progress: int, stage: Stage = Stage.DENOISING) -> TaskProgressed:
    return TaskProgressed(
        task_id="T",
        job_id="T-1",
        lane="anisora",
        claim_seq=claim_seq,
        attempt=1,
        stage=stage,
        step=1,
        steps=8,
        progress=progress,
    )


RECORDS: list[StateRecord] = [
    claimed(),
    claimed(2),
    done(),
    Failed(**HELD, code="engine_failed", message="m", attempt=1),
    Released(**HELD, claim_seq=1, attempt=1, reason="soft_stop"),
    Cancelled(**HELD, by="owner"),
    Expired(**HELD, reason="waited"),
    Rejected(**HELD, code="queue_overloaded", message="full"),
]


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (claimed(), TaskStatus.PROCESSING),
        (RECORDS[3], TaskStatus.FAILED),
        (RECORDS[5], TaskStatus.CANCELLED),
        (RECORDS[6], TaskStatus.FAILED),
        (RECORDS[7], TaskStatus.FAILED),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_a_pending_task_moves_with_each_record(record: StateRecord, status: TaskStatus) -> None:
    assert record_state(TaskState(), record, 5, AT).status is status


def test_a_whole_life() -> None:
    task = record_state(TaskState(), claimed(), 3, AT)
    assert (task.status, task.claim_seq, task.started_at) == (TaskStatus.PROCESSING, 3, AT)
    task = record_progress(task, progressed(3, 40), 10)
    assert (task.progress, task.stage, task.step, task.steps) == (40, Stage.DENOISING, 1, 8)
    task = record_state(task, done(3), 4, AT)
    assert (task.status, task.progress, task.result, task.finished_at) == (TaskStatus.DONE, 100, RESULT, AT)


def test_progress_never_goes_back_within_an_attempt_and_starts_again_with_the_next() -> None:
    task = record_progress(record_state(TaskState(), claimed(), 1, AT), progressed(1, 60), 5)
    assert record_progress(task, progressed(1, 20), 6).progress == 60
    second = record_state(task, claimed(2), 2, AT)
    assert (second.progress, second.attempt, second.started_at) == (0, 2, AT)
    assert record_progress(second, progressed(1, 90), 7).progress == 0, "the old claim's facts are late"
    assert record_progress(second, progressed(2, 10), 8).progress == 10


def test_progress_says_100_only_when_the_task_is_done() -> None:
    task = record_state(TaskState(), claimed(), 1, AT)
    assert record_progress(task, progressed(1, 100, Stage.UPLOADING), 5).progress == 99


def test_a_released_task_waits_again() -> None:
    task = record_state(record_state(TaskState(), claimed(), 1, AT), RECORDS[4], 2, AT)
    assert (task.status, task.stage, task.progress) == (TaskStatus.PENDING, Stage.QUEUED, 0)


@given(st.lists(st.tuples(st.sampled_from(RECORDS), st.integers(1, 30)), max_size=12))
def test_nothing_follows_an_end_and_nothing_counts_twice(history: list[tuple[StateRecord, int]]) -> None:
    task = TaskState()
    for record, seq in history:
        before, task = task, record_state(task, record, seq, AT)
        assert record_state(task, record, seq, AT) == task
        assert task.state_seq >= before.state_seq
        if before.status.ended:
            assert replace(task, state_seq=0) == replace(before, state_seq=0)
        if isinstance(record, TERMINAL) and seq > before.state_seq:
            assert task.status.ended


@pytest.mark.parametrize(
    ("last", "decision"),
    [
        (None, TakeAttempt(1, 0)),
        (claimed(1), TakeAttempt(2, 9)),
        (claimed(3), GiveUp(3, 9)),
        (RECORDS[4], TakeAttempt(2, 9)),
        (done(), AlreadyEnded()),
        (RECORDS[3], AlreadyEnded()),
        (RECORDS[5], AlreadyEnded()),
        (RECORDS[6], AlreadyEnded()),
        (RECORDS[7], AlreadyEnded()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_next_holder_decides_from_the_last_record(last: StateRecord | None, decision: object) -> None:
    assert decide_attempt(last, 0 if last is None else 9, 3) == decision
