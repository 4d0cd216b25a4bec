"""Noticing an engine that lives but does nothing: a driver that hangs, a kernel that never ends.

    silence > patience ──► hung        patience = 5 × the longest silence that ended well, within [least, most]

What a step takes depends on the model, the size and the card, so it is learnt: until something was learnt from a clip as
large, only the most patience counts. Loading and uploading are silent for reasons of their own; the first has the most patience, the second is not
the engine's.
"""

import asyncio
from collections.abc import Callable
from time import monotonic

_TIMES = 5.0


class Watchdog:
    """Watches one engine, one generation after the other."""

    def __init__(self, *, least_s: float, most_s: float, clock: Callable[[], float] = monotonic) -> None:
        """Never bite before `least_s` of silence, always after `most_s`."""
        self._least_s = least_s
        self._most_s = most_s
        self._clock = clock
        self._longest_s = 0.0
        self._heard: float | None = None
        self._steps = 0
        self._size = self._learnt = 0

    @property
    def patience_s(self) -> float:
        """How long a silence may last now."""
        if self._steps == 0 or self._longest_s == 0.0 or self._size > self._learnt:
            return self._most_s
        return min(self._most_s, max(self._least_s, _TIMES * self._longest_s))

    def begin(self, size: int = 0) -> None:
        """Start watching: a generation begins, perhaps with a load. `size` is the clip's, in pixels of all its frames."""
        self._heard, self._steps, self._size = self._clock(), 0, size

    def progressed(self) -> None:
        """Hear a sign of progress. The first one ends the load, whose silence says nothing about steps."""
        now = self._clock()
        if self._steps and self._heard is not None:
            self._longest_s = max(self._longest_s, now - self._heard)
        self._heard, self._steps = now, self._steps + 1

    def rest(self) -> None:
        """Stop watching: the engine is done."""
        self.progressed()
        self._heard, self._learnt = None, max(self._learnt, self._size)

    async def hung(self) -> float:
        """Return the seconds of silence once it has lasted too long; never while nothing is watched."""
        while True:
            if self._heard is not None:
                silent_s = self._clock() - self._heard
                if silent_s > self.patience_s:
                    return silent_s
            await asyncio.sleep(min(1.0, self._least_s / 4))
