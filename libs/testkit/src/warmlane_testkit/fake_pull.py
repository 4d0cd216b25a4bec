"""Pulling from a consumer in memory, and what a puller does with a message."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from warmlane_bus.ports import Delivery, Message

from warmlane_testkit.fake_stream import FakeConsumer

if TYPE_CHECKING:
    from warmlane_testkit.fake_bus import FakeBus


@dataclass(frozen=True, slots=True)
class FakeDelivery:
    """One delivery; see `ports.Delivery`."""

    message: Message
    deliveries: int
    consumer: FakeConsumer
    bus: "FakeBus"

    @property
    def subject(self) -> str:
        return self.message.subject

    @property
    def data(self) -> bytes:
        return self.message.data

    @property
    def headers(self) -> dict[str, str]:
        return self.message.headers

    @property
    def seq(self) -> int:
        return self.message.seq

    @property
    def time(self) -> datetime:
        return self.message.time

    async def ack(self) -> bool:
        await asyncio.sleep(0)
        if not self.bus.connected:
            return False
        self._settle()
        return True

    async def ack_soon(self) -> None:
        if self.bus.connected:
            self._settle()

    async def in_progress(self) -> None:
        if self.bus.connected:
            self.consumer.working(self.seq)

    async def nak(self, delay_s: float = 0.0) -> None:
        if self.bus.connected:
            self.consumer.give_back(self.seq, delay_s)
            self.bus.changed()

    async def term(self) -> None:
        await self.ack_soon()

    def _settle(self) -> None:
        self.consumer.settle(self.seq)
        self.bus.changed()


class FakePull:
    """Pulls from one consumer; see `ports.Pull`."""

    def __init__(self, bus: "FakeBus", consumer: FakeConsumer) -> None:
        """Bind."""
        self._bus = bus
        self._consumer = consumer

    async def fetch(self, timeout_s: float) -> Delivery | None:
        """Return the next message, if one comes within `timeout_s`."""
        deliveries = await self.fetch_many(1, timeout_s)
        return deliveries[0] if deliveries else None

    async def fetch_many(self, n: int, timeout_s: float) -> list[Delivery]:
        """Return what is there, up to `n`; wait up to `timeout_s` for a first one."""
        clock = self._bus.clock
        deadline = clock.monotonic() + timeout_s
        await asyncio.sleep(0)
        while True:
            if ready := self._take(n):
                return ready
            left = deadline - clock.monotonic()
            if left <= 0:
                return []
            change = self._consumer.next_change_in()
            await self._bus.wait_changed(left if change is None else min(left, change or 0.001))

    def _take(self, n: int) -> list[Delivery]:
        taken: list[Delivery] = []
        while self._bus.connected and len(taken) < n and (given := self._consumer.next()):
            message, count = given
            taken.append(FakeDelivery(message, count, self._consumer, self._bus))
        return taken
