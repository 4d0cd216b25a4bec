"""The engine's process: what it answers, how it dies, and that nobody waits for the dead."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from warmlane_contracts.catalogue import load_catalogue
from warmlane_contracts.errors import ErrorCode
from warmlane_lanekit.engine import EngineFault, GenerateReport, GenerateSpec, GenerationCancelled, StepProgress
from warmlane_lanekit.engine_process import EngineDied, EngineProcess
from warmlane_testkit.builders import clip_params
from warmlane_testkit.waiting import eventually

RUNTIME = load_catalogue().model_of("anisora").runtime


async def make(engine: EngineProcess, script: str, scratch: Path, on_progress: Any = lambda _: None) -> GenerateReport:
    spec = GenerateSpec(model="anisora", mode="i2v", params=clip_params(prompt=script), scratch=scratch)
    return await engine.generate(spec, on_progress)


async def test_load_generate_measure_evict(engine: EngineProcess, tmp_path: Path) -> None:
    assert await engine.ready() > 0
    assert (await engine.load(tmp_path, RUNTIME)).parameters == 8
    seen: list[StepProgress] = []
    report = await make(engine, "steps=3", tmp_path, seen.append)
    assert [(at.step, at.steps) for at in seen] == [(1, 3), (2, 3), (3, 3)]
    assert report.clip.read_bytes().startswith(b"clip of")
    assert (await engine.memory()).rss_bytes == 1000
    await engine.evict()


async def test_stray_output_and_endless_lines_disturb_nothing(engine: EngineProcess, tmp_path: Path) -> None:
    assert await make(engine, "then=babble", tmp_path)
    assert await make(engine, "steps=1", tmp_path)


async def test_a_failure_is_a_fault_and_the_engine_goes_on(engine: EngineProcess, tmp_path: Path) -> None:
    with pytest.raises(EngineFault, match="ValueError: the tensor had the wrong shape") as fault:
        await make(engine, "then=fail", tmp_path)
    assert fault.value.code is ErrorCode.ENGINE_FAILED
    with pytest.raises(EngineFault) as fault:
        await make(engine, "then=full", tmp_path)
    assert fault.value.code is ErrorCode.GPU_OUT_OF_MEMORY
    assert await make(engine, "steps=1", tmp_path)


async def test_a_refused_model_says_why(engine: EngineProcess, tmp_path: Path) -> None:
    with pytest.raises(EngineFault, match="the folder is broken"):
        await engine.load(tmp_path / "broken", RUNTIME)


async def test_a_crash_is_told_with_its_last_words(engine: EngineProcess, tmp_path: Path) -> None:
    with pytest.raises(EngineDied, match=r"exit code 139.*segmentation fault, said the device"):
        await make(engine, "then=crash", tmp_path)
    assert not engine.alive
    with pytest.raises(EngineDied):
        await engine.memory()


async def test_a_kill_ends_the_waiting(engine: EngineProcess, tmp_path: Path) -> None:
    waiting = asyncio.create_task(make(engine, "then=hang", tmp_path))
    await engine.ready()
    await engine.kill()
    with pytest.raises(EngineDied, match="signal 9"):
        await waiting
    await engine.kill()


async def test_cancel_stops_at_the_next_step(engine: EngineProcess, tmp_path: Path) -> None:
    seen: list[StepProgress] = []
    waiting = asyncio.create_task(make(engine, "steps=1000 pause=0.02", tmp_path, seen.append))
    await eventually(lambda: seen)
    await engine.cancel(grace_s=5)
    with pytest.raises(GenerationCancelled):
        await waiting
    assert engine.alive
    assert await make(engine, "steps=1", tmp_path)


async def test_an_engine_that_ignores_a_cancel_is_killed(engine: EngineProcess, tmp_path: Path) -> None:
    seen: list[StepProgress] = []
    waiting = asyncio.create_task(make(engine, "steps=1 then=hang", tmp_path, seen.append))
    await eventually(lambda: seen)
    await engine.cancel(grace_s=0.1)
    with pytest.raises(EngineDied):
        await waiting


async def test_a_cancel_that_comes_too_late_hits_nobody(engine: EngineProcess, tmp_path: Path) -> None:
    await make(engine, "steps=1", tmp_path)
    await engine.cancel(grace_s=1)
    assert await make(engine, "steps=1", tmp_path)


async def test_one_command_at_a_time(engine: EngineProcess, tmp_path: Path) -> None:
    await engine.ready()
    waiting = asyncio.create_task(make(engine, "steps=50", tmp_path))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="busy"):
        await engine.memory()
    await waiting


async def test_an_engine_that_cannot_be_imported_dies_with_the_reason() -> None:
    process = EngineProcess("no_such_module:Engine")
    await process.start()
    with pytest.raises(EngineDied, match="no_such_module"):
        await process.ready()
    await process.dead()


async def test_the_process_dies_with_its_parent(tmp_path: Path) -> None:
    """A supervisor that is killed leaves no engine behind to hold the GPU."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio\n"
        "from warmlane_lanekit.engine_process import EngineProcess\n"
        "async def main():\n"
        "    engine = EngineProcess('warmlane_testkit.scripted_engine:ScriptedEngine')\n"
        "    await engine.start()\n"
        "    await engine.ready()\n"
        "    print(engine.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    import sys

    parent = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await eventually(
        lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]
    )
