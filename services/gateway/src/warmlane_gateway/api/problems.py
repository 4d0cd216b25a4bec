"""Every refusal in one shape: `application/problem+json` (RFC 9457) with a stable code and what to do.

The HTTP status of a code is decided here and nowhere else.
"""

from collections.abc import Sequence
from typing import Any

import orjson
import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from warmlane_bus.ports import BusMisconfigured, BusUnavailable
from warmlane_contracts.errors import ErrorCode, FieldError, WarmlaneError
from warmlane_storage.objects import StoreUnavailable
from warmlane_storage.postgres import DISK_FULL, UNAVAILABLE

from warmlane_gateway.domain.overload import TryAgain

log = structlog.get_logger(__name__)

STATUS: dict[ErrorCode, int] = {
    ErrorCode.VALIDATION_ERROR: 422,
    ErrorCode.MODE_UNAVAILABLE: 422,
    ErrorCode.EXCEEDS_MEMORY_BUDGET: 422,
    ErrorCode.INVALID_TOKEN: 422,
    ErrorCode.PAYLOAD_TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED_MEDIA: 415,
    ErrorCode.RANGE_NOT_SATISFIABLE: 416,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.IDEMPOTENCY_CONFLICT: 409,
    ErrorCode.TASK_FINISHED: 409,
    ErrorCode.RESULT_NOT_READY: 409,
    ErrorCode.INVALID_API_KEY: 401,
    ErrorCode.SESSION_REQUIRED: 401,
    ErrorCode.SESSION_EXPIRED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.CORS_ORIGIN_BLOCKED: 403,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.PROXY_TARGET_INVALID: 400,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.TASK_NOT_FOUND: 404,
    ErrorCode.ASSET_NOT_FOUND: 404,
    ErrorCode.RESULT_GONE: 410,
    ErrorCode.INPUT_UNAVAILABLE: 410,
    ErrorCode.QUEUE_OVERLOADED: 503,
    ErrorCode.DEPENDENCY_UNAVAILABLE: 503,
    ErrorCode.STORAGE_FULL: 507,
    ErrorCode.INTERNAL_ERROR: 500,
}
"""Codes that only ever end a task have no status: they stand in a 200's body."""

RETRY_AFTER_S = 2
CLIENT_LEFT = 499
"""Not a status of HTTP: nobody reads it, but logs and metrics tell it from a fault of ours."""
CONTENT_TYPE = "application/problem+json"


class ProblemField(BaseModel):
    """One field that is wrong."""

    field: str
    message: str
    allowed: Any = None


class Problem(BaseModel):
    """Why a request was refused, and what to do."""

    type: str = Field(examples=["https://warmlane.dev/errors/validation_error"])
    title: str = Field(examples=["Validation error"])
    status: int = Field(examples=[422])
    code: ErrorCode
    detail: str = Field(examples=["The request is not valid: steps."])
    user_action: str = Field(examples=["Set steps to an allowed value: 8."])
    correlation_id: str
    errors: list[ProblemField] = []


def problem(
    code: ErrorCode,
    detail: str,
    user_action: str,
    *,
    correlation_id: str,
    errors: Sequence[FieldError] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """Return the answer that refuses a request."""
    status = STATUS[code]
    body = {
        "type": f"https://warmlane.dev/errors/{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
        "user_action": user_action,
        "correlation_id": correlation_id,
        "errors": [{"field": error.field, "message": error.message, "allowed": error.allowed} for error in errors],
    }
    extra = dict(headers or {})
    if status == STATUS[ErrorCode.QUEUE_OVERLOADED]:
        extra.setdefault("Retry-After", str(RETRY_AFTER_S))
    return Response(orjson.dumps(body, default=str), status, extra, media_type=CONTENT_TYPE)


def from_exception(error: BaseException, correlation_id: str) -> Response:
    """Return the answer for anything a route raised. Nothing of the error's own text is shown unless it is ours."""
    match error:
        case WarmlaneError():
            code = error.code if error.code in STATUS else ErrorCode.INTERNAL_ERROR
            headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, TryAgain) else None
            return problem(
                code,
                error.detail,
                error.user_action,
                correlation_id=correlation_id,
                errors=error.errors,
                headers=headers,
            )
        case HTTPException():
            return _http(error, correlation_id)
        case RequestValidationError():
            return _invalid(error, correlation_id)
        case ClientDisconnect():
            return Response(status_code=CLIENT_LEFT)
        case _ if isinstance(error, DISK_FULL):
            return problem(
                ErrorCode.STORAGE_FULL,
                "The server has no space left; nothing was accepted.",
                "Try again later, and tell the operator.",
                correlation_id=correlation_id,
            )
        case _ if isinstance(error, (BusUnavailable, BusMisconfigured, StoreUnavailable, *UNAVAILABLE)):
            log.warning("http.dependency_unavailable", error=repr(error)[:300])
            return problem(
                ErrorCode.DEPENDENCY_UNAVAILABLE,
                "A part this request needs does not answer.",
                "Try again in a few seconds; an Idempotency-Key makes that safe.",
                correlation_id=correlation_id,
            )
        case _:
            log.error("http.failed", exc_info=error)
            return problem(
                ErrorCode.INTERNAL_ERROR,
                "The gateway failed on this request.",
                "Try again; if it stays, give the operator the correlation id.",
                correlation_id=correlation_id,
            )


async def answer(request: Request, error: Exception) -> Response:
    """Answer an exception a route raised: FastAPI's handler."""
    return from_exception(error, request.scope.get("correlation_id", ""))


def _http(error: HTTPException, correlation_id: str) -> Response:
    code, detail, action = {
        404: (ErrorCode.NOT_FOUND, "There is nothing at this path.", "See the API reference at /docs."),
        405: (ErrorCode.METHOD_NOT_ALLOWED, "This path has no such method.", "See the API reference at /docs."),
        413: (ErrorCode.PAYLOAD_TOO_LARGE, "The body is too large.", "Upload pictures first and name them."),
    }.get(error.status_code, (ErrorCode.VALIDATION_ERROR, str(error.detail)[:300], "Correct the request."))
    return problem(code, detail, action, correlation_id=correlation_id, headers=dict(error.headers or {}))


def _invalid(error: RequestValidationError, correlation_id: str) -> Response:
    errors = [
        FieldError(".".join(str(part) for part in fault["loc"] if part not in {"body", "query", "path"}), fault["msg"])
        for fault in error.errors()
    ]
    fields = ", ".join(dict.fromkeys(fault.field for fault in errors))
    return problem(
        ErrorCode.VALIDATION_ERROR,
        f"The request is not valid: {fields}.",
        f"Correct {fields}.",
        correlation_id=correlation_id,
        errors=errors,
    )
