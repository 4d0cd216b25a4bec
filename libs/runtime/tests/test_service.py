"""Real processes, real signals."""

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, sys
from warmlane_runtime.lifecycle import Part
from warmlane_runtime.logging import configure_logging
from warmlane_runtime.service import Service, run_service
from warmlane_runtime.settings import LogSettings

configure_logging(LogSettings(), service="s")

def say(word):
    print(word, flush=True)

class Loud(Part):
    def __init__(self, name, drain_s=0.0):
        super().__init__()
        self.name, self.drain_s = name, drain_s
    async def open(self):
        say(f"open {self.name}")
    async def drain(self):
        say(f"drain {self.name}")
        await asyncio.sleep(self.drain_s)
        say(f"drained {self.name}")
    async def close(self):
        say(f"close {self.name}")

async def build():
    service = Service("s", soft_stop_s=float(sys.argv[2]))
    service.add(Loud("bus"))
    service.add(Loud("loop", drain_s=float(sys.argv[1])))
    async def ready():
        while not all(part.phase == "running" for part in service._parts):
            await asyncio.sleep(0)
        say("ready")
        if "die" in sys.argv:
            raise ValueError("consumer broke")
        try:
            await asyncio.Event().wait()
        finally:
            say("consumer ended")
    service.tasks.spawn("consumer", ready())
    if "slow" in sys.argv:
        class Slow(Part):
            async def open(self):
                say("opening")
                await asyncio.Event().wait()
        service.add(Slow())
    if "refuse" in sys.argv:
        class Refusing(Part):
            async def open(self):
                raise OSError("port taken")
        service.add(Refusing())
    return service

sys.exit(run_service(build))
"""


@pytest.fixture
def start():
    running = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def until(process, word):
    seen = []
    while not seen or seen[-1] != word:
        line = process.stdout.readline()
        assert line, f"ended before {word!r}: {seen} {process.stderr.read()}"
        seen.append(line.strip())
    return seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_newest_first_and_exits_0(start, number):
    process = start(0, 5)
    until(process, "ready")
    os.kill(process.pid, number)
    out, _ = process.communicate(timeout=10)
    assert out.split("\n")[:-1] == [
        "drain loop",
        "drained loop",
        "drain bus",
        "drained bus",
        "consumer ended",
        "close loop",
        "close bus",
    ]
    assert process.returncode == 0


def test_a_second_signal_makes_it_hard(start):
    process = start(60, 60)
    until(process, "ready")
    os.kill(process.pid, signal.SIGTERM)
    until(process, "drain loop")
    os.kill(process.pid, signal.SIGTERM)
    out, _ = process.communicate(timeout=10)
    assert out.split("\n")[:-1] == ["consumer ended", "close loop", "close bus"]
    assert process.returncode == 0


def test_the_deadline_makes_it_hard(start):
    process = start(60, 0.2)
    until(process, "ready")
    os.kill(process.pid, signal.SIGTERM)
    out, error = process.communicate(timeout=10)
    assert out.split("\n")[:-1] == ["drain loop", "consumer ended", "close loop", "close bus"]
    assert "service.drain_cut_short" in error
    assert process.returncode == 0


def test_a_background_task_that_dies_takes_the_service_with_it(start):
    process = start(60, 60, "die")
    out, error = process.communicate(timeout=10)
    assert "drain" not in out
    assert out.rstrip().endswith("close bus")
    assert "consumer broke" in error
    assert process.returncode == 1


def test_a_part_that_cannot_start_stops_those_before_it(start):
    process = start(0, 5, "refuse")
    out, error = process.communicate(timeout=10)
    assert out.split("\n")[:2] == ["open bus", "open loop"]
    assert "close loop\nclose bus" in out
    assert "port taken" in error
    assert process.returncode == 1


def test_a_stop_during_the_start_ends_the_start(start):
    process = start(0, 60, "slow")
    until(process, "opening")
    os.kill(process.pid, signal.SIGTERM)
    out, _ = process.communicate(timeout=10)
    assert out.rstrip().endswith("close loop\nclose bus")
    assert process.returncode == 0
