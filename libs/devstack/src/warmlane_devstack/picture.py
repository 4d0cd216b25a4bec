"""A picture drawn with the standard library: the demo brings its own reference image."""

import math
import struct
import zlib


def sunset(width: int, height: int) -> bytes:
    """A PNG: sky that turns from blue to orange, a sun, and dark waves."""
    rows = (b"\0" + b"".join(bytes(colour(x, y, width, height)) for x in range(width)) for y in range(height))
    return png(width, height, b"".join(rows))


def colour(x: int, y: int, width: int, height: int) -> tuple[int, int, int]:
    horizon = 0.65 * height
    if y > horizon + 4 * math.sin(x / 9):
        return 20, 40, 70 + int(50 * (height - y) / height)
    if math.hypot(x - 0.5 * width, y - 0.55 * height) < 0.16 * height:
        return 255, 236, 170
    down = y / horizon
    return int(70 + 180 * down), int(100 + 60 * down), int(190 - 110 * down)


def png(width: int, height: int, rows: bytes) -> bytes:
    """An 8-bit RGB PNG of rows that each begin with their filter byte (PNG specification, third edition, 5 and 11.2)."""
    header = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
