"""Processes die at the worst moment, and each accepted task still ends once."""

import contextlib
import os
import signal
from typing import Any

import httpx
import pytest


@pytest.fixture
def slow() -> dict[str, Any]:
    """Return a clip that takes some seconds."""
    return {"model": "phr00t", "prompt": "a slow clip", "width": 192, "height": 192, "num_frames": 33}


def test_a_lane_killed_in_a_generation_costs_one_attempt(stack, slow) -> None:
    task_id = stack.make(**slow)
    killed = False
    seen = []
    with stack.client.stream("GET", f"/status/{task_id}/events") as events:
        for line in events.iter_lines():
            if '"stage":"denoising"' in line and not killed:
                os.kill(stack.pid("lane-phr00t"), signal.SIGKILL)
                killed = True
            seen.append(line)
    assert killed
    last = stack.client.get(f"/status/{task_id}").json()
    assert (last["status"], last["attempt"]) == ("done", 2)
    outcomes = stack.client.get("/tasks", params={"text": "a slow clip"}).json()["items"]
    assert [item["task_id"] for item in outcomes].count(task_id) == 1


def test_a_gateway_killed_with_work_under_way_loses_nothing(stack) -> None:
    task_ids = [stack.make(model="phr00t", prompt=f"survivor {n}", num_frames=5) for n in range(5)]
    os.kill(stack.pid("gateway"), signal.SIGKILL)
    statuses = [after_restart(stack, task_id) for task_id in task_ids]
    assert statuses == ["done"] * 5


def after_restart(stack: Any, task_id: str) -> str:
    """Return a task's last status, however often the stream breaks; connecting again waits for the gateway."""
    for _ in range(20):
        with contextlib.suppress(httpx.HTTPError):
            seen = stack.follow(task_id)
            if seen and seen[-1]["status"] in ("done", "failed", "cancelled"):
                return str(seen[-1]["status"])
    raise AssertionError("the gateway did not come back")
