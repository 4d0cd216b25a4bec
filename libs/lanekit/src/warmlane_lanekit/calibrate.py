"""`python -m warmlane_lanekit.calibrate MODEL`: measure what clips take on this device, and fit the model of it.

    load ─► a warm-up clip ─► clips of several sizes and lengths ─► two lines by least squares ─► calibrations/<model>.json

Each clip is measured from a clean start. Needs a device with a meter: a GPU, or a simulated one
(`WARMLANE_SIMULATED_VRAM_BYTES`) to try it. Prints one JSON document: the calibration and its points.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import structlog
from PIL import Image
from warmlane_contracts.catalogue import Model, load_catalogue
from warmlane_contracts.errors import ErrorCode
from warmlane_contracts.memory_model import Calibration, Line, tokens
from warmlane_contracts.messages import ClipParams

from warmlane_lanekit.calibrations import write_calibration
from warmlane_lanekit.engine import EngineFault, GenerateSpec, ImageInput, MemoryReading
from warmlane_lanekit.engine_process import EngineDied, EngineProcess
from warmlane_lanekit.meter import BUDGET

_SIZES = {
    "production": ((480, 320, 17), (640, 384, 33), (832, 480, 49), (832, 480, 81), (1280, 720, 49)),
    "tiny": ((64, 64, 5), (96, 64, 9), (128, 96, 9), (128, 128, 17), (192, 128, 17)),
}
"""Width, height, frames. Sizes and lengths vary apart, so that no two stages grow alike."""
_LEAST = 3


@dataclass(frozen=True, slots=True)
class Point:
    """One measured clip: what was asked, and the peaks of the two heavy stages in bytes."""

    width: int
    height: int
    frames: int
    denoising: int
    decoding: int


def fit(model: str, points: list[Point], *, device: str, simulated: bool) -> Calibration:
    """Return the two lines through the points, and their largest error. Raise `ValueError` for fewer than three."""
    if len(points) < _LEAST:
        raise ValueError(f"{len(points)} clips could be measured; a fit needs {_LEAST}")
    denoising, first = _line([(tokens(p.width, p.height, p.frames), p.denoising) for p in points])
    decoding, second = _line([(p.width * p.height, p.decoding) for p in points])
    return Calibration(
        model=model,
        device=device,
        meter="simulated" if simulated else "cuda",
        points=len(points),
        denoising=denoising,
        decoding=decoding,
        residual=max(first, second),
    )


def _line(pairs: list[tuple[float, float]]) -> tuple[Line, float]:
    sizes, peaks = np.array(pairs, dtype=float).T
    slope, base = np.polyfit(sizes, peaks, 1)
    line = Line(base=float(base), slope=max(0.0, float(slope)))
    return line, float(max(abs(line.at(size) - peak) for size, peak in pairs))


async def measure(model: Model, folder: Path, profile: str) -> tuple[list[Point], MemoryReading]:
    """Return the measured clips, and the device's reading after the load. Clips that do not fit are left out."""
    engine = EngineProcess(model.runtime.engine)
    await engine.start()
    points: list[Point] = []
    try:
        await engine.load(folder, model.runtime)
        reading = await engine.memory()
        if reading.peak_bytes is None:
            raise EngineFault(
                ErrorCode.ENGINE_FAILED, f"this machine has no device to measure; set {BUDGET} to try a simulated one"
            )
        with tempfile.TemporaryDirectory() as scratch:
            for number, spec in enumerate(_specs(model, profile, Path(scratch))):
                point = await _measure_one(engine, spec)
                # The first clip pays for what stays allocated afterwards; measured again, it counts.
                if point is not None and number > 0:
                    points.append(point)
    finally:
        await engine.kill()
    return points, reading


async def _measure_one(engine: EngineProcess, spec: GenerateSpec) -> Point | None:
    asked = spec.params
    try:
        report = await engine.generate(spec, lambda _: None)
    except EngineFault as fault:
        if fault.code is not ErrorCode.GPU_OUT_OF_MEMORY:
            raise
        sys.stderr.write(f"{asked.width}x{asked.height}, {asked.num_frames} frames do not fit: left out\n")
        return None
    denoising, decoding = report.denoise_peak_bytes, report.decode_peak_bytes
    if denoising is None or decoding is None:
        raise EngineFault(ErrorCode.ENGINE_FAILED, "the engine does not report the peaks of its stages")
    sys.stderr.write(
        f"{asked.width}x{asked.height}, {asked.num_frames} frames: denoising {denoising}, decoding {decoding} bytes\n"
    )
    return Point(asked.width, asked.height, asked.num_frames, denoising, decoding)


def _specs(model: Model, profile: str, scratch: Path) -> Iterator[GenerateSpec]:
    sizes = _SIZES[profile]
    for number, (width, height, frames) in enumerate((sizes[0], *sizes)):
        folder = scratch / str(number)
        folder.mkdir()
        params = ClipParams(
            prompt="calibration",
            width=width,
            height=height,
            num_frames=frames,
            fps=16,
            steps=model.runtime.steps,
            cfg=model.runtime.cfg,
            seed=0,
        )
        mode = model.mode(model.default_mode)
        images = []
        for slot in mode.images if mode else ():
            path = folder / f"{slot.role}.png"
            Image.new("RGB", (width, height), "gray").save(path)
            images.append(ImageInput(role=slot.role, path=path))
        yield GenerateSpec(model=model.id, mode=model.default_mode, params=params, images=tuple(images), scratch=folder)


def main() -> int:
    """Calibrate the model the command line names; return the exit code."""
    # The document goes to standard output; what the engine says is for people.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    parser = argparse.ArgumentParser(prog="warmlane calibrate", description=__doc__.split("\n", 1)[0])
    parser.add_argument("model")
    parser.add_argument("--models-root", type=Path, required=True)
    parser.add_argument("--folder", type=Path, help="the model's folder (default: MODELS_ROOT/MODEL)")
    parser.add_argument("--profile", choices=tuple(_SIZES), default="production")
    options = parser.parse_args()
    model = load_catalogue().model_of(options.model)
    if model is None:
        sys.stderr.write(f"the catalogue has no model {options.model}\n")
        return 3
    folder = options.folder or options.models_root / model.id
    try:
        points, reading = asyncio.run(measure(model, folder, options.profile))
        device = f"{(reading.total_bytes or 0) / 2**30:.1f} GiB on {platform.machine()}"
        made = fit(model.id, points, device=device, simulated=BUDGET in os.environ)
    except (EngineFault, EngineDied, ValueError) as failed:
        sys.stderr.write(f"{failed}\n")
        return 1
    path = write_calibration(options.models_root, made)
    shown = {
        "calibration": made.model_dump(),
        "path": str(path),
        "points": [
            asdict(p) | {"predicted": made.peak_bytes(width=p.width, height=p.height, frames=p.frames)} for p in points
        ],
    }
    sys.stdout.write(json.dumps(shown) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
