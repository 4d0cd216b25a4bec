"""An uploaded picture, as its owner and the tasks that name it know it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Asset:
    """An uploaded picture."""

    asset_id: str
    owner: str
    key: str
    sha256: str
    content_type: str
    bytes: int
    width: int
    height: int
    created_at: datetime | None = None
