"""JetStream's own requests and errors, as JSON.

The raw API, because the client library's typed one drops fields it does not know: a topology compared through it would
hide the very drift it looks for.
"""

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nats.aio.msg import Msg

from warmlane_bus.connection import Connection, NoAnswerError, NobodyThereError, NotSentError
from warmlane_bus.patience import Patience
from warmlane_bus.ports import BusMisconfigured, BusUnavailable, Message

_API = "$JS.API"
_NO_MESSAGE = 10037
_NO_SEQUENCE = 10043
_STORE_IN_USE = 10049
"""The folder of a stream that was just deleted is still being removed: the same name can be made in a moment."""
_UNAVAILABLE = 503  # an election, a restart; 500 is a refused configuration and stays refused
_FRACTION = re.compile(r"\.(\d+)")


@dataclass(frozen=True, slots=True)
class ApiError:
    """JetStream's refusal. `code` follows HTTP; `err_code` is the exact reason."""

    code: int
    err_code: int
    description: str

    def __str__(self) -> str:
        return f"{self.description} ({self.code}/{self.err_code})"


class JetStreamRefused(Exception):
    """JetStream answered a request with an error that retrying does not cure."""

    def __init__(self, verb: str, error: ApiError) -> None:
        """Keep the error for those who know what to do about it."""
        super().__init__(f"{verb}: {error}")
        self.error = error


def error_in(answer: dict[str, Any]) -> ApiError | None:
    """Return the error an answer holds, if any."""
    error = answer.get("error")
    if error is None:
        return None
    return ApiError(error.get("code", 0), error.get("err_code", 0), error.get("description", ""))


class JetStreamApi:
    """Asks JetStream, with patience for elections and restarts."""

    def __init__(self, connection: Connection) -> None:
        """Ask over `connection`."""
        self.connection = connection

    async def ask(self, verb: str, body: dict[str, Any] | None = None, *, within_s: float = 10.0) -> dict[str, Any]:
        """Return the answer to `$JS.API.<verb>`; raise `JetStreamRefused`, or `BusUnavailable` when time is over.

        Only for requests that may be repeated.
        """
        payload = json.dumps(body).encode() if body is not None else b""
        patience = Patience(self.connection, within_s)
        reason = "no time"
        while True:
            try:
                message = await self.connection.request(f"{_API}.{verb}", payload, timeout_s=patience.try_s)
            except NobodyThereError:
                reason = "JetStream has no leader or is not enabled"
            except (NotSentError, NoAnswerError) as error:
                reason = str(error) or "not connected"
            else:
                answer: dict[str, Any] = json.loads(message.data)
                refused = error_in(answer)
                if refused is None:
                    return answer
                if refused.code != _UNAVAILABLE and refused.err_code != _STORE_IN_USE:
                    raise JetStreamRefused(verb, refused)
                reason = str(refused)
            if not await patience.again():
                raise BusUnavailable(f"{verb}: no answer within {within_s:g} s ({reason})")

    async def last(self, stream: str, subject: str, *, within_s: float = 10.0) -> Message | None:
        """Return the last message of a subject from the stream's leader, None when it has none."""
        try:
            answer = await self.ask(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject}, within_s=within_s)
        except JetStreamRefused as refused:
            if refused.error.err_code == _NO_MESSAGE:
                return None
            raise BusMisconfigured(f"cannot read {subject} of {stream}: {refused}") from refused
        stored = answer["message"]
        return Message(
            subject=stored["subject"],
            data=base64.b64decode(stored.get("data", "")),
            seq=stored["seq"],
            time=parse_time(stored["time"]),
            headers=_headers(base64.b64decode(stored.get("hdrs", ""))),
        )

    async def depth(self, stream: str) -> int:
        """Return how many messages a stream holds."""
        try:
            answer = await self.ask(f"STREAM.INFO.{stream}")
        except JetStreamRefused as refused:
            raise BusMisconfigured(f"cannot read {stream}: {refused}") from refused
        return int(answer["state"]["messages"])

    async def remove(self, stream: str, seq: int) -> None:
        """Take a message out of a stream; one that is gone is as good."""
        try:
            await self.ask(f"STREAM.MSG.DELETE.{stream}", {"seq": seq, "no_erase": True})
        except JetStreamRefused as refused:
            if refused.error.err_code != _NO_SEQUENCE:
                raise BusMisconfigured(f"cannot remove from {stream}: {refused}") from refused


def parse_time(text: str) -> datetime:
    """Return an RFC 3339 time of the broker; it writes nanoseconds, we keep microseconds."""
    trimmed = _FRACTION.sub(lambda match: "." + match[1][:6].ljust(6, "0"), text)
    return datetime.fromisoformat(trimmed).astimezone(UTC)


def headers_of(message: Msg) -> dict[str, str]:
    """Return the headers of a received message."""
    return dict(message.headers) if message.headers else {}


def _headers(raw: bytes) -> dict[str, str]:
    """Return the headers of a stored message: a version line, then `Name: value` lines."""
    lines = raw.decode(errors="replace").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip(): value.strip() for name, _, value in pairs}
