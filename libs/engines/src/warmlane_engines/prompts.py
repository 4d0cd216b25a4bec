"""Encoded prompts, kept: people try one prompt with many seeds, and the text encoder is the largest part to run for it.

Keyed by everything the encoding depends on; kept in host memory, the least used forgotten first.
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch

_MOST_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a text encoder made of a prompt, (1, tokens, width) each; no negative without guidance."""

    positive: torch.Tensor
    negative: torch.Tensor | None

    @property
    def nbytes(self) -> int:
        """How much it takes."""
        return self.positive.nbytes + (self.negative.nbytes if self.negative is not None else 0)

    def to(self, device: torch.device) -> "Encoded":
        """Return it on a device."""
        return Encoded(self.positive.to(device), None if self.negative is None else self.negative.to(device))


Key = tuple[str, str | None, bool, int]
"""Prompt, negative prompt, whether there is guidance, tokens at most."""


class PromptCache:
    """The encoded prompts of one loaded model."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Key, Encoded] = OrderedDict()
        self._bytes = 0
        self.hits = 0

    def get(self, key: Key) -> Encoded | None:
        """Return what was kept under a key."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            self.hits += 1
        return found

    def keep(self, key: Key, encoded: Encoded) -> None:
        """Keep it, and forget others for it if need be."""
        held = encoded.to(torch.device("cpu"))
        self._kept[key] = held
        self._bytes += held.nbytes
        while self._bytes > self._most_bytes and self._kept:
            _, forgotten = self._kept.popitem(last=False)
            self._bytes -= forgotten.nbytes
