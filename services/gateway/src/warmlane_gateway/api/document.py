"""What the OpenAPI document says beyond the routes' own types: refusals, files and streams.

FastAPI writes every model as `application/json`; our refusals are `application/problem+json`, and clients that are made
from the document look for the type that is really sent.
"""

from typing import Any

from fastapi import FastAPI

from warmlane_gateway.api.problems import CONTENT_TYPE, Problem

_CORRELATION = {
    "X-Correlation-Id": {"description": "Names this exchange in our logs.", "schema": {"type": "string"}},
    "traceparent": {"description": "W3C trace context of this exchange.", "schema": {"type": "string"}},
}
_RETRY = {"Retry-After": {"description": "Seconds after which to try again, with 503.", "schema": {"type": "integer"}}}
_FILE = {"schema": {"type": "string", "format": "binary"}}

REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "Refused; `user_action` says what to do.", "model": Problem, "headers": _CORRELATION},
    "5XX": {"description": "Not possible now.", "model": Problem, "headers": _CORRELATION | _RETRY},
}
"""What every route may answer."""

EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `event: status` with a TaskView as data, at the end `event: end`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


def sends(*content_types: str, partly: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return the answers of a route that sends a file of one of these types."""
    content = dict.fromkeys(content_types, _FILE)
    whole: dict[int | str, dict[str, Any]] = {200: {"description": "The file.", "content": content}}
    if not partly:
        return whole
    return whole | {
        206: {"description": "The range that was asked for.", "content": content},
        304: {"description": "The version named by `If-None-Match` is still the one."},
    }


def describe(app: FastAPI) -> None:
    """Make the application's document say under which type refusals are sent."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            for path in plain()["paths"].values():
                for operation in path.values():
                    _correct(operation["responses"])
        return plain()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _correct(responses: dict[str, Any]) -> None:
    stream = responses.get("200", {}).get("x-stream")
    if stream:
        content = responses["200"]["content"]
        content["text/event-stream"] = content.pop("application/json")
        del responses["200"]["x-stream"]
    for status in map(str, REFUSALS):
        content = responses[status]["content"]
        content[CONTENT_TYPE] = content.pop("application/json")
