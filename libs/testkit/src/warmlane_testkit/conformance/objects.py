"""What every object store has to do, asked of the fake and of a real S3 server."""

import asyncio
import hashlib
from pathlib import Path

import pytest
from warmlane_contracts.ids import new_ulid
from warmlane_storage.objects import DigestMismatch, ObjectMissing, ObjectStore

_KIND = "application/octet-stream"
_BIG = bytes(range(256)) * 12_000  # about 3 MB: several chunks


class ObjectsConformance:
    """Give it `store`: a store whose bucket exists. Each test works under a prefix of its own."""

    @pytest.fixture
    async def store(self) -> ObjectStore:
        """Return or yield the store under test."""
        raise NotImplementedError

    @pytest.fixture
    def prefix(self) -> str:
        """Return a folder nobody else uses."""
        return f"suite/{new_ulid()}/"

    async def test_what_is_put_is_got(self, store: ObjectStore, prefix: str) -> None:
        await store.put(prefix + "a", b"data", content_type=_KIND)
        assert await store.get(prefix + "a") == b"data"

    async def test_a_file_is_put_whole(self, store: ObjectStore, prefix: str, tmp_path: Path) -> None:
        file = tmp_path / "clip"
        file.write_bytes(_BIG)
        await store.put(prefix + "a", file, content_type="video/mp4")
        assert await store.get(prefix + "a") == _BIG

    async def test_an_empty_object_is_an_object(self, store: ObjectStore, prefix: str) -> None:
        await store.put(prefix + "a", b"", content_type=_KIND)
        assert await store.get(prefix + "a") == b""
        info = await store.head(prefix + "a")
        assert info is not None
        assert info.size == 0

    async def test_a_later_put_replaces(self, store: ObjectStore, prefix: str) -> None:
        await store.put(prefix + "a", b"one, and longer", content_type=_KIND)
        await store.put(prefix + "a", b"two", content_type=_KIND)
        assert await store.get(prefix + "a") == b"two"

    async def test_of_puts_at_once_one_is_stored_whole(self, store: ObjectStore, prefix: str) -> None:
        contents = [bytes([n]) * 50_000 for n in range(8)]
        await asyncio.gather(*(store.put(prefix + "a", content, content_type=_KIND) for content in contents))
        assert await store.get(prefix + "a") in contents

    async def test_what_is_not_there_is_missing(self, store: ObjectStore, prefix: str, tmp_path: Path) -> None:
        with pytest.raises(ObjectMissing):
            await store.get(prefix + "a")
        with pytest.raises(ObjectMissing):
            await store.download(prefix + "a", tmp_path / "a")
        with pytest.raises(ObjectMissing):
            await anext(aiter(store.stream(prefix + "a")))
        assert await store.head(prefix + "a") is None
        assert list(tmp_path.iterdir()) == []

    async def test_head_tells_size_and_time(self, store: ObjectStore, prefix: str) -> None:
        await store.put(prefix + "a", b"12345", content_type=_KIND)
        info = await store.head(prefix + "a")
        assert info is not None
        assert (info.key, info.size) == (prefix + "a", 5)
        assert info.etag
        assert info.modified is not None
        assert info.modified.utcoffset() is not None

    async def test_the_etag_follows_the_content(self, store: ObjectStore, prefix: str) -> None:
        for name, data in (("a", b"same"), ("b", b"same"), ("c", b"else")):
            await store.put(prefix + name, data, content_type=_KIND)
        etags = [info.etag for name in "abc" if (info := await store.head(prefix + name))]
        assert etags[0] == etags[1] != etags[2]

    @pytest.mark.parametrize(
        ("start", "end"), [(0, None), (0, 10), (100, 200), (1_500_000, None), (0, 1), (len(_BIG) - 1, len(_BIG))]
    )
    async def test_a_range_is_streamed(self, store: ObjectStore, prefix: str, start: int, end: int | None) -> None:
        await store.put(prefix + "a", _BIG, content_type=_KIND)
        chunks = [chunk async for chunk in store.stream(prefix + "a", start, end)]
        assert b"".join(chunks) == _BIG[start:end]

    async def test_a_stream_may_be_left_early(self, store: ObjectStore, prefix: str) -> None:
        await store.put(prefix + "a", _BIG, content_type=_KIND)
        stream = aiter(store.stream(prefix + "a"))
        assert (await anext(stream)).startswith(_BIG[:16])
        await stream.aclose()  # type: ignore[attr-defined]
        assert await store.get(prefix + "a") == _BIG

    async def test_a_download_is_checked(self, store: ObjectStore, prefix: str, tmp_path: Path) -> None:
        await store.put(prefix + "a", _BIG, content_type=_KIND)
        good = hashlib.sha256(_BIG).hexdigest()
        await store.download(prefix + "a", tmp_path / "good", sha256=good)
        assert (tmp_path / "good").read_bytes() == _BIG
        with pytest.raises(DigestMismatch):
            await store.download(prefix + "a", tmp_path / "bad", sha256="0" * 64)
        assert [file.name for file in tmp_path.iterdir()] == ["good"], "a wrong file is never left behind"

    async def test_a_download_without_a_digest(self, store: ObjectStore, prefix: str, tmp_path: Path) -> None:
        await store.put(prefix + "a", b"data", content_type=_KIND)
        await store.download(prefix + "a", tmp_path / "a")
        assert (tmp_path / "a").read_bytes() == b"data"

    async def test_deleted_it_is_gone_and_deleting_again_is_no_error(self, store: ObjectStore, prefix: str) -> None:
        await store.put(prefix + "a", b"data", content_type=_KIND)
        await store.delete(prefix + "a")
        await store.delete(prefix + "a")
        assert await store.head(prefix + "a") is None

    async def test_a_listing_holds_what_is_under_the_prefix(self, store: ObjectStore, prefix: str) -> None:
        for name in ("t1/1/clip.mp4", "t1/1/preview.webp", "t1/2/clip.mp4", "t10/1/clip.mp4"):
            await store.put(prefix + name, name.encode(), content_type=_KIND)
        found = {info.key.removeprefix(prefix): info.size for info in await store.list(prefix + "t1/")}
        assert found == {"t1/1/clip.mp4": 13, "t1/1/preview.webp": 17, "t1/2/clip.mp4": 13}
        assert await store.list(prefix + "t2/") == []

    async def test_deep_keys_and_many_objects(self, store: ObjectStore, prefix: str) -> None:
        keys = [f"{prefix}a/b/c/d/{n}.bin" for n in range(40)]
        await asyncio.gather(*(store.put(key, key.encode(), content_type=_KIND) for key in keys))
        assert sorted(info.key for info in await store.list(prefix)) == sorted(keys)
        assert await asyncio.gather(*(store.get(key) for key in keys)) == [key.encode() for key in keys]
