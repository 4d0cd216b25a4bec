"""Ids sort by time, and nothing that could widen a subject ever enters one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warmlane_contracts.errors import ErrorCode, WarmlaneError
from warmlane_contracts.ids import check_token, is_task_id, job_id_for, new_task_id, new_ulid, task_id_of
from warmlane_contracts.topology import cancel_hint_subject, event_subject, lane_subject, lease_key, state_subject

_MS = st.integers(min_value=0, max_value=2**48 - 1)
_RANDOM = st.integers(min_value=0, max_value=2**80 - 1)


@given(_MS, _MS, _RANDOM, _RANDOM)
def test_ids_sort_by_the_time_they_were_made(earlier: int, later: int, one: int, other: int) -> None:
    first, second = new_ulid(min(earlier, later), one), new_ulid(max(earlier, later), other)
    assert is_task_id(first)
    assert first[:10] <= second[:10]
    assert (first == second) == (earlier == later and one == other)


def test_a_known_ulid() -> None:
    assert new_ulid(1469918176385, 0) == "01ARYZ6S410000000000000000"


def test_a_job_knows_its_task() -> None:
    task_id = new_task_id()
    assert task_id_of(job_id_for(task_id, 2)) == task_id


@pytest.mark.parametrize("bad", ["", "a.b", "*", ">", "a b", "a\n", "é", "x" * 65, "../x", "a/b"])
@pytest.mark.parametrize(
    "build",
    [
        check_token,
        lambda text: lane_subject("anisora", text),
        lambda text: lane_subject(text, "job"),
        lambda text: state_subject("anisora", text),
        lambda text: event_subject("anisora", "progress", text),
        lambda text: cancel_hint_subject("anisora", text),
        lambda text: lease_key("anisora", text),
    ],
)
def test_no_subject_is_built_from_a_bad_token(build, bad: str) -> None:
    with pytest.raises(WarmlaneError) as refused:
        build(bad)
    assert refused.value.code is ErrorCode.INVALID_TOKEN
