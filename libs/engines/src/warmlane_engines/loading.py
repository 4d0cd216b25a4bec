"""Loading a pipeline from a local folder, and refusing one that is not whole.

diffusers only warns about a missing tensor and leaves the parameter without data; the first generation would fail, or
worse. So every component is compared with its files, name by name, before and after. Pickled weights are refused
unread, and nothing is ever fetched.
"""

import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from safetensors import safe_open
from transformers.utils import logging as transformers_logging
from warmlane_contracts.errors import ErrorCode
from warmlane_lanekit.engine import EngineFault

_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}

P = TypeVar("P", bound=DiffusionPipeline)


def load_pipeline(kind: type[P], folder: Path, *, device: torch.device, dtype: torch.dtype) -> P:
    """Return the pipeline in `folder` on `device`; raise `EngineFault` (`model_unavailable`) saying what is wrong."""
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    _check_folder(folder)
    try:
        pipeline = kind.from_pretrained(folder, dtype=dtype, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, RuntimeError, NotImplementedError) as bad:
        raise _unusable(folder, str(bad)) from bad
    for name, module in modules(pipeline).items():
        _check_module(module, folder / name)
        module.eval().requires_grad_(requires_grad=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def modules(pipeline: DiffusionPipeline) -> dict[str, torch.nn.Module]:
    """Return the pipeline's parts that hold weights, by component name."""
    return {name: part for name, part in pipeline.components.items() if isinstance(part, torch.nn.Module)}


def _check_folder(folder: Path) -> None:
    index = folder / "model_index.json"
    if not index.is_file():
        raise _unusable(folder, "model_index.json is missing; fetch the model, or point MODELS_ROOT at it")
    try:
        json.loads(index.read_text("utf-8"))
    except ValueError as bad:
        raise _unusable(folder, f"model_index.json is not JSON: {bad}") from bad
    pickles = [path.relative_to(folder) for path in folder.rglob("*") if path.suffix in _PICKLES]
    if pickles:
        raise _unusable(folder, f"{pickles[0]} is a pickle, which can run code; only safetensors are loaded")


def _check_module(module: torch.nn.Module, folder: Path) -> None:
    empty = [name for name, tensor in _tensors(module).items() if tensor.device.type == "meta"]
    if empty:
        raise _unusable(folder, f"{len(empty)} tensors have no data, first {empty[0]}")
    stored = _stored_names(folder)
    unexpected = stored - set(module.state_dict())
    if unexpected:
        raise _unusable(folder, f"{len(unexpected)} tensors are not the model's, first {min(unexpected)}")
    missing = set(module.state_dict()) - stored - _tied(module, stored)
    if missing:
        raise _unusable(folder, f"{len(missing)} tensors are missing, first {min(missing)}")


def _tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return dict(module.named_parameters()) | dict(module.named_buffers())


def _stored_names(folder: Path) -> set[str]:
    names: set[str] = set()
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            names |= set(file.keys())
    return names


def _tied(module: torch.nn.Module, stored: set[str]) -> set[str]:
    """Return the names that share their memory with a stored one: an embedding under its second name."""
    state: dict[str, Any] = module.state_dict()
    places = {state[name].data_ptr() for name in stored & set(state)}
    return {name for name, tensor in state.items() if tensor.data_ptr() in places}


def _unusable(folder: Path, why: str) -> EngineFault:
    return EngineFault(ErrorCode.MODEL_UNAVAILABLE, f"{folder.name} cannot be loaded: {why}")
