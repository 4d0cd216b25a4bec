"""Which device and which number type an engine uses, and the allocator's configuration.

The allocator has to be configured before CUDA starts, by environment variable, and torch takes any key without a word.
So this module is imported before the first tensor is made, and says what it set.
"""

import os
import re

import torch

ALLOCATOR = "expandable_segments:True"
"""Segments that grow keep a lane that serves many sizes from fragmenting."""

_VARIABLE = "PYTORCH_ALLOC_CONF"
_KNOWN_KEYS = frozenset(
    {
        "expandable_segments",
        "garbage_collection_threshold",
        "max_non_split_rounding_mb",
        "max_split_size_mb",
        "pinned_max_round_threshold_mb",
        "pinned_use_background_threads",
        "roundup_power2_divisions",
    }
)


def configure_allocator() -> str:
    """Set the allocator's configuration unless the operator has, and return it; raise `ValueError` for an unknown key."""
    chosen = os.environ.setdefault(_VARIABLE, ALLOCATOR)
    unknown = {part.split(":")[0].strip() for part in re.split(r",(?![^\[]*\])", chosen) if part} - _KNOWN_KEYS
    if unknown:
        raise ValueError(f"{_VARIABLE} names {sorted(unknown)}, which torch would ignore; known: {sorted(_KNOWN_KEYS)}")
    return chosen


def choose_device() -> tuple[torch.device, torch.dtype]:
    """Return CUDA with bfloat16 where there is a GPU, otherwise the CPU with float32."""
    if torch.cuda.is_available():
        return torch.device("cuda"), torch.bfloat16
    return torch.device("cpu"), torch.float32
