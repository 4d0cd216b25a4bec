"""The engine's process: reads commands, drives the engine, writes replies.

    python -m warmlane_lanekit.engine_host --engine warmlane_engines.anisora:AnisoraEngine

The main thread runs the engine, one command after the other. A reader thread takes commands off the pipe meanwhile, so
that a cancel is heard during a step. The pipes are the process's first descriptors 0 and 1, moved out of the way before
anything else is imported: what a library prints goes to standard error and never into a frame. The process dies with
its parent, by the kernel's hand where there is one, and at the end of the pipe everywhere.
"""

import argparse
import ctypes
import importlib
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable

from pydantic import ValidationError
from warmlane_contracts.errors import ErrorCode

from warmlane_lanekit import protocol
from warmlane_lanekit.engine import Engine, EngineFault, GenerationCancelled, StepProgress
from warmlane_lanekit.many_engines import ManyEngines

_PR_SET_PDEATHSIG = 1


class EngineHost:
    """Drives one engine between two pipes."""

    def __init__(self, engine: Engine, read: int, write: int) -> None:
        self._engine = engine
        self._commands: queue.SimpleQueue[protocol.Command | None] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._read = read
        self._write = write

    def run(self, started: float) -> None:
        """Say ready and serve until the pipe ends."""
        threading.Thread(target=self._listen, name="commands", daemon=True).start()
        self._reply(protocol.Ready(seconds=time.monotonic() - started))
        while (command := self._commands.get()) is not None:
            self._reply(self._answer(command))

    def _listen(self) -> None:
        with os.fdopen(self._read, "rb") as lines:
            for line in lines:
                try:
                    command = protocol.command_of(line)
                except ValidationError:
                    # The other side speaks another version: nothing sensible can follow.
                    traceback.print_exc()
                    os._exit(2)
                if isinstance(command, protocol.Cancel):
                    self._cancelled.add(command.id)
                else:
                    self._commands.put(command)
        self._commands.put(None)
        # The parent is gone or done with us. An engine deep in a step would not notice for minutes.
        threading.Timer(1.0, os._exit, (0,)).start()

    def _reply(self, frame: protocol.Reply) -> None:
        line = memoryview(protocol.to_line(frame))
        while line:
            line = line[os.write(self._write, line) :]

    def _answer(self, command: protocol.Command) -> protocol.Answer:
        try:
            return self._done(command)
        except GenerationCancelled:
            return protocol.Cancelled(id=command.id)
        except EngineFault as fault:
            return protocol.Failed(id=command.id, code=fault.code, detail=fault.detail)
        except MemoryError as full:
            return protocol.Failed(id=command.id, code=ErrorCode.GPU_OUT_OF_MEMORY, detail=str(full) or "out of memory")
        except Exception as error:  # noqa: BLE001 - whatever a library raises becomes the command's answer
            traceback.print_exc()
            return protocol.Failed(
                id=command.id, code=ErrorCode.ENGINE_FAILED, detail=f"{type(error).__name__}: {error}"[:500]
            )

    def _done(self, command: protocol.Command) -> protocol.Answer:
        match command:
            case protocol.Load():
                report = self._engine.load(command.model_dir, command.runtime)
                return protocol.Loaded(id=command.id, report=report)
            case protocol.Generate():
                return self._generate(command)
            case protocol.Evict():
                self._engine.evict()
                return protocol.Evicted(id=command.id)
            case protocol.Memory():
                return protocol.MemoryRead(id=command.id, reading=self._engine.memory())
            case protocol.Cancel():
                raise AssertionError("cancels are taken by the reader")

    def _generate(self, command: protocol.Generate) -> protocol.Answer:
        def progress(at: StepProgress) -> None:
            self._reply(protocol.Progress(id=command.id, at=at))

        def cancelled() -> bool:
            return command.id in self._cancelled

        if cancelled():
            raise GenerationCancelled
        report = self._engine.generate(command.spec, progress=progress, cancelled=cancelled)
        return protocol.Done(id=command.id, report=report)


def claim_pipes() -> tuple[int, int]:
    """Take descriptors 0 and 1 for the protocol, and let everybody else's output go to standard error."""
    read, write = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return read, write


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies (Linux; elsewhere the pipe's end has to do)."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died between the two lines
        os._exit(0)


def load_engine(*entries: str) -> Engine:
    """Return a new engine of the class an entry names as `module:Class`; of several, one that can be each of them."""
    makers = {entry: _maker(entry) for entry in entries}
    return makers[entries[0]]() if len(makers) == 1 else ManyEngines(makers)


def _maker(entry: str) -> Callable[[], Engine]:
    module, _, name = entry.partition(":")
    made: Callable[[], Engine] = getattr(importlib.import_module(module), name)
    return made


def main() -> int:
    """Serve the engine the command line names."""
    started = time.monotonic()
    read, write = claim_pipes()
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's Ctrl-C reaches the whole group; the supervisor decides
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", required=True, action="append", help="module:Class; several for a shared worker")
    EngineHost(load_engine(*parser.parse_args().engine), read, write).run(started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
