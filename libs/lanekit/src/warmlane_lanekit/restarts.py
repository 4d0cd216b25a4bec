"""How long to pause before an engine that ended is started again: shortly after a long life, longer each time it keeps
failing.
"""

import time

_LONGEST_S = 60.0


class Restarts:
    """The pauses of one engine."""

    def __init__(self, first_s: float) -> None:
        """Pause `first_s` seconds at first."""
        self._first_s = first_s
        self._next_s = first_s
        self._started = time.monotonic()

    def started(self) -> None:
        """Note that the engine was started now."""
        self._started = time.monotonic()

    def pause_s(self) -> float:
        """Return how long to pause now that it has ended."""
        if time.monotonic() - self._started > _LONGEST_S:
            self._next_s = self._first_s
            return self._first_s
        self._next_s = min(self._next_s * 2, _LONGEST_S)
        return self._next_s
