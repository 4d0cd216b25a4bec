"""The reserve, with the real pipelines: it takes what a lane may not, and holds one model at a time in memory for one."""

import json
import time
from typing import Any

import pytest

SMALLEST = {"width": 64, "height": 64, "num_frames": 5}
ONE_MODEL_BYTES = 2_150_000
"""The tiny models take 0.36 MB of weights each, a smallest clip 1.6 MB while it is decoded: two models and a clip do not fit."""


@pytest.fixture
def reserve(stack) -> Any:
    """Return the stack once its shared worker is ready; the lanes decide for themselves again afterwards."""
    until_ready(stack)
    yield stack
    for lane in ("anisora", "phr00t"):
        stack.client.post(f"/lanes/{lane}/mode", json={"mode": "auto"}).raise_for_status()


def until_ready(stack) -> None:
    deadline = time.monotonic() + 60
    while not any(
        worker["availability"] == "ready" for worker in stack.client.get("/lanes").json()["degraded"]["workers"]
    ):
        assert time.monotonic() < deadline, "no shared worker became ready"
        time.sleep(0.1)


def test_a_lane_set_aside_makes_its_clips_on_the_shared_worker_and_comes_back(reserve, picture) -> None:
    dedicated = reserve.done(model="phr00t", prompt="a paper boat", seed=11)
    assert (dedicated["lane_mode"], dedicated["fallback_reason"]) == ("dedicated", None)
    for lane in ("anisora", "phr00t"):
        reserve.client.post(f"/lanes/{lane}/mode", json={"mode": "degraded", "reason": "manual"}).raise_for_status()
    shared = reserve.done(model="phr00t", prompt="a paper boat", seed=11)
    assert (shared["lane_mode"], shared["fallback_reason"]) == ("degraded_shared", "manual")
    assert reserve.clip(shared) == reserve.clip(dedicated), "the worker shows in the clip"
    other = reserve.done(model="anisora", prompt="a paper boat", seed=11, reference_image=picture("red"))
    assert other["lane_mode"] == "degraded_shared"
    reserve.client.post("/lanes/phr00t/mode", json={"mode": "auto"}).raise_for_status()
    assert reserve.done(model="phr00t", prompt="a paper boat", seed=11)["lane_mode"] == "dedicated"


def test_twenty_alternating_clips_in_memory_for_one_model(tmp_path, start_stack, picture, monkeypatch) -> None:
    monkeypatch.setenv("WARMLANE_SIMULATED_VRAM_BYTES", str(ONE_MODEL_BYTES))
    monkeypatch.setenv("WARMLANE_SWAP_RAM_BYTES", "0")
    with start_stack(tmp_path / "data", "--without", "lane-anisora", "--without", "lane-phr00t") as stack:
        until_ready(stack)
        bodies = [
            {"model": "anisora", "prompt": "a boat", "reference_image": picture("red"), **SMALLEST},
            {"model": "phr00t", "prompt": "a boat", **SMALLEST},
        ]
        made = [stack.done(**bodies[number % 2]) for number in range(20)]
        assert {status["lane_mode"] for status in made} == {"degraded_shared"}

        def diagnostics(kind: str) -> list[dict[str, Any]]:
            return stack.client.get("/admin/diagnostics", params={"kind": kind, "limit": 100}).json()["items"]

        deadline = time.monotonic() + 20
        while len(diagnostics("memory_evicted")) < 19 or len(diagnostics("memory_post_generation")) < 20:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        evicted = diagnostics("memory_evicted")
        assert [item["detail"]["allocated_bytes"] for item in evicted] == [0] * 19, json.dumps(evicted)
        assert all(item["value"] <= ONE_MODEL_BYTES for item in diagnostics("memory_post_generation"))
        assert "out of memory" not in stack.log("degraded-worker")
