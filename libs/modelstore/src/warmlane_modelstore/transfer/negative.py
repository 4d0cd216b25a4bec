"""Remembering what failed, so that a source that is down or refuses us is not asked again by every lane every second.

Kept in `.state/negative.json` and shared by all processes of a node; the delay doubles with each failure in a row and
one success clears it. Losing the file costs a few extra requests, so writes are not synced and races are tolerated.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from warmlane_modelstore.errors import Attempt, Code, StoreError

_FIRST_S = {
    Code.NETWORK: 2.0,
    Code.RATE_LIMIT: 10.0,
    Code.AUTH_FAIL: 20.0,
    Code.NOT_FOUND: 20.0,
    Code.CHECKSUM_FAIL: 20.0,
}
_LONGEST_S = 600.0


class NegativeCache:
    """Failures per source (refused, unreachable) and per file of a source (missing, corrupt)."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def blocked(self, source: str, file: str) -> Attempt | None:
        """Why that source shall not be asked for that file now, or None."""
        entries = self._load()
        now = self._clock()
        for key in (source, f"{source}|{file}"):
            entry = entries.get(key)
            until = entry.get("until", 0.0) if entry else 0.0
            if entry and isinstance(until, float) and now < until:
                left = until - now
                return Attempt(
                    source,
                    file,
                    Code(str(entry["code"])),
                    f"not asked: failed just now, again in {left:.0f} s (or --fresh)",
                    tries=0,
                )
        return None

    def failed(self, source: str, file: str, error: StoreError) -> None:
        first = _FIRST_S.get(error.code)
        if first is None:
            return
        key = f"{source}|{file}" if error.code in {Code.NOT_FOUND, Code.CHECKSUM_FAIL} else source
        entries = self._load()
        count = int(str(entries.get(key, {}).get("count", 0))) + 1
        delay = max(min(_LONGEST_S, first * 2.0 ** (count - 1)), error.retry_after_s or 0.0)
        entries[key] = {"until": self._clock() + delay, "code": str(error.code), "count": count}
        self._save(entries)

    def succeeded(self, source: str, file: str) -> None:
        entries = self._load()
        if entries.pop(source, None) or entries.pop(f"{source}|{file}", None):
            self._save(entries)

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)

    def _load(self) -> dict[str, dict[str, object]]:
        try:
            raw = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return {str(k): dict(v) for k, v in raw.items() if isinstance(v, dict)} if isinstance(raw, dict) else {}

    def _save(self, entries: dict[str, dict[str, object]]) -> None:
        now = self._clock()
        # What ended long ago says nothing any more.
        kept = {k: v for k, v in entries.items() if float(str(v.get("until", 0))) > now - 2 * _LONGEST_S}
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(kept))
            temporary.replace(self._path)
        except OSError:  # a cache; a full disk shall not fail the work for it
            temporary.unlink(missing_ok=True)
