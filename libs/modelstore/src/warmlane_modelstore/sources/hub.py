"""The Hugging Face Hub over plain HTTP: one tree listing, then ranged reads that its Xet bridge serves too.

Not huggingface_hub: since 2.4 it cannot resume after its process died, it does not hash what plain HTTP brings, and
importing it costs 0.25 s.
"""

import fnmatch
import json
import re
from collections.abc import Sequence
from urllib.parse import quote

from warmlane_modelstore.credentials import Credential
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.sources.base import RemoteFile, Sink
from warmlane_modelstore.sources.web import drain, range_header
from warmlane_modelstore.transfer.http import Http, Response, raise_for_status

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="next"')
_LISTING_BYTES = 32 * 1024 * 1024
# Never wanted, whatever the patterns say: pickles run code when loaded, dotfiles are the repository's own.
_NEVER = ("*.pth", "*.pt", "*.ckpt", "*.pkl", "*.bin", ".*", "*/.*")


class HubSource:
    """One repository at one revision, below one subfolder, through allow and ignore patterns."""

    def __init__(
        self,
        label: str,
        http: Http,
        *,
        endpoint: str,
        repo: str,
        revision: str,
        subfolder: str = "",
        allow: Sequence[str] = (),
        ignore: Sequence[str] = (),
        credential: Credential | None = None,
    ) -> None:
        self.label = label
        self._http = http
        self._endpoint = endpoint.rstrip("/")
        self._repo = repo
        self._revision = quote(revision, safe="")
        self._folder = f"{subfolder.strip('/')}/" if subfolder.strip("/") else ""
        self._allow = tuple(allow)
        self._ignore = (*ignore, *_NEVER)
        self._token = credential.token if credential else None

    def files(self) -> list[RemoteFile]:
        folder = f"/{quote(self._folder.rstrip('/'))}" if self._folder else ""
        url = f"{self._endpoint}/api/models/{self._repo}/tree/{self._revision}{folder}?recursive=true"
        found: list[RemoteFile] = []
        while url:
            with self._request("GET", url) as response:
                raise_for_status(response, f"{self._repo} at {self._revision}")
                found += self._page(response.read(_LISTING_BYTES))
                following = _NEXT.search(response.headers.get("link", ""))
            url = following[1] if following else ""
        if not found:
            raise StoreError(
                Code.NOT_FOUND, f"{self.label} has no file its patterns allow", "Check allow, ignore and subfolder."
            )
        return sorted(found, key=lambda file: file.path)

    def _page(self, page: bytes) -> list[RemoteFile]:
        try:
            entries = json.loads(page)
        except ValueError as error:
            raise StoreError(Code.NETWORK, f"{self.label} answered a listing that is no JSON", "Check it.") from error
        files: list[RemoteFile] = []
        for entry in entries if isinstance(entries, list) else ():
            path = str(entry.get("path", "")).removeprefix(self._folder)
            if entry.get("type") == "file" and self._wanted(path):
                files.append(_described(path, entry))
        return files

    def _wanted(self, path: str) -> bool:
        allowed = not self._allow or any(fnmatch.fnmatchcase(path, pattern) for pattern in self._allow)
        return allowed and not any(fnmatch.fnmatchcase(path, pattern) for pattern in self._ignore)

    def stat(self, path: str) -> RemoteFile:
        with self._request("HEAD", self._url(path)) as response:
            raise_for_status(response, path)
            headers = response.headers
        etag = (headers.get("x-linked-etag") or headers.get("etag", "")).removeprefix("W/").strip('"')
        return RemoteFile(
            path,
            int(headers.get("x-linked-size") or headers.get("content-length", "0")),
            sha256=etag if _SHA256.fullmatch(etag) else None,
            git_sha1=etag if _SHA1.fullmatch(etag) else None,
        )

    def read(self, remote: RemoteFile, start: int, end: int, sink: Sink) -> None:
        response = self._request("GET", self._url(remote.path), {"range": range_header(start, end)})
        drain(response, remote, start, end, sink)

    def _url(self, path: str) -> str:
        return f"{self._endpoint}/{self._repo}/resolve/{self._revision}/{quote(self._folder + path)}"

    def _request(self, method: str, url: str, headers: dict[str, str] | None = None) -> Response:
        sent = dict(headers or {})
        if self._token:
            sent["authorization"] = f"Bearer {self._token}"
        return self._http.request(method, url, sent)


def _described(path: str, entry: dict[str, object]) -> RemoteFile:
    lfs = entry.get("lfs")
    size = entry.get("size", 0)
    if isinstance(lfs, dict):
        return RemoteFile(path, int(lfs.get("size", size)), sha256=str(lfs.get("oid")))
    oid = str(entry.get("oid", ""))
    return RemoteFile(path, int(str(size)), git_sha1=oid if _SHA1.fullmatch(oid) else None)
