"""What a person may choose about a stack."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DEFAULT_PORT = 8700


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """The options of `warmlane up`. `port` None: the usual one, or a free one when that is taken."""

    data: Path
    port: int | None = None
    without: frozenset[str] = frozenset()
    engine: Literal["tiny", "real"] = "tiny"
    models_root: Path | None = None
    external_nats: str | None = None
    external_postgres: str | None = None
    external_s3: str | None = None
    verbose: bool = False
