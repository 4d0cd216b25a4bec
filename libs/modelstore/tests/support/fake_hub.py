"""A Hugging Face Hub of one process, read path only, with switches for what goes wrong with real ones.

ROOT/<org>/<repo>/… are the repositories, all at one commit. Knows the tree listing, HEAD and ranged GET of
`resolve`, LFS oids for weights and git oids for the rest, and a redirect to a "CDN" under another host name.
"""

import functools
import hashlib
import json
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_LFS = (".safetensors", ".gguf")


@dataclass
class Faults:
    """What goes wrong. All off at first; set attributes while it runs."""

    corrupt: str = ""  # files ending so have their first byte flipped, at the same size
    corrupt_times: int = 1 << 30  # … this often
    cut_after: int = 0  # bytes per response before the connection is closed
    rate: int = 0  # bytes per second and connection
    answers: list = field(default_factory=list)  # (status, headers) given to the next resolve requests
    token: str = ""  # required as a bearer token
    redirect: bool = False  # answer resolve with a redirect to the same server under another name


class FakeHub:
    """Start with `with`; `url` is its endpoint. `requests` and `bytes_served` are for assertions."""

    def __init__(self, root: Path):
        self.root = root
        self.faults = Faults()
        self.requests: list[tuple[str, str, str | None, str | None]] = []
        self.bytes_served = 0
        self.lock = threading.Lock()
        self.on_bytes = lambda _: None
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = _QuietServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def gets(self, suffix: str = "") -> list[str | None]:
        """Range headers of the body reads of files ending so."""
        return [
            r
            for m, p, r, _ in self.requests
            if m == "GET" and ("/resolve/" in p or "/cdn/" in p) and p.endswith(suffix)
        ]

    def reset(self):
        self.requests.clear()
        self.bytes_served = 0

    def served(self, count: int):
        with self.lock:
            self.bytes_served += count
            total = self.bytes_served
        self.on_bytes(total)


@functools.lru_cache(maxsize=256)
def _sha256(path: Path, _mtime: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(base: Path, path: Path) -> dict:
    size = path.stat().st_size
    entry = {"type": "file", "path": path.relative_to(base).as_posix(), "size": size, "oid": "f" * 40}
    if path.name.endswith(_LFS):
        entry["lfs"] = {"oid": _sha256(path, path.stat().st_mtime_ns), "size": size, "pointerSize": 134}
    else:
        data = path.read_bytes()
        entry["oid"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return entry


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Clients that are killed in the middle are what this server is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.route()

    def do_GET(self):
        self.route()

    def route(self):
        url = urllib.parse.urlparse(self.path)
        parts = [urllib.parse.unquote(p) for p in url.path.strip("/").split("/")]
        self.hub.requests.append((self.command, url.path, self.headers.get("range"), self.headers.get("authorization")))
        if parts[0] == "cdn":
            return self.body(self.hub.root / "/".join(parts[1:]), described=False)
        token = self.hub.faults.token
        if token and self.headers.get("authorization") != f"Bearer {token}":
            return self.answer(401, {"x-error-code": "GatedRepo"})
        if parts[:2] == ["api", "models"] and len(parts) > 5 and parts[4] == "tree":
            return self.tree("/".join(parts[2:4]), "/".join(parts[6:]))
        if len(parts) > 4 and parts[2] == "resolve":
            if self.hub.faults.answers and self.command == "GET":
                status, headers = self.hub.faults.answers.pop(0)
                return self.answer(status, headers)
            return self.body(self.hub.root / parts[0] / parts[1] / "/".join(parts[4:]), described=True)
        return self.answer(404, {"x-error-code": "RepoNotFound"})

    def answer(self, status, headers=None, body=b"{}"):
        self.send_response(status)
        for key, value in {"content-length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def tree(self, repo, folder):
        base = self.hub.root / repo
        if not (base / folder).is_dir():
            return self.answer(404, {"x-error-code": "RepoNotFound"})
        files = sorted(p for p in (base / folder).rglob("*") if p.is_file())
        return self.answer(
            200, {"content-type": "application/json"}, json.dumps([_entry(base, p) for p in files]).encode()
        )

    def body(self, path, *, described):
        if not path.is_file():
            return self.answer(404, {"x-error-code": "EntryNotFound"})
        size = path.stat().st_size
        start, end = 0, size
        wanted = self.headers.get("range")
        if wanted:
            low, high = wanted.removeprefix("bytes=").split("-")
            start, end = int(low), min(int(high) + 1, size)
            if start >= size:
                return self.answer(416)
        headers = {"content-length": str(end - start), "accept-ranges": "bytes", "x-repo-commit": COMMIT}
        if described:
            entry = _entry(path.parent, path)
            oid = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
            headers |= {"etag": f'"{oid}"', "x-linked-etag": f'"{oid}"', "x-linked-size": str(size)}
            if self.hub.faults.redirect:
                relative = path.relative_to(self.hub.root).as_posix()
                location = f"http://localhost:{self.hub.port}/cdn/{urllib.parse.quote(relative)}"
                return self.answer(302, headers | {"content-length": "0", "location": location}, b"")
        if wanted:
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
        self.send_response(206 if wanted else 200)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.send_file(path, start, end)
        return None

    def send_file(self, path, start, end):
        faults = self.hub.faults
        corrupt = (
            bool(faults.corrupt) and path.name.endswith(faults.corrupt) and start == 0 and faults.corrupt_times > 0
        )
        if corrupt:
            faults.corrupt_times -= 1
        sent = 0
        began = time.monotonic()
        with path.open("rb") as file:
            file.seek(start)
            while start < end:
                data = file.read(min(64 * 1024, end - start))
                if corrupt and sent == 0:
                    data = bytes([data[0] ^ 0xFF]) + data[1:]
                if faults.cut_after and sent + len(data) > faults.cut_after:
                    self.close_connection = True
                    return
                try:
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True
                    return
                sent += len(data)
                start += len(data)
                self.hub.served(len(data))
                if faults.rate:
                    time.sleep(max(0.0, sent / faults.rate - (time.monotonic() - began)))
