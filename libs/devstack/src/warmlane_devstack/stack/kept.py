"""One unit of the stack, kept running.

    waiting ─ what it needs is ready ─► preparing ─► starting ─ probe ─► ready ─ dies ─► restarting ─► preparing …
                                                        └─ dies or is too slow, START_TRIES times ─► failed

A unit that never came up fails the start of the stack; one that was up once is restarted for ever, the pauses growing to
MAX_PAUSE_S, so that a stack left alone comes back as soon as the cause is gone.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from asyncio import StreamReader, StreamReaderProtocol
from collections.abc import Callable, Mapping
from typing import IO, Any

from warmlane_devstack.exits import CommandFailed
from warmlane_devstack.servers.process import ServerFailed, spawn
from warmlane_devstack.stack.logs import RotatedFile
from warmlane_devstack.stack.unit import State, Unit

START_TRIES = 3
FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 5.0
# Who lived this long has recovered; its next death is a new story.
RECOVERED_AFTER_S = 30.0
PROBE_EVERY_S = 0.05
DRAIN_OUTPUT_S = 0.5


class Kept:
    """Runs one unit. `ready` is set once it has been ready; it stays set through restarts."""

    def __init__(
        self,
        unit: Unit,
        *,
        log: RotatedFile,
        show: Callable[[str, bytes], None],
        changed: Callable[[str, State, str], None],
        started: Callable[[str, int], None],
    ) -> None:
        self.unit = unit
        self.ready = asyncio.Event()
        self._log = log
        self._show = show
        self._changed = changed
        self._started = started
        self._process: subprocess.Popen[bytes] | None = None
        self._exited: asyncio.Future[int] | None = None
        self._stopping = False

    async def run(self, needs: Mapping[str, "Kept"]) -> None:
        """Return when the unit is a finished step or was stopped. Raises CommandFailed when it never came up."""
        self._report(State.WAITING)
        for name in self.unit.needs:
            await needs[name].ready.wait()
        deaths = 0
        while True:
            began = time.monotonic()
            if await self._live_or_say_why() or self._stopping:
                return
            deaths = 1 if time.monotonic() - began > RECOVERED_AFTER_S else deaths + 1
            if not self.ready.is_set() and deaths >= START_TRIES:
                self._report(State.FAILED)
                raise CommandFailed(self._why())
            self._report(State.RESTARTING)
            await asyncio.sleep(min(FIRST_PAUSE_S * 2 ** (deaths - 1), MAX_PAUSE_S))

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ask the process to end, and end it by force when its time is over or `hurry` is set."""
        self._stopping = True
        if self._process is None or self._exited is None or self._exited.done():
            return
        self._report(State.STOPPING)
        self._signal(self.unit.stop_signal)
        hurried = asyncio.create_task(hurry.wait())
        either: set[asyncio.Future[Any]] = {self._exited, hurried}
        await asyncio.wait(either, timeout=self.unit.stop_within_s, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        self._kill_group()
        await self._exited
        self._report(State.STOPPED)

    async def _live_or_say_why(self) -> bool:
        """A start that cannot even be tried fails a new stack at once, and is one more death in one that was up."""
        try:
            return await self._live()
        except (ServerFailed, OSError) as error:
            if not self.ready.is_set():
                if isinstance(error, OSError):
                    raise
                raise CommandFailed(str(error)) from error
            self._log.write(f"supervisor: cannot start {self.unit.name}: {error}\n".encode())
            return False

    async def _live(self) -> bool:
        """One life of the process, to its end. True when it was a step that ended well."""
        self._report(State.PREPARING)
        await asyncio.to_thread(self.unit.prepare)
        if self._stopping:
            return False
        exited = await self._spawn()
        self._report(State.STARTING)
        if await self._comes_up(exited):
            self.ready.set()
            self._report(State.READY)
        code = await exited
        self._kill_group()
        self.unit.after_stop()
        if self.unit.is_step and code == 0:
            self.ready.set()
            self._report(State.READY)
            return True
        return False

    async def _spawn(self) -> asyncio.Future[int]:
        process = spawn(self.unit.launch(), subprocess.PIPE)
        self._process = process
        self._exited = asyncio.ensure_future(self._end_of(process))
        if not self.unit.is_step:
            self._started(self.unit.name, process.pid)
        return self._exited

    async def _end_of(self, process: subprocess.Popen[bytes]) -> int:
        """Carry its output away until the process is gone. Children it left may hold the pipe open; not waited for."""
        assert process.stdout is not None  # noqa: S101  # spawn was given a pipe
        pump = asyncio.ensure_future(self._pump(process.stdout))
        code = await asyncio.to_thread(process.wait)
        await asyncio.wait({pump}, timeout=DRAIN_OUTPUT_S)
        pump.cancel()
        return code

    async def _pump(self, pipe: IO[bytes]) -> None:
        reader = StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: StreamReaderProtocol(reader), pipe)
        rest = b""
        try:
            while chunk := await reader.read(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._log.write(line + b"\n")
                    self._show(self.unit.name, line)
        finally:
            transport.close()

    async def _comes_up(self, exited: asyncio.Future[int]) -> bool:
        """Probe until it serves or ends; end it when it takes too long."""
        if self.unit.probe is None:
            return False
        deadline = time.monotonic() + self.unit.ready_within_s
        while not exited.done() and not self._stopping:
            if await asyncio.to_thread(self.unit.probe):
                return not exited.done()
            if time.monotonic() > deadline:
                self._kill_group()
                return False
            await asyncio.sleep(PROBE_EVERY_S)
        return False

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def _kill_group(self) -> None:
        """SIGKILL the process and the children it left in its group: an engine must not outlive its lane."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _report(self, state: State) -> None:
        self._changed(self.unit.name, state, "")

    def _why(self) -> str:
        words = "".join(self._log.last_lines(1)) or "it wrote nothing"
        hint = f"; {self.unit.hint}" if self.unit.hint else ""
        return f"{self.unit.name} did not start{hint}: {words[-600:]} (log: {self._log.path})"
