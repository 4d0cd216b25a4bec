"""A first sign of life: the right components, an estimate of memory, one or two denoise steps at 128x128.

The store checks and the lane generates: engines live above the store and are reached by the entry point group
`warmlane.smoke`, which the lane environment provides. Where there is none, `--check-only` still checks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.publish import check_components
from warmlane_modelstore.record import Record
from warmlane_modelstore.resolver import Resolved
from warmlane_modelstore.vram import Size, estimate

GROUP = "warmlane.smoke"
SIZE = Size(width=128, height=128, frames=9)

# (model name, directory, steps, engine or None) → the file that was made
Generate = Callable[[str, Path, int, str | None], Path]


@dataclass(frozen=True, slots=True)
class Checked:
    """A model that may be loaded: what it consists of, and what it would take."""

    components: tuple[str, ...]
    vram_bytes: int | None


def check(resolved: Resolved, record: Record) -> Checked:
    """Raises CORRUPT unless exactly the components its type needs are there (no image encoder for t2v)."""
    check_components(resolved, [file.path for file in record.files])
    components = sorted({file.component for file in record.files if file.component})
    return Checked(tuple(components), estimate(resolved.model, resolved.variant, SIZE))


def generator() -> Generate:
    """The lane's side. Raises SMOKE_FAIL where no lane is installed."""
    for found in entry_points(group=GROUP):
        loaded: Generate = found.load()
        return loaded
    raise StoreError(
        Code.SMOKE_FAIL,
        "no lane engine is installed in this environment",
        "Run it in the lane's environment, or use --check-only.",
    )
