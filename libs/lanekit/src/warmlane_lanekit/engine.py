"""What an engine is: code that holds a model's weights and generates clips with them.

An engine lives in a child process of its worker and is driven by `engine_host`, one call at a time, from one thread. It
may use any library and may die; the worker survives it. This module names the calls and their values and imports
nothing heavy, so that both sides of the pipe can use it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict
from warmlane_contracts.catalogue import ModelRuntime
from warmlane_contracts.errors import ErrorCode
from warmlane_contracts.messages import ClipParams, InputRole, OutputFormat, Stage


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageInput(_Value):
    """A picture the clip is made from. `position` places a keyframe: 0 is the first frame, 1 the last."""

    role: InputRole
    path: Path
    position: float | None = None


class GenerateSpec(_Value):
    """One clip to make. All files go into `scratch`, a folder of this attempt alone."""

    model: str
    mode: str
    params: ClipParams
    images: tuple[ImageInput, ...] = ()
    output_format: OutputFormat = "mp4"
    scratch: Path


class StepProgress(_Value):
    """Where a generation is. `step` of `steps` counts denoising; `live_preview` is a picture of the clip so far."""

    stage: Stage
    step: int = 0
    steps: int = 0
    live_preview: Path | None = None


class GenerateReport(_Value):
    """A finished clip: its files, what it is, where the seconds went, and the device memory of its two heavy stages where
    there is a device.
    """

    clip: Path
    preview: Path
    content_type: str
    width: int
    height: int
    frames: int
    fps: int
    prompt_s: float = 0.0
    denoise_s: float = 0.0
    decode_s: float = 0.0
    encode_s: float = 0.0
    denoise_peak_bytes: int | None = None
    decode_peak_bytes: int | None = None


class LoadReport(_Value):
    """What a load took and brought: seconds until warm, parameters, bytes of weights."""

    seconds: float
    parameters: int
    weights_bytes: int


class MemoryReading(_Value):
    """Memory in bytes. The process's resident set always; the device's figures where there is a device."""

    rss_bytes: int
    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    peak_bytes: int | None = None
    free_bytes: int | None = None
    total_bytes: int | None = None


class GenerationCancelled(BaseException):
    """The generation stopped because `cancelled()` said so. Not an `Exception`, so that no library swallows it."""


class EngineFault(Exception):
    """The engine cannot do what it was asked to. `code` becomes the task's error code, `detail` is for people."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Engine(Protocol):
    """The calls. After any exception but the process's death the engine can be called again."""

    def load(self, model_dir: Path, runtime: ModelRuntime) -> LoadReport:
        """Bring the model in `model_dir` into memory and warm it up. Raise `EngineFault` when the files are not right."""
        ...

    def generate(
        self, spec: GenerateSpec, *, progress: Callable[[StepProgress], None], cancelled: Callable[[], bool]
    ) -> GenerateReport:
        """Make the clip. Ask `cancelled` at every step at least; raise `GenerationCancelled` when it says so.

        Whatever the end, no tensor of this generation is held afterwards.
        """
        ...

    def evict(self) -> None:
        """Release the model and everything that came with it."""
        ...

    def memory(self) -> MemoryReading:
        """Return the memory in use right now."""
        ...


@runtime_checkable
class Parkable(Engine, Protocol):
    """An engine that can leave the device and keep its weights on the host, so that coming back costs one copy."""

    @property
    def parkable_bytes(self) -> int:
        """What parking takes of the host's memory; 0 when it would free nothing."""
        ...

    def park(self) -> None:
        """Release the device; the engine cannot generate until `unpark`."""
        ...

    def unpark(self) -> LoadReport:
        """Come back to the device, warm."""
        ...
