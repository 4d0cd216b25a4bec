"""One stable code per cause, and the exception that carries it.

A code is what clients and operators match on; it never changes its meaning. The text beside it is for people and says
what to do next. Which HTTP status a code gets is decided in the gateway alone.
"""

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """Every code that can leave Warmlane, in an HTTP answer or as the reason a task ended."""

    # A request that cannot be served as it stands.
    VALIDATION_ERROR = "validation_error"
    MODE_UNAVAILABLE = "mode_unavailable"
    EXCEEDS_MEMORY_BUDGET = "exceeds_memory_budget"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNSUPPORTED_MEDIA = "unsupported_media"
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - a code about subject tokens, not a secret
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    TASK_FINISHED = "task_finished"

    # Who is asking.
    INVALID_API_KEY = "invalid_api_key"
    SESSION_REQUIRED = "session_required"
    SESSION_EXPIRED = "session_expired"
    FORBIDDEN = "forbidden"
    CORS_ORIGIN_BLOCKED = "cors_origin_blocked"
    RATE_LIMITED = "rate_limited"
    PROXY_TARGET_INVALID = "proxy_target_invalid"

    # What is asked for is not there.
    NOT_FOUND = "not_found"
    TASK_NOT_FOUND = "task_not_found"
    ASSET_NOT_FOUND = "asset_not_found"
    RESULT_NOT_READY = "result_not_ready"
    RESULT_GONE = "result_gone"

    # Warmlane cannot, for now.
    QUEUE_OVERLOADED = "queue_overloaded"
    DEPENDENCY_UNAVAILABLE = "dependency_unavailable"
    STORAGE_FULL = "storage_full"
    INTERNAL_ERROR = "internal_error"

    # Why an accepted task failed.
    INPUT_UNAVAILABLE = "input_unavailable"
    ENGINE_CRASHED = "engine_crashed"
    ENGINE_HUNG = "engine_hung"
    ENGINE_FAILED = "engine_failed"
    GPU_OUT_OF_MEMORY = "gpu_out_of_memory"
    MODEL_UNAVAILABLE = "model_unavailable"
    RESULT_NOT_STORED = "result_not_stored"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    TASK_EXPIRED = "task_expired"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong: where, why, and what would be accepted."""

    field: str
    message: str
    allowed: object | None = None


class WarmlaneError(Exception):
    """Something a caller or an operator can act on.

    `detail` says what happened, `user_action` what to do about it; neither ever holds a secret or a stack.
    """

    def __init__(self, code: ErrorCode, detail: str, user_action: str, errors: tuple[FieldError, ...] = ()) -> None:
        """Keep the four parts; the message people see in a log is `code: detail`."""
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.user_action = user_action
        self.errors = errors
