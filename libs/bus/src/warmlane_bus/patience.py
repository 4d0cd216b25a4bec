"""How long to go on asking a broker that does not answer.

The longest silence seen in a leader election is 6.5 s, so a publish gets 15 s in all and 2 s per try. Between tries it
waits for the connection if there is none, and otherwise a little longer each time.
"""

import asyncio
import random

from warmlane_bus.connection import Connection

TRY_S = 2.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.8


class Patience:
    """The time one call has, spent over its tries."""

    def __init__(self, connection: Connection, within_s: float) -> None:
        """Begin now; it is over in `within_s` seconds."""
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + within_s
        self._pause_s = _FIRST_PAUSE_S

    @property
    def left_s(self) -> float:
        """Return how much time is left, never below zero."""
        return max(0.0, self._deadline - self._loop.time())

    @property
    def try_s(self) -> float:
        """Return how long the next try may take."""
        return min(TRY_S, self.left_s)

    async def again(self) -> bool:
        """Wait until another try makes sense and return True, or return False when the time is over."""
        if not self._connection.connected and not await self._connection.wait_connected(self.left_s):
            return False
        pause = min(self._pause_s * random.uniform(0.5, 1.5), self.left_s)  # noqa: S311 - spreads retries
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        await asyncio.sleep(pause)
        return self.left_s > 0
