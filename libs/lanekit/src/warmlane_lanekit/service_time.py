"""How long clips take on this worker: what queue estimates are made from."""

from collections import deque

_REMEMBERED = 20


class ServiceTimes:
    """The mean of the last clips' seconds."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, seconds: float) -> None:
        """Remember one clip."""
        self._seconds.append(seconds)

    @property
    def mean(self) -> float | None:
        """The mean, None before the first clip."""
        return sum(self._seconds) / len(self._seconds) if self._seconds else None
