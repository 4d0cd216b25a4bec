"""Reading a range over HTTP, the same for S3, the hub and plain URLs."""

from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.sources.base import READ_BYTES, RemoteFile, Sink
from warmlane_modelstore.transfer.http import Response, raise_for_status

_PARTIAL = 206


def range_header(start: int, end: int) -> str:
    return f"bytes={start}-{end - 1}"


def drain(response: Response, remote: RemoteFile, start: int, end: int, sink: Sink) -> None:
    """The body of an answer to a ranged GET, checked to be the range that was asked for of the file that was meant."""
    with response:
        raise_for_status(response, remote.path)
        _check_range(response, remote, start, end)
        buffer = memoryview(bytearray(min(READ_BYTES, max(1, end - start))))
        left = end - start
        while left:
            count = response.readinto(buffer[: min(len(buffer), left)])
            if not count:
                raise StoreError(Code.NETWORK, f"{remote.path}: {left} bytes short", "Try again.")
            sink(buffer[:count])
            left -= count
        # Reading to the end is what gives the connection back.
        response.read(1)


def _check_range(response: Response, remote: RemoteFile, start: int, end: int) -> None:
    if response.status != _PARTIAL:
        # A server without ranges may still serve a whole file.
        if start == 0 and end == remote.size and response.headers.get("content-length") == str(end):
            return
        raise StoreError(
            Code.NETWORK, f"{remote.path}: the source does not serve ranges ({response.status})", "Use another source."
        )
    unit, _, rest = response.headers.get("content-range", "").partition(" ")
    span, _, total = rest.partition("/")
    if unit != "bytes" or span != f"{start}-{end - 1}" or total not in {str(remote.size), "*"}:
        raise StoreError(
            Code.CHECKSUM_FAIL,
            f"{remote.path} is {total or '?'} bytes at the source, expected {remote.size}",
            "The manifest or the source is wrong about this file.",
        )
