"""sha256 of a file whose ranges arrive out of order, without reading it all again at the end.

Bytes that arrive at the frontier are hashed from the buffer they came in; the rest is read back, mostly from the page
cache, as soon as the gap before it closes. Hashing releases the interpreter lock, so streams go on meanwhile.
"""

import hashlib
import threading
from collections.abc import Callable

_BUFFER_BYTES = 1024 * 1024


class OrderedDigest:
    """Thread-safe. `read_at(offset, buffer)` must give bytes that have been written before."""

    def __init__(self, read_at: Callable[[int, memoryview], int], size: int) -> None:
        self._read_at = read_at
        self._size = size
        self._hash = hashlib.sha256()
        self._lock = threading.Lock()
        self._buffer: memoryview | None = None
        self.position = 0

    def offer(self, offset: int, view: memoryview) -> None:
        """Takes bytes just written if they are the next ones and nobody else is hashing; else leaves them for later."""
        if offset == self.position and self._lock.acquire(blocking=False):
            try:
                if offset == self.position:
                    self._hash.update(view)
                    self.position += len(view)
            finally:
                self._lock.release()

    def advance(self, reach: int, *, wait: bool = False) -> None:
        """Hashes on to `reach`, where all bytes before it are written; does nothing while another thread hashes, unless `wait`."""
        if not self._lock.acquire(blocking=wait):
            return
        try:
            if self._buffer is None and self.position < reach:
                self._buffer = memoryview(bytearray(_BUFFER_BYTES))
            while self.position < reach:
                assert self._buffer is not None  # noqa: S101 - set above
                want = min(len(self._buffer), reach - self.position)
                count = self._read_at(self.position, self._buffer[:want])
                if count <= 0:
                    raise OSError(f"unexpected end at byte {self.position}")
                self._hash.update(self._buffer[:count])
                self.position += count
        finally:
            self._lock.release()

    def hexdigest(self) -> str:
        """Raises ValueError while bytes are missing."""
        if self.position != self._size:
            raise ValueError(f"hashed {self.position} of {self._size} bytes")
        return self._hash.hexdigest()
