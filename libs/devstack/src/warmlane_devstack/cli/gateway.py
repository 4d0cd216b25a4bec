"""The gateway as the command line sees it: one method per endpoint, failures as CommandFailed."""

import contextlib
import errno
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from warmlane_devstack.cli.problems import problem_of, unreachable
from warmlane_devstack.exits import CommandFailed, Exit

CONNECT_S, READ_S = 5.0, 60.0
# The stream says something at least this often (heartbeats); silence means that the connection is dead.
EVENT_SILENCE_S = 45.0


class Gateway:
    """A connection pool to one gateway. Close it, or use it in `with`."""

    def __init__(self, url: str, api_key: str | None, *, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {"X-API-Key": api_key} if api_key else {}
        timeout = httpx.Timeout(READ_S, connect=CONNECT_S)
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, transport=transport)

    def get(self, path: str, **params: Any) -> Any:  # noqa: ANN401  # JSON
        return self._ask("GET", path, params=params).json()

    def post(
        self,
        path: str,
        body: Any = None,  # noqa: ANN401  # JSON
        *,
        headers: dict[str, str] | None = None,
        tries: int = 1,
    ) -> httpx.Response:
        """`tries` over 1 only for what may be said twice: a broken connection does not tell whether it was heard."""
        return self._ask("POST", path, json=body, headers=headers, tries=tries)

    def events(self, path: str, last_event_id: str | None) -> Iterator[tuple[str | None, dict[str, Any]]]:
        """(id, data) of each server-sent event, until the stream ends. Raises httpx.TransportError when it breaks."""
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_event_id} if last_event_id else {})}
        timeout = httpx.Timeout(EVENT_SILENCE_S, connect=CONNECT_S)
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if response.is_error:
                response.read()
                raise problem_of(response)
            yield from parse_events(response.iter_lines())

    def download(self, path: str, target: Path) -> int:
        """Fetch a file whole or not at all and return its size. A digest the gateway names is checked."""
        part = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._http.stream("GET", path) as response:
                if response.is_error:
                    response.read()
                    raise problem_of(response)
                size = save(response, part)
            part.replace(target)
        except httpx.TransportError as error:
            raise unreachable(self.url, error) from error
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            message = f"cannot write {target}: {error.strerror}"
            raise CommandFailed(message, Exit.NO_SPACE if full else Exit.FAILED) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        return size

    def _ask(self, method: str, path: str, *, tries: int = 1, **options: Any) -> httpx.Response:  # noqa: ANN401
        for left in reversed(range(tries)):
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                if not left or isinstance(error, httpx.ConnectError):
                    raise unreachable(self.url, error) from error
            else:
                if response.is_error:
                    raise problem_of(response)
                return response
        raise AssertionError(tries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._http.close()


def parse_events(lines: Iterator[str]) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Server-sent events (WHATWG HTML, 9.2.6): fields until an empty line; comments start with a colon."""
    last_id: str | None = None
    data: list[str] = []
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line and data:
            document = json.loads("\n".join(data))
            data = []
            if isinstance(document, dict):
                yield last_id, document
        elif field == "data":
            data.append(value)
        elif field == "id":
            last_id = value


def save(response: httpx.Response, part: Path) -> int:
    digest, size = hashlib.sha256(), 0
    with part.open("wb") as file:
        for chunk in response.iter_bytes():
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    promised = response.headers.get("X-Content-Sha256")
    if promised and promised != digest.hexdigest():
        message = "the file that arrived is not the one that was made (its sha256 differs); try again"
        raise CommandFailed(message, Exit.CORRUPT)
    return size
