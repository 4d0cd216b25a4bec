"""The secrets of a stack, each made once per data folder.

The API key has the form that the gateway accepts (`wl_<id>_<secret>_<checksum>`, see its domain/apikey.py). It is made
here because the gateway is told which key shall exist before it runs; a test proves that both agree.
"""

import secrets
import zlib
from collections.abc import Callable, Mapping
from functools import partial

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
ID_LENGTH, SECRET_LENGTH, CHECKSUM_LENGTH = 12, 32, 6


def api_key() -> str:
    body = f"wl_{letters(ID_LENGTH)}_{letters(SECRET_LENGTH)}"
    check = zlib.crc32(body.encode())
    shifts = range(5 * (CHECKSUM_LENGTH - 1), -1, -5)
    return f"{body}_{''.join(ALPHABET[check >> shift & 31] for shift in shifts)}"


def letters(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


SECRETS: Mapping[str, Callable[[], str]] = {
    "api_key": api_key,
    "admin_key": lambda: f"wla_{secrets.token_hex(20)}",
    "nats_password": partial(secrets.token_hex, 16),
    "postgres_password": partial(secrets.token_hex, 16),
    "s3_access_key": partial(secrets.token_hex, 10),
    "s3_secret_key": partial(secrets.token_hex, 20),
}
