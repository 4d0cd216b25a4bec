"""The manifest's signature: `models.toml.sig` beside it, over the one file."""

import hashlib
from pathlib import Path

from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.signing.bundle import Statement, read_key, sign, verify

# How model signing names the one file when a file and not a directory is signed.
_ITSELF = "."


def sign_manifest(path: Path, private_key: Path) -> bytes:
    """The bundle for a manifest."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return sign(Statement(path.name, {_ITSELF: digest}), read_key(private_key))


def verify_manifest_signature(path: Path, signature: Path, public_key: Path | None) -> None:
    """Returns when the signature is the key's and over exactly these bytes. Raises SIGNATURE_FAIL otherwise."""
    if public_key is None:
        raise StoreError(
            Code.SIGNATURE_FAIL,
            f"{path} is signed, and there is no key to check it with",
            "Set WAN_MODELS_PUBLIC_KEY to the signer's public key (PEM), or remove the signature.",
        )
    statement = verify(signature.read_bytes(), read_key(public_key))
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if statement.digests != {_ITSELF: actual}:
        raise StoreError(
            Code.SIGNATURE_FAIL,
            f"{path} is not the manifest that was signed",
            "Somebody changed it after it was signed: restore it, or sign it anew with: wan models sign --manifest.",
        )
