"""safetensors files as a stream: names and places from the header, bytes in pieces, never a whole tensor in memory.

8 bytes little-endian header length · JSON header (dtype, shape, offsets) · data
"""

import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.transfer.part import disk_error

_MAX_HEADER = 100 * 1024 * 1024
# Elements per piece are a multiple of this, so that every dtype's pieces end between elements.
PIECE_BYTES = 8 * 1024 * 1024

ITEM_BYTES = {
    "F64": 8,
    "I64": 8,
    "U64": 8,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file: what it is and where its bytes lie, counted from the start of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def count(self) -> int:
        count = 1
        for dimension in self.shape:
            count *= dimension
        return count


class TensorFile:
    """An opened safetensors file. Raises CONVERT_FAIL when it is none, or shorter than its header says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb", buffering=0)
        try:
            self.tensors, self.metadata = _read_header(path, self._file.read, path.stat().st_size)
        except BaseException:
            self._file.close()
            raise

    def pieces(self, tensor: Tensor, piece_bytes: int = PIECE_BYTES) -> Iterator[memoryview]:
        """The tensor's bytes in order; each piece is valid until the next one is asked for."""
        buffer = memoryview(bytearray(min(piece_bytes, max(1, tensor.end - tensor.start))))
        self._file.seek(tensor.start)
        left = tensor.end - tensor.start
        while left:
            wanted = min(len(buffer), left)
            filled = 0
            while filled < wanted:
                count = self._file.readinto(buffer[filled:wanted])
                if not count:
                    raise _broken(self.path, f"ends inside {tensor.name}")
                filled += count
            left -= wanted
            yield buffer[:wanted]

    def read(self, tensor: Tensor) -> bytes:
        """A small tensor whole."""
        return b"".join(bytes(piece) for piece in self.pieces(tensor))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read_header(
    path: Path, read: Callable[[int], bytes | None], size: int
) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        (length,) = struct.unpack("<Q", read(8) or b"")
        if length > min(_MAX_HEADER, size):
            raise _broken(path, "has no safetensors header")
        header = json.loads(read(length) or b"")
        metadata = header.pop("__metadata__", None) or {}
        data = 8 + length
        tensors = {
            name: Tensor(name, entry["dtype"], tuple(entry["shape"]), *(data + o for o in entry["data_offsets"]))
            for name, entry in header.items()
        }
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(path, "has no safetensors header") from error
    for tensor in tensors.values():
        if tensor.dtype not in ITEM_BYTES:
            raise _broken(path, f"holds {tensor.name} as {tensor.dtype}, which is not known here")
        if tensor.end - tensor.start != tensor.count * ITEM_BYTES[tensor.dtype] or tensor.end > size:
            raise _broken(path, f"is cut off or wrong about {tensor.name}")
    return tensors, {str(key): str(value) for key, value in metadata.items()}


def _broken(path: Path, what: str) -> StoreError:
    return StoreError(
        Code.CONVERT_FAIL, f"{path.name} {what}", "The source's file is broken; correct the manifest's source or hash."
    )


@dataclass(frozen=True, slots=True)
class Outline:
    """A tensor to be written."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        count = ITEM_BYTES[self.dtype]
        for dimension in self.shape:
            count *= dimension
        return count


class TensorWriter:
    """Writes one file whose tensors are known beforehand, in their order; hashes on the way."""

    def __init__(self, path: Path, outlines: Sequence[Outline]) -> None:
        """The header is written now: with the same outlines it is always the same bytes."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._digest = hashlib.sha256()
        self._due = sum(outline.size for outline in outlines)
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        offset = 0
        for outline in outlines:
            span = [offset, offset + outline.size]
            header[outline.name] = {"dtype": outline.dtype, "shape": list(outline.shape), "data_offsets": span}
            offset = span[1]
        encoded = json.dumps(header, separators=(",", ":")).encode()
        # Data starts at a multiple of 8, as loaders that map the file expect.
        encoded += b" " * (-len(encoded) % 8)
        self.size = 8 + len(encoded) + self._due
        self._file = path.open("wb", buffering=0)
        self._put(struct.pack("<Q", len(encoded)) + encoded)

    def write(self, data: bytes | memoryview) -> None:
        """The next bytes of the tensors, in their order."""
        self._due -= len(data)
        self._put(data)

    def _put(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        self._digest.update(view)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise disk_error(error, self.path) from error

    def finish(self) -> str:
        """The file's sha256; the bytes are on the disk when it returns. Raises ValueError when bytes are missing."""
        if self._due:
            raise ValueError(f"{self._due} bytes of {self.path.name} were not written")
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise disk_error(error, self.path) from error
        self._file.close()
        return self._digest.hexdigest()

    def abandon(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)
