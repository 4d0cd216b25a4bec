"""`warmlane calibrate` on the real pipelines, with tiny weights and a simulated device."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from warmlane_lanekit.calibrations import read_calibration
from warmlane_lanekit.meter import BUDGET


@pytest.mark.parametrize("model", ["anisora", "phr00t"])
def test_a_model_is_calibrated_from_five_clips(models_root: Path, model: str, monkeypatch) -> None:
    monkeypatch.setenv(BUDGET, str(10**9))
    command = [sys.executable, "-m", "warmlane_lanekit.calibrate", model, "--models-root", str(models_root)]
    ran = subprocess.run([*command, "--profile", "tiny"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    shown = json.loads(ran.stdout)
    made = read_calibration(models_root, model)
    assert made is not None
    assert (made.points, made.meter, len(shown["points"])) == (5, "simulated", 5)
    for point in shown["points"]:
        measured = max(point["denoising"], point["decoding"])
        assert measured <= point["predicted"] <= 1.1 * measured
    (models_root / "calibrations" / f"{model}.json").unlink()


def test_without_a_device_there_is_nothing_to_calibrate(models_root: Path, monkeypatch) -> None:
    monkeypatch.delenv(BUDGET, raising=False)
    command = [sys.executable, "-m", "warmlane_lanekit.calibrate", "phr00t", "--models-root", str(models_root)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert BUDGET in ran.stderr
