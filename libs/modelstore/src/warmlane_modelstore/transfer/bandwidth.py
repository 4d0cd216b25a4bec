"""A limit on bytes per second, shared by all streams of a store."""

import threading
import time
from collections.abc import Callable


class Bandwidth:
    """A token bucket holding at most one second's worth, so that a pause cannot be followed by a flood."""

    def __init__(
        self,
        bytes_per_s: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._rate = bytes_per_s
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self._free_at = clock()

    def spend(self, count: int) -> None:
        """Returns once `count` bytes may have been read."""
        with self._lock:
            now = self._clock()
            start = max(self._free_at, now - 1.0)
            self._free_at = start + count / self._rate
            delay = self._free_at - now
        if delay > 0:
            self._wait(delay)
