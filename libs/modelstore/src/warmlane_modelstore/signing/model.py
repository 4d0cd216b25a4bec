"""A published model's signature: over the hashes its record holds, so signing takes no second reading of 126 GB.

`wan models verify` first if the disk is in doubt; what is signed is what was verified at the time the record tells.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.places import RECORD_NAME
from warmlane_modelstore.record import Record
from warmlane_modelstore.signing.bundle import Statement, sign, verify

# The record is ours and changes with every verify; the rest is what the reference tool ignores.
IGNORED = (RECORD_NAME, ".git", ".gitattributes", ".github", ".gitignore")


def sign_record(record: Record, private_key_pem: bytes) -> bytes:
    """The bundle for a model as recorded. Raises CORRUPT when a verify found bad files."""
    bad = [file.path for file in record.files if file.bad]
    if bad:
        raise StoreError(Code.CORRUPT, f"{record.id} has bad files: {', '.join(bad[:3])}", "Mend it with ensure first.")
    digests = {file.path: file.sha256 for file in record.files}
    linked = any(file.link == "symbolic" for file in record.files)
    return sign(Statement(record.id, digests, IGNORED, allow_symlinks=linked), private_key_pem)


def check_record(record: Record, bundle: bytes, public_key_pem: bytes) -> None:
    """Returns when the bundle vouches for exactly the recorded files. Raises SIGNATURE_FAIL otherwise."""
    signed = verify(bundle, public_key_pem).digests
    have = {file.path: file.sha256 for file in record.files}
    if signed != have:
        changed = sorted(path for path in signed.keys() | have.keys() if signed.get(path) != have.get(path))
        raise StoreError(
            Code.SIGNATURE_FAIL,
            f"{record.id} is not what was signed: {', '.join(changed[:3])}",
            "Fetch it again from its source, or have it signed anew.",
        )


def check_published(record: Record, *, bundles: Sequence[Path], public_key: Path | None, required: bool) -> None:
    """Returns when the first bundle that is there vouches for a published model, or none is there and none is required.

    Without a public key a bundle proves nothing: it is not looked at, and where one is required that is a failure. Raises
    SIGNATURE_FAIL.
    """
    found = next((bundle for bundle in bundles if bundle.is_file()), None)
    if found is not None and public_key is not None:
        # A bundle that came with the model vouches for the rest of it.
        files = tuple(file for file in record.files if file.path != found.name)
        check_record(replace(record, files=files), found.read_bytes(), public_key.read_bytes())
    elif required:
        missing = "no public key is configured" if found is not None else "nothing vouches for it"
        raise StoreError(
            Code.SIGNATURE_FAIL,
            f"{record.id} has to be signed and {missing}",
            "Set WAN_MODELS_PUBLIC_KEY and sign it with: wan models sign, or do not demand signatures.",
        )
