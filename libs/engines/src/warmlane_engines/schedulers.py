"""The samplers the distilled models were made for, with exactly their noise levels.

A few-step model is only right on its own grid, and several of diffusers' schedulers are not: SASolver and DEIS with flow
sigmas never reach zero, FlowMatchEuler spends a step at 0.024, beta sigmas are EDM-scaled. Each sampler here is proved
by a test: a model that always points at the clean latents must land on them.
"""

from typing import Any

import torch
from diffusers.schedulers.scheduling_ltx_euler_ancestral_rf import LTXEulerAncestralRFScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from warmlane_contracts.catalogue import ModelRuntime


class UniPcFlow(UniPCMultistepScheduler):
    """UniPC on the flow grid: the sampler of the original Wan and AniSora scripts."""

    @property
    def predicted(self) -> torch.Tensor | None:
        """The clean latents as the last step predicted them, None before the first."""
        return self.model_outputs[-1]

    def forget(self) -> None:
        """Drop every tensor of the last run."""
        self.model_outputs = [None] * self.config.solver_order
        self.last_sample = None


class RfAncestral(LTXEulerAncestralRFScheduler):
    """Euler ancestral for rectified flow on an explicit table of noise levels (ComfyUI's euler_a on its beta grid).

    The parent ends its timesteps with 0, which would cost one more call of the model for nothing; and the pipelines hand
    no generator to a scheduler, so that its noise would not follow the seed. `bind` gives it one.
    """

    timesteps: Any

    def __init__(self, sigmas: tuple[float, ...]) -> None:
        super().__init__()
        self._table = list(sigmas)
        self._generator: torch.Generator | None = None
        self.predicted: torch.Tensor | None = None

    def bind(self, generator: torch.Generator) -> None:
        """Draw this run's noise from `generator`."""
        self._generator = generator

    def set_timesteps(self, num_inference_steps: int, device: Any = None, **_: Any) -> None:  # noqa: ANN401 - the parent's
        """Set the table; raise `ValueError` when it is not for this many steps."""
        if num_inference_steps != len(self._table) - 1:
            raise ValueError(f"the sigma table is for {len(self._table) - 1} steps, not {num_inference_steps}")
        super().set_timesteps(sigmas=self._table, device=device)
        self.timesteps = self.timesteps[:-1]

    def step(self, model_output: Any, timestep: Any, sample: Any, return_dict: bool = True, **_: Any) -> Any:  # noqa: ANN401, FBT001, FBT002 - the parent's
        """Take one step, and keep its prediction of the clean latents."""
        if self.step_index is None:
            self._init_step_index(timestep)
        self.predicted = sample - self.sigmas[self.step_index] * model_output
        return super().step(model_output, timestep, sample, generator=self._generator, return_dict=return_dict)

    def forget(self) -> None:
        """Drop every tensor of the last run, and its generator."""
        self.predicted = self._generator = None


Sampler = UniPcFlow | RfAncestral


def make_sampler(runtime: ModelRuntime) -> Sampler:
    """Return the sampler a model's runtime names."""
    if runtime.scheduler == "rf_ancestral":
        return RfAncestral(runtime.sigmas)
    return UniPcFlow(
        prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=runtime.shift
    )
