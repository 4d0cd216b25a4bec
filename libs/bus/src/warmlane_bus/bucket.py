"""A key-value bucket: a stream that keeps the last message of each key's subject.

Reads go to the stream's leader, because a lease that is read from a follower may be an old one. Writes carry a message
id, so that a retried conditional write that was stored before is recognised as ours.
"""

import asyncio
import secrets

from warmlane_bus.jetstream import JetStreamApi
from warmlane_bus.ports import BusMisconfigured, BusUnavailable, Conflict, Entry, Message, Stored
from warmlane_bus.publish import MESSAGE_ID, Publisher
from warmlane_bus.subject import checked

_OPERATION = "KV-Operation"
_DELETED = {"DEL", "PURGE"}
_READS_AT_ONCE = 32


class NatsBucket:
    """One bucket; see `ports.Bucket`."""

    def __init__(self, api: JetStreamApi, publisher: Publisher, *, name: str) -> None:
        """Bind; nothing is created."""
        self.name = name
        self._api = api
        self._publisher = publisher
        self._stream = f"KV_{name}"
        self._prefix = f"$KV.{name}."

    async def get(self, key: str) -> Entry | None:
        """Return the newest value of `key`, if any."""
        message = await self._last(key)
        return None if message is None or _is_deleted(message) else self._entry(message)

    async def put(self, key: str, value: bytes, *, within_s: float = 15.0) -> int:
        """Write unconditionally."""
        revision = await self._write(key, value, None, within_s=within_s)
        assert revision is not None  # noqa: S101 - without a condition there is no conflict
        return revision

    async def create(self, key: str, value: bytes, *, within_s: float = 15.0) -> int | None:
        """Write when there is no value; a deleted key's marker counts as none."""
        revision = await self._write(key, value, 0, within_s=within_s)
        if revision is not None:
            return revision
        last = await self._last(key)
        if last is None or not _is_deleted(last):
            return None
        return await self._write(key, value, last.seq, within_s=within_s)

    async def update(self, key: str, value: bytes, revision: int, *, within_s: float = 15.0) -> int | None:
        """Write when `revision` is still the newest."""
        return await self._write(key, value, revision, within_s=within_s)

    async def delete(self, key: str, *, within_s: float = 15.0) -> None:
        """Write a marker; it goes with the bucket's age."""
        await self._write(key, b"", None, within_s=within_s, headers={_OPERATION: "DEL"})

    async def entries(self) -> list[Entry]:
        """Read every key the stream knows, from the leader, a few at a time."""
        info = await self._api.ask(f"STREAM.INFO.{self._stream}", {"subjects_filter": f"{self._prefix}>"})
        subjects = info["state"].get("subjects") or {}
        gate = asyncio.Semaphore(_READS_AT_ONCE)

        async def read(subject: str) -> Entry | None:
            async with gate:
                return await self.get(subject.removeprefix(self._prefix))

        found = await asyncio.gather(*(read(subject) for subject in subjects))
        return [entry for entry in found if entry is not None]

    async def _write(
        self,
        key: str,
        value: bytes,
        after: int | None,
        *,
        within_s: float,
        headers: dict[str, str] | None = None,
    ) -> int | None:
        """Return the new revision, None when the condition did not hold."""
        message_id = secrets.token_hex(12)
        outcome = await self._publisher.publish(
            self._prefix + key, value, message_id=message_id, expect_last_seq=after, headers=headers, within_s=within_s
        )
        match outcome:
            case Stored(seq):
                return seq
            case Conflict():
                # The broker checks the condition before the id: look whether the value is our own earlier try.
                last = await self._last(key)
                return last.seq if last is not None and last.headers.get(MESSAGE_ID) == message_id else None
            case _:
                raise BusUnavailable(f"write to {self.name}/{key} is undecided: {outcome.reason}")

    async def _last(self, key: str) -> Message | None:
        return await self._api.last(self._stream, checked(self._prefix + key))

    def _entry(self, message: Message) -> Entry:
        return Entry(message.subject.removeprefix(self._prefix), message.data, message.seq, message.time)


def _is_deleted(message: Message) -> bool:
    return message.headers.get(_OPERATION) in _DELETED


async def bind_bucket(api: JetStreamApi, publisher: Publisher, name: str) -> NatsBucket:
    """Return the bucket `name`; its name is checked before it becomes part of a subject."""
    if "." in checked(name):
        raise BusMisconfigured(f"{name!r} is no bucket name")
    return NatsBucket(api, publisher, name=name)
