"""From a request's body to a durable task.

body ──catalogue──► parameters ──images stored──► NewTask ──one commit──► durable ──► dispatched beside the answer
refused here: no row, no message, no object
"""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from warmlane_contracts.catalogue import Catalogue, ResolvedRequest, resolve
from warmlane_contracts.envelope import encode, seal
from warmlane_contracts.errors import ErrorCode, WarmlaneError
from warmlane_contracts.ids import job_id_for, new_task_id
from warmlane_contracts.messages import InputRef, JobRequested
from warmlane_contracts.topology import MAX_ATTEMPTS, lane_subject

from warmlane_gateway.domain.task import NewTask

_SEEDS = 2**53
"""Every seed below survives a JSON reader that counts in doubles (docs/adr/0007)."""
_LONGEST_KEY = 255


class Images(Protocol):
    """Turns a request's pictures into stored, verified inputs."""

    async def store(self, request: ResolvedRequest, task_id: str, owner: str) -> tuple[InputRef, ...]:
        """Return references to the stored pictures; raise `WarmlaneError` for one that is not acceptable."""
        ...


class KnownKeys(Protocol):
    """Remembers idempotency keys together with the tasks they stand for."""

    async def accept_once(self, task: NewTask, key: str, body_hash: bytes) -> tuple[str, bytes]:
        """Accept under a key; return what the key stands for, now or before."""
        ...

    async def known_key(self, owner: str, key: str) -> tuple[str, bytes] | None:
        """Return what a key stands for."""
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from: whose it is, and the trace it belongs to."""

    owner: str
    correlation_id: str
    traceparent: str


class Accept:
    """Accepts tasks. `make_durable` returns once the task is committed; `dispatch` publishes without being waited for."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        images: Images,
        keys: KnownKeys,
        make_durable: Callable[[NewTask], Awaitable[None]],
        dispatch: Callable[[NewTask], None],
        check_queue: Callable[[str], None],
    ) -> None:
        self._catalogue = catalogue
        self._images = images
        self._keys = keys
        self._make_durable = make_durable
        self._dispatch = dispatch
        self._check_queue = check_queue

    async def __call__(self, body: Mapping[str, Any], origin: Origin, idempotency_key: str | None) -> str:
        """Return the id of the task; raise `WarmlaneError` when it is refused."""
        request = resolve(self._catalogue, body)
        if idempotency_key is not None:
            return await self._once(body, request, origin, idempotency_key)
        self._check_queue(request.lane)
        task = await self._new_task(request, origin)
        await self._make_durable(task)
        self._dispatch(task)
        return task.job.task_id

    async def _once(
        self, body: Mapping[str, Any], request: ResolvedRequest, origin: Origin, idempotency_key: str
    ) -> str:
        _check_key(idempotency_key)
        body_hash = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).digest()
        known = await self._keys.known_key(origin.owner, idempotency_key)
        if known is None:
            self._check_queue(request.lane)
            task = await self._new_task(request, origin)
            known = await self._keys.accept_once(task, idempotency_key, body_hash)
            if known[0] == task.job.task_id:
                self._dispatch(task)
        task_id, first_hash = known
        if first_hash != body_hash:
            raise WarmlaneError(
                ErrorCode.IDEMPOTENCY_CONFLICT,
                f"The Idempotency-Key was used for another request, task {task_id}.",
                "Send the same body to get that task again, or a new key to make a new task.",
            )
        return task_id

    async def _new_task(self, request: ResolvedRequest, origin: Origin) -> NewTask:
        task_id = new_task_id()
        inputs = await self._images.store(request, task_id, origin.owner) if request.images else ()
        params = request.params
        if params.seed < 0:
            params = params.model_copy(update={"seed": secrets.randbelow(_SEEDS)})
        job = JobRequested(
            task_id=task_id,
            job_id=job_id_for(task_id, 1),
            lane=request.lane,
            model=request.model,
            mode=request.mode,
            params=params,
            inputs=inputs,
            output_format=request.output_format,
            max_attempts=MAX_ATTEMPTS,
            accepted_at=datetime.now(UTC),
        )
        envelope = seal(
            job,
            source="warmlane/gateway",
            subject=job.job_id,
            traceparent=origin.traceparent,
            correlation_id=origin.correlation_id,
        )
        return NewTask(
            owner=origin.owner,
            type=request.type,
            job=job,
            correlation_id=origin.correlation_id,
            traceparent=origin.traceparent,
            subject=lane_subject(job.lane, job.job_id),
            payload=encode(envelope),
        )


def _check_key(key: str) -> None:
    if not key or len(key) > _LONGEST_KEY or not key.isprintable():
        raise WarmlaneError(
            ErrorCode.VALIDATION_ERROR,
            "The Idempotency-Key is not usable.",
            f"Send 1 to {_LONGEST_KEY} printable characters, a UUID for example.",
        )
