"""Signed S3 requests with the standard library: just enough to make a bucket and to see that writing works.

Real work with objects is `warmlane_storage`'s; the devstack must not need its client to say that a server is ready.
Source: AWS Signature Version 4, "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API reference.
"""

import datetime as dt
import hashlib
import hmac
import http.client
from dataclasses import dataclass

ALGORITHM = "AWS4-HMAC-SHA256"
SIGNED_HEADERS = "host;x-amz-content-sha256;x-amz-date"


@dataclass(frozen=True, kw_only=True)
class S3Access:
    """Where the server is and who asks."""

    host: str
    port: int
    access_key: str
    secret_key: str
    region: str


def request(access: S3Access, method: str, path: str, body: bytes = b"", *, timeout_s: float = 2.0) -> int:
    """Send one signed request and return the HTTP status. Raises OSError when the server is not reachable.

    `path` must need no escaping.
    """
    connection = http.client.HTTPConnection(access.host, access.port, timeout=timeout_s)
    try:
        connection.request(method, path, body, _signed_headers(access, method, path, body))
        return connection.getresponse().status
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def _signed_headers(access: S3Access, method: str, path: str, body: bytes) -> dict[str, str]:
    now = dt.datetime.now(dt.UTC)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    digest = hashlib.sha256(body).hexdigest()
    host = f"{access.host}:{access.port}"
    canonical = f"{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{stamp}\n\n{SIGNED_HEADERS}\n{digest}"
    scope = f"{day}/{access.region}/s3/aws4_request"
    to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{access.secret_key}".encode()
    for part in (day, access.region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"{access.access_key}/{scope}"
    return {
        "Host": host,
        "x-amz-content-sha256": digest,
        "x-amz-date": stamp,
        "Authorization": f"{ALGORITHM} Credential={credential}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}",
    }
