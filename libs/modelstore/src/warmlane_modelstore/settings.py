"""How one process uses the store: read once from the environment, handed down in parts.

MODELS_ROOT                     where models lie (default ~/.local/share/warmlane/models)
WAN_MODELS_MANIFEST             the manifest; unset: the built-in one
WAN_MODELS_PROFILE              dev, prod …: which variant a model's `profiles` picks
WAN_MODELS_PUBLIC_KEY           PEM that manifest signatures are checked with
WAN_MODELS_REQUIRE_SIGNATURE    1: refuse an unsigned manifest
WAN_MODELS_REQUIRE_MODEL_SIGNATURE  1: refuse a model that no signature vouches for
WAN_MODELS_STREAMS              connections at once (default 4)
WAN_MODELS_BANDWIDTH            bytes per second at most, all streams together
WAN_MODELS_TRIES                failures in a row before a source is given up (default 5)
WAN_MODELS_MARGIN               bytes kept free on the volume (default 5 %, at most 2 GiB)
WAN_MODELS_QUOTA                bytes the store may use (default: the manifest's)
WAN_MODELS_ACCEPT_LICENSES      licence names (SPDX), comma separated, that need acceptance
WAN_MODELS_FEATURES             switches for gradual adoption, comma separated:
                                encrypt      publish weights encrypted
                                legacy-read  use WAN_MODELS_LEGACY_ROOT/<model> while the store has no complete one
WAN_MODELS_LEGACY_ROOT          the older models folder
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from warmlane_modelstore.errors import Code, StoreError

FEATURES = frozenset({"encrypt", "legacy-read"})


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Frozen; sizes in bytes."""

    root: Path
    manifest: Path | None = None
    profile: str | None = None
    public_key: Path | None = None
    require_signature: bool = False
    require_model_signature: bool = False
    streams: int = 4
    tries: int = 5
    bandwidth: int | None = None
    margin: int | None = None
    quota: int | None = None
    accepted_licenses: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    legacy_root: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    home: Path = field(default_factory=Path.home)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "StoreSettings":
        """Raises StoreError INVALID_MANIFEST-like usage errors for values that cannot be read."""
        home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - honours the mapping first
        root = environ.get("MODELS_ROOT")
        return cls(
            root=Path(root) if root else home / ".local" / "share" / "warmlane" / "models",
            manifest=_path(environ, "WAN_MODELS_MANIFEST"),
            profile=environ.get("WAN_MODELS_PROFILE") or None,
            public_key=_path(environ, "WAN_MODELS_PUBLIC_KEY"),
            require_signature=environ.get("WAN_MODELS_REQUIRE_SIGNATURE", "") in {"1", "true", "yes"},
            require_model_signature=environ.get("WAN_MODELS_REQUIRE_MODEL_SIGNATURE", "") in {"1", "true", "yes"},
            streams=_number(environ, "WAN_MODELS_STREAMS") or 4,
            tries=_number(environ, "WAN_MODELS_TRIES") or 5,
            bandwidth=_number(environ, "WAN_MODELS_BANDWIDTH"),
            margin=_number(environ, "WAN_MODELS_MARGIN"),
            quota=_number(environ, "WAN_MODELS_QUOTA"),
            accepted_licenses=_names(environ, "WAN_MODELS_ACCEPT_LICENSES"),
            features=_features(environ),
            legacy_root=_path(environ, "WAN_MODELS_LEGACY_ROOT"),
            environ=environ,
            home=home,
        )


def _path(environ: Mapping[str, str], key: str) -> Path | None:
    return Path(environ[key]) if environ.get(key) else None


def _number(environ: Mapping[str, str], key: str) -> int | None:
    text = environ.get(key)
    if not text:
        return None
    if not text.isdigit():
        raise StoreError(Code.INVALID_MANIFEST, f"{key} is {text!r}", "Give a whole number of bytes, or unset it.")
    return int(text)


def _names(environ: Mapping[str, str], key: str) -> frozenset[str]:
    return frozenset(name.strip() for name in environ.get(key, "").split(",") if name.strip())


def _features(environ: Mapping[str, str]) -> frozenset[str]:
    names = _names(environ, "WAN_MODELS_FEATURES")
    unknown = names - FEATURES
    if unknown:
        raise StoreError(
            Code.INVALID_MANIFEST,
            f"WAN_MODELS_FEATURES names {', '.join(sorted(unknown))}",
            f"There are: {', '.join(sorted(FEATURES))}.",
        )
    return names
