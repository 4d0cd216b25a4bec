"""Fitting the memory model, and keeping it beside the weights."""

from pathlib import Path

import pytest
from warmlane_contracts.memory_model import tokens
from warmlane_lanekit.calibrate import Point, fit
from warmlane_lanekit.calibrations import calibration_path, read_calibration, write_calibration

SIZES = [(64, 64, 5), (96, 64, 9), (128, 96, 9), (128, 128, 17), (192, 128, 17)]


def points(noise: int = 0) -> list[Point]:
    return [
        Point(w, h, f, 1000 + 7 * tokens(w, h, f) + noise * (n % 2), 500 + 3 * w * h)
        for n, (w, h, f) in enumerate(SIZES)
    ]


def test_lines_are_found_again() -> None:
    made = fit("phr00t", points(), device="d", simulated=True)
    assert made.denoising.slope == pytest.approx(7)
    assert made.denoising.base == pytest.approx(1000)
    assert made.decoding.slope == pytest.approx(3)
    assert made.residual == pytest.approx(0, abs=1e-6)
    for width, height, frames in [(256, 256, 33), (64, 64, 5)]:
        wanted = max(1000 + 7 * tokens(width, height, frames), 500 + 3 * width * height)
        assert made.peak_bytes(width=width, height=height, frames=frames) == pytest.approx(wanted, abs=1)


def test_the_error_of_the_fit_is_added_to_every_prediction() -> None:
    made = fit("phr00t", points(noise=200), device="d", simulated=True)
    assert made.residual > 50
    for point in points(noise=200):
        peak = made.peak_bytes(width=point.width, height=point.height, frames=point.frames)
        assert peak >= max(point.denoising, point.decoding)


def test_two_points_are_no_fit() -> None:
    with pytest.raises(ValueError, match="a fit needs 3"):
        fit("phr00t", points()[:2], device="d", simulated=True)


def test_a_calibration_lies_beside_the_weights(tmp_path: Path) -> None:
    made = fit("phr00t", points(), device="d", simulated=True)
    assert read_calibration(tmp_path, "phr00t") is None
    path = write_calibration(tmp_path, made)
    assert path == calibration_path(tmp_path, "phr00t")
    assert read_calibration(tmp_path, "phr00t") == made
    path.write_text("{", "utf-8")
    assert read_calibration(tmp_path, "phr00t") is None
