"""Output of the stack's processes: all of it to a rotated file each, what people want to see to the terminal.

Services write one JSON event per line; on a terminal such a line becomes `time service event key=value`. Lines of the
embedded servers go to their files only, unless asked for: their chatter is not the user's.
"""

import json
import zlib
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.text import Text

MAX_BYTES = 10 * 1024 * 1024
KEPT = 3
COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta")
LEVELS = {"warning": "yellow", "error": "red", "critical": "bold red", "debug": "dim"}
# Said in the prefix, or of no use to a person who watches.
HIDDEN = {"timestamp", "level", "event", "service", "logger", "pid"}


class RotatedFile:
    """Appends lines; at MAX_BYTES the file becomes `.1`, `.1` becomes `.2`, and so on to KEPT."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file: IO[bytes] = path.open("ab")

    def write(self, line: bytes) -> None:
        try:
            if self._file.tell() + len(line) > MAX_BYTES:
                self._rotate()
            self._file.write(line)
            self._file.flush()
        except OSError:
            # A full disk must not stop the supervisor: it is what keeps the rest alive until there is space again.
            return

    def last_lines(self, count: int) -> list[str]:
        text = self.path.read_bytes()[-16384:].decode(errors="replace")
        return [line for line in text.splitlines() if line.strip()][-count:]

    def close(self) -> None:
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        for n in range(KEPT - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{n}")
            if older.exists():
                older.replace(self.path.with_name(f"{self.path.name}.{n + 1}"))
        self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        self._file = self.path.open("ab")


class Screen:
    """Shows lines of the chosen processes on a terminal, coloured by process."""

    def __init__(self, console: Console, shown: frozenset[str]) -> None:
        self._console = console
        self._shown = shown
        self._width = max((len(name) for name in shown), default=0)

    def line(self, name: str, raw: bytes) -> None:
        if name in self._shown:
            prefix = Text(f"{name:<{self._width}} ", style=COLOURS[zlib.crc32(name.encode()) % len(COLOURS)])
            self._console.print(prefix + readable(raw.decode(errors="replace").rstrip()), soft_wrap=True)


def readable(line: str) -> Text:
    """A JSON event as one line for people; anything else as it is."""
    try:
        event = json.loads(line)
    except ValueError:
        return Text(line)
    if not isinstance(event, dict) or "event" not in event:
        return Text(line)
    time = str(event.get("timestamp", ""))[11:19]
    text = Text(f"{time} ", style="dim")
    text.append(str(event["event"]), style=LEVELS.get(str(event.get("level")), ""))
    for key, value in event.items():
        if key not in HIDDEN and value is not None:
            text.append(f" {key}=", style="dim")
            text.append(str(value))
    return text
