"""One server as a child process: start, stop, kill, restart.

The life of a server:

    new ── start ──► starting ── probe says yes ──► ready ── stop | kill ──► stopped ── start ──► …
                        └── exited or too slow ──► ServerFailed, with the last lines of its log

A server object holds what lasts (folder, ports, secrets); the process comes and goes. Tests use start and stop; the
supervisor of `warmlane up` uses the parts (`prepare`, `launch`, `probe`) and keeps the process itself.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

PROBE_EVERY_S = 0.02
LAUNCHER = Path(__file__).with_name("launch.py")


class ServerFailed(Exception):
    """A server did not come up. The text names it, says what its log says, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How to start one process. `user`: become this user first (root only); `death_signal`: sent when we die."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    user: str | None = None
    death_signal: int = signal.SIGKILL


def command(launch: Launch) -> list[str]:
    """The argument list that starts `launch` as a child of this process, under the launcher's conditions."""
    conditions = (str(os.getpid()), str(int(launch.death_signal)), launch.user or "-")
    return [sys.executable, "-I", "-S", str(LAUNCHER), *conditions, "--", *launch.argv]


def spawn(launch: Launch, output: int | IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the process in a session of its own, so that a Ctrl-C at the terminal reaches only the one who orders
    the stop. Call it from a thread that lives as long as the process: the kernel's "parent died" means that thread.
    """
    return subprocess.Popen(
        command(launch),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**os.environ, **launch.env},
        cwd=launch.cwd,
        start_new_session=True,
    )


def executable(name: str) -> str:
    """The path of a program that a wheel put beside this interpreter, or ServerFailed saying how to get it."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        message = f"{name} is not installed beside {sys.executable}; run `make setup` to install the server wheels"
        raise ServerFailed(message)
    return str(path)


class EmbeddedServer(ABC):
    """A real server for development and tests: loopback only, its data in `directory`, its ports its own.

    start, stop and kill may be called in any state; `with Server(...) as s:` starts and stops. After `kill` (SIGKILL)
    or `stop`, `start` brings back the same data on the same ports with the same secrets.
    """

    name: str
    stop_signal: signal.Signals = signal.SIGTERM
    start_within_s: float = 60.0
    stop_within_s: float = 15.0
    # How long a process that ends at once is tried again: what a killed predecessor held may need a moment to be freed.
    retry_exit_s: float = 0.0

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.log = self.directory / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Write configuration and whatever a first start needs. Idempotent; may take seconds."""

    @abstractmethod
    def launch(self) -> Launch: ...

    @abstractmethod
    def probe(self) -> bool:
        """Ask once, within a second, whether it serves. Raises nothing."""

    def after_stop(self) -> None:  # noqa: B027  # most leave nothing
        """Remove what the process leaves outside its folder."""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> Self:
        """Return once the server serves. Raises ServerFailed with the reason from its log."""
        self.begin()
        return self.wait_ready()

    def begin(self) -> None:
        """Start the process without waiting for it, as a cluster's nodes must be, which need each other."""
        if self.pid is None:
            self.directory.mkdir(parents=True, exist_ok=True)
            self.prepare()
            self._spawn()

    def wait_ready(self) -> Self:
        began = time.monotonic()
        while not self.probe():
            waited = time.monotonic() - began
            if self.pid is None and waited < self.retry_exit_s:
                self._spawn()
            elif self.pid is None or waited > self.start_within_s:
                self.kill()
                message = f"{self.name} did not start: {self.last_words()}"
                raise ServerFailed(message)
            time.sleep(PROBE_EVERY_S)
        return self

    def stop(self) -> None:
        """Ask it to end, wait, and end it by force if it does not."""
        if self.pid is None or self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(self.stop_within_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self.after_stop()

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
            self.after_stop()

    def restart(self) -> Self:
        self.stop()
        return self.start()

    def last_words(self, lines: int = 3) -> str:
        """The end of the log, on one line."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return " | ".join(line.strip() for line in text.splitlines()[-lines:]) or "it wrote nothing"

    def _spawn(self) -> None:
        with self.log.open("ab") as log:
            self._process = spawn(self.launch(), log)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
