"""Logs are events: a dotted past-tense name, and keys and values. One JSON object per line, or colours for people.

    log = structlog.get_logger()
    bind(task_id=task_id, lane=lane)             # every event of this asyncio task carries it from here on
    log.info("lane.job_claimed", attempt=2)

Lines of libraries that use the standard `logging` come out in the same form. Everything passes the `Redactor` last, so
that also the text of a traceback is clean.
"""

import logging
import sys
from typing import IO, TYPE_CHECKING

import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars

from warmlane_runtime.redaction import Redactor
from warmlane_runtime.settings import LogSettings

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["bind", "bound", "configure_logging", "unbind_all"]

bind = bind_contextvars
"""Add keys to every later event of the running asyncio task and of the tasks it starts."""
bound = bound_contextvars
"""The same for a `with` block."""
unbind_all = clear_contextvars
"""Forget every bound key: call it where one long-lived task turns to another job."""

_QUIET = ("nats", "uvicorn.access", "httpx", "asyncio")
"""Loggers that repeat, on info, what our own events already say."""


def configure_logging(
    settings: LogSettings, *, service: str, redactor: Redactor | None = None, stream: IO[str] | None = None
) -> Redactor:
    """Send all events of this process to `stream` (default: standard error) and return the redactor in use.

    Register the process's secrets with the returned redactor before the first event that might show one.
    """
    redactor = redactor or Redactor()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Stamp(service),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _Redact(redactor),
    ]
    render = _json() if settings.log_format == "json" else structlog.dev.ConsoleRenderer(colors=_is_terminal(stream))
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        cache_logger_on_first_use=False,  # a logger made before this call must not keep the old configuration
    )
    return redactor


class _Stamp:
    """Names the service on every event, so that merged streams stay readable."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
        event.setdefault("service", self._service)
        return event


class _Redact:
    """Masks secrets in every key and value of an event. `_`-keys are structlog's own and never rendered."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(self, _logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
        return {
            self._redactor.text(key): value if key.startswith("_") else self._redactor.field(key, value)
            for key, value in event.items()
        }


def _json() -> "Processor":
    return structlog.processors.JSONRenderer(sort_keys=False, ensure_ascii=False)


def _is_terminal(stream: IO[str] | None) -> bool:
    return (stream or sys.stderr).isatty()
