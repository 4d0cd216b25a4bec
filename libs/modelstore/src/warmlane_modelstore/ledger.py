"""What a running ensure has finished: one line per file, so that a killed one knows its work.

A line is written before the blob gets its name, so a blob is referenced from the moment it exists and no sweep takes
it. The ledger is deleted when the record is published; both together are what references blobs.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Finished:
    """A file whose bytes lie in the blob store.

    `raw` marks one that is converted and not published; `consumed` one that has been, so that its blob may be gone.
    """

    path: str
    size: int
    sha256: str
    how: str
    source: str
    raw: bool = False
    consumed: bool = False

    @property
    def key(self) -> str:
        """A converted file often has the very path of its raw one."""
        return ledger_key(self.path, raw=self.raw)


def ledger_key(path: str, *, raw: bool) -> str:
    return f"raw:{path}" if raw else path


class Ledger:
    """Append-only, one writer (the holder of the model's lease)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, finished: Finished) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(finished)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> dict[str, Finished]:
        """By `ledger_key`; the latest line wins and a torn one is ignored."""
        found: dict[str, Finished] = {}
        try:
            lines = self.path.read_text().splitlines()
        except OSError:
            return found
        for line in lines:
            try:
                finished = Finished(**json.loads(line))
            except (ValueError, TypeError):
                continue
            found[finished.key] = finished
        return found

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)
