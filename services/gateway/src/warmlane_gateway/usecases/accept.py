"""From a request's body to a durable task.

body ──catalogue──► parameters ──route──► images stored ──► NewTask ──one commit──► durable
                                                             dedicated: dispatched beside the answer
                                                             degraded:  offered, the answer waits for the outcome
refused before the route: no row, no message, no object
"""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, cast

import orjson
from warmlane_contracts.catalogue import Catalogue, ResolvedRequest, resolve
from warmlane_contracts.envelope import encode, seal
from warmlane_contracts.errors import ErrorCode, WarmlaneError
from warmlane_contracts.ids import job_id_for, new_task_id
from warmlane_contracts.messages import ClipParams, InputRef, JobRequested, OutputFormat
from warmlane_contracts.topology import MAX_ATTEMPTS, lane_subject, wait_subject
from warmlane_jobs.routing import Degraded, Route

from warmlane_gateway.domain.overload import QueueOverloaded
from warmlane_gateway.domain.task import NewTask, Task
from warmlane_gateway.metrics import ROUTED
from warmlane_gateway.usecases.offer import Offer

_SEEDS = 2**53
"""Every seed below survives a JSON reader that counts in doubles (docs/adr/0007)."""
_LONGEST_KEY = 255


class Images(Protocol):
    """Turns a request's pictures into stored, verified inputs."""

    async def store(self, request: ResolvedRequest, task_id: str, owner: str) -> tuple[InputRef, ...]:
        """Return references to the stored pictures; raise `WarmlaneError` for one that is not acceptable."""
        ...

    async def copy(self, inputs: tuple[InputRef, ...], task_id: str) -> tuple[InputRef, ...]:
        """Return references to copies for another task; raise `WarmlaneError` for one that is gone."""
        ...


class KnownKeys(Protocol):
    """Remembers idempotency keys together with the tasks they stand for."""

    async def accept_once(self, task: NewTask, key: str, body_hash: bytes) -> tuple[str, bytes]:
        """Accept under a key; return what the key stands for, now or before."""
        ...

    async def known_key(self, owner: str, key: str) -> tuple[str, bytes] | None:
        """Return what a key stands for."""
        ...

    async def forget_key(self, owner: str, key: str, task_id: str) -> None:
        """Let a key stand for nothing again, if it stands for this task."""
        ...

    async def get(self, task_id: str, owner: str) -> Task | None:
        """Return an owner's task."""
        ...


class MakeOffer(Protocol):
    """Offers a durable task to shared workers."""

    async def __call__(self, offer: Offer, *, wait: bool) -> None:
        """Return when it is on offer, with `wait` when it is claimed; raise `QueueOverloaded` when it is refused."""
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
        offer: MakeOffer,
        route: Callable[[str], Route],
        check_queue: Callable[[str], None],
        check_memory: Callable[[ResolvedRequest], None],
        must_wait: Callable[[str, str], bool],
    ) -> None:
        self._catalogue = catalogue
        self._images = images
        self._keys = keys
        self._make_durable = make_durable
        self._dispatch = dispatch
        self._offer = offer
        self._route = route
        self._check_queue = check_queue
        self._check_memory = check_memory
        self._must_wait = must_wait

    async def __call__(
        self, body: Mapping[str, Any], origin: Origin, idempotency_key: str | None, *, wait: bool = True
    ) -> str:
        """Return the id of the task; raise `WarmlaneError` when it is refused.

        A task that has to be offered to shared workers is waited for until one takes it, unless `wait` is False.
        """
        request = resolve(self._catalogue, body)
        self._check_memory(request)
        if idempotency_key is not None:
            return await self._once(body, request, origin, idempotency_key, wait=wait)
        task = await self._new_task(request, origin)
        await self._make_durable(task)
        await self._send(task, wait=wait)
        return task.job.task_id

    async def again(self, task: Task, origin: Origin, *, seed: int | None, wait: bool = True) -> str:
        """Make a task again, with its own seed or another (-1 draws one); return the new task's id.

        Also the way back for a job that was given up. Raise `WarmlaneError` when it is refused.
        """
        params = ClipParams.model_validate(task.params | ({} if seed is None else {"seed": seed}))
        request = ResolvedRequest(
            task.model, task.lane, task.type, task.mode, params, (), cast("OutputFormat", task.output_format)
        )
        self._check_memory(request)
        made = await self._new_task(request, origin, task.inputs)
        await self._make_durable(made)
        await self._send(made, wait=wait)
        return made.job.task_id

    async def _send(self, task: NewTask, *, wait: bool) -> None:
        job = task.job
        ROUTED.labels(job.lane, job.lane_mode, job.fallback_reason or "").inc()
        if task.held:
            return  # it is released when its turn comes
        if job.lane_mode == "dedicated":
            self._dispatch(task)
        else:
            offer = Offer(job.task_id, job.job_id, job.lane, task.payload, task.traceparent, task.correlation_id)
            await self._offer(offer, wait=wait)

    async def _once(
        self,
        body: Mapping[str, Any],
        request: ResolvedRequest,
        origin: Origin,
        idempotency_key: str,
        *,
        wait: bool,
    ) -> str:
        _check_key(idempotency_key)
        body_hash = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).digest()
        known = await self._known(origin.owner, idempotency_key)
        if known is None:
            task = await self._new_task(request, origin)
            known = await self._keys.accept_once(task, idempotency_key, body_hash)
            if known[0] == task.job.task_id:
                await self._send_once(task, idempotency_key, wait=wait)
        task_id, first_hash = known
        if first_hash != body_hash:
            raise WarmlaneError(
                ErrorCode.IDEMPOTENCY_CONFLICT,
                f"The Idempotency-Key was used for another request, task {task_id}.",
                "Send the same body to get that task again, or a new key to make a new task.",
            )
        return task_id

    async def _send_once(self, task: NewTask, key: str, *, wait: bool) -> None:
        try:
            await self._send(task, wait=wait)
        except QueueOverloaded:
            # The client is told to try again, with the same key if it likes.
            await self._keys.forget_key(task.owner, key, task.job.task_id)
            raise

    async def _known(self, owner: str, key: str) -> tuple[str, bytes] | None:
        """Return what a key stands for. One whose request was refused stands for nothing, also when the gateway died
        before it could forget it.
        """
        known = await self._keys.known_key(owner, key)
        if known is not None:
            task = await self._keys.get(known[0], owner)
            if task is not None and task.refused:
                await self._keys.forget_key(owner, key, known[0])
                return None
        return known

    async def _new_task(self, request: ResolvedRequest, origin: Origin, copied: tuple[InputRef, ...] = ()) -> NewTask:
        route = self._route(request.lane)
        held = False
        if not isinstance(route, Degraded):
            self._check_queue(request.lane)
            held = self._must_wait(request.lane, origin.owner)
        task_id = new_task_id()
        inputs = await self._images.copy(copied, task_id) if copied else ()
        inputs = await self._images.store(request, task_id, origin.owner) if request.images else inputs
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
            lane_mode="degraded_shared" if isinstance(route, Degraded) else "dedicated",
            fallback_reason=route.reason if isinstance(route, Degraded) else None,
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
            subject=(wait_subject if isinstance(route, Degraded) else lane_subject)(job.lane, job.job_id),
            payload=encode(envelope),
            priority=request.priority,
            held=held,
        )


def _check_key(key: str) -> None:
    if not key or len(key) > _LONGEST_KEY or not key.isprintable():
        raise WarmlaneError(
            ErrorCode.VALIDATION_ERROR,
            "The Idempotency-Key is not usable.",
            f"Send 1 to {_LONGEST_KEY} printable characters, a UUID for example.",
        )
