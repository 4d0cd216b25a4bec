"""Any S3-compatible store: signed ranged GET, HEAD and ListObjectsV2, over our own HTTP.

Content hashes come, in this order, from the object's sha256 checksum, its `x-amz-meta-sha256`, or its ETag where that
is an md5 (a multipart upload's is not: it has a dash).
"""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from warmlane_modelstore.credentials import Credential
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.sources.base import RemoteFile, Sink
from warmlane_modelstore.sources.web import drain, range_header
from warmlane_modelstore.transfer.http import Http, Response, raise_for_status
from warmlane_modelstore.transfer.sigv4 import encode_path, encode_query, sign

_MD5 = re.compile(r"[0-9a-f]{32}")
_LISTING_BYTES = 16 * 1024 * 1024


class S3Source:
    """One prefix of one bucket. Without a credential requests are sent unsigned, for public buckets."""

    def __init__(
        self,
        label: str,
        http: Http,
        *,
        endpoint: str,
        bucket: str,
        prefix: str,
        region: str,
        virtual_host: bool,
        credential: Credential | None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.label = label
        self._http = http
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._region = region
        self._credential = credential
        self._now = now
        scheme, _, host = endpoint.rstrip("/").partition("://")
        self._base = f"{scheme}://{bucket}.{host}" if virtual_host else f"{scheme}://{host}/{bucket}"

    def files(self) -> list[RemoteFile]:
        found: list[RemoteFile] = []
        token = ""
        while True:
            pairs = {"list-type": "2", "prefix": self._prefix} | ({"continuation-token": token} if token else {})
            with self._request("GET", f"{self._base}/?{encode_query(pairs)}") as response:
                raise_for_status(response, f"listing of {self._prefix or 'the bucket'}")
                page = response.read(_LISTING_BYTES)
            files, token = self._page(page)
            found += files
            if not token:
                break
        if not found:
            raise StoreError(Code.NOT_FOUND, f"{self.label} is empty", "Check bucket and prefix in the manifest.")
        return sorted(found, key=lambda file: file.path)

    def _page(self, page: bytes) -> tuple[list[RemoteFile], str]:
        try:
            root = ET.fromstring(page)  # noqa: S314 - see the import
        except ET.ParseError as error:
            raise StoreError(Code.NETWORK, f"{self.label} answered a listing that is no XML", "Check it.") from error
        space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
        files: list[RemoteFile] = []
        for item in root.iter(f"{space}Contents"):
            key = item.findtext(f"{space}Key", "")
            path = key.removeprefix(self._prefix)
            if path and not path.endswith("/"):
                etag = item.findtext(f"{space}ETag", "").strip('"')
                size = int(item.findtext(f"{space}Size", "0"))
                files.append(RemoteFile(path, size, md5=etag if _MD5.fullmatch(etag) else None, etag=etag or None))
        return files, root.findtext(f"{space}NextContinuationToken", "")

    def stat(self, path: str) -> RemoteFile:
        with self._request("HEAD", self._url(path), {"x-amz-checksum-mode": "ENABLED"}) as response:
            raise_for_status(response, path)
            headers = response.headers
        etag = headers.get("etag", "").strip('"')
        return RemoteFile(
            path,
            int(headers.get("content-length", "0")),
            sha256=_checksum(headers.get("x-amz-checksum-sha256")) or headers.get("x-amz-meta-sha256"),
            md5=etag if _MD5.fullmatch(etag) else None,
            etag=etag or None,
        )

    def read(self, remote: RemoteFile, start: int, end: int, sink: Sink) -> None:
        headers = {"range": range_header(start, end)}
        if remote.etag:
            headers["if-match"] = f'"{remote.etag}"'
        drain(self._request("GET", self._url(remote.path), headers), remote, start, end, sink)

    def _url(self, path: str) -> str:
        return f"{self._base}/{encode_path(self._prefix + path)}"

    def _request(self, method: str, url: str, headers: dict[str, str] | None = None) -> Response:
        sent = headers or {}
        if self._credential is not None:
            sent = sign(method, url, sent, credential=self._credential, region=self._region, now=self._now())
        return self._http.request(method, url, sent)


def _checksum(encoded: str | None) -> str | None:
    """A full-object sha256 as hex; a composite one (`…-12`) hashes hashes and says nothing of the content."""
    if not encoded or "-" in encoded:
        return None
    try:
        return base64.b64decode(encoded, validate=True).hex()
    except binascii.Error:
        return None
