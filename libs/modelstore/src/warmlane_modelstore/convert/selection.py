"""Which tensors of raw files end up where, under which name and in which precision. Headers only, no data. Pure.

diffusers      transformer/x-00001-of-00012   → the same shard, other precision
wan-original   high_noise_model/x-00001-of-6  → transformer/x-00001-of-6, renamed
aio            one file, by prefix            → transformer/…, vae/…, text_encoder/…, renamed
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from warmlane_modelstore.convert.casting import FLOATS, FP8
from warmlane_modelstore.convert.names import transformer_name, vae_names
from warmlane_modelstore.convert.tensors import Outline, Tensor
from warmlane_modelstore.errors import Code, StoreError

TRANSFORMER_PREFIX = "model.diffusion_model."
VAE_PREFIX = "vae."
TEXT_PREFIX = "text_encoders."
_TEXT = re.compile(r"text_encoders\.[A-Za-z0-9_]+\.transformer\.(.+)")
# Belongs to the tokenizer, which comes as files of its own.
_TEXT_EXTRA = re.compile(r"text_encoders\.[A-Za-z0-9_]+\.(spiece_model|logit_scale|tokenizer_json)")
_SCALES = (".scale_weight", ".weight_scale")
_DROPPED = (".scale_input", ".input_scale", "scaled_fp8")
_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")


@dataclass(frozen=True, slots=True)
class Move:
    """One tensor on its way: where it is, what it becomes, and the tensor that scales it, if any."""

    tensor: Tensor
    outline: Outline
    scale: Tensor | None


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of a component's precision: bf16, but for tensors with one of `keep` in their name."""

    keep: tuple[str, ...] = ()
    cast: bool = True

    def target(self, name: str, dtype: str) -> str:
        if dtype in FP8:
            return "BF16"
        if not self.cast or dtype not in FLOATS:
            return dtype
        # Matched by whole parts of the name, as diffusers does for `_keep_in_fp32_modules`.
        return dtype if set(self.keep) & set(name.split(".")) else "BF16"


def select(tensors: Mapping[str, Tensor], rename: Callable[[str], str], rule: Rule, where: str) -> list[Move]:
    """Moves for all tensors of one component; scales and markers of fp8 files are used up, not moved."""
    moves: list[Move] = []
    scales = {name: tensor for name, tensor in tensors.items() if name.endswith(_SCALES)}
    used: set[str] = set()
    for name, tensor in tensors.items():
        if name in scales or name.endswith(_DROPPED):
            continue
        key = _scale_of(name, scales)
        scale = scales.get(key)
        if scale is not None:
            used.add(key)
            _check_scale(tensor, scale, where)
        new = rename(name)
        moves.append(Move(tensor, Outline(new, rule.target(new, tensor.dtype), tensor.shape), scale))
    unused = sorted(set(scales) - used)
    if unused:
        raise StoreError(
            Code.CONVERT_FAIL,
            f"{where} has scales without a weight: {', '.join(unused[:3])}",
            "The file is not laid out as fp8_scaled files are; it cannot be converted safely.",
        )
    return moves


def _scale_of(name: str, scales: Mapping[str, Tensor]) -> str:
    """The name of the tensor that scales the weight `name`; empty when none does."""
    stem, _, last = name.rpartition(".")
    if last != "weight":
        return ""
    return next((stem + suffix for suffix in _SCALES if stem + suffix in scales), "")


def _check_scale(tensor: Tensor, scale: Tensor, where: str) -> None:
    if tensor.dtype not in FP8:
        raise StoreError(
            Code.CONVERT_FAIL, f"{where} scales {tensor.name}, which is {tensor.dtype}", "Scales belong to fp8 weights."
        )
    if scale.count not in {1, tensor.shape[0] if tensor.shape else 1}:
        raise StoreError(
            Code.CONVERT_FAIL,
            f"{where} scales {tensor.name} with {scale.count} values for {tensor.shape}",
            "One value, or one for each row, is understood.",
        )


def split_aio(tensors: Mapping[str, Tensor], where: str) -> dict[str, dict[str, Tensor]]:
    """An all-in-one file by component, names without their prefix. Raises CONVERT_FAIL for what it cannot place."""
    parts: dict[str, dict[str, Tensor]] = {"transformer": {}, "vae": {}, "text_encoder": {}}
    unknown: list[str] = []
    for name, tensor in tensors.items():
        text = _TEXT.fullmatch(name)
        if name.startswith(TRANSFORMER_PREFIX):
            parts["transformer"][name.removeprefix(TRANSFORMER_PREFIX)] = tensor
        elif name.startswith(VAE_PREFIX):
            parts["vae"][name.removeprefix(VAE_PREFIX)] = tensor
        elif text:
            parts["text_encoder"][text[1]] = tensor
        elif not _TEXT_EXTRA.fullmatch(name) and not name.endswith(_DROPPED):
            unknown.append(name)
    if unknown:
        raise StoreError(
            Code.CONVERT_FAIL,
            f"{where} holds {len(unknown)} tensors of unknown parts: {', '.join(sorted(unknown)[:3])}",
            "Only the transformer, VAE and text encoder of ComfyUI all-in-one files are understood.",
        )
    return {component: found for component, found in parts.items() if found}


def renaming(component: str, names: Sequence[str]) -> Callable[[str], str]:
    """How an original component's tensors are renamed; names that are diffusers' already stay."""
    if component.startswith("transformer"):
        return transformer_name
    if component == "vae":
        table = vae_names(list(names)) if any(".residual." in name for name in names) else {}
        return lambda name: table.get(name, name)
    return lambda name: name


def check_blocks(names: Sequence[str], layers: int | None, where: str) -> None:
    """Raises CONVERT_FAIL when a block lacks a tensor that others have, or a whole block is missing.

    Loaders do not say so: diffusers leaves a missing tensor on the meta device with a warning.
    """
    blocks: dict[int, set[str]] = {}
    for name in names:
        match = _BLOCK.fullmatch(name)
        if match:
            blocks.setdefault(int(match[1]), set()).add(match[2])
    if not blocks:
        return
    count = layers if layers is not None else max(blocks) + 1
    everything = set.union(*blocks.values())
    missing = [f"blocks.{n}.{part}" for n in range(count) for part in sorted(everything - blocks.get(n, set()))]
    if missing:
        raise StoreError(
            Code.CONVERT_FAIL,
            f"{where} lacks {len(missing)} tensors: {', '.join(missing[:3])}",
            "The source's files are incomplete; correct the manifest's source or hash.",
        )
