"""How much device memory a clip will take, from measurements on the card that makes it.

    peak(width, height, frames) = max( denoising: base + slope x tokens,
                                       decoding:  base + slope x pixels ) + residual

    tokens = latent frames x (height / 16) x (width / 16), latent frames = (frames - 1) / 4 + 1    (Wan: 8x8x4, patches 2x2)
    pixels = width x height: the VAE decodes one group of frames after the other

Attention does not materialise its matrix (scaled-dot-product kernels), so activations grow with the tokens and not with
their square. Both lines are fitted from several measured clips (`warmlane calibrate`), never from one; the largest
residual is added, so that a prediction is rather too high. Bases hold the weights that are resident meanwhile.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_SPATIAL = 16
_TEMPORAL = 4


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Line(_Value):
    """`base + slope x size`, in bytes."""

    base: float
    slope: float = Field(ge=0)

    def at(self, size: float) -> float:
        """Return the bytes at a size."""
        return self.base + self.slope * size


class Calibration(_Value):
    """A model's measured memory on one kind of device. `residual` is the largest error of the fit, in bytes."""

    model: str
    device: str
    meter: Literal["cuda", "simulated"]
    points: int = Field(ge=3)
    denoising: Line
    decoding: Line
    residual: float = Field(ge=0)

    def peak_bytes(self, *, width: int, height: int, frames: int) -> int:
        """Return the predicted peak of a clip, in bytes."""
        heaviest = max(self.denoising.at(tokens(width, height, frames)), self.decoding.at(width * height))
        return round(heaviest + self.residual)

    def largest_fit(self, budget: int, *, width: int, height: int, frames: int, step: int) -> tuple[int, int] | None:
        """Return the largest size (width, height) of about this shape that fits a budget; None when not even the
        smallest does. Both are multiples of `step`, the catalogue's.
        """
        for percent in range(100, 0, -1):
            size = (_floor(width * percent / 100, step), _floor(height * percent / 100, step))
            if min(size) < step:
                return None
            if self.peak_bytes(width=size[0], height=size[1], frames=frames) <= budget:
                return size
        return None


def tokens(width: int, height: int, frames: int) -> int:
    """Return how many tokens the transformer sees."""
    latent_frames = (frames - 1) // _TEMPORAL + 1
    return latent_frames * -(-height // _SPATIAL) * -(-width // _SPATIAL)


def _floor(value: float, step: int) -> int:
    return int(value // step) * step
