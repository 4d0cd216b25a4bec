"""The broker in memory, for fast tests of code that uses it. Passes the same suite as the real one.

A test may also make it misbehave, in the ways a real broker does:

    bus.go_away()            not connected until `come_back()`; publishes wait out their time and end Unknown
    bus.lose_answers(1)      the next publish is stored, and its caller is told Unknown
    bus.before_publish = f   called with the subject first: the place to let somebody else win a race
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from warmlane_bus.ports import (
    Bucket,
    Bus,
    BusMisconfigured,
    BusUnavailable,
    Hint,
    Message,
    PublishOutcome,
    Unknown,
)
from warmlane_bus.subject import checked, checked_pattern
from warmlane_contracts.topology import TOPOLOGY, Stream, Topology
from warmlane_runtime.clock import Clock, SystemClock

from warmlane_testkit.fake_bucket import FakeBucket
from warmlane_testkit.fake_pull import FakePull
from warmlane_testkit.fake_stream import FakeConsumer, FakeStream, matches

_MAX_PAYLOAD = 1_000_000


class FakeBus:
    """A `Bus` with the streams, consumers and buckets of a topology."""

    def __init__(self, topology: Topology = TOPOLOGY, *, clock: Clock | None = None) -> None:
        """Be connected and empty. With a `ManualClock`, ages, ack waits and timeouts pass only when it is moved."""
        self.clock = clock or SystemClock()
        self.streams = {stream.name: FakeStream(stream, self.clock) for stream in topology.streams}
        for bucket in topology.buckets:
            config = Stream(
                f"KV_{bucket.name}",
                (f"$KV.{bucket.name}.>",),
                bucket.purpose,
                max_msgs_per_subject=1,
                max_age_s=bucket.ttl_s,
            )
            self.streams[config.name] = FakeStream(config, self.clock)
        self.consumers = {
            (consumer.stream, consumer.durable): FakeConsumer(consumer, self.streams[consumer.stream], self.clock)
            for consumer in topology.consumers
        }
        self.before_publish: Callable[[str], None] | None = None
        self._answers_to_lose = 0
        self._up = asyncio.Event()
        self._up.set()
        self._closed = False
        self._changed = asyncio.Event()
        self._listeners: list[tuple[str, asyncio.Queue[Hint]]] = []

    def go_away(self) -> None:
        """Be disconnected until `come_back`."""
        self._up.clear()
        self.changed()

    def come_back(self) -> None:
        """Be connected again, with everything that was stored."""
        self._up.set()
        self.changed()

    def lose_answers(self, n: int) -> None:
        """Store the next `n` publishes but tell their callers `Unknown`."""
        self._answers_to_lose = n

    def messages(self, stream: str) -> list[Message]:
        """Return what a stream holds now, oldest first."""
        return self.streams[stream].messages

    @property
    def connected(self) -> bool:
        """Say whether the broker can be reached."""
        return self._up.is_set() and not self._closed

    async def close(self) -> None:
        """Disconnect for good."""
        self._closed = True
        self.changed()

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        message_id: str | None,
        expect_last_seq: int | None = None,
        headers: dict[str, str] | None = None,
        within_s: float = 15.0,
    ) -> PublishOutcome:
        """Store a message and return what became of it."""
        checked(subject)
        await asyncio.sleep(0)  # a real publish always lets others run
        if self.before_publish is not None:
            self.before_publish(subject)
        stream = next((one for one in self.streams.values() if one.takes(subject)), None)
        if not await self._reachable(within_s):
            return Unknown("not connected to the broker", maybe_stored=False)
        if stream is None:
            return Unknown(f"no stream takes {subject}", maybe_stored=False)
        if len(data) + sum(len(name) + len(value) for name, value in (headers or {}).items()) > _MAX_PAYLOAD:
            raise BusMisconfigured(f"{len(data)} bytes are more than the broker takes in one message")
        sent = dict(headers or {}) | ({"Nats-Msg-Id": message_id} if message_id is not None else {})
        outcome = stream.store(subject, data, message_id=message_id, expect_last_seq=expect_last_seq, headers=sent)
        self.changed()
        if self._answers_to_lose:
            self._answers_to_lose -= 1
            return Unknown("the answer was lost")
        return outcome

    async def last(self, stream: str, subject: str) -> Message | None:
        """Return the last message of a subject."""
        await asyncio.sleep(0)
        if not await self._reachable(10.0):
            raise BusUnavailable("not connected to the broker")
        if stream not in self.streams:
            raise BusMisconfigured(f"no stream {stream}")
        return self.streams[stream].last(checked(subject))

    async def depth(self, stream: str) -> int:
        """Return how many messages a stream holds."""
        if not await self._reachable(10.0):
            raise BusUnavailable("not connected to the broker")
        if stream not in self.streams:
            raise BusMisconfigured(f"no stream {stream}")
        return len(self.streams[stream].messages)

    async def remove(self, stream: str, seq: int) -> None:
        """Take a message out of a stream."""
        if not await self._reachable(10.0):
            raise BusUnavailable("not connected to the broker")
        if stream not in self.streams:
            raise BusMisconfigured(f"no stream {stream}")
        self.streams[stream].remove(seq)

    async def pull(self, stream: str, durable: str) -> FakePull:
        """Bind to a consumer."""
        try:
            return FakePull(self, self.consumers[stream, durable])
        except KeyError:
            raise BusMisconfigured(f"no consumer {durable} on {stream}") from None

    async def bucket(self, name: str) -> Bucket:
        """Bind to a bucket."""
        if f"KV_{name}" not in self.streams:
            raise BusMisconfigured(f"no bucket {name}")
        return FakeBucket(self, self.streams[f"KV_{name}"], name=name)

    async def hint(self, subject: str, data: bytes = b"") -> None:
        """Tell whoever listens right now."""
        checked(subject)
        if not self.connected:
            return
        for pattern, queue in self._listeners:
            if matches(pattern, subject):
                queue.put_nowait(Hint(subject, data))

    @contextlib.asynccontextmanager
    async def hints(self, subject: str) -> AsyncIterator[AsyncIterator[Hint]]:
        """Listen to hints inside the block."""
        queue: asyncio.Queue[Hint] = asyncio.Queue()
        listener = (checked_pattern(subject), queue)
        self._listeners.append(listener)
        try:
            yield _endless(queue)
        finally:
            self._listeners.remove(listener)

    def changed(self) -> None:
        """Wake whoever waits for something to happen."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_changed(self, timeout_s: float) -> None:
        """Return when something happened, or after `timeout_s` of the clock."""
        happened = asyncio.ensure_future(self._changed.wait())
        passed = asyncio.ensure_future(self.clock.sleep(timeout_s))
        try:
            await asyncio.wait({happened, passed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in (happened, passed):
                waiter.cancel()
            await asyncio.gather(happened, passed, return_exceptions=True)

    async def _reachable(self, within_s: float) -> bool:
        """Wait for the broker to come back, up to `within_s`."""
        deadline = self.clock.monotonic() + within_s
        while not self.connected:
            left = deadline - self.clock.monotonic()
            if left <= 0 or self._closed:
                return False
            await self.wait_changed(left)
        return True


async def _endless(queue: asyncio.Queue[Hint]) -> AsyncIterator[Hint]:
    while True:
        yield await queue.get()


if TYPE_CHECKING:

    def _is_a_bus(bus: FakeBus) -> Bus:
        return bus
