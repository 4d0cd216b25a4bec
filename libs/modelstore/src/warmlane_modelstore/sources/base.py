"""What every source can do: list, describe, and read a range. One class per kind of place, one instance per entry.

A source knows nothing of files on our disk, retries or hashes of ours; `transfer/` does all that the same way for
every kind. It only turns its place's answers into RemoteFile and StoreError.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

# Takes the next bytes of a range, in order. Raises to stop the transfer.
Sink = Callable[[memoryview], None]

READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What a source says of one file. Hashes are claims: they are compared with what we compute, never trusted."""

    path: str
    size: int
    sha256: str | None = None
    git_sha1: str | None = None
    md5: str | None = None
    etag: str | None = None


class SourceClient(Protocol):
    """A place that has files. Thread-safe: ranges of one file are read at once."""

    @property
    def label(self) -> str:
        """The name in errors and records; holds no secret."""
        ...

    def files(self) -> list[RemoteFile]:
        """Every file of the model here, sorted by path. Raises StoreError."""
        ...

    def stat(self, path: str) -> RemoteFile:
        """What is known of one file without reading it. Raises StoreError NOT_FOUND and others."""
        ...

    def read(self, remote: RemoteFile, start: int, end: int, sink: Sink) -> None:
        """Gives bytes start…end (end excluded) to `sink`, in order, all of them or StoreError."""
        ...
