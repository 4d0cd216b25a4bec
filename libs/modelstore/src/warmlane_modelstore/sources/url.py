"""Plain or presigned URLs: a mirror with a base address, or one address per file kept with the credentials.

A presigned URL is a secret: it lives in the credential's `urls` table, and the masker knows it.
"""

from urllib.parse import quote

from warmlane_modelstore.credentials import Credential
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.sources.base import RemoteFile, Sink
from warmlane_modelstore.sources.web import drain, range_header
from warmlane_modelstore.transfer.http import Http, raise_for_status


class UrlSource:
    """`base` joined with the path, or the address the credential has for exactly that path."""

    def __init__(self, label: str, http: Http, *, base: str | None, credential: Credential | None) -> None:
        self.label = label
        self._http = http
        self._base = base.rstrip("/") if base else None
        self._urls = dict(credential.urls) if credential else {}
        self._token = credential.token if credential else None

    def files(self) -> list[RemoteFile]:
        if not self._urls:
            raise StoreError(Code.NOT_FOUND, f"{self.label} cannot list files", "List the files in the manifest.")
        return [self.stat(path) for path in sorted(self._urls)]

    def stat(self, path: str) -> RemoteFile:
        # A presigned GET refuses HEAD: its method is signed. A range of one byte tells the size as well.
        with self._http.request("GET", self._url(path), self._headers({"range": "bytes=0-0"})) as response:
            raise_for_status(response, path)
            total = response.headers.get("content-range", "").rpartition("/")[2]
            response.read(2)
        if not total.isdigit():
            raise StoreError(Code.NETWORK, f"{path}: the source does not serve ranges", "Use another source.")
        return RemoteFile(path, int(total))

    def read(self, remote: RemoteFile, start: int, end: int, sink: Sink) -> None:
        headers = self._headers({"range": range_header(start, end)})
        drain(self._http.request("GET", self._url(remote.path), headers), remote, start, end, sink)

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        return headers | ({"authorization": f"Bearer {self._token}"} if self._token else {})

    def _url(self, path: str) -> str:
        if path in self._urls:
            return self._urls[path]
        if self._base is None:
            raise StoreError(
                Code.NOT_FOUND, f"{self.label} has no address for {path}", "Add it to the credential's urls."
            )
        return f"{self._base}/{quote(path)}"
