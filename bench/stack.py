"""A stack of its own for a benchmark, in a temporary folder, taken down afterwards."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

WARMLANE = Path(sys.executable).with_name("warmlane")


@dataclass(frozen=True, slots=True)
class Stack:
    """Where a running stack is reached."""

    url: str
    api_key: str
    folder: Path

    @property
    def host(self) -> str:
        """The gateway's host."""
        return urlsplit(self.url).hostname or ""

    def decide(self, lane: str, mode: str) -> None:
        """Decide where a lane's requests go."""
        request = urllib.request.Request(
            f"{self.url}/lanes/{lane}/mode",
            json.dumps({"mode": mode}).encode(),
            {"X-API-Key": self.api_key, "Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()

    @property
    def port(self) -> int:
        """The gateway's port."""
        return urlsplit(self.url).port or 80


@contextmanager
def running_stack(*options: str) -> Iterator[Stack]:
    """Start a stack with `warmlane up` options, yield it, stop it."""
    environment = os.environ | {"WARMLANE_LANE_QUEUE_BOUND": "1000000", "WARMLANE_KEY_QUEUE_BOUND": "1000000"}
    with tempfile.TemporaryDirectory(prefix="warmlane-bench-") as folder:
        command = [WARMLANE, "up", "--detach", "--data", folder, *options]
        subprocess.run(command, check=True, env=environment)
        try:
            run = json.loads((Path(folder) / "run.json").read_text("utf-8"))
            yield Stack(run["url"], run["api_key"], Path(folder))
        finally:
            subprocess.run([WARMLANE, "down", "--data", folder], check=True)
