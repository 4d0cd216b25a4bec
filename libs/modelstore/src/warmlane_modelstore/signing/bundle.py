"""OpenSSF model signing, version 1: the bundle format, written and read with `cryptography` alone.

    bundle (Sigstore v0.3 JSON) ─ DSSE envelope ─ in-toto Statement ─ predicate: one sha256 per file

The same bytes `model_signing sign key` makes and `model_signing verify key` accepts; the tests hold both directions
against that tool. Not the tool itself: it brings sigstore, protobuf and OIDC, 90 packages for two elliptic-curve calls
(docs/adr, "Model signatures").
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from warmlane_modelstore.errors import Code, StoreError

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"

_HASHES: dict[int, type[hashes.HashAlgorithm]] = {256: hashes.SHA256, 384: hashes.SHA384, 521: hashes.SHA512}


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed: a name and the sha256 of each file by its path (`.` for a single file)."""

    name: str
    digests: Mapping[str, str]
    ignored: tuple[str, ...] = ()
    allow_symlinks: bool = False

    def payload(self) -> bytes:
        """The in-toto statement, files in order of their path, the root digest over their digests."""
        names = sorted(self.digests)
        root = hashlib.sha256(b"".join(bytes.fromhex(self.digests[name]) for name in names)).hexdigest()
        document = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": self.name, "digest": {"sha256": root}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "serialization": {
                    "method": "files",
                    "hash_type": "sha256",
                    "allow_symlinks": self.allow_symlinks,
                    "ignore_paths": list(self.ignored),
                },
                "resources": [{"name": name, "algorithm": "sha256", "digest": self.digests[name]} for name in names],
            },
        }
        return json.dumps(document, indent=2).encode()


def sign(statement: Statement, private_key_pem: bytes) -> bytes:
    """The bundle as JSON. Raises SIGNATURE_FAIL for keys that are no elliptic-curve keys of P-256, P-384 or P-521."""
    try:
        key = serialization.load_pem_private_key(private_key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise _failure("the private key cannot be read; it must be an unencrypted PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _failure("the private key is no elliptic-curve key")
    payload = statement.payload()
    signature = key.sign(_encoded(payload), ec.ECDSA(_hash_of(key.public_key())))
    bundle = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": _hint(key.public_key())}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(bundle, indent=1).encode()


def verify(bundle: bytes, public_key_pem: bytes) -> Statement:
    """What the bundle's signature vouches for. Raises SIGNATURE_FAIL unless it is this key's and whole."""
    try:
        key = serialization.load_pem_public_key(public_key_pem)
    except ValueError as error:
        raise _failure("the public key cannot be read; it must be a PEM") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise _failure("the public key is no elliptic-curve key")
    payload, signature, hint = _open(bundle)
    if hint and hint != _hint(key):
        raise _failure("it was made with another key than the configured one")
    try:
        key.verify(signature, _encoded(payload), ec.ECDSA(_hash_of(key)))
    except InvalidSignature as error:
        raise _failure("the signature does not fit its content") from error
    return _statement(payload)


def _open(bundle: bytes) -> tuple[bytes, bytes, str]:
    try:
        document = json.loads(bundle)
        envelope = document["dsseEnvelope"]
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise _failure("its payload is no in-toto statement")
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
        hint = document["verificationMaterial"].get("publicKey", {}).get("hint", "")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, binascii.Error) as error:
        raise _failure("it is no signature bundle") from error
    return payload, signature, str(hint)


def _statement(payload: bytes) -> Statement:
    try:
        document = json.loads(payload)
        if document["predicateType"] != PREDICATE_TYPE:
            raise _failure("it is about something else than a model")
        subject = document["subject"][0]
        resources = document["predicate"]["resources"]
        if any(resource["algorithm"] != "sha256" for resource in resources):
            raise _failure("it uses another hash than sha256")
        statement = Statement(
            name=subject["name"],
            digests={resource["name"]: resource["digest"] for resource in resources},
            ignored=tuple(document["predicate"]["serialization"].get("ignore_paths", ())),
        )
        root = hashlib.sha256(b"".join(bytes.fromhex(resource["digest"]) for resource in resources)).hexdigest()
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise _failure("its statement cannot be read") from error
    if root != subject["digest"]["sha256"]:
        raise _failure("its root digest does not fit its files")
    return statement


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding, version 1."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _hash_of(key: ec.EllipticCurvePublicKey) -> hashes.HashAlgorithm:
    try:
        return _HASHES[key.curve.key_size]()
    except KeyError as error:
        raise _failure(f"keys of {key.curve.key_size} bits are not used in model signing") from error


def _hint(key: ec.EllipticCurvePublicKey) -> str:
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _failure(what: str) -> StoreError:
    return StoreError(
        Code.SIGNATURE_FAIL,
        f"signature refused: {what}",
        "Check WAN_MODELS_PUBLIC_KEY and who made the signature; sign anew with: wan models sign.",
    )


def read_key(path: Path) -> bytes:
    """A PEM file. Raises SIGNATURE_FAIL when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _failure(f"the key {path} cannot be read ({error.strerror})") from error
