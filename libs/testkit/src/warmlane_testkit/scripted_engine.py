"""An engine that does what the prompt says: the tests' stand-in for a model, in a real child process.

prompt = "steps=3 pause=0.05 then=crash"     then: done (default), crash, hang, fail, full, silent, babble
         "takes=500"                         bytes of the simulated device that the clip needs beyond the weights
         "leaks=1"                           from now on an eviction gives nothing back

A model's weights take 600 bytes of the simulated device (`WARMLANE_SIMULATED_VRAM_BYTES`), if there is one. Words that are
no `name=value` are ignored, so that any prompt will do.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from warmlane_contracts.catalogue import ModelRuntime
from warmlane_contracts.errors import ErrorCode
from warmlane_contracts.messages import Stage
from warmlane_lanekit.engine import (
    EngineFault,
    GenerateReport,
    GenerateSpec,
    GenerationCancelled,
    LoadReport,
    MemoryReading,
    StepProgress,
)
from warmlane_lanekit.meter import simulated_meter, taken

WEIGHTS_BYTES = 600
LOAD_S = "WARMLANE_SCRIPTED_LOAD_S"
"""Environment variable: how long a load takes, in seconds."""

_device = simulated_meter()
"""One device for the process, whatever engines come and go in it."""


class ScriptedEngine:
    """See the module."""

    def __init__(self) -> None:
        self._leaks = False

    def load(self, model_dir: Path, runtime: ModelRuntime) -> LoadReport:
        """Load, or refuse a folder that is called broken."""
        sys.stdout.write("a library prints while it loads\n")
        if model_dir.name == "broken":
            raise EngineFault(ErrorCode.MODEL_UNAVAILABLE, "the folder is broken")
        time.sleep(float(os.environ.get(LOAD_S, "0")))
        if _device is not None:
            _device.take(f"weights of {model_dir.name}", WEIGHTS_BYTES)
            self._weights = f"weights of {model_dir.name}"
        return LoadReport(seconds=0.01, parameters=runtime.steps, weights_bytes=1)

    def generate(
        self, spec: GenerateSpec, *, progress: Callable[[StepProgress], None], cancelled: Callable[[], bool]
    ) -> GenerateReport:
        """Follow the script."""
        script = dict(word.split("=", 1) for word in spec.params.prompt.split() if "=" in word)
        self._leaks = self._leaks or "leaks" in script
        if _device is not None:
            _device.reset_peak()
            with taken(_device, "activations", int(script.get("takes", "100"))):
                return self._follow(script, spec, progress, cancelled)
        return self._follow(script, spec, progress, cancelled)

    def _follow(
        self,
        script: dict[str, str],
        spec: GenerateSpec,
        progress: Callable[[StepProgress], None],
        cancelled: Callable[[], bool],
    ) -> GenerateReport:
        steps = int(script.get("steps", "2"))
        for step in range(steps):
            time.sleep(float(script.get("pause", "0.01")))
            if cancelled() and script.get("then") != "hang":
                raise GenerationCancelled
            live = spec.scratch / "live.webp"
            live.write_bytes(b"live %d" % step)
            progress(StepProgress(stage=Stage.DENOISING, step=step + 1, steps=steps, live_preview=live))
        _end(script.get("then", "done"))
        clip, preview = spec.scratch / "clip.mp4", spec.scratch / "preview.webp"
        clip.write_bytes(f"clip of {spec.params.seed} with {len(spec.images)} images".encode())
        preview.write_bytes(b"preview")
        return GenerateReport(
            clip=clip, preview=preview, content_type="video/mp4", width=64, height=64, frames=5, fps=8, denoise_s=0.1
        )

    def evict(self) -> None:
        """Give the weights back, unless the script said to leak them."""
        if _device is not None and not self._leaks:
            _device.give(self._weights)

    def memory(self) -> MemoryReading:
        """Read the simulated device, else a made-up memory."""
        if _device is not None:
            return _device.read()
        return MemoryReading(rss_bytes=1000, peak_bytes=900, allocated_bytes=100)


def _end(how: str) -> None:
    match how:
        case "crash":
            sys.stderr.write("segmentation fault, said the device\n")
            sys.stderr.flush()
            os._exit(139)
        case "hang":
            time.sleep(600)
        case "fail":
            raise ValueError("the tensor had the wrong shape")
        case "full":
            raise EngineFault(ErrorCode.GPU_OUT_OF_MEMORY, "tried to allocate 20 GiB")
        case "babble":
            os.write(1, b"stray output\n" * 3)
            sys.stderr.write("x" * 3_000_000 + "\n")
