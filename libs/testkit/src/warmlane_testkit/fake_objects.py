"""Object storage in memory, for fast tests of code that uses it. Passes the same suite as a real S3 server.

store.go_away()      every call raises `StoreUnavailable` until `come_back()`
store.stored[key]    what is there: bytes and content type
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from warmlane_runtime.clock import Clock, SystemClock
from warmlane_storage.objects import DigestMismatch, ObjectInfo, ObjectMissing, StoreUnavailable

if TYPE_CHECKING:
    from warmlane_storage.objects import ObjectStore

_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object."""

    data: bytes
    content_type: str
    modified: datetime


class FakeObjects:
    """An `ObjectStore` in a dictionary."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        """Be empty."""
        self.stored: dict[str, StoredObject] = {}
        self._clock = clock or SystemClock()
        self._away = False

    def go_away(self) -> None:
        """Fail every call until `come_back`."""
        self._away = True

    def come_back(self) -> None:
        """Work again, with everything that was stored."""
        self._away = False

    async def put(self, key: str, data: bytes | Path, *, content_type: str) -> None:
        """Store bytes or a file under a key, replacing what was there."""
        await self._reach(key)
        content = data if isinstance(data, bytes) else data.read_bytes()
        self.stored[key] = StoredObject(content, content_type, self._clock.now())

    async def get(self, key: str) -> bytes:
        """Return a whole object."""
        await self._reach(key)
        return self._find(key).data

    async def download(self, key: str, path: Path, *, sha256: str | None = None) -> None:
        """Write an object to a file; on a wrong digest leave none."""
        data = await self.get(key)
        digest = hashlib.sha256(data).hexdigest()
        if sha256 is not None and digest != sha256:
            raise DigestMismatch(f"{key} has sha256 {digest}, not {sha256}")
        path.write_bytes(data)

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield a range of an object."""
        data = (await self.get(key))[start:end]
        for offset in range(0, len(data), _CHUNK_BYTES):
            yield data[offset : offset + _CHUNK_BYTES]

    async def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object."""
        await self._reach(key)
        return _info(key, self.stored[key]) if key in self.stored else None

    async def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        await self._reach(key)
        self.stored.pop(key, None)

    async def list(self, prefix: str) -> "list[ObjectInfo]":
        """Return the objects under a prefix."""
        await self._reach(prefix)
        return [_info(key, found) for key, found in sorted(self.stored.items()) if key.startswith(prefix)]

    async def _reach(self, key: str) -> None:
        await asyncio.sleep(0)  # a real call always lets others run
        if self._away:
            raise StoreUnavailable(f"object storage failed for {key}: it was told to")

    def _find(self, key: str) -> StoredObject:
        try:
            return self.stored[key]
        except KeyError:
            raise ObjectMissing(f"there is no object {key}") from None


def _info(key: str, found: StoredObject) -> ObjectInfo:
    return ObjectInfo(key, len(found.data), hashlib.md5(found.data).hexdigest(), found.modified)  # noqa: S324 - an etag, as S3 makes it


if TYPE_CHECKING:

    def _is_a_store(store: FakeObjects) -> ObjectStore:
        return store
