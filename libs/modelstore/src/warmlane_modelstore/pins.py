"""Models an operator wants kept whatever collect thinks: one file per pin, with the reason."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from warmlane_modelstore.manifest.identity import ModelId
from warmlane_modelstore.places import Places, key_of


@dataclass(frozen=True, slots=True)
class Pin:
    """Who is pinned since when and why."""

    model: str
    reason: str
    since: str


class Pins:
    """Pins of one store. Pinning twice renews the reason; unpinning what is not pinned is no error."""

    def __init__(self, places: Places) -> None:
        self._directory = places.state("pins")

    def pin(self, model: ModelId, reason: str) -> Pin:
        made = Pin(str(model), reason, datetime.now(UTC).isoformat(timespec="seconds"))
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / key_of(model)).write_text(json.dumps({"reason": made.reason, "since": made.since}))
        return made

    def unpin(self, model: ModelId) -> bool:
        """Whether it was pinned."""
        path = self._directory / key_of(model)
        existed = path.exists()
        path.unlink(missing_ok=True)
        return existed

    def get(self, model: ModelId) -> Pin | None:
        try:
            raw = json.loads((self._directory / key_of(model)).read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            # A pin that cannot be read still protects.
            raw = {}
        return Pin(str(model), str(raw.get("reason", "")), str(raw.get("since", "")))
