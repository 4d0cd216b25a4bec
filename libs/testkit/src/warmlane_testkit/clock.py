"""A clock that stands still until a test moves it."""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """A `Clock` in a test's hand: time passes only in `advance`, which wakes whoever sleeps that long."""

    def __init__(self, start: datetime = START) -> None:
        """Stand at `start`."""
        self._now = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return where the clock stands."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds it was moved in all."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was moved by `seconds`; at once for zero or less."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake = asyncio.get_running_loop().create_future()
        entry = (self._elapsed + seconds, wake)
        self._sleepers.append(entry)
        try:
            await wake
        finally:
            if entry in self._sleepers:
                self._sleepers.remove(entry)

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, waking sleepers in the order their time comes, and let what they do settle."""
        await settle()  # a task that was just made has to begin before the time it measures passes
        end = self._elapsed + seconds
        while due := [entry for entry in self._sleepers if entry[0] <= end]:
            at, wake = min(due, key=lambda entry: entry[0])
            self._move(at)
            self._sleepers.remove((at, wake))
            if not wake.done():
                wake.set_result(None)
            await settle()
        self._move(end)
        await settle()

    def _move(self, elapsed: float) -> None:
        self._now += timedelta(seconds=elapsed - self._elapsed)
        self._elapsed = elapsed


async def settle(rounds: int = 20) -> None:
    """Let tasks that are ready run until they wait for something else. Only for code without real I/O."""
    for _ in range(rounds):
        await asyncio.sleep(0)
