"""A client's picture, made to fit the clip: scaled to cover it and cropped in the middle, never stretched."""

from pathlib import Path

from PIL import Image, ImageOps
from warmlane_contracts.errors import ErrorCode
from warmlane_lanekit.engine import EngineFault


def fitted(path: Path, size: tuple[int, int]) -> Image.Image:
    """Return the picture at `size` (width, height), upright, in RGB; raise `EngineFault` when it cannot be read."""
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError) as bad:
        raise EngineFault(ErrorCode.INPUT_UNAVAILABLE, f"{path.name} is no picture we can read: {bad}") from bad
    return ImageOps.fit(upright, size, Image.Resampling.LANCZOS)
