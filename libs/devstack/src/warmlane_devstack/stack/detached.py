"""Start a stack that outlives this command, wait until it is ready, and stop one that runs.

The supervisor is a child in a session of its own. It reports over a pipe, one JSON object per line, until it is ready or
has failed; then the pipe closes and nobody listens any more.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from warmlane_devstack.exits import CommandFailed, Exit
from warmlane_devstack.stack.datadir import DataDir
from warmlane_devstack.stack.progress import Progress
from warmlane_devstack.stack.runfile import Running, clean_stale
from warmlane_devstack.stack.unit import State

STOP_WITHIN_S = 60.0


class Report:
    """The child's side: a Progress that writes to the pipe."""

    def __init__(self, fd: int) -> None:
        self._pipe = os.fdopen(fd, "w", buffering=1)

    def changed(self, name: str, state: State, detail: str) -> None:
        self._send({"name": name, "state": state, "detail": detail})

    def ready(self, seconds: float) -> None:
        self._send({"ready": seconds})
        self._pipe.close()

    def failed(self, error: CommandFailed) -> None:
        self._send({"failed": str(error), "exit_code": error.exit_code})
        self._pipe.close()

    def close(self) -> None:
        """The pipe stays open until `ready` or `failed`."""

    def _send(self, message: dict[str, Any]) -> None:
        if not self._pipe.closed:
            try:
                self._pipe.write(json.dumps(message) + "\n")
            except BrokenPipeError:
                self._pipe = open(os.devnull, "w")  # noqa: SIM115, PTH123  # the waiter was interrupted; go on unheard


def start_detached(arguments: list[str], progress: Progress) -> float:
    """Start `warmlane up` with these arguments behind us and return the seconds it took until all was ready."""
    reading, writing = os.pipe()
    argv = [sys.executable, "-m", "warmlane_devstack.cli.main", "up", *arguments, "--report-fd", str(writing)]
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(writing,),
        start_new_session=True,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            for line in pipe:
                message = json.loads(line)
                if "ready" in message:
                    return float(message["ready"])
                if "failed" in message:
                    raise CommandFailed(message["failed"], Exit(message["exit_code"]))
                progress.changed(message["name"], State(message["state"]), message["detail"])
    except KeyboardInterrupt:
        child.send_signal(signal.SIGTERM)
        raise
    finally:
        progress.close()
    message = "the stack ended before it was ready; start it without --detach to see why"
    raise CommandFailed(message)


def stop_running(folder: Path) -> bool:
    """Stop the stack on this folder and wait until it is gone. False when none ran."""
    data = DataDir(folder)
    pid = data.holder()
    if pid is None:
        return Running.read(folder) is not None and clean_stale(folder) > 0
    try:
        supervisor = psutil.Process(pid)
        supervisor.terminate()
        supervisor.wait(STOP_WITHIN_S)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        message = f"the stack (pid {pid}) did not stop within {STOP_WITHIN_S:.0f} s; see {data.logs}"
        raise CommandFailed(message) from None
    return True
