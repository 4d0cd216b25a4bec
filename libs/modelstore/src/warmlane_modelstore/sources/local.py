"""A directory on this machine or a mounted share: an air-gapped node's shelf, or another store's model."""

from pathlib import Path

from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.sources.base import READ_BYTES, RemoteFile, Sink


class LocalSource:
    """Files are read, not linked: whoever owns the directory may change it later, and a model must not change with it."""

    def __init__(self, label: str, root: Path) -> None:
        self.label = label
        self._root = root

    def files(self) -> list[RemoteFile]:
        if not self._root.is_dir():
            raise self._missing(str(self._root))
        found: list[RemoteFile] = []
        for path in sorted(self._root.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                relative = path.relative_to(self._root).as_posix()
                found.append(RemoteFile(relative, path.stat().st_size))
        return found

    def stat(self, path: str) -> RemoteFile:
        try:
            found = (self._root / path).stat()
        except OSError as error:
            raise self._failure(path, error) from error
        return RemoteFile(path, found.st_size, etag=f"{found.st_mtime_ns}-{found.st_size}")

    def read(self, remote: RemoteFile, start: int, end: int, sink: Sink) -> None:
        buffer = memoryview(bytearray(min(READ_BYTES, max(1, end - start))))
        try:
            with (self._root / remote.path).open("rb", buffering=0) as file:
                file.seek(start)
                while start < end:
                    count = file.readinto(buffer[: min(len(buffer), end - start)])
                    if not count:
                        raise StoreError(
                            Code.CHECKSUM_FAIL, f"{remote.path} ends at byte {start}, before {end}", "Check the source."
                        )
                    sink(buffer[:count])
                    start += count
        except OSError as error:
            raise self._failure(remote.path, error) from error

    def _missing(self, what: str) -> StoreError:
        return StoreError(Code.NOT_FOUND, f"{self.label} has no {what}", "Check the source's path in the manifest.")

    def _failure(self, path: str, error: OSError) -> StoreError:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return self._missing(path)
        if isinstance(error, PermissionError):
            return StoreError(Code.AUTH_FAIL, f"{path} may not be read", "Check the file's permissions.")
        return StoreError(Code.NETWORK, f"{path}: {error.strerror}", "Check the disk or the mount.")
