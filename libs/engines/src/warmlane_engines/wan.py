"""What the two Wan-derived engines share: load, generate, decode, encode, cancel, evict.

    prompt ──► text encoder, or the cache ──► denoise, step by step ──► latents ──► VAE ──► frames ──► clip, preview
                                                 │ progress, live preview, cancel?       │ cancel?

A subclass says which pipeline it is and how a request becomes the pipeline's arguments. Whatever ends a generation, the
pipeline is clean afterwards and the next one gives the same clip as if nothing had happened. Every stage tells the meter
what it takes, and the peaks of denoising and decoding are reported apart: they grow differently with the clip.
"""

import gc
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from warmlane_contracts.catalogue import ModelRuntime
from warmlane_contracts.errors import ErrorCode
from warmlane_contracts.messages import ClipParams, Stage
from warmlane_lanekit.encode import encode_clip
from warmlane_lanekit.engine import (
    EngineFault,
    GenerateReport,
    GenerateSpec,
    GenerationCancelled,
    LoadReport,
    MemoryReading,
    StepProgress,
)
from warmlane_lanekit.meter import SimulatedMeter, taken

from warmlane_engines.devices import choose_device, configure_allocator

configure_allocator()

import numpy as np  # noqa: E402 - the allocator comes first
import torch  # noqa: E402

from warmlane_engines.latent_preview import LatentPreview  # noqa: E402
from warmlane_engines.loading import load_pipeline, modules  # noqa: E402
from warmlane_engines.memory import clean_up, open_meter, prove_released, release  # noqa: E402
from warmlane_engines.parking import ParkedWeights  # noqa: E402
from warmlane_engines.prompts import Encoded, PromptCache  # noqa: E402
from warmlane_engines.schedulers import RfAncestral, make_sampler  # noqa: E402

_ACTIVATIONS_PER_TOKEN = 16
"""How many vectors of the transformer's width a token keeps alive at once: what a simulated device is told."""
_DECODED_PER_PIXEL = 24
"""How many values of the decoder's width a pixel keeps alive at once: the same."""


class WanEngine(ABC):
    """An engine over one diffusers pipeline. See `warmlane_lanekit.engine.Engine` for the promises of its calls."""

    def __init__(self) -> None:
        self._device, self._dtype = choose_device()
        self._pipeline: Any = None
        self._runtime: ModelRuntime | None = None
        self._preview: LatentPreview | None = None
        self._prompts = PromptCache()
        self._parked: ParkedWeights | None = None
        self._weights_bytes = 0
        self._meter = open_meter(self._device)

    @property
    @abstractmethod
    def pipeline_class(self) -> type:
        """The diffusers pipeline."""

    @abstractmethod
    def arguments(self, spec: GenerateSpec) -> dict[str, Any]:
        """Return what the pipeline is called with beyond size, length, steps, guidance and generator."""

    def after_step(self, index: int) -> None:  # noqa: B027 - most engines have nothing to do here
        """Do something between denoising steps; `index` counts from 0."""

    def before_run(self) -> None:  # noqa: B027
        """Bring the pipeline into its starting position."""

    def load(self, model_dir: Path, runtime: ModelRuntime) -> LoadReport:
        """Load the pipeline, fit the preview, and pay the first run's costs."""
        began = time.monotonic()
        if self._pipeline is not None:
            self.evict()
        self._runtime = runtime
        self._pipeline = load_pipeline(self.pipeline_class, model_dir, device=self._device, dtype=self._dtype)
        weights = [tensor for part in modules(self._pipeline).values() for tensor in part.parameters()]
        self._take_weights(sum(tensor.nbytes for tensor in weights))
        self._pipeline.scheduler = make_sampler(runtime)
        self._preview = LatentPreview(self._pipeline.vae)
        self._warm_up(runtime)
        # What is loaded stays until it is evicted: the collector need not look at it after every clip.
        gc.collect()
        gc.freeze()
        return LoadReport(
            seconds=time.monotonic() - began,
            parameters=sum(tensor.numel() for tensor in weights),
            weights_bytes=sum(tensor.nbytes for tensor in weights),
        )

    def generate(
        self, spec: GenerateSpec, *, progress: Callable[[StepProgress], None], cancelled: Callable[[], bool]
    ) -> GenerateReport:
        """Make the clip."""
        if self._pipeline is None:
            raise EngineFault(ErrorCode.MODEL_UNAVAILABLE, "no model is loaded")
        self._meter.reset_peak()
        failure = None
        try:
            return self._generate(spec, progress, cancelled)
        except (torch.OutOfMemoryError, MemoryError) as full:
            failure = EngineFault(ErrorCode.GPU_OUT_OF_MEMORY, str(full).splitlines()[0][:300])
        finally:
            self._pipeline.scheduler.forget()
            clean_up(self._pipeline)
        # Raised out here: inside the handler, the first exception's traceback would keep the tensors alive.
        raise failure

    def evict(self) -> None:
        """Release the model, and prove it."""
        if self._pipeline is None:
            return
        if self._parked is not None:
            self._parked.close()
        weights = release(self._pipeline)
        self._pipeline = self._preview = self._parked = None
        self._prompts = PromptCache()
        prove_released(weights)
        self._meter.give("weights")

    @property
    def parkable_bytes(self) -> int:
        """Return what parking would take of the host's memory; 0 where device and host are the same memory."""
        apart = self._device.type == "cuda" or isinstance(self._meter, SimulatedMeter)
        return self._weights_bytes if apart else 0

    def park(self) -> None:
        """Release the device and keep the weights on the host."""
        clean_up(self._pipeline)
        self._parked = self._parked or ParkedWeights(self._pipeline)
        self._parked.park()
        clean_up(self._pipeline)
        self._meter.give("weights")

    def unpark(self) -> LoadReport:
        """Bring parked weights back to the device; `seconds` is what the copy took."""
        if self._parked is None:
            raise EngineFault(ErrorCode.MODEL_UNAVAILABLE, "nothing is parked")
        began = time.monotonic()
        self._meter.take("weights", self._weights_bytes)
        self._parked.unpark(self._device)
        return LoadReport(seconds=time.monotonic() - began, parameters=0, weights_bytes=self._weights_bytes)

    def memory(self) -> MemoryReading:
        """Return the memory in use."""
        return self._meter.read()

    def _take_weights(self, size: int) -> None:
        self._weights_bytes = size
        try:
            self._meter.take("weights", size)
        except MemoryError as full:
            self._pipeline = None
            raise EngineFault(ErrorCode.GPU_OUT_OF_MEMORY, str(full)) from None

    def _generate(
        self, spec: GenerateSpec, progress: Callable[[StepProgress], None], cancelled: Callable[[], bool]
    ) -> GenerateReport:
        began = time.monotonic()
        progress(StepProgress(stage=Stage.ENCODING_PROMPT))
        with taken(self._meter, "prompt", 0):
            prompt = self._encode(spec)
        encoded = time.monotonic()
        progress(StepProgress(stage=Stage.DENOISING, steps=spec.params.steps))
        with taken(self._meter, "denoise", self._denoising_bytes(spec.params)):
            latents = self._denoise(spec, prompt, progress, cancelled)
        denoise_peak, denoised = self._peak(), time.monotonic()
        progress(StepProgress(stage=Stage.DECODING))
        with taken(self._meter, "decode", self._decoding_bytes(spec.params)):
            frames = self._decode(latents, cancelled)
        decode_peak, decoded = self._peak(), time.monotonic()
        progress(StepProgress(stage=Stage.ENCODING))
        with taken(self._meter, "encode", 0):
            clip = encode_clip(frames, spec.scratch, fps=spec.params.fps, output_format=spec.output_format)
        return GenerateReport(
            clip=clip.path,
            preview=clip.preview,
            content_type=clip.content_type,
            width=clip.width,
            height=clip.height,
            frames=clip.frames,
            fps=spec.params.fps,
            prompt_s=encoded - began,
            denoise_s=denoised - encoded,
            decode_s=decoded - denoised,
            encode_s=time.monotonic() - decoded,
            denoise_peak_bytes=denoise_peak,
            decode_peak_bytes=decode_peak,
        )

    def _peak(self) -> int | None:
        """Return the peak since the last time, and start measuring anew."""
        peak = self._meter.read().peak_bytes
        self._meter.reset_peak()
        return peak

    def _denoising_bytes(self, params: ClipParams) -> int:
        patch = 2 * self._pipeline.vae_scale_factor_spatial
        frames = (params.num_frames - 1) // self._pipeline.vae_scale_factor_temporal + 1
        tokens = frames * (params.height // patch) * (params.width // patch)
        shape = self._pipeline.transformer.config
        width = shape.num_attention_heads * shape.attention_head_dim
        return int(tokens * width * self._dtype.itemsize * _ACTIVATIONS_PER_TOKEN)

    def _decoding_bytes(self, params: ClipParams) -> int:
        vae = self._pipeline.vae
        return int(params.width * params.height * vae.config.base_dim * vae.dtype.itemsize * _DECODED_PER_PIXEL)

    @torch.no_grad()
    def _encode(self, spec: GenerateSpec) -> Encoded:
        """Return the encoded prompt, from the cache if it was encoded before."""
        asked = self.arguments(spec)
        prompt, negative, guided = asked["prompt"], asked["negative_prompt"], spec.params.cfg > 1
        key = (prompt, negative, guided, self._text_tokens)
        found = self._prompts.get(key)
        if found is None:
            found = Encoded(
                *self._pipeline.encode_prompt(
                    prompt=prompt,
                    negative_prompt=negative,
                    do_classifier_free_guidance=guided,
                    max_sequence_length=self._text_tokens,
                    device=self._device,
                )
            )
            self._prompts.keep(key, found)
        return found.to(self._device)

    @torch.no_grad()
    def _denoise(
        self,
        spec: GenerateSpec,
        prompt: Encoded,
        progress: Callable[[StepProgress], None],
        cancelled: Callable[[], bool],
    ) -> torch.Tensor:
        """Return the clean latents (1, channels, frames, height, width)."""
        params = spec.params
        generator = torch.Generator().manual_seed(params.seed)
        sampler = self._pipeline.scheduler
        if isinstance(sampler, RfAncestral):
            sampler.bind(generator)

        def on_step(_pipeline: object, index: int, _timestep: object, tensors: dict[str, Any]) -> dict[str, Any]:
            picture = self._live_preview(spec.scratch)
            progress(StepProgress(stage=Stage.DENOISING, step=index + 1, steps=params.steps, live_preview=picture))
            _stop_if(cancelled)
            self.after_step(index)
            return tensors

        self.before_run()
        encoded = {
            "prompt": None,
            "negative_prompt": None,
            "prompt_embeds": prompt.positive,
            "negative_prompt_embeds": prompt.negative,
        }
        latents: torch.Tensor = self._pipeline(
            **(self.arguments(spec) | encoded),
            height=params.height,
            width=params.width,
            num_frames=params.num_frames,
            num_inference_steps=params.steps,
            guidance_scale=params.cfg,
            generator=generator,
            callback_on_step_end=on_step,
            output_type="latent",
            max_sequence_length=self._text_tokens,
        ).frames
        return latents

    @property
    def _text_tokens(self) -> int:
        return self._runtime.text_tokens if self._runtime else 512

    def _live_preview(self, scratch: Path) -> Path | None:
        predicted = self._pipeline.scheduler.predicted
        if predicted is None or self._preview is None:
            return None
        return self._preview.write(predicted, scratch / "live.webp")

    @torch.no_grad()
    def _decode(self, latents: torch.Tensor, cancelled: Callable[[], bool]) -> np.ndarray:
        """Return the frames (n, height, width, 3) as bytes. The VAE works frame group by frame group; each can cancel."""
        vae = self._pipeline.vae
        latents = latents.to(vae.device, vae.dtype)
        shape = (1, vae.config.z_dim, 1, 1, 1)
        mean = torch.tensor(vae.config.latents_mean).view(shape).to(latents)
        std = torch.tensor(vae.config.latents_std).view(shape).to(latents)
        pixels = latents.shape[-1] * latents.shape[-2] * vae.config.scale_factor_spatial**2
        threshold = self._runtime.vae_tiling_from_pixels if self._runtime else 0
        (vae.enable_tiling if threshold and pixels >= threshold else vae.disable_tiling)()
        hook = vae.decoder.register_forward_pre_hook(lambda *_: _stop_if(cancelled))
        try:
            video = vae.decode(latents * std + mean, return_dict=False)[0]
        finally:
            hook.remove()
        frames = ((video[0].float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        return np.ascontiguousarray(frames.permute(1, 2, 3, 0).cpu().numpy())

    def _warm_up(self, runtime: ModelRuntime) -> None:
        """Denoise and decode once at the smallest size: kernels are chosen and caches filled at load, not in a task."""
        self._pipeline.scheduler.set_timesteps(runtime.steps, device=self._device)
        vae = self._pipeline.vae
        latents = torch.zeros(1, vae.config.z_dim, 2, 8, 8, device=self._device)
        self._decode(latents, lambda: False)
        vae.clear_cache()


def _stop_if(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise GenerationCancelled
