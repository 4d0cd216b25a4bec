"""The supervisor, with small real processes."""

import asyncio
import os
import signal
import sys
import time
from dataclasses import replace

import pytest
from warmlane_devstack.exits import CommandFailed
from warmlane_devstack.servers.process import Launch, ServerFailed
from warmlane_devstack.stack.supervisor import Supervisor, tiers
from warmlane_devstack.stack.unit import State, Unit

SERVE = "import time, pathlib, sys\npathlib.Path(sys.argv[1]).touch()\nprint('serving', flush=True)\ntime.sleep(60)\n"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVE


class Watched:
    """A supervisor whose reports are kept and can be waited for."""

    def __init__(self, units, tmp_path):
        self.reports = []
        self.shown = []
        self.pids = {}
        self.supervisor = Supervisor(
            units,
            logs=tmp_path / "logs",
            show=lambda name, line: self.shown.append((name, line)),
            changed=self._changed,
            started=lambda name, pid: self.pids.setdefault(name, []).append(pid),
        )

    def _changed(self, name, state, detail):
        self.reports.append((name, state))

    def when(self, name, state):
        return self.reports.index((name, state))

    async def until(self, ask):
        async with asyncio.timeout(20):
            while not ask():
                await asyncio.sleep(0.02)


def server(name, tmp_path, *, needs=(), code=SERVE, **options):
    mark = tmp_path / name

    def launch():
        mark.unlink(missing_ok=True)
        return Launch(argv=(sys.executable, "-c", code, str(mark)))

    return Unit(name=name, launch=launch, probe=mark.exists, needs=needs, **options)


def step(name, code, *, needs=()):
    return Unit(name=name, launch=lambda: Launch(argv=(sys.executable, "-c", code)), probe=None, needs=needs)


async def test_units_start_after_what_they_need_and_stop_before_it(tmp_path):
    units = [
        server("api", tmp_path, needs=("schema",)),
        step("schema", "print('made')", needs=("database",)),
        server("database", tmp_path),
    ]
    watched = Watched(units, tmp_path)
    await watched.supervisor.start()
    assert watched.when("database", State.READY) < watched.when("schema", State.STARTING)
    assert watched.when("schema", State.READY) < watched.when("api", State.STARTING)
    await watched.supervisor.stop()
    assert watched.when("api", State.STOPPED) < watched.when("database", State.STOPPING)


async def test_what_dies_comes_back(tmp_path):
    watched = Watched([server("api", tmp_path)], tmp_path)
    await watched.supervisor.start()
    for lives in (1, 2, 3):
        os.kill(watched.pids["api"][-1], signal.SIGKILL)
        await watched.until(lambda lives=lives: len(watched.pids["api"]) > lives)
        await watched.until(lambda lives=lives: watched.reports.count(("api", State.READY)) > lives)
    assert len(set(watched.pids["api"])) == 4
    await watched.supervisor.stop()


async def test_output_goes_to_its_file_and_to_the_screen(tmp_path):
    watched = Watched([server("api", tmp_path)], tmp_path)
    await watched.supervisor.start()
    await watched.until(lambda: ("api", b"serving") in watched.shown)
    await watched.supervisor.stop()
    assert (tmp_path / "logs" / "api.log").read_text() == "serving\n"


async def test_a_unit_that_never_comes_up_fails_the_start_with_its_last_words(tmp_path):
    units = [server("api", tmp_path, code="print('no licence'); raise SystemExit(3)"), server("other", tmp_path)]
    watched = Watched(units, tmp_path)
    with pytest.raises(CommandFailed, match=r"api did not start: .*no licence"):
        await watched.supervisor.start()
    await watched.supervisor.stop()
    assert len(watched.pids["api"]) == 3


async def test_a_step_that_fails_fails_the_start(tmp_path):
    watched = Watched([step("schema", "raise SystemExit('wrong revision')")], tmp_path)
    with pytest.raises(CommandFailed, match=r"schema did not start: .*wrong revision"):
        await watched.supervisor.start()
    await watched.supervisor.stop()


async def test_a_missing_program_fails_the_start_and_only_delays_a_restart(tmp_path):
    there = True

    def launch():
        if not there:
            message = "the wheel is gone"
            raise ServerFailed(message)
        return working.launch()

    working = server("api", tmp_path)
    watched = Watched([replace(working, launch=launch)], tmp_path)
    await watched.supervisor.start()
    there = False
    os.kill(watched.pids["api"][-1], signal.SIGKILL)
    log = tmp_path / "logs" / "api.log"
    await watched.until(lambda: "cannot start api: the wheel is gone" in log.read_text())
    there = True
    await watched.until(lambda: watched.reports.count(("api", State.READY)) == 2)
    await watched.supervisor.stop()
    there = False
    other = Watched([replace(working, launch=launch)], tmp_path)
    with pytest.raises(CommandFailed, match="the wheel is gone"):
        await other.supervisor.start()
    await other.supervisor.stop()


async def test_a_unit_that_is_too_slow_is_ended(tmp_path):
    slow = server("api", tmp_path, code="import time; time.sleep(60)", ready_within_s=0.2)
    watched = Watched([slow], tmp_path)
    with pytest.raises(CommandFailed, match="api did not start"):
        await watched.supervisor.start()
    await watched.supervisor.stop()


async def test_what_ignores_sigterm_is_killed_after_its_time(tmp_path):
    watched = Watched([server("api", tmp_path, code=STUBBORN, stop_within_s=0.3)], tmp_path)
    await watched.supervisor.start()
    began = time.monotonic()
    await watched.supervisor.stop()
    assert 0.3 <= time.monotonic() - began < 5


async def test_hurry_ends_the_patience(tmp_path):
    watched = Watched([server("api", tmp_path, code=STUBBORN, stop_within_s=60)], tmp_path)
    await watched.supervisor.start()
    stopping = asyncio.create_task(watched.supervisor.stop())
    await watched.until(lambda: ("api", State.STOPPING) in watched.reports)
    watched.supervisor.hurry()
    async with asyncio.timeout(10):
        await stopping


async def test_stop_before_anything_is_ready_leaves_nothing(tmp_path):
    watched = Watched([server("api", tmp_path, code="import time; time.sleep(60)")], tmp_path)
    starting = asyncio.create_task(watched.supervisor.start())
    await watched.until(lambda: watched.pids.get("api"))
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await watched.supervisor.stop()
    assert ("api", State.STOPPED) in watched.reports


def test_units_that_need_each_other_are_refused(tmp_path):
    units = [server("egg", tmp_path, needs=("hen",)), server("hen", tmp_path, needs=("egg",))]
    with pytest.raises(ValueError, match="need each other: egg, hen"):
        tiers(units)
