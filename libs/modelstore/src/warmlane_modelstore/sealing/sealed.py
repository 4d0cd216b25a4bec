r"""Encrypted weight files: AES-256-GCM in chunks, so that they stream, resume and prove themselves chunk by chunk.

    "WLSEAL1\\n" · u32 header length · header JSON · chunk 0 · chunk 1 · …     chunk = ciphertext + 16 bytes tag

Each file has a random key, wrapped in the header with the master key. A chunk's nonce is its number; its associated
data are the header, the number and whether it is the last, so chunks cannot be swapped, dropped or cut off unseen.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.sealing.keys import KEY_BYTES
from warmlane_modelstore.transfer.part import disk_error

MAGIC = b"WLSEAL1\n"
SUFFIX = ".sealed"
CHUNK_BYTES = 4 * 1024 * 1024
TAG_BYTES = 16
_WRAP_NONCE_BYTES = 12
_MAX_HEADER = 4096


def seal(source: Path, target: Path, master: bytes) -> str:
    """Encrypts `source` into `target`, synced; returns the sha256 of the encrypted file."""
    key = AESGCM.generate_key(KEY_BYTES * 8)
    wrap_nonce = os.urandom(_WRAP_NONCE_BYTES)
    size = source.stat().st_size
    header = json.dumps(
        {
            "chunk": CHUNK_BYTES,
            "size": size,
            "nonce": wrap_nonce.hex(),
            "key": AESGCM(master).encrypt(wrap_nonce, key, MAGIC).hex(),
        }
    ).encode()
    digest = hashlib.sha256()
    cipher = AESGCM(key)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with source.open("rb") as clear, target.open("wb") as file:
            for piece in (MAGIC, struct.pack("<I", len(header)), header):
                digest.update(piece)
                file.write(piece)
            for number, data in enumerate(_chunks(clear)):
                sealed = cipher.encrypt(_nonce(number), data, _bound(header, number, size))
                digest.update(sealed)
                file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise disk_error(error, target) from error
    return digest.hexdigest()


def unseal(source: Path, master: bytes) -> Iterator[bytes]:
    """The clear bytes, chunk by chunk. Raises KEY_MISSING for another key, CORRUPT for any changed bit."""
    with source.open("rb") as file:
        header, key, size, chunk = _open(file, source, master)
        cipher = AESGCM(key)
        for number in range(max(1, -(-size // chunk))):
            data = file.read(min(chunk, size - number * chunk) + TAG_BYTES)
            try:
                yield cipher.decrypt(_nonce(number), data, _bound(header, number, size))
            except InvalidTag as error:
                raise StoreError(
                    Code.CORRUPT, f"{source.name}: chunk {number} was changed", "Mend it with: wan models ensure"
                ) from error


def clear_size(source: Path) -> int:
    """The size of the clear content, from the header, without a key."""
    with source.open("rb") as file:
        return int(_header(file, source)[1]["size"])


def _open(file: BinaryIO, source: Path, master: bytes) -> tuple[bytes, bytes, int, int]:
    raw, header = _header(file, source)
    try:
        key = AESGCM(master).decrypt(bytes.fromhex(header["nonce"]), bytes.fromhex(header["key"]), MAGIC)
    except InvalidTag as error:
        raise StoreError(
            Code.KEY_MISSING, f"{source.name} was encrypted with another key", "Use the key it was encrypted with."
        ) from error
    return raw, key, int(header["size"]), int(header["chunk"])


def _header(file: BinaryIO, source: Path) -> tuple[bytes, dict[str, str]]:
    magic = file.read(len(MAGIC))
    length = file.read(4)
    if magic != MAGIC or len(length) != 4:  # noqa: PLR2004 - a u32
        raise StoreError(Code.CORRUPT, f"{source.name} is no sealed file", "Mend it with: wan models ensure")
    raw = file.read(min(_MAX_HEADER, struct.unpack("<I", length)[0]))
    try:
        header = json.loads(raw)
        header["key"], header["nonce"], header["size"], header["chunk"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(Code.CORRUPT, f"{source.name} has no header", "Mend it with: wan models ensure") from error
    return raw, header


def _chunks(clear: BinaryIO) -> Iterator[bytes]:
    """At least one, so that an empty file is authenticated as well."""
    data = clear.read(CHUNK_BYTES)
    yield data
    while data := clear.read(CHUNK_BYTES):
        yield data


def _nonce(number: int) -> bytes:
    return struct.pack(">IQ", 0, number)


def _bound(header: bytes, number: int, size: int) -> bytes:
    last = (number + 1) * CHUNK_BYTES >= size
    return header + struct.pack(">QB", number, last)
