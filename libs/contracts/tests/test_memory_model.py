"""Predicting a clip's peak, and the largest that fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warmlane_contracts.memory_model import Calibration, Line, tokens

GIB = 2**30
CALIBRATION = Calibration(
    model="phr00t",
    device="test",
    meter="simulated",
    points=5,
    denoising=Line(base=30 * GIB, slope=400_000),
    decoding=Line(base=30 * GIB, slope=13_000),
    residual=0.5 * GIB,
)


@pytest.mark.parametrize(
    ("size", "count"), [((832, 480, 81), 21 * 30 * 52), ((64, 64, 5), 2 * 4 * 4), ((65, 64, 1), 1 * 4 * 5)]
)
def test_tokens_count_patches_of_latent_frames(size: tuple[int, int, int], count: int) -> None:
    assert tokens(*size) == count


def test_the_heavier_stage_and_the_error_of_the_fit_count() -> None:
    size = {"width": 832, "height": 480, "frames": 81}
    assert CALIBRATION.peak_bytes(**size) == round(30 * GIB + 400_000 * 32760 + 0.5 * GIB)
    short = {"width": 832, "height": 480, "frames": 1}
    assert CALIBRATION.peak_bytes(**short) == round(30 * GIB + 13_000 * 832 * 480 + 0.5 * GIB)


@given(
    budget=st.integers(31 * GIB, 80 * GIB),
    width=st.integers(4, 80).map(lambda n: n * 16),
    height=st.integers(4, 80).map(lambda n: n * 16),
    frames=st.integers(1, 40).map(lambda n: 4 * n + 1),
)
def test_what_is_said_to_fit_fits_and_is_no_larger_than_asked(
    budget: int, width: int, height: int, frames: int
) -> None:
    fits = CALIBRATION.largest_fit(budget, width=width, height=height, frames=frames, step=16)
    asked = CALIBRATION.peak_bytes(width=width, height=height, frames=frames)
    if asked <= budget:
        assert fits == (width, height)
    elif fits is not None:
        assert CALIBRATION.peak_bytes(width=fits[0], height=fits[1], frames=frames) <= budget
        assert fits[0] <= width
        assert fits[1] <= height
        assert (fits[0] % 16, fits[1] % 16) == (0, 0)


def test_a_model_that_does_not_fit_at_all_has_no_size() -> None:
    assert CALIBRATION.largest_fit(20 * GIB, width=832, height=480, frames=81, step=16) is None
