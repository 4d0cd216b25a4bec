"""A key-value bucket in memory, over a fake stream, as the real one is over a real stream."""

from typing import TYPE_CHECKING

from warmlane_bus.ports import BusUnavailable, Conflict, Entry, Message, Stored

from warmlane_testkit.fake_stream import FakeStream

if TYPE_CHECKING:
    from warmlane_testkit.fake_bus import FakeBus

_DELETED = {"KV-Operation": "DEL"}


class FakeBucket:
    """See `ports.Bucket`."""

    def __init__(self, bus: "FakeBus", stream: FakeStream, *, name: str) -> None:
        """Bind."""
        self._bus = bus
        self._stream = stream
        self._prefix = f"$KV.{name}."

    async def get(self, key: str) -> Entry | None:
        """Return the newest value of `key`, if any."""
        message = await self._bus.last(self._stream.config.name, self._prefix + key)
        return None if message is None else self._entry(message)

    async def put(self, key: str, value: bytes, *, within_s: float = 15.0) -> int:
        """Write unconditionally."""
        revision = await self._write(key, value, None, within_s)
        assert revision is not None
        return revision

    async def create(self, key: str, value: bytes, *, within_s: float = 15.0) -> int | None:
        """Write when there is no value; a deleted key's marker counts as none."""
        last = self._stream.last(self._prefix + key)
        after = last.seq if last is not None and self._entry(last) is None else 0
        return await self._write(key, value, after, within_s)

    async def update(self, key: str, value: bytes, revision: int, *, within_s: float = 15.0) -> int | None:
        """Write when `revision` is still the newest."""
        return await self._write(key, value, revision, within_s)

    async def delete(self, key: str, *, within_s: float = 15.0) -> None:
        """Write a marker."""
        await self._write(key, b"", None, within_s, _DELETED)

    async def entries(self) -> list[Entry]:
        """Return every present value."""
        found = (self._entry(message) for message in self._stream.messages)
        return [entry for entry in found if entry is not None]

    async def _write(
        self, key: str, value: bytes, after: int | None, within_s: float, headers: dict[str, str] | None = None
    ) -> int | None:
        outcome = await self._bus.publish(
            self._prefix + key, value, message_id=None, expect_last_seq=after, headers=headers, within_s=within_s
        )
        match outcome:
            case Stored(seq):
                return seq
            case Conflict():
                return None
            case _:
                raise BusUnavailable(f"write to {key} is undecided: {outcome.reason}")

    def _entry(self, message: Message) -> Entry | None:
        if message.headers.get("KV-Operation"):
            return None
        return Entry(message.subject.removeprefix(self._prefix), message.data, message.seq, message.time)
