"""The supervisor's side of an engine process: start it, talk to it, outlive it.

    start ──► importing ──Ready──► idle ⇄ busy (one command at a time)
                  └────────────────┴──────┴──► dead (exit, crash, kill): every waiting call gets `EngineDied`

The process is started early, before the broker is connected, because importing the engine's libraries takes seconds.
What it writes to standard error is logged line by line, and the last lines are kept: after a crash they are the
explanation.
"""

import asyncio
import contextlib
import os
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError
from warmlane_contracts.catalogue import ModelRuntime
from warmlane_contracts.errors import ErrorCode

from warmlane_lanekit import protocol
from warmlane_lanekit.engine import (
    EngineFault,
    GenerateReport,
    GenerateSpec,
    GenerationCancelled,
    LoadReport,
    MemoryReading,
    StepProgress,
)

log = structlog.get_logger(__name__)

_LINE_BYTES = 1024 * 1024
_TAIL_LINES = 20
_QUIET_WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that wait for each other sleep instead of spinning. Two engines that spin on the same cores slow each other
down tenfold (docs/performance.md); on a GPU it makes no difference.
"""

A = TypeVar("A", protocol.Loaded, protocol.Done, protocol.Evicted, protocol.MemoryRead)


class EngineDied(Exception):
    """The process ended while we needed it. `detail` holds how, and its last words."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class EngineProcess:
    """One engine process. Made once, used until it dies; a new one is a new object."""

    def __init__(self, *entries: str, environment: dict[str, str] | None = None) -> None:
        """Name the engine as `module:Class`, or several of which it shall be one at a time. `environment` is added to
        ours.
        """
        self._entries = entries
        self._environment = environment or {}
        self._process: asyncio.subprocess.Process | None = None
        self._ready: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(_retrieved)
        self._answer: asyncio.Future[protocol.Answer] | None = None
        self._on_progress: Callable[[StepProgress], None] | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._last_id = 0
        self._dead = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process's id, None before the start."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """True from the start until the process ends."""
        return self._process is not None and not self._dead.is_set()

    async def start(self) -> None:
        """Start the process; does not wait for its imports."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "warmlane_lanekit.engine_host"),
            *(f"--engine={entry}" for entry in self._entries),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_QUIET_WAITING | os.environ | self._environment,
            limit=_LINE_BYTES,
        )
        self._readers = [
            asyncio.create_task(self._read_errors(), name="engine:stderr"),
            asyncio.create_task(self._read_replies(), name="engine:replies"),
        ]

    async def ready(self) -> float:
        """Wait until the engine's code is imported; return the seconds it took. Raise `EngineDied`."""
        return await asyncio.shield(self._ready)

    async def dead(self) -> None:
        """Wait until the process has ended."""
        await self._dead.wait()

    async def load(self, model_dir: Path, runtime: ModelRuntime) -> LoadReport:
        """Load a model. Raise `EngineFault` or `EngineDied`."""
        load = partial(protocol.Load, model_dir=model_dir, runtime=runtime)
        return (await self._call(load, protocol.Loaded)).report

    async def generate(self, spec: GenerateSpec, on_progress: Callable[[StepProgress], None]) -> GenerateReport:
        """Make a clip. Raise `GenerationCancelled`, `EngineFault` or `EngineDied`.

        `on_progress` is called from this task's loop and must not block.
        """
        self._on_progress = on_progress
        try:
            return (await self._call(partial(protocol.Generate, spec=spec), protocol.Done)).report
        finally:
            self._on_progress = None

    async def evict(self) -> None:
        """Release the model. Raise `EngineFault` or `EngineDied`."""
        await self._call(protocol.Evict, protocol.Evicted)

    async def memory(self) -> MemoryReading:
        """Read the memory in use. Raise `EngineDied`."""
        return (await self._call(protocol.Memory, protocol.MemoryRead)).reading

    async def cancel(self, *, grace_s: float) -> None:
        """Ask the running generation to stop, and kill the process when it has not within `grace_s` seconds."""
        answer = self._answer
        if answer is None or answer.done():
            return
        with contextlib.suppress(EngineDied):
            await self._send(protocol.Cancel(id=self._last_id))
        done, _ = await asyncio.wait({answer}, timeout=grace_s)
        if not done:
            log.warning("engine.cancel_ignored", grace_s=grace_s, pid=self.pid)
            await self.kill()

    async def kill(self) -> None:
        """End the process at once; returns when it is gone. Safe to call twice, and before the start."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._dead.wait()
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def _call(self, command: Callable[..., protocol.Command], expected: type[A]) -> A:
        if self._answer is not None and not self._answer.done():
            raise RuntimeError("the engine is busy: one command at a time")
        # From here on we are busy: an id that was given out is the only one whose answer counts.
        self._answer = asyncio.get_running_loop().create_future()
        self._answer.add_done_callback(_retrieved)
        self._last_id += 1
        frame = command(id=self._last_id)
        await self.ready()
        await self._send(frame)
        answer = await asyncio.shield(self._answer)
        match answer:
            case protocol.Cancelled():
                raise GenerationCancelled
            case protocol.Failed():
                raise EngineFault(answer.code, answer.detail)
            case _ if isinstance(answer, expected):
                return answer
            case _:
                raise EngineFault(ErrorCode.ENGINE_FAILED, f"the engine answered {answer.kind} to {frame.kind}")

    async def _send(self, frame: protocol.Command) -> None:
        assert self._process is not None, "start() comes first"  # noqa: S101 - a misuse, not a state
        assert self._process.stdin is not None  # noqa: S101 - we asked for a pipe
        try:
            self._process.stdin.write(protocol.to_line(frame))
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as broken:
            await self._dead.wait()
            raise EngineDied(self._last_words()) from broken

    async def _read_replies(self) -> None:
        assert self._process is not None  # noqa: S101 - started
        assert self._process.stdout is not None  # noqa: S101 - we asked for a pipe
        try:
            async for line in self._process.stdout:
                self._take(protocol.reply_of(line))
        except (ValidationError, ValueError):
            # Half a frame, or a line without an end: whatever wrote it cannot be trusted with a generation.
            log.exception("engine.spoke_nonsense", pid=self.pid)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        await asyncio.gather(self._readers[0], return_exceptions=True)
        self._bury()

    def _take(self, reply: protocol.Reply) -> None:
        match reply:
            case protocol.Ready():
                self._ready.set_result(reply.seconds)
            case protocol.Progress():
                if self._on_progress is not None and reply.id == self._last_id:
                    self._on_progress(reply.at)
            case _:
                if self._answer is not None and not self._answer.done() and reply.id == self._last_id:
                    self._answer.set_result(reply)

    def _bury(self) -> None:
        self._dead.set()
        died = EngineDied(self._last_words())
        for waiting in (self._ready, self._answer):
            if waiting is not None and not waiting.done():
                waiting.set_exception(died)

    async def _read_errors(self) -> None:
        assert self._process is not None  # noqa: S101 - started
        assert self._process.stderr is not None  # noqa: S101 - we asked for a pipe
        while True:
            try:
                line = await self._process.stderr.readline()
            except ValueError:  # a line longer than the limit: drop it and go on
                continue
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip()
            self._tail.append(text)
            log.info("engine.said", pid=self.pid, line=text[:500])

    def _last_words(self) -> str:
        code = self._process.returncode if self._process else None
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
        said = " | ".join(self._tail)[-600:]
        return f"the engine process {how}" + (f"; it last said: {said}" if said else "")


def _retrieved(future: "asyncio.Future[Any]") -> None:
    """Look at a future's exception, so that asyncio does not warn when nobody was waiting for it."""
    if not future.cancelled():
        future.exception()
