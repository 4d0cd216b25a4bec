"""A hundred alternating requests: all done, progress monotonic, no error in any log."""

import json
from concurrent.futures import ThreadPoolExecutor

CLIPS = 100


def test_a_hundred_alternating_requests(stack, picture) -> None:
    bodies = [
        {"model": "anisora", "prompt": f"clip {n}", "reference_image": picture("red"), "num_frames": 5}
        if n % 2
        else {"model": "phr00t", "prompt": f"clip {n}", "num_frames": 5}
        for n in range(CLIPS)
    ]
    task_ids = [stack.make(**body) for body in bodies]
    with ThreadPoolExecutor(8) as pool:
        histories = list(pool.map(stack.follow, task_ids))
    assert [history[-1]["status"] for history in histories] == ["done"] * CLIPS
    for history in histories:
        progress = [status["progress"] for status in history]
        assert progress == sorted(progress)
        assert history[-1]["attempt"] == 1
    positions = [status["queue_position"] for status in histories[-1] if status["queue_position"] is not None]
    assert positions == sorted(positions, reverse=True)
    for name in ("gateway", "lane-anisora", "lane-phr00t"):
        errors = [line for line in stack.log(name).splitlines() if _level(line) == "error"]
        assert errors == []


def _level(line: str) -> str:
    try:
        return str(json.loads(line).get("level", ""))
    except ValueError:
        return ""
