"""Trying again: exponential delays with full jitter, Retry-After obeyed, and patience renewed by progress.

A long download over a bad line fails often and moves on each time; only failures in a row without a byte between
them count against the limit.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from warmlane_modelstore.errors import TRANSIENT, Code, StoreError


class Cancelled(Exception):
    """Somebody asked to stop. What has been fetched stays for the next time."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How patiently one source is asked. Delays are uniform in 0…min(cap, base·2ⁿ) seconds."""

    tries: int = 5
    base_s: float = 0.5
    cap_s: float = 20.0
    longest_wait_s: float = 120.0
    rng: random.Random = field(default_factory=random.Random)

    def run(self, work: Callable[[], None], *, progress: Callable[[], int], stop: threading.Event) -> int:
        """Calls `work` until it returns; returns how many calls it took.

        Raises the last StoreError when it is final or patience is spent, Cancelled when `stop` is set meanwhile.
        """
        calls = failures = 0
        while True:
            if stop.is_set():
                raise Cancelled
            before = progress()
            calls += 1
            try:
                work()
            except StoreError as error:
                failures = 1 if progress() > before else failures + 1
                delay = self._delay(error, failures)
            else:
                return calls
            if stop.wait(delay):
                raise Cancelled

    def _delay(self, error: StoreError, failures: int) -> float:
        if error.code not in TRANSIENT or failures >= self.tries:
            raise error
        wanted = error.retry_after_s if error.code is Code.RATE_LIMIT else None
        if wanted is not None and wanted > self.longest_wait_s:
            raise error
        jittered = self.rng.uniform(0.0, min(self.cap_s, self.base_s * 2.0 ** (failures - 1)))
        return jittered if wanted is None else wanted + jittered
