"""Loading a manifest: find it, know its schema version, read it, check it, verify its signature.

    bytes ─► TOML ─► schema version ─► entries ─► checks ─► (signature) ─► Manifest

`load` is the only way to get a Manifest, so whoever has one may rely on every rule of `check.py`.
"""

import hashlib
import tomllib
from pathlib import Path

from warmlane_modelstore.errors import Code, InvalidManifest, Problem, StoreError
from warmlane_modelstore.manifest.check import check_models
from warmlane_modelstore.manifest.entries import SCHEMA_VERSION, Manifest
from warmlane_modelstore.manifest.read import read_models, read_quotas

BUILT_IN = Path(__file__).with_name("models.toml")
SIGNATURE_SUFFIX = ".sig"


def load(path: Path | None = None, *, public_key: Path | None = None, require_signature: bool = False) -> Manifest:
    """The checked manifest at `path`, or the one that ships with the store.

    A signature (`models.toml.sig`) is verified when present, and must be present when required; the built-in manifest
    is part of the installed package and needs none.

    Raises:
        InvalidManifest: with every problem found.
        StoreError: NOT_FOUND, UNSUPPORTED_SCHEMA or SIGNATURE_FAIL.
    """
    chosen = path or BUILT_IN
    try:
        raw = chosen.read_bytes()
    except FileNotFoundError as error:
        raise StoreError(
            Code.NOT_FOUND,
            f"there is no manifest at {chosen}",
            "Set WAN_MODELS_MANIFEST to a models.toml, or unset it to use the built-in one.",
        ) from error
    except OSError as error:
        raise StoreError(Code.IO_FAIL, f"{chosen} cannot be read: {error.strerror}", "Check the file.") from error
    if path is not None:
        _verify_signature(path, public_key=public_key, required=require_signature)
    return parse(raw, origin=str(chosen))


def parse(raw: bytes, *, origin: str) -> Manifest:
    """The manifest in `raw`. Pure; the same errors as `load`."""
    try:
        document = tomllib.loads(raw.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidManifest(origin, [Problem("file", f"is not TOML: {error}")]) from error
    _check_schema_version(document.get("schema_version"), origin)
    problems: list[Problem] = []
    models = read_models(document, problems)
    quota, families = read_quotas(document, problems)
    # Values whose shape is wrong would only produce misleading follow-up problems.
    if not problems:
        check_models(models, problems)
    if problems:
        raise InvalidManifest(origin, problems)
    return Manifest(origin, hashlib.sha256(raw).hexdigest(), models, quota, families)


def _check_schema_version(version: object, origin: str) -> None:
    if version == SCHEMA_VERSION and not isinstance(version, bool):
        return
    if version is None:
        raise InvalidManifest(origin, [Problem("schema_version", f"is missing; this release reads {SCHEMA_VERSION}")])
    if isinstance(version, int) and version > SCHEMA_VERSION:
        guidance = "Install a newer Warmlane, or write the manifest for this one."
    else:
        guidance = f"Rewrite it as schema_version {SCHEMA_VERSION}: docs/operations/models.md, 'Manifest versions'."
    raise StoreError(
        Code.UNSUPPORTED_SCHEMA,
        f"{origin} has schema_version {version!r}; this release reads {SCHEMA_VERSION}",
        guidance,
    )


def _verify_signature(path: Path, *, public_key: Path | None, required: bool) -> None:
    signature = path.with_name(path.name + SIGNATURE_SUFFIX)
    if not signature.exists():
        if required:
            raise StoreError(
                Code.SIGNATURE_FAIL,
                f"{path} has no signature {signature.name}, and one is required",
                "Sign it with: wan models sign --manifest --private-key KEY.pem",
            )
        return
    # cryptography takes 40 ms to import: only where there is something to verify.
    from warmlane_modelstore.signing.manifest import verify_manifest_signature  # noqa: PLC0415

    verify_manifest_signature(path, signature, public_key)
