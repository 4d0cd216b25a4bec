"""Bringing one file in: the sources in turn, many ranges at once, hashed on the way, and resumable at every byte.

    for each source ─► (not in the negative cache) ─► missing ranges ─► streams ─► part file + journal
                                                                            └─► sha256 in order
    all there ─► digest equals? ── yes ─► Fetched
                                └─ no ──► part thrown away, the same source once more, then the next one

Ranges already present stay whatever source they came from: content is named by its hash, so a download begun at one
mirror ends at another. Only when the hash disagrees is everything fetched again from one single source.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from warmlane_modelstore.errors import Attempt, Code, StoreError
from warmlane_modelstore.sources.base import RemoteFile, SourceClient
from warmlane_modelstore.transfer.backoff import Backoff, Cancelled
from warmlane_modelstore.transfer.bandwidth import Bandwidth
from warmlane_modelstore.transfer.extents import Range
from warmlane_modelstore.transfer.negative import NegativeCache
from warmlane_modelstore.transfer.part import PartFile

PART_BYTES = 16 * 1024 * 1024
_READ_BYTES = 1024 * 1024
# Failures of this machine: another source cannot help.
_OURS = frozenset({Code.NO_SPACE, Code.IO_FAIL, Code.LEASE_LOST, Code.QUOTA_EXCEEDED})
# Which of several different failures is told as the whole's: the one people can do most about.
_RANK = (Code.CHECKSUM_FAIL, Code.AUTH_FAIL, Code.RATE_LIMIT, Code.NETWORK, Code.NOT_FOUND)


@dataclass(frozen=True, slots=True)
class Wish:
    """One file to bring. `size` and `sha256` are what the manifest says, or None; `part` names the part file."""

    name: str
    remote: str
    size: int | None
    sha256: str | None
    part: str
    isolate: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """A finished part: complete, hashed, synced, not yet in its place. `how` says what vouched for the content."""

    part: PartFile
    size: int
    sha256: str
    source: str
    how: str


class BytesSeen(Protocol):
    """Told of every buffer that arrived, and of bytes that were there already or must come again."""

    def add(self, count: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard the network and this machine are worked. Memory is streams × 256 KiB."""

    streams: int = 4
    files: int = 4
    part_bytes: int = PART_BYTES
    bandwidth: Bandwidth | None = None


class Downloader:
    """Shared by everything a process fetches, so that its limits hold for all of it. Close it."""

    def __init__(
        self,
        directory: Path,
        *,
        limits: Limits,
        backoff: Backoff,
        negative: NegativeCache,
        boot_id: str,
        stop: threading.Event,
        mask: Callable[[str], str],
    ) -> None:
        self._directory = directory
        self._limits = limits
        self._backoff = backoff
        self._negative = negative
        self._boot_id = boot_id
        self._stop = stop
        self._mask = mask
        self._streams = ThreadPoolExecutor(limits.streams, thread_name_prefix="store-stream")

    def close(self) -> None:
        self._streams.shutdown(wait=True, cancel_futures=True)

    def fetch(self, wish: Wish, sources: Sequence[SourceClient], progress: BytesSeen) -> Fetched:
        """The file, from the first source that gives it right.

        Raises StoreError with every attempt when none does, NO_SPACE or IO_FAIL when this machine cannot, and
        Cancelled when the store stops. What came stays for the next call in the last two cases.
        """
        attempts: list[Attempt] = []
        for source in sources:
            blocked = self._negative.blocked(source.label, wish.name)
            if blocked is not None:
                attempts.append(blocked)
                continue
            found = self._from_source(wish, source, progress, attempts)
            if found is not None:
                self._negative.succeeded(source.label, wish.name)
                return found
        raise summarise(wish.name, attempts)

    def _from_source(
        self, wish: Wish, source: SourceClient, progress: BytesSeen, attempts: list[Attempt]
    ) -> Fetched | None:
        for last in (False, True):
            try:
                return self._attempt(wish, source, progress)
            except StoreError as error:
                if error.code in _OURS:
                    raise
                attempts.append(
                    Attempt(source.label, wish.name, error.code, self._mask(error.detail), self._tries(error))
                )
                # A corrupt copy may have been corrupted on the way; once more tells.
                if error.code is not Code.CHECKSUM_FAIL or last:
                    self._negative.failed(source.label, wish.name, error)
                    return None
        return None

    def _tries(self, error: StoreError) -> int:
        return self._backoff.tries if error.code is Code.NETWORK else 1

    def _attempt(self, wish: Wish, source: SourceClient, progress: BytesSeen) -> Fetched:
        remote = self._describe(wish, source)
        size = remote.size
        if wish.size is not None and size != wish.size:
            raise StoreError(
                Code.CHECKSUM_FAIL, f"{wish.name} has {size} bytes, the manifest says {wish.size}", "Check the source."
            )
        sha256 = wish.sha256 or remote.sha256
        identity = f"sha256:{sha256}" if sha256 else f"{source.label}:{remote.git_sha1 or remote.md5 or remote.etag}"
        part = PartFile(
            self._directory, wish.part, size=size, identity=identity, boot_id=self._boot_id, isolate=wish.isolate
        )
        progress.add(part.resumed_bytes)
        try:
            self._fill(part, source, remote, progress)
            digest = part.finish()
            how = _vouched(part.path, size, digest, wish, remote)
        except StoreError as error:
            progress.add(-part.bytes_present)
            if error.code is Code.CHECKSUM_FAIL:
                part.discard()
            part.close()
            raise
        except BaseException:
            part.close()
            raise
        return Fetched(part, size, digest, source.label, how)

    def _describe(self, wish: Wish, source: SourceClient) -> RemoteFile:
        """Asks the source about the file only where the manifest does not say it all."""
        if wish.size is not None and wish.sha256 is not None:
            return RemoteFile(wish.remote, wish.size, sha256=wish.sha256)
        found: list[RemoteFile] = []
        self._backoff.run(lambda: found.append(source.stat(wish.remote)), progress=lambda: 0, stop=self._stop)
        return replace(found[0], path=wish.remote)

    def _fill(self, part: PartFile, source: SourceClient, remote: RemoteFile, progress: BytesSeen) -> None:
        futures = [
            self._streams.submit(self._range, part, source, remote, span, progress)
            for span in part.missing(self._limits.part_bytes)
        ]
        done, waiting = wait(futures, return_when=FIRST_EXCEPTION)
        for future in waiting:
            future.cancel()
        wait(waiting)
        for future in [*done, *waiting]:
            _raise_first(future)

    def _range(
        self, part: PartFile, source: SourceClient, remote: RemoteFile, span: Range, progress: BytesSeen
    ) -> None:
        bandwidth = self._limits.bandwidth

        def seen(count: int) -> None:
            progress.add(count)
            if bandwidth is not None:
                bandwidth.spend(count)
            if self._stop.is_set():
                raise Cancelled

        writer = part.writer(span[0], seen)

        def once() -> None:
            try:
                source.read(remote, writer.position, span[1], writer)
            finally:
                writer.checkpoint()

        self._backoff.run(once, progress=lambda: writer.position, stop=self._stop)
        part.advance_digest()


def _raise_first(future: Future[None]) -> None:
    if not future.cancelled():
        future.result()


def _vouched(path: Path, size: int, digest: str, wish: Wish, remote: RemoteFile) -> str:
    """What proves the content, strongest first. Raises CHECKSUM_FAIL when something known disagrees."""
    known: list[tuple[str, str | None, Callable[[], str]]] = [
        ("sha256", wish.sha256, lambda: digest),
        ("source-sha256", remote.sha256, lambda: digest),
        ("git-oid", remote.git_sha1, lambda: _git_oid(path, size)),
        ("etag-md5", remote.md5, lambda: _hash_file(hashlib.md5(usedforsecurity=False), path)),
    ]
    for how, expected, computed in known:
        if expected is None:
            continue
        actual = computed()
        if actual != expected:
            raise StoreError(
                Code.CHECKSUM_FAIL,
                f"{wish.name}: {how} is {actual[:16]}…, expected {expected[:16]}…",
                "The source holds other bytes than the manifest wants; use another source or correct the manifest.",
            )
        return how
    return "size"


def _git_oid(path: Path, size: int) -> str:
    header = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    return _hash_file(header, path)


def _hash_file(digest: "hashlib._Hash", path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        while data := file.read(_READ_BYTES):
            digest.update(data)
    return digest.hexdigest()


def summarise(what: str, attempts: Sequence[Attempt]) -> StoreError:
    """All attempts failed: one error that lists each of them."""
    codes = {attempt.code for attempt in attempts}
    code = next((rank for rank in _RANK if rank in codes), Code.NOT_FOUND)
    actions = {
        Code.CHECKSUM_FAIL: "No source has the bytes the manifest names: correct a source or the manifest.",
        Code.AUTH_FAIL: "Give the source its credentials (keyring, WAN_MODELS_CREDENTIALS, environment), or add another source.",
        Code.RATE_LIMIT: "Wait and run the same command again, or add a mirror as the first source.",
        Code.NETWORK: "Check the network, then run the same command again: what came is kept.",
        Code.NOT_FOUND: "Check paths and revisions in the manifest, or add a source that has the file.",
    }
    sources = list(dict.fromkeys(attempt.source for attempt in attempts))
    tried = f"tried {', '.join(sources)}" if sources else "there is no source to ask"
    return StoreError(code, f"{what} could not be fetched; {tried}", actions[code], attempts=attempts)
