"""run.json: what runs now, for people and programs beside the stack.

Written whole or not at all, readable by its owner only (it holds keys), while the stack is ready; pids stay current when
the supervisor restarts something; gone when the stack is stopped. A file left by a supervisor that was SIGKILLed is
recognised by its processes: a pid counts only if it is still the process that was started then.
"""

import contextlib
import json
from pathlib import Path
from typing import Any, Self

import psutil

from warmlane_devstack.servers.process import write_private

NAME = "run.json"
GONE_WITHIN_S = 10.0


class RunFile:
    """The file and its content. `facts` are the addresses and keys; they do not change while the stack runs."""

    def __init__(self, folder: Path, facts: dict[str, str | None]) -> None:
        self.path = folder / NAME
        self._facts = facts
        self._processes: dict[str, dict[str, Any]] = {}
        self._public = False

    def publish(self) -> None:
        """From now on the file is there and follows the processes."""
        self._public = True
        self._write()

    def started(self, name: str, pid: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):  # it may have ended already; its restart will be recorded
            self._processes[name] = {"pid": pid, "started": psutil.Process(pid).create_time()}
            self._write()

    def remove(self) -> None:
        self._public = False
        self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        if self._public:
            content = {**self._facts, "processes": self._processes}
            write_private(self.path, json.dumps(content, indent=2) + "\n")


class Running:
    """What a run.json on disk says."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """None when there is no file, or none that can be read."""
        try:
            content = json.loads((folder / NAME).read_text())
        except (OSError, ValueError):
            return None
        return cls(content) if isinstance(content, dict) else None

    def text(self, key: str) -> str | None:
        value = self._content.get(key)
        return value if isinstance(value, str) else None

    def living(self) -> list[psutil.Process]:
        """The processes of the file that are still the ones it was written about."""
        found = []
        for entry in self._content.get("processes", {}).values():
            with contextlib.suppress(psutil.Error, KeyError, TypeError):
                process = psutil.Process(int(entry["pid"]))
                if process.create_time() == entry["started"] and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


def clean_stale(folder: Path) -> int:
    """End what a dead supervisor left and remove its run.json. Call only while holding the folder. Returns how many."""
    left = Running.read(folder)
    processes = left.living() if left else []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(processes, timeout=GONE_WITHIN_S)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=GONE_WITHIN_S)
    (folder / NAME).unlink(missing_ok=True)
    return len(processes)
