"""What the two Wan-derived engines share: load, generate, decode, encode, cancel, evict.

    prompt ──► text encoder ──► denoise, step by step ──► latents ──► VAE ──► frames ──► clip, preview
                                   │ progress, live preview, cancel?       │ cancel?

A subclass says which pipeline it is and how a request becomes the pipeline's arguments. Whatever ends a generation, the
pipeline is clean afterwards and the next one gives the same clip as if nothing had happened.
"""

import gc
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from warmlane_engines.devices import choose_device, configure_allocator

configure_allocator()

import numpy as np  # noqa: E402 - the allocator comes first
import torch  # noqa: E402

from warmlane_engines.latent_preview import LatentPreview  # noqa: E402
from warmlane_engines.loading import load_pipeline, modules  # noqa: E402
from warmlane_engines.memory import clean_up, prove_released, read_memory, release, reset_peak  # noqa: E402
from warmlane_engines.schedulers import RfAncestral, make_sampler  # noqa: E402

_WARM_UP = ClipParams(prompt="warm up", width=64, height=64, num_frames=5, fps=8, steps=1, cfg=1.0, seed=0)


class WanEngine(ABC):
    """An engine over one diffusers pipeline. See `warmlane_lanekit.engine.Engine` for the promises of its calls."""

    def __init__(self) -> None:
        self._device, self._dtype = choose_device()
        self._pipeline: Any = None
        self._runtime: ModelRuntime | None = None
        self._preview: LatentPreview | None = None

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
        self._pipeline.scheduler = make_sampler(runtime)
        self._preview = LatentPreview(self._pipeline.vae)
        self._warm_up(runtime)
        weights = [tensor for part in modules(self._pipeline).values() for tensor in part.parameters()]
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
        reset_peak(self._device)
        failure = None
        try:
            return self._generate(spec, progress, cancelled)
        except torch.OutOfMemoryError as full:
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
        weights = release(self._pipeline)
        self._pipeline = self._preview = None
        prove_released(weights)

    def memory(self) -> MemoryReading:
        """Return the memory in use."""
        return read_memory(self._device)

    def _generate(
        self, spec: GenerateSpec, progress: Callable[[StepProgress], None], cancelled: Callable[[], bool]
    ) -> GenerateReport:
        began = time.monotonic()
        progress(StepProgress(stage=Stage.ENCODING_PROMPT))
        latents, prompt_s = self._denoise(spec, progress, cancelled)
        denoised = time.monotonic()
        progress(StepProgress(stage=Stage.DECODING))
        frames = self._decode(latents, cancelled)
        decoded = time.monotonic()
        progress(StepProgress(stage=Stage.ENCODING))
        clip = encode_clip(frames, spec.scratch, fps=spec.params.fps, output_format=spec.output_format)
        return GenerateReport(
            clip=clip.path,
            preview=clip.preview,
            content_type=clip.content_type,
            width=clip.width,
            height=clip.height,
            frames=clip.frames,
            fps=spec.params.fps,
            prompt_s=prompt_s,
            denoise_s=denoised - began - prompt_s,
            decode_s=decoded - denoised,
            encode_s=time.monotonic() - decoded,
        )

    @torch.no_grad()
    def _denoise(
        self, spec: GenerateSpec, progress: Callable[[StepProgress], None], cancelled: Callable[[], bool]
    ) -> tuple[torch.Tensor, float]:
        """Return the clean latents, and the seconds until the text was encoded."""
        params, began = spec.params, time.monotonic()
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
        denoising = StepProgress(stage=Stage.DENOISING, steps=params.steps)
        with self._when_text_is_encoded(lambda: progress(denoising)) as text_encoded:
            latents = self._pipeline(
                **self.arguments(spec),
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
        return latents, (text_encoded.at or began) - began

    @property
    def _text_tokens(self) -> int:
        return self._runtime.text_tokens if self._runtime else 512

    @contextmanager
    def _when_text_is_encoded(self, call: Callable[[], None]) -> Iterator["_Moment"]:
        moment = _Moment(call)
        hook = self._pipeline.text_encoder.register_forward_hook(lambda *_: moment.reached())
        try:
            yield moment
        finally:
            hook.remove()

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


class _Moment:
    """Knows when it was first reached, and calls somebody then. Guidance encodes twice; the first time counts."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.at: float | None = None
        self._call = call

    def reached(self) -> None:
        """Note the time, once."""
        if self.at is None:
            self.at = time.monotonic()
            self._call()


def _stop_if(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise GenerationCancelled
