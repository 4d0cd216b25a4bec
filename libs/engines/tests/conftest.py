"""Tiny models, made once for all tests of a run, and engines that stay loaded."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as a worker starts its engine
pytest.importorskip("torch", reason="the engines' tests need the lane environment")

from warmlane_contracts.catalogue import load_catalogue, resolve
from warmlane_engines import tiny
from warmlane_engines.anisora import AnisoraEngine
from warmlane_engines.phr00t import Phr00tEngine
from warmlane_lanekit.engine import GenerateReport, GenerateSpec, ImageInput, StepProgress

CATALOGUE = load_catalogue("tiny")
SMALL = {"width": 64, "height": 64, "num_frames": 9}
Make = Callable[..., GenerateReport]


@pytest.fixture(scope="session")
def models_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with both tiny models."""
    root = tmp_path_factory.mktemp("models")
    for name in tiny.NAMES:
        assert tiny.build(name, root)
    return root


@pytest.fixture(scope="session")
def anisora(models_root: Path) -> Iterator[AnisoraEngine]:
    """Return AniSora's engine, warm."""
    engine = AnisoraEngine()
    engine.load(models_root / "anisora", CATALOGUE.model_of("anisora").runtime)
    yield engine
    engine.evict()


@pytest.fixture(scope="session")
def phr00t(models_root: Path) -> Iterator[Phr00tEngine]:
    """Return Phr00t's engine, warm."""
    engine = Phr00tEngine()
    engine.load(models_root / "phr00t", CATALOGUE.model_of("phr00t").runtime)
    yield engine
    engine.evict()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return pictures of plain colours and one with a gradient."""
    folder = tmp_path_factory.mktemp("pictures")
    made = {name: Image.new("RGB", (80, 60), name) for name in ("red", "blue", "white", "black")}
    made["gradient"] = Image.linear_gradient("L").convert("RGB")
    for name, picture in made.items():
        picture.save(folder / f"{name}.png")
    return {name: folder / f"{name}.png" for name in made}


@pytest.fixture
def spec(tmp_path: Path, pictures: dict[str, Path]) -> Callable[..., GenerateSpec]:
    """Return a function that makes a small clip's spec, validated as a request would be."""
    fields = {"reference": "reference_image", "first_frame": "first_frame_image", "last_frame": "last_frame_image"}
    count = iter(range(1000))

    def made(engine: Any, mode: str, images: list[tuple[str, str, float | None]], **changes: Any) -> GenerateSpec:
        scratch = tmp_path / f"scratch-{next(count)}"
        scratch.mkdir()
        model = "anisora" if isinstance(engine, AnisoraEngine) else "phr00t"
        body: dict[str, Any] = {"model": model, "mode": mode, "prompt": "a paper boat", "seed": 5, **SMALL, **changes}
        body |= {fields[role]: "asset" for role, _, position in images if position is None}
        keyframes = [{"image": "asset", "position": position} for *_, position in images if position is not None]
        if keyframes:
            body["arbitrary_frames"] = keyframes
        request = resolve(CATALOGUE, body)
        return GenerateSpec(
            model=model,
            mode=mode,
            params=request.params,
            images=tuple(ImageInput(role=role, path=pictures[name], position=at) for role, name, at in images),
            output_format=request.output_format,
            scratch=scratch,
        )

    return made


@pytest.fixture
def make(spec: Callable[..., GenerateSpec]) -> Make:
    """Return a function that makes a clip: `make(engine, "i2v", [("reference", "red", None)], seed=1)`."""

    def made(
        engine: Any,
        *wanted: Any,
        progress: Callable[[StepProgress], None] = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
        **changes: Any,
    ) -> GenerateReport:
        return engine.generate(spec(engine, *wanted, **changes), progress=progress, cancelled=cancelled)

    return made
