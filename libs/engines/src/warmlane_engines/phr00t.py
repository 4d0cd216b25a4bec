"""Phr00t WAN 2.2 Rapid (MEGA): a VACE model, distilled to four steps at guidance 1.

VACE is conditioned on a whole clip and a mask: black means "this is given", white means "make this". Text to video gives
nothing; image to video gives the first frame; first and last gives two. What is not given is grey in the clip.
"""

from typing import Any

from diffusers.pipelines.wan.pipeline_wan_vace import WanVACEPipeline
from PIL import Image
from warmlane_lanekit.engine import GenerateSpec

from warmlane_engines.pictures import fitted
from warmlane_engines.wan import WanEngine

LIGHTING = {
    "standard": "",
    "bright": "bright high-key lighting, luminous and airy",
    "dim": "dim low-key lighting, deep shadows",
}
"""The clause each lighting variant adds to the prompt."""

_GREY, _GIVEN, _MADE = (128, 128, 128), (0, 0, 0), (255, 255, 255)


class Phr00tEngine(WanEngine):
    """See the module. Modes: t2v, i2v, first_last_frame."""

    @property
    def pipeline_class(self) -> type:
        """The VACE pipeline."""
        return WanVACEPipeline

    def arguments(self, spec: GenerateSpec) -> dict[str, Any]:
        """Return prompt, and clip and mask where pictures are given."""
        arguments: dict[str, Any] = {
            "prompt": self._prompt(spec),
            "negative_prompt": spec.params.negative_prompt or None,
        }
        if spec.images:
            video, mask = _conditioning(spec)
            strength = spec.params.reference_strength
            arguments |= {"video": video, "mask": mask, "conditioning_scale": 1.0 if strength is None else strength}
        return arguments

    @staticmethod
    def _prompt(spec: GenerateSpec) -> str:
        clause = LIGHTING[spec.params.lighting_variant or "standard"]
        return f"{spec.params.prompt}, {clause}" if clause else spec.params.prompt


def _conditioning(spec: GenerateSpec) -> tuple[list[Image.Image], list[Image.Image]]:
    size, frames = (spec.params.width, spec.params.height), spec.params.num_frames
    video = [Image.new("RGB", size, _GREY)] * frames
    mask = [Image.new("RGB", size, _MADE)] * frames
    for image in spec.images:
        frame = frames - 1 if image.role == "last_frame" else 0
        video[frame] = fitted(image.path, size)
        mask[frame] = Image.new("RGB", size, _GIVEN)
    return video, mask
