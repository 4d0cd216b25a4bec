"""How a figure is printed and kept."""

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value beside its peer's, from `n` samples."""

    name: str
    value: float
    unit: str
    n: int
    peer: str | None = None
    peer_value: float | None = None

    def keep(self) -> None:
        """Print one line and write the JSON file."""
        ratio = round(self.value / self.peer_value, 3) if self.peer_value else None
        beside = f"   {self.peer}: {self.peer_value:.4g} {self.unit}, ratio {ratio}" if ratio is not None else ""
        print(f"{self.name:32} {self.value:10.4g} {self.unit:12} n={self.n}{beside}", flush=True)
        RESULTS.mkdir(exist_ok=True)
        record = asdict(self) | {"ratio": ratio, "machine": machine(), "date": datetime.now(UTC).date().isoformat()}
        (RESULTS / f"{self.name}.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")


def machine() -> str:
    """Return what the figures were taken on, without naming the host."""
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


def quantile(samples: list[float], q: float) -> float:
    """Return the q-quantile (0 to 1) of the samples, by the nearest rank."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))]
