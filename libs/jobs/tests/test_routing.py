"""Where a request goes, for every state of a lane."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warmlane_jobs.routing import UNREADY_S, UNTAKEN_S, Dedicated, Degraded, LaneFacts, decide_route, may_withdraw


def lane(**changes: Any) -> LaneFacts:
    fields = {"ready_workers": 1, "waiting": 0, "bound": 10, "unready_s": 0.0, "shared_workers": 1}
    return LaneFacts(**(fields | changes))


@pytest.mark.parametrize(
    ("facts", "route"),
    [
        (lane(), Dedicated()),
        (lane(waiting=9), Dedicated()),
        (lane(waiting=10), Degraded("capacity")),
        (lane(ready_workers=0), Degraded("capacity")),
        (lane(ready_workers=0, denied="quota"), Degraded("quota")),
        (lane(denied="quota"), Dedicated()),
        (lane(ready_workers=0, shared_workers=0, unready_s=UNREADY_S - 1), Dedicated()),
        (lane(ready_workers=0, shared_workers=0, unready_s=UNREADY_S), Degraded("capacity")),
        (lane(choice="degraded"), Degraded("manual")),
        (lane(ready_workers=0, choice="dedicated"), Dedicated()),
    ],
)
def test_a_request_goes_where_the_table_says(facts: LaneFacts, route: object) -> None:
    assert decide_route(facts) == route


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (lane(), None),
        (lane(waiting=1000), None),
        (lane(ready_workers=0, unready_s=UNTAKEN_S - 1), None),
        (lane(ready_workers=0, unready_s=UNTAKEN_S), "capacity"),
        (lane(ready_workers=0, unready_s=UNTAKEN_S, denied="quota"), "quota"),
        (lane(ready_workers=0, unready_s=900, shared_workers=0), None),
        (lane(choice="degraded"), "manual"),
        (lane(choice="dedicated", ready_workers=0, unready_s=900), None),
    ],
)
def test_waiting_jobs_leave_a_lane_only_when_nobody_there_will_take_them(facts: LaneFacts, reason: str | None) -> None:
    assert may_withdraw(facts) == reason


@given(
    ready=st.integers(1, 5),
    waiting=st.integers(0, 9),
    unready=st.floats(0, 1e6),
    shared=st.integers(0, 5),
    denied=st.sampled_from([None, "quota", "capacity"]),
)
def test_a_ready_lane_with_room_always_gets_its_requests(
    ready: int, waiting: int, unready: float, shared: int, denied: Any
) -> None:
    facts = lane(ready_workers=ready, waiting=waiting, unready_s=unready, shared_workers=shared, denied=denied)
    assert decide_route(facts) == Dedicated()
    assert may_withdraw(facts) is None
