"""Reading and writing at an offset without moving a shared position; on Windows, which has no pwrite, under a lock."""

import os
import sys
import threading

_LOCK = threading.Lock()


def write_at(fd: int, view: memoryview, offset: int) -> None:
    """Writes all of `view`."""
    while view:
        if sys.platform == "win32":
            with _LOCK:
                os.lseek(fd, offset, os.SEEK_SET)
                written = os.write(fd, view)
        else:
            written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def read_at(fd: int, buffer: memoryview, offset: int) -> int:
    """Fills `buffer` as far as one call does; 0 at the end of the file."""
    if sys.platform == "win32":
        with _LOCK:
            os.lseek(fd, offset, os.SEEK_SET)
            data = os.read(fd, len(buffer))
        buffer[: len(data)] = data
        return len(data)
    return os.preadv(fd, [buffer], offset)
