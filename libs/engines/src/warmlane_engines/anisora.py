"""AniSora V3.2: Wan 2.2 image-to-video with two experts, distilled to eight steps.

    sigma 1 ──► high-noise expert (3 steps) ──► boundary 0.9 ──► low-noise expert (5 steps) ──► 0

Pictures condition any frames of the clip. diffusers offers the first and the last; the model takes more, on the same
twenty condition channels: a clip that is empty but for the anchored frames, encoded, and a mask that says which frames
those are. The weights' own script places anchors at multiples of eight frames, and so do we.
"""

import os
from typing import Any

import torch
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from warmlane_contracts.catalogue import ModelRuntime, anchor_frame
from warmlane_lanekit.engine import GenerateSpec, ImageInput, LoadReport

from warmlane_engines.pictures import fitted
from warmlane_engines.wan import WanEngine

ONE_EXPERT = "WARMLANE_ONE_EXPERT"
"""Set to 1 to keep a single expert on the device and swap at the boundary: half the memory, one transfer a clip."""


class AnchoredImageToVideoPipeline(WanImageToVideoPipeline):
    """The image-to-video pipeline, conditioned on any frames. `anchors` (frame index, picture) count for one call."""

    anchors: tuple[tuple[int, Image.Image], ...] = ()

    def prepare_latents(
        self,
        image: torch.Tensor,
        batch_size: int,
        num_channels_latents: int = 16,
        height: int = 480,
        width: int = 832,
        num_frames: int = 81,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        generator: torch.Generator | None = None,
        *_: Any,  # noqa: ANN401 - latents and last image, which we never pass
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return noise (1, 16, f, h, w) and condition (1, 20, f, h, w): four mask channels and sixteen of latents."""
        step, scale = self.vae_scale_factor_temporal, self.vae_scale_factor_spatial
        shape = (batch_size, num_channels_latents, (num_frames - 1) // step + 1, height // scale, width // scale)
        noise = randn_tensor(shape, generator=generator, device=device, dtype=dtype)
        clip = image.new_zeros(1, 3, num_frames, height, width)
        mask = torch.zeros(1, num_frames, *shape[-2:], dtype=dtype, device=device)
        for frame, picture in self.anchors:
            clip[:, :, frame] = self.video_processor.preprocess(picture, height=height, width=width).to(clip)
            mask[:, frame] = 1
        condition = self._normalised(clip).to(noise)
        # The first latent frame stands for one frame, the others for four: its mask fills four channels by itself.
        mask = torch.cat([mask[:, :1].repeat_interleave(step, dim=1), mask[:, 1:]], dim=1)
        mask = mask.view(1, shape[2], step, *shape[-2:]).transpose(1, 2)
        return noise, torch.cat([mask, condition], dim=1)

    def _normalised(self, clip: torch.Tensor) -> torch.Tensor:
        latents = self.vae.encode(clip.to(self.vae.device, self.vae.dtype)).latent_dist.mode()
        view = (1, self.vae.config.z_dim, 1, 1, 1)
        mean = torch.tensor(self.vae.config.latents_mean).view(view).to(latents)
        std = torch.tensor(self.vae.config.latents_std).view(view).to(latents)
        return (latents - mean) / std


class AnisoraEngine(WanEngine):
    """See the module. Modes: i2v, first_last_frame, arbitrary_frame."""

    def __init__(self) -> None:
        super().__init__()
        self._one_expert = os.environ.get(ONE_EXPERT) == "1"
        self._low_from = 0

    @property
    def pipeline_class(self) -> type:
        """The pipeline with anchors."""
        return AnchoredImageToVideoPipeline

    def load(self, model_dir: Any, runtime: ModelRuntime) -> LoadReport:  # noqa: ANN401 - a path, as the parent says
        """Load, and set the boundary between the experts."""
        report = super().load(model_dir, runtime)
        self._pipeline.register_to_config(boundary_ratio=runtime.boundary_ratio)
        sampler = self._pipeline.scheduler
        sampler.set_timesteps(runtime.steps)
        boundary = (runtime.boundary_ratio or 0) * sampler.config.num_train_timesteps
        self._low_from = int((sampler.timesteps >= boundary).sum())
        return report

    def arguments(self, spec: GenerateSpec) -> dict[str, Any]:
        """Return prompt and pictures; the anchors go to the pipeline beside the call."""
        anchors = self._anchors(spec)
        self._pipeline.anchors = anchors
        return {
            "prompt": self._prompt(spec),
            "negative_prompt": spec.params.negative_prompt or None,
            # The parent insists on a first picture; only the anchors count.
            "image": anchors[0][1],
        }

    def before_run(self) -> None:
        """With one expert at a time: the high-noise expert on the device, the other off it."""
        if self._one_expert:
            self._pipeline.transformer_2.to("cpu")
            self._pipeline.transformer.to(self._device)

    def after_step(self, index: int) -> None:
        """With one expert at a time: swap after the last high-noise step."""
        if self._one_expert and index + 1 == self._low_from:
            self._pipeline.transformer.to("cpu")
            self._pipeline.transformer_2.to(self._device)

    def _prompt(self, spec: GenerateSpec) -> str:
        suffix = self._runtime.prompt_suffix if self._runtime else ""
        return f"{spec.params.prompt} {suffix.format(motion_score=spec.params.motion_score or 3.0)}".strip()

    def _anchors(self, spec: GenerateSpec) -> tuple[tuple[int, Image.Image], ...]:
        size = (spec.params.width, spec.params.height)
        placed = {self._frame(image, spec.params.num_frames): fitted(image.path, size) for image in spec.images}
        return tuple(sorted(placed.items(), key=lambda item: item[0]))

    def _frame(self, image: ImageInput, num_frames: int) -> int:
        match image.role:
            case "reference" | "first_frame":
                return 0
            case "last_frame":
                return num_frames - 1
            case "keyframe":
                step = self._runtime.anchor_step if self._runtime else 1
                return anchor_frame(image.position or 0.0, num_frames, step)
