"""AWS Signature Version 4 for reading: GET and HEAD without a body.

Sixty lines instead of boto3, which takes 0.7 s to import. The algorithm is AWS's public description, 'Signature
Version 4 signing process'; the tests hold its published example.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from warmlane_modelstore.credentials import Credential

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def sign(
    method: str, url: str, headers: Mapping[str, str], *, credential: Credential, region: str, now: datetime
) -> dict[str, str]:
    """`headers` with date, payload hash, token and Authorization added. `url` must already be percent-encoded."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    parts = urlsplit(url)
    signed = {key.lower(): value for key, value in headers.items()}
    signed |= {"host": parts.netloc, "x-amz-date": stamp, "x-amz-content-sha256": EMPTY_SHA256}
    if credential.session_token:
        signed["x-amz-security-token"] = credential.session_token
    names = ";".join(sorted(signed))
    request = "\n".join(
        (
            method,
            parts.path or "/",
            canonical_query(parts.query),
            *(f"{key}:{signed[key].strip()}" for key in sorted(signed)),
            "",
            names,
            EMPTY_SHA256,
        )
    )
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credential.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credential.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return signed


def canonical_query(query: str) -> str:
    """An encoded query with its pairs in order, each with a '='."""
    pairs = sorted(pair if "=" in pair else f"{pair}=" for pair in query.split("&") if pair)
    return "&".join(pairs)


def encode_path(path: str) -> str:
    """A key as it stands in a request line and in what is signed: everything but unreserved characters escaped."""
    return quote(path, safe="/-_.~")


def encode_query(pairs: Mapping[str, str]) -> str:
    return "&".join(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in sorted(pairs.items()))
