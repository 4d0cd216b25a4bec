"""From what the gateway answers to how the command ends."""

from http import HTTPStatus
from typing import Any

import httpx

from warmlane_devstack.exits import CommandFailed, Exit

BY_CODE = {
    "queue_overloaded": Exit.OVERLOADED,
    "rate_limited": Exit.OVERLOADED,
    "storage_full": Exit.NO_SPACE,
    "dependency_unavailable": Exit.NETWORK,
    "result_gone": Exit.NOT_FOUND,
    "invalid_api_key": Exit.REFUSED,
    "session_required": Exit.REFUSED,
    "session_expired": Exit.REFUSED,
    "forbidden": Exit.REFUSED,
}
BY_STATUS = {
    HTTPStatus.UNAUTHORIZED: Exit.REFUSED,
    HTTPStatus.FORBIDDEN: Exit.REFUSED,
    HTTPStatus.NOT_FOUND: Exit.NOT_FOUND,
    HTTPStatus.GONE: Exit.NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS: Exit.OVERLOADED,
    HTTPStatus.INSUFFICIENT_STORAGE: Exit.NO_SPACE,
    HTTPStatus.BAD_GATEWAY: Exit.NETWORK,
    HTTPStatus.SERVICE_UNAVAILABLE: Exit.NETWORK,
    HTTPStatus.GATEWAY_TIMEOUT: Exit.NETWORK,
}


def problem_of(response: httpx.Response) -> CommandFailed:
    """The failure that a non-2xx answer means. Its body has been read."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or "detail" not in problem:
        problem = {"code": None, "detail": f"the gateway answered {response.status_code} {response.reason_phrase}"}
    return CommandFailed(sentence(problem), exit_for(response.status_code, problem.get("code")), problem=problem)


def exit_for(status: int, code: object) -> Exit:
    if isinstance(code, str) and code in BY_CODE:
        return BY_CODE[code]
    if status in BY_STATUS:
        return BY_STATUS[HTTPStatus(status)]
    client_error = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return Exit.BAD_USAGE if client_error else Exit.FAILED


def sentence(problem: dict[str, Any]) -> str:
    """Detail, each wrong field, and what to do, as text for a person."""
    lines = [str(problem["detail"])]
    for error in problem.get("errors") or ():
        allowed = f" (allowed: {error['allowed']})" if error.get("allowed") is not None else ""
        lines.append(f"  {error.get('field')}: {error.get('message')}{allowed}")
    if problem.get("user_action"):
        lines.append(f"  {problem['user_action']}")
    return "\n".join(lines)


def unreachable(url: str, error: Exception) -> CommandFailed:
    reason = str(error) or type(error).__name__
    return CommandFailed(f"cannot reach {url}: {reason}; is the stack up?", Exit.NETWORK)
