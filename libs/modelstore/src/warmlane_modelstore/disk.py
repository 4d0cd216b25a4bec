"""Whether there is room, asked before the first byte: free space less a margin, and the quotas.

What other running ensures have still to write counts as gone, or two of them would each pass and both run full.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from warmlane_modelstore.errors import Code, StoreError

_MARGIN_SHARE = 0.05
_MARGIN_MOST = 2 * 1024**3
_KILO = 1000


@dataclass(frozen=True, slots=True)
class Room:
    """The volume of MODELS_ROOT at one moment, in bytes. `promised` is what others are still writing."""

    total: int
    free: int
    promised: int
    margin: int

    @property
    def usable(self) -> int:
        return max(0, self.free - self.promised - self.margin)


def measure(root: Path, *, promised: int, margin: int | None) -> Room:
    """`margin` None means 5 % of the volume, at most 2 GiB."""
    usage = shutil.disk_usage(root)
    chosen = min(int(usage.total * _MARGIN_SHARE), _MARGIN_MOST) if margin is None else margin
    return Room(usage.total, usage.free, promised, chosen)


def require_room(room: Room, needed: int, what: str) -> None:
    """Raises NO_SPACE with the figures and the command that helps, unless `needed` bytes fit."""
    if needed <= room.usable:
        return
    short = needed - room.usable
    promised = f", {human(room.promised)} promised to downloads in progress" if room.promised else ""
    raise StoreError(
        Code.NO_SPACE,
        f"{what} needs {human(needed)}; {human(room.free)} are free{promised}, {human(room.margin)} are kept as margin: "
        f"{human(short)} short",
        f"Make room with: wan models gc --free {short}; see what it would remove with --dry-run.",
    )


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit and what counts against it, for the whole store (`family` None) or one family."""

    family: str | None
    limit: int
    used: int


def require_quota(quota: Quota, needed: int, what: str) -> None:
    """Raises QUOTA_EXCEEDED unless `needed` more bytes stay within the limit."""
    if quota.used + needed <= quota.limit:
        return
    short = quota.used + needed - quota.limit
    of = f"the family {quota.family}" if quota.family else "the model store"
    family = f" --family {quota.family}" if quota.family else ""
    raise StoreError(
        Code.QUOTA_EXCEEDED,
        f"{what} needs {human(needed)}; {of} uses {human(quota.used)} of its quota {human(quota.limit)}",
        f"Make room with: wan models gc --free {short}{family}; or raise the quota in the manifest.",
    )


def human(count: int) -> str:
    """Bytes as people read them: 69.0 GB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < _KILO:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _KILO
    return f"{value:.1f} TB"
