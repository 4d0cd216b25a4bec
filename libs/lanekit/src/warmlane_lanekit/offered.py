"""A job that was taken from those waiting for a shared worker.

Its place is freed as soon as the claim stands, so nothing of it is left with the broker while it runs. Giving it back
therefore means handing out a new token; should that fail too, admission finds the silent claim and does it.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from warmlane_bus.ports import Delivery


class OfferedDelivery:
    """Stands for the delivery of a waiting job after its place was freed; see `ports.Delivery`."""

    def __init__(self, delivery: Delivery, *, hand_out: Callable[[], Awaitable[None]]) -> None:
        """Remember how to hand the job out anew."""
        self._delivery = delivery
        self._hand_out = hand_out
        self.deliveries = delivery.deliveries

    @property
    def subject(self) -> str:
        return self._delivery.subject

    @property
    def data(self) -> bytes:
        return self._delivery.data

    @property
    def headers(self) -> dict[str, str]:
        return self._delivery.headers

    @property
    def seq(self) -> int:
        return self._delivery.seq

    @property
    def time(self) -> datetime:
        return self._delivery.time

    async def ack(self) -> bool:
        """Have nothing left to acknowledge."""
        return True

    async def ack_soon(self) -> None:
        """Have nothing left to acknowledge."""

    async def in_progress(self) -> None:
        """Hold nothing at the broker; the lease alone shows that work goes on."""

    async def nak(self, delay_s: float = 0.0) -> None:  # noqa: ARG002 - the port's signature; a new token is due at once
        """Hand the job out anew, to any shared worker."""
        await self._hand_out()

    async def term(self) -> None:
        """Have nothing left to end."""
