"""What the whole path costs beside the bare pipeline: from request to downloaded clip, and from acceptance to the engine.

One clip at a time, on a stack that does nothing else; then the same clips by the same engine in one process.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from report import Figure, quantile
from stack import Stack, running_stack

BODY = {"model": "phr00t", "prompt": "a paper boat on a rainy street", "seed": 7}
CLIPS = 30
LANE_PYTHON = Path(".venv-lane/bin/python")
PEER = "engine called directly"


def main() -> int:
    """Measure and keep the figures."""
    with running_stack("--without", "lane-anisora") as stack:
        client = httpx.Client(base_url=stack.url, headers={"X-API-Key": stack.api_key}, timeout=120)
        one_clip(client)
        done = [one_clip(client) for _ in range(CLIPS)]
        models = models_root(stack)
        bare = json.loads(
            subprocess.run(
                [LANE_PYTHON, "bench/bare_engine.py", models, json.dumps(BODY), str(CLIPS)],
                check=True,
                capture_output=True,
                text=True,
                env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},  # as the lane runs it
            ).stdout
        )
    dispatch = [(timings["queue_s"] + timings["input_s"]) * 1e3 for _, timings in done]
    engine = [timings["denoise_s"] + timings["decode_s"] + timings["encode_s"] for _, timings in done]
    beside = [(seconds - inside) * 1e3 for (seconds, _), inside in zip(done, engine, strict=True)]
    Figure("dispatch_p50", quantile(dispatch, 0.5), "ms", CLIPS).keep()
    Figure("dispatch_p99", quantile(dispatch, 0.99), "ms", CLIPS).keep()
    whole = quantile([seconds for seconds, _ in done], 0.5) * 1e3
    direct = quantile(bare, 0.5) * 1e3
    Figure("clip_p50", whole, "ms", CLIPS, PEER, direct).keep()
    Figure("overhead_p50", whole - direct, "ms", CLIPS).keep()
    Figure("outside_engine_p50", quantile(beside, 0.5), "ms", CLIPS).keep()
    return 0


def one_clip(client: httpx.Client) -> tuple[float, dict[str, Any]]:
    """Make a clip and fetch it; return the seconds and the task's timings."""
    began = time.perf_counter()
    task_id = client.post("/generate", json=BODY).raise_for_status().json()["task_id"]
    status = follow(client, task_id)
    assert status["status"] == "done", status
    client.get(f"/results/{task_id}").raise_for_status()
    return time.perf_counter() - began, status["timings"]


def follow(client: httpx.Client, task_id: str) -> dict[str, Any]:
    """Return the last status of a task's event stream."""
    last: dict[str, Any] = {}
    with client.stream("GET", f"/status/{task_id}/events") as events:
        for line in events.iter_lines():
            if line.startswith("data: {") and line != "data: {}":
                last = json.loads(line[6:])
    return last


def models_root(stack: Stack) -> Path:
    """Return where the stack keeps its tiny models."""
    return next(path.parent.parent for path in stack.folder.rglob("phr00t/model_index.json"))


if __name__ == "__main__":
    sys.exit(main())
