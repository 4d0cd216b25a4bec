"""Where the key of encrypted weights comes from: a command (a KMS client), else the keyring or file of the vault.

    WAN_MODELS_KEY_COMMAND   run without a shell; prints the key as base64 on standard output
    credentials "encryption" token = base64 of 32 bytes, found like every other credential

The key never encrypts weights: each file has a random key of its own, wrapped with this one. So a new master key
means wrapping headers anew, not reading terabytes.
"""

import base64
import binascii
import shlex
import subprocess
from collections.abc import Mapping

from warmlane_modelstore.credentials import Vault
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.masking import Masker

KEY_BYTES = 32
CREDENTIAL = "encryption"
_COMMAND_S = 30


def master_key(environ: Mapping[str, str], vault: Vault, masker: Masker) -> bytes:
    """32 bytes. Raises KEY_MISSING saying where a key can be put."""
    command = environ.get("WAN_MODELS_KEY_COMMAND")
    found = vault.find(CREDENTIAL)
    text = _from_command(command) if command else (found.token if found else None)
    if not text:
        raise StoreError(
            Code.KEY_MISSING,
            "weights are encrypted at rest, and there is no key",
            f"Put it in the keyring or WAN_MODELS_CREDENTIALS as {CREDENTIAL!r}, or set WAN_MODELS_KEY_COMMAND.",
        )
    masker.learn(text)
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        # Chained to nothing: the cause would quote the key.
        raise StoreError(
            Code.KEY_MISSING, "the encryption key is not base64 of 32 bytes", "Make one with: openssl rand -base64 32"
        ) from None
    return key


def _from_command(command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command, split here, never by a shell
            shlex.split(command), capture_output=True, text=True, timeout=_COMMAND_S, check=True
        )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise StoreError(
            Code.KEY_MISSING,
            f"WAN_MODELS_KEY_COMMAND failed ({type(error).__name__})",
            "Run the command by hand to see why; it must print the key as base64.",
        ) from None
    return done.stdout.strip()
