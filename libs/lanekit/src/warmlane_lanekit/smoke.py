"""One or two denoise steps at 128x128 through a lane's engine, without a broker: `wan models smoke` calls it.

The engine runs in its own process as in a lane, so what works here works there, and a crash is told and not suffered.
"""

import asyncio
import tempfile
from pathlib import Path

from PIL import Image
from warmlane_contracts.catalogue import Model, ModelRuntime, load_catalogue
from warmlane_contracts.messages import ClipParams
from warmlane_modelstore.errors import Code, StoreError

from warmlane_lanekit.engine import EngineFault, GenerateSpec, ImageInput
from warmlane_lanekit.engine_process import EngineDied, EngineProcess

SIDE = 128
FRAMES = 9


def smoke(name: str, directory: Path, steps: int, engine: str | None) -> Path:
    """Load the model in `directory`, make a clip of nine frames, return its path. Raise `StoreError` SMOKE_FAIL."""
    model = load_catalogue().model_of(name)
    if model is None:
        raise _failure(f"no lane generates with {name}", "Use --check-only: the catalogue has no such model yet.")
    try:
        return asyncio.run(_generate(model, directory, steps, engine or model.runtime.engine))
    except (EngineFault, EngineDied) as failed:
        raise _failure(
            f"{name}: {failed}", "See the engine's last words above; verify the files with: wan models verify."
        ) from failed


async def _generate(model: Model, directory: Path, steps: int, engine: str) -> Path:
    process = EngineProcess(engine)
    await process.start()
    try:
        await process.ready()
        await process.load(directory, _shortened(model.runtime, steps))
        scratch = Path(tempfile.mkdtemp(prefix="smoke-"))
        report = await process.generate(_spec(model, steps, scratch), lambda _: None)
        return report.clip
    finally:
        await process.kill()


def _shortened(runtime: ModelRuntime, steps: int) -> ModelRuntime:
    """The lane's own schedule, cut to so few steps: a table of sigmas is made for one number of steps only."""
    if not runtime.sigmas:
        return runtime
    return runtime.model_copy(update={"sigmas": (*runtime.sigmas[:steps], 0.0), "steps": steps})


def _spec(model: Model, steps: int, scratch: Path) -> GenerateSpec:
    """The model's first mode, with grey pictures where it wants some."""
    mode = model.modes[0]
    images: tuple[ImageInput, ...] = ()
    for slot in mode.images:
        path = scratch / f"{slot.role}.png"
        Image.new("RGB", (SIDE, SIDE), (128, 128, 128)).save(path)
        images += (ImageInput(role=slot.role, path=path, position=0.0 if slot.role == "keyframe" else None),)
    params = ClipParams(
        prompt="A smoke test", width=SIDE, height=SIDE, num_frames=FRAMES, fps=8, steps=steps, cfg=1.0, seed=1
    )
    return GenerateSpec(model=model.id, mode=mode.id, params=params, images=images, scratch=scratch)


def _failure(detail: str, action: str) -> StoreError:
    return StoreError(Code.SMOKE_FAIL, detail, action)
