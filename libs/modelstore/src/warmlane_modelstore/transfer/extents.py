"""Which bytes of a file are there: a set of half-open ranges, kept merged and sorted. Pure."""

from bisect import bisect_left, insort
from collections.abc import Iterator

Range = tuple[int, int]


class Extents:
    """Adding is idempotent and order does not matter; overlapping and touching ranges become one."""

    def __init__(self) -> None:
        self._ranges: list[Range] = []

    def add(self, start: int, end: int) -> None:
        if start >= end:
            return
        first = bisect_left(self._ranges, (start, start))
        if first and self._ranges[first - 1][1] >= start:
            first -= 1
        last = first
        while last < len(self._ranges) and self._ranges[last][0] <= end:
            start, end = min(start, self._ranges[last][0]), max(end, self._ranges[last][1])
            last += 1
        del self._ranges[first:last]
        insort(self._ranges, (start, end))

    @property
    def total(self) -> int:
        return sum(end - start for start, end in self._ranges)

    def covered_from(self, start: int) -> int:
        """How far the bytes reach without a gap, counted from `start`; `start` itself when that byte is missing."""
        for low, high in self._ranges:
            if low <= start < high:
                return high
        return start

    def missing(self, size: int, step: int) -> Iterator[Range]:
        """What is not there of 0…size, cut at multiples of `step`, in order."""
        position = 0
        for low, high in [*self._ranges, (size, size)]:
            while position < low:
                end = min(low, (position // step + 1) * step)
                yield position, end
                position = end
            position = max(position, high)

    def __iter__(self) -> Iterator[Range]:
        return iter(self._ranges)
