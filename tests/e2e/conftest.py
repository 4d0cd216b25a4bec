"""One whole stack for all end-to-end tests: real servers, gateway, both lanes, tiny models."""

import base64
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from PIL import Image

WARMLANE = Path(sys.executable).with_name("warmlane")
SMALL = {"width": 64, "height": 64, "num_frames": 9}


@dataclass(frozen=True)
class Stack:
    """A running stack, and a client with its key."""

    folder: Path
    facts: dict[str, Any]
    client: httpx.Client

    def pid(self, name: str) -> int:
        """Return the present process id of a part."""
        facts = json.loads((self.folder / "run.json").read_text("utf-8"))
        return int(facts["processes"][name]["pid"])

    def log(self, name: str) -> str:
        """Return what a part has logged."""
        return "".join(
            path.read_text("utf-8", "replace") for path in sorted((self.folder / "logs").glob(f"{name}.log*"))
        )

    def make(self, **body: Any) -> str:
        """Submit a small clip; return the task's id."""
        answer = self.client.post("/generate", json={**SMALL, **body})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["task_id"])

    def follow(self, task_id: str) -> list[dict[str, Any]]:
        """Return all statuses of a task's event stream, to its end."""
        seen: list[dict[str, Any]] = []
        with self.client.stream("GET", f"/status/{task_id}/events") as events:
            data = (line.removeprefix("data: ") for line in events.iter_lines() if line.startswith("data: {"))
            seen.extend(json.loads(status) for status in data if status != "{}")
        return seen

    def done(self, **body: Any) -> dict[str, Any]:
        """Make a clip and return its last status."""
        last = self.follow(self.make(**body))[-1]
        assert last["status"] == "done", last
        return last

    def clip(self, status: dict[str, Any]) -> bytes:
        """Return a finished clip's bytes."""
        return self.client.get(status["result"]["url"]).raise_for_status().content


def start(folder: Path, *options: str) -> Stack:
    """Start a stack and return it once everything is ready."""
    subprocess.run([WARMLANE, "up", "--detach", "--data", folder, *options], check=True, stdout=subprocess.DEVNULL)
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    # Retries of the connection wait longer each time: a gateway that is being restarted is waited for.
    transport = httpx.HTTPTransport(retries=8)
    client = httpx.Client(
        base_url=facts["url"], headers={"X-API-Key": facts["api_key"]}, timeout=120, transport=transport
    )
    return Stack(folder, facts, client)


def stop(stack: Stack) -> None:
    """Stop a stack."""
    stack.client.close()
    subprocess.run([WARMLANE, "down", "--data", stack.folder], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the stack that all tests share; none of them may break it for the others."""
    running = start(tmp_path_factory.mktemp("stack") / "data")
    yield running
    stop(running)


@pytest.fixture
def start_stack() -> Callable[..., Any]:
    """Return a function that starts a stack of the test's own: `with start_stack(folder, *options) as stack`."""

    @contextmanager
    def own(folder: Path, *options: str) -> Iterator[Stack]:
        running = start(folder, *options)
        try:
            yield running
        finally:
            stop(running)

    return own


@pytest.fixture(scope="session")
def picture() -> Callable[[str], str]:
    """Return a function that makes a picture of one colour as a data URI."""

    def made(colour: str) -> str:
        buffer = io.BytesIO()
        Image.new("RGB", (96, 72), colour).save(buffer, "PNG")
        return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

    return made


@pytest.fixture(scope="session")
def decode() -> Callable[[bytes], tuple[np.ndarray, Any]]:
    """Return a function that decodes a clip: frames (n, height, width, 3), and facts of the stream."""

    def decoded(data: bytes) -> tuple[np.ndarray, Any]:
        with av.open(io.BytesIO(data)) as clip:
            stream = clip.streams.video[0]
            frames = np.stack([frame.to_ndarray(format="rgb24") for frame in clip.decode(stream)])
            return frames, (stream.codec_context.name, float(stream.average_rate))

    return decoded
