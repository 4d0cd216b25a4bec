"""The secrets of a stack, each made once per data folder. The gateway is told which API key shall exist."""

import secrets
from collections.abc import Callable, Mapping
from functools import partial

from warmlane_contracts.apikey import new_key

SECRETS: Mapping[str, Callable[[], str]] = {
    "api_key": new_key,
    "admin_key": lambda: f"wla_{secrets.token_hex(20)}",
    "nats_password": partial(secrets.token_hex, 16),
    "postgres_password": partial(secrets.token_hex, 16),
    "s3_access_key": partial(secrets.token_hex, 10),
    "s3_secret_key": partial(secrets.token_hex, 20),
}
