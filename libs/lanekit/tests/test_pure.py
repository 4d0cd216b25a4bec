"""What needs no process: residency's arrows, percent, and clips in every format."""

from pathlib import Path

import av
import numpy as np
import pytest
from warmlane_contracts.messages import Stage
from warmlane_lanekit.encode import encode_clip
from warmlane_lanekit.engine import StepProgress
from warmlane_lanekit.progress import percent
from warmlane_lanekit.residency import Residency, State, Step, move


def test_residency_goes_along_its_arrows_only() -> None:
    allowed = {
        (state, step) for state in State for step in Step if not isinstance(_try(Residency(state), step), ValueError)
    }
    assert len(allowed) == 8
    warm = move(move(Residency(), Step.LOAD), Step.LOADED)
    assert warm.warm
    lost = move(warm, Step.LOSE, "it died")
    assert (lost.state, lost.reason) == (State.LOST, "it died")
    assert move(lost, Step.LOAD).reason == ""


def _try(residency: Residency, step: Step) -> Residency | ValueError:
    try:
        return move(residency, step)
    except ValueError as no:
        return no


def test_percent_never_falls() -> None:
    walk = [
        StepProgress(stage=Stage.CLAIMED),
        StepProgress(stage=Stage.ENCODING_PROMPT),
        *[StepProgress(stage=Stage.DENOISING, step=step, steps=8) for step in range(9)],
        StepProgress(stage=Stage.DECODING),
        StepProgress(stage=Stage.ENCODING),
        StepProgress(stage=Stage.UPLOADING),
        StepProgress(stage=Stage.DONE),
    ]
    values = [percent(at) for at in walk]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (1, 100)


@pytest.fixture
def frames() -> np.ndarray:
    ramp = np.linspace(0, 255, 96, dtype=np.uint8)
    return np.stack([np.stack([np.roll(np.tile(ramp, (64, 1)), 4 * n, axis=1)] * 3, axis=-1) for n in range(9)])


@pytest.mark.parametrize(
    ("output_format", "codec", "pixels"), [("mp4", "h264", "yuv420p"), ("webm", "vp9", "yuv420p"), ("gif", "gif", None)]
)
def test_a_clip_decodes_to_what_went_in_and_twice_to_the_same_bytes(
    frames: np.ndarray, tmp_path: Path, output_format: str, codec: str, pixels: str | None
) -> None:
    clips = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        clips.append(encode_clip(frames, tmp_path / name, fps=8, output_format=output_format))
    first, second = clips
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.preview.read_bytes() == second.preview.read_bytes()
    with av.open(str(first.path)) as clip:
        stream = clip.streams.video[0]
        assert stream.codec_context.name == codec
        assert pixels is None or stream.pix_fmt == pixels
        assert float(stream.average_rate) == pytest.approx(8, abs=0.5)
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in clip.decode(stream)])
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames.astype(int)).mean() < 12


def test_an_mp4_has_its_index_in_front(frames: np.ndarray, tmp_path: Path) -> None:
    data = encode_clip(frames, tmp_path, fps=8, output_format="mp4").path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_odd_sides_are_refused_before_a_broken_file_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be even"):
        encode_clip(np.zeros((2, 63, 64, 3), np.uint8), tmp_path, fps=8, output_format="mp4")
    assert list(tmp_path.iterdir()) == []


def test_the_worker_never_imports_torch_or_a_database() -> None:
    import subprocess
    import sys

    code = (
        "import sys, warmlane_lanekit.worker, warmlane_lanekit.engine_host\n"
        "print([name for name in ('torch', 'diffusers', 'asyncpg', 'fastapi') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_same_frames_are_encoded_to_the_same_bytes_every_time(tmp_path) -> None:
    """Memory is disturbed in between: what an encoder reads beside its input must not show."""
    rng = np.random.default_rng(0)
    frames = rng.integers(90, 160, (9, 64, 64, 3), dtype=np.uint8)
    disturbed, found = [], set()
    for number in range(40):
        disturbed.append(np.full(rng.integers(10, 90_000), number, dtype=np.uint8))
        if number % 7 == 0:
            disturbed.clear()
        folder = tmp_path / str(number)
        folder.mkdir()
        found.add(encode_clip(frames, folder, fps=16, output_format="mp4").path.read_bytes())
    assert len(found) == 1
