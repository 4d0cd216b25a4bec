"""Object storage: bytes under a key, whole or not at all.

`ObjectStore` is what the rest of Warmlane sees; `S3Objects` is any S3 server; the test kit has a fake that passes the
same suite. Keys are made from ids of ours, never from a client's text. A write is atomic: nobody ever reads half an
object. Two things are named errors: an object that is not there and bytes that are not the ones promised. Everything
else (no connection, no permission) is `StoreUnavailable`, with the server's words and without the credentials.
"""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store
from pydantic import SecretStr
from warmlane_runtime.settings import Settings

if TYPE_CHECKING:
    from obstore import ObjectMeta  # exists for type checkers only

CHUNK_BYTES = 1024 * 1024


class ObjectMissing(Exception):
    """There is no object under this key."""


class DigestMismatch(Exception):
    """The object's bytes are not those whose sha256 was promised."""


class StoreUnavailable(Exception):
    """The store did not do what it was asked. Nothing is known to have changed; try again later."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What the store says of an object. `size` in bytes, `modified` by the store's clock."""

    key: str
    size: int
    etag: str | None
    modified: datetime | None


class ObjectSettings(Settings):
    """Where the objects are: any S3 server."""

    s3_endpoint: str = "http://127.0.0.1:8333"
    s3_access_key: str = ""
    s3_secret_key: SecretStr = SecretStr("")
    s3_bucket: str = "warmlane"
    s3_region: str = "us-east-1"


class ObjectStore(Protocol):
    """What Warmlane asks of object storage. Every method may raise `StoreUnavailable`."""

    async def put(self, key: str, data: bytes | Path, *, content_type: str) -> None:
        """Store bytes or a file under a key, replacing what was there."""
        ...

    async def get(self, key: str) -> bytes:
        """Return a whole object; raise `ObjectMissing`."""
        ...

    async def download(self, key: str, path: Path, *, sha256: str | None = None) -> None:
        """Write an object to `path`; raise `ObjectMissing`, or `DigestMismatch` (then there is no file)."""
        ...

    def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`; raise `ObjectMissing` before the first."""
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object, None when there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        ...

    async def list(self, prefix: str) -> "list[ObjectInfo]":
        """Return all objects whose keys begin with `prefix`, which ends at a slash."""
        ...


class S3Objects:
    """An S3 bucket. See `ObjectStore`."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    @classmethod
    def from_settings(cls, settings: ObjectSettings) -> "S3Objects":
        """Address the bucket of the settings; connects with the first call."""
        return cls(
            S3Store(
                settings.s3_bucket,
                endpoint=settings.s3_endpoint,
                access_key_id=settings.s3_access_key,
                secret_access_key=settings.s3_secret_key.get_secret_value(),
                region=settings.s3_region,
                virtual_hosted_style_request=False,
                client_options={"allow_http": settings.s3_endpoint.startswith("http://")},
                retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=15)},
            )
        )

    async def put(self, key: str, data: bytes | Path, *, content_type: str) -> None:
        """Store bytes or a file."""
        with _named(key):
            await obstore.put_async(self._store, key, data, attributes={"Content-Type": content_type})

    async def get(self, key: str) -> bytes:
        """Return a whole object."""
        with _named(key):
            return bytes(await (await obstore.get_async(self._store, key)).bytes_async())

    async def download(self, key: str, path: Path, *, sha256: str | None = None) -> None:
        """Write an object to a file, checking its digest on the way."""
        digest, part = hashlib.sha256(), path.with_name(path.name + ".part")
        try:
            with part.open("wb") as file:
                async for chunk in self.stream(key):
                    digest.update(chunk)
                    file.write(chunk)
            if sha256 is not None and digest.hexdigest() != sha256:
                raise DigestMismatch(f"{key} has sha256 {digest.hexdigest()}, not {sha256}")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield a range of an object."""
        with _named(key):
            options = (
                {} if start == 0 and end is None else {"range": {"offset": start} if end is None else (start, end)}
            )
            found = await obstore.get_async(self._store, key, options=options)  # type: ignore[arg-type]  # a typed dict built by case
            async for chunk in found.stream(CHUNK_BYTES):
                yield bytes(chunk)

    async def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object."""
        try:
            with _named(key):
                return _info(await obstore.head_async(self._store, key))
        except ObjectMissing:
            return None

    async def delete(self, key: str) -> None:
        """Remove an object."""
        try:
            with _named(key):
                await obstore.delete_async(self._store, key)
        except ObjectMissing:
            return

    async def list(self, prefix: str) -> "list[ObjectInfo]":
        """Return the objects under a prefix."""
        with _named(prefix):
            return [_info(meta) async for batch in obstore.list(self._store, prefix) for meta in batch]


@contextmanager
def _named(key: str) -> Iterator[None]:
    """Give the client's errors our names."""
    try:
        yield
    except (NotFoundError, FileNotFoundError) as missing:
        raise ObjectMissing(f"there is no object {key}") from missing
    except (BaseError, OSError) as failed:
        words = str(failed).splitlines()
        raise StoreUnavailable(f"object storage failed for {key}: {words[0][:300] if words else failed!r}") from None


def _info(meta: "ObjectMeta") -> ObjectInfo:
    return ObjectInfo(meta["path"], meta["size"], meta["e_tag"], meta["last_modified"])
