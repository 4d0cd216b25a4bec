"""Tasks in PostgreSQL.

Accepting is one statement for any number of tasks: task rows and outbox rows in the same implicit transaction, one
round trip, one commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from warmlane_contracts.messages import InputRef, ResultRef, Stage, Timings
from warmlane_jobs.task import TaskState, TaskStatus
from warmlane_storage.postgres import Connection, Postgres, Row

from warmlane_gateway.adapters.storable import storable
from warmlane_gateway.domain.task import NewTask, Task, inputs_folder

_ACCEPT = """
with accepted as (
    insert into tasks (task_id, owner, type, model, mode, lane, job_id, prompt, params, inputs, output_format, seed,
                       correlation_id, traceparent, lane_mode, fallback_reason, priority)
    select a, b, c, d, e, f, g, h, i::jsonb, j::jsonb, k, l, m, n, o, p, q
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::text[], $10::text[], $11::text[], $12::bigint[], $13::text[], $14::text[], $17::text[], $18::text[],
                $19::smallint[])
         as task(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q)
    returning task_id, model, lane, lane_mode, fallback_reason
), told as (
    insert into diagnostics (event_id, kind, task_id, model, lane, lane_mode, reason)
    select 'fallback.' || task_id, 'fallback_activated', task_id, model, lane, lane_mode, fallback_reason
    from accepted where fallback_reason is not null
)
insert into outbox (message_id, subject, payload, lane, held)
select * from unnest($7::text[], $15::text[], $16::bytea[], $6::text[], $20::boolean[])
"""

_DISCARD = "insert into trash (key) select unnest($1::text[]) on conflict do nothing"

_ENDED = "insert into leftovers (task_id) select unnest($1::text[]) on conflict do nothing"

_UNHOLD = """
delete from outbox using tasks where tasks.task_id = any($1) and outbox.message_id = tasks.job_id and outbox.held
"""
"""Whoever was cancelled before their turn has nothing to publish any more."""

_BEFORE = """
select case when mine.place is null
    then (select count(*) from tasks where lane = $3 and status = 'pending' and lane_mode = 'dedicated' and task_id < $1
          and not exists (select 1 from outbox where message_id = job_id and held))
    else mine.place - 1
         + (select count(*) from tasks where lane = $3 and status = 'pending' and lane_mode = 'dedicated'
            and not exists (select 1 from outbox where message_id = job_id and held))
    end
from (select (select place from fair_queue where message_id = $2) as place) mine
"""

_OFFERED_BEFORE = """
select count(*) from tasks
where status = 'pending' and lane_mode = 'degraded_shared' and task_id < $1 and $2 <> '' and $3 <> ''
"""

_INPUTS = TypeAdapter(tuple[InputRef, ...])

_UPDATE = """
update tasks set status = $2, progress = $3, stage = $4, step = $5, steps = $6, attempt = $7, worker = $8,
    claim_seq = $9, state_seq = $10, event_seq = $11, live_preview_key = $12, result = $13, timings = $14,
    error_code = $15, error_message = $16, started_at = $17, finished_at = $18, lane_mode = $19, fallback_reason = $20,
    change_seq = case when $21 then nextval('task_changes') else change_seq end
where task_id = $1
"""


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks a list shows, and where the page begins: older than task `before`. No `owner`: everybody's."""

    owner: str | None
    statuses: tuple[str, ...] = ()
    model: str | None = None
    mode: str | None = None
    type: str | None = None
    lane: str | None = None
    lane_mode: str | None = None
    fallback_reason: str | None = None
    task_id: str | None = None
    text: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: str | None = None
    limit: int = 20


class Tasks:
    """Reads and writes tasks."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def accept(self, tasks: Sequence[NewTask]) -> None:
        """Make tasks and their messages durable, all or none."""
        async with self._postgres.connection() as connection:
            await connection.execute(_ACCEPT, *_columns(tasks))

    async def accept_once(self, task: NewTask, key: str, body_hash: bytes) -> tuple[str, bytes]:
        """Accept a task under an idempotency key; return the id and body hash the key stands for, now or before.

        When somebody else was quicker, what this task brought is discarded.
        """
        async with self._postgres.transaction() as connection:
            made = await connection.fetchrow(
                "insert into idempotency (owner, key, body_hash, task_id) values ($1, $2, $3, $4)"
                " on conflict do nothing returning task_id, body_hash",
                task.owner,
                key,
                body_hash,
                task.job.task_id,
            )
            if made is None:
                made = await _known(connection, task.owner, key)
                await connection.execute(_DISCARD, [inputs_folder(task.job.task_id)] if task.job.inputs else [])
            else:
                await connection.execute(_ACCEPT, *_columns([task]))
            return made["task_id"], bytes(made["body_hash"])

    async def known_key(self, owner: str, key: str) -> tuple[str, bytes] | None:
        """Return the task and body hash an idempotency key already stands for."""
        async with self._postgres.connection() as connection:
            row = await _known(connection, owner, key)
            return (row["task_id"], bytes(row["body_hash"])) if row else None

    async def get(self, task_id: str, owner: str) -> Task | None:
        """Return an owner's task."""
        async with self._postgres.connection() as connection:
            row = await connection.fetchrow("select * from tasks where task_id = $1 and owner = $2", task_id, owner)
            return _task(row) if row else None

    async def get_any(self, task_id: str) -> Task | None:
        """Return a task, whoever owns it: for operators."""
        async with self._postgres.connection() as connection:
            row = await connection.fetchrow("select * from tasks where task_id = $1", task_id)
            return _task(row) if row else None

    async def some(self, task_ids: Sequence[str], owner: str) -> Sequence[Task]:
        """Return those of the tasks that are an owner's."""
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(
                "select * from tasks where task_id = any($1) and owner = $2 order by change_seq", list(task_ids), owner
            )
            return [_task(row) for row in rows]

    async def newest_change(self) -> int:
        """Return the number of the newest change. Smaller ones may still be about to be committed."""
        async with self._postgres.connection() as connection:
            return int(await connection.fetchval("select last_value from task_changes"))

    async def unfinished_and_newest(self, owner: str, *, unfinished: int, newest: int) -> Sequence[Task]:
        """Return an owner's tasks that wait or run, and the newest of all, newest first."""
        query = """
            select * from tasks where task_id in (
                (select task_id from tasks where owner = $1 and status in ('pending', 'processing')
                 order by task_id desc limit $2)
                union (select task_id from tasks where owner = $1 order by task_id desc limit $3)
            ) order by task_id desc"""
        async with self._postgres.connection() as connection:
            return [_task(row) for row in await connection.fetch(query, owner, unfinished, newest)]

    async def deleted_since(self, owner: str, change: int, *, limit: int) -> Sequence[str]:
        """Return the ids of an owner's tasks that were deleted after a change."""
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(
                "select task_id from deleted_tasks where owner = $1 and change_seq > $2 order by change_seq limit $3",
                owner,
                change,
                limit,
            )
            return [row["task_id"] for row in rows]

    async def deleted_of(self, task_ids: Sequence[str], owner: str) -> Sequence[str]:
        """Return which of the tasks were an owner's and are deleted."""
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(
                "select task_id from deleted_tasks where task_id = any($1) and owner = $2", list(task_ids), owner
            )
            return [row["task_id"] for row in rows]

    async def forget_deleted(self, *, older_than_s: float) -> None:
        """Forget which tasks were deleted long ago."""
        async with self._postgres.connection() as connection:
            await connection.execute(
                "delete from deleted_tasks where at < now() - make_interval(secs => $1)", older_than_s
            )

    async def list(self, wanted: TaskFilter) -> Sequence[Task]:
        """Return a page, newest first."""
        conditions, values = _conditions(wanted)
        query = f"select * from tasks where {' and '.join(conditions)} order by task_id desc limit {wanted.limit:d}"  # noqa: S608 - conditions are ours, values are parameters
        async with self._postgres.connection() as connection:
            return [_task(row) for row in await connection.fetch(query, *values)]

    async def waiting_before(self, task: Task) -> int:
        """Return how many tasks go before this one: in the lane's queue by turns, in that of the shared workers by time."""
        query = _BEFORE if task.state.lane_mode == "dedicated" else _OFFERED_BEFORE
        async with self._postgres.connection() as connection:
            return int(await connection.fetchval(query, task.task_id, task.job_id, task.lane))

    async def waiting_by_lane(self) -> dict[str, int]:
        """Return how many tasks wait in each lane's own queue."""
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(
                "select lane, count(*) from tasks where status = 'pending' and lane_mode = 'dedicated' group by lane"
            )
            return {row["lane"]: row["count"] for row in rows}

    async def oldest_wait_s(self) -> float | None:
        """Return for how long the first of the tasks that wait for a shared worker has waited, None when none does."""
        async with self._postgres.connection() as connection:
            oldest: float | None = await connection.fetchval(
                "select extract(epoch from now() - min(created_at))::float8 from tasks"
                " where status = 'pending' and lane_mode = 'degraded_shared' and attempt = 0"
            )
            return oldest

    async def overdue(self, *, older_than_s: float, limit: int) -> Sequence[Task]:
        """Return tasks that should have been taken by a shared worker by now, and were not as far as the rows know."""
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(
                "select * from tasks where status = 'pending' and lane_mode = 'degraded_shared' and attempt = 0"
                " and created_at < now() - make_interval(secs => $1) order by task_id limit $2",
                older_than_s,
                limit,
            )
            return [_task(row) for row in rows]

    async def stale(self, type_: str, *, older_than_s: float, limit: int) -> Sequence[Task]:
        """Return tasks of a type that were begun long ago and have not ended."""
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(
                "select * from tasks where status in ('processing', 'pending') and type = $1"
                " and started_at < now() - make_interval(secs => $2) order by task_id limit $3",
                type_,
                older_than_s,
                limit,
            )
            return [_task(row) for row in rows]

    async def forget_key(self, owner: str, key: str, task_id: str) -> None:
        """Let an idempotency key stand for nothing again, if it stands for this task."""
        async with self._postgres.connection() as connection:
            await connection.execute(
                "delete from idempotency where owner = $1 and key = $2 and task_id = $3", owner, key, task_id
            )

    async def delete(self, task_id: str, owner: str) -> bool:
        """Remove an owner's finished task and put its objects into the trash; False when there is none."""
        async with self._postgres.transaction() as connection:
            row = await connection.fetchrow(
                "delete from tasks where task_id = $1 and owner = $2 and status = 'done' returning *", task_id, owner
            )
            if row is None:
                return False
            await connection.execute(_DISCARD, _task(row).folders)
            return True

    async def states_for_update(self, connection: Connection, task_ids: Sequence[str]) -> dict[str, TaskState]:
        """Return and lock the projections of tasks, always in the same order so that two projectors cannot deadlock."""
        rows = await connection.fetch(
            "select * from tasks where task_id = any($1) order by task_id for update", sorted(task_ids)
        )
        return {row["task_id"]: _state(row) for row in rows}

    async def store_states(self, connection: Connection, changed: dict[str, tuple[TaskState, TaskState]]) -> None:
        """Write projections, and announce those whose visible part changed. `changed`: before and after, by task."""
        if not changed:
            return
        await connection.executemany(
            _UPDATE,
            [(task_id, *_values(after), _visible(before, after)) for task_id, (before, after) in changed.items()],
        )
        ended = [task_id for task_id, (before, after) in changed.items() if after.status.ended > before.status.ended]
        await connection.execute(_ENDED, ended)
        await connection.execute(_UNHOLD, ended)
        seen = [task_id for task_id, (before, after) in changed.items() if _visible(before, after)]
        await connection.execute("select pg_notify('task_changes', id) from unnest($1::text[]) id", seen)


async def _known(connection: Connection, owner: str, key: str) -> Row | None:
    return await connection.fetchrow(
        "select task_id, body_hash from idempotency where owner = $1 and key = $2", owner, key
    )


def _columns(tasks: Sequence[NewTask]) -> list[list[Any]]:
    jobs = [task.job for task in tasks]
    return [
        [job.task_id for job in jobs],
        [task.owner for task in tasks],
        [task.type for task in tasks],
        [job.model for job in jobs],
        [job.mode for job in jobs],
        [job.lane for job in jobs],
        [job.job_id for job in jobs],
        [job.params.prompt for job in jobs],
        [job.params.model_dump_json(exclude_none=True) for job in jobs],
        [_INPUTS.dump_json(job.inputs).decode() for job in jobs],
        [job.output_format for job in jobs],
        [job.params.seed for job in jobs],
        [task.correlation_id for task in tasks],
        [task.traceparent for task in tasks],
        [task.subject for task in tasks],
        [task.payload for task in tasks],
        [job.lane_mode for job in jobs],
        [job.fallback_reason for job in jobs],
        [task.priority for task in tasks],
        [task.held for task in tasks],
    ]


def _conditions(wanted: TaskFilter) -> tuple[list[str], list[Any]]:
    values: list[Any] = []
    conditions = ["true"]
    for condition, value in (
        ("owner = ${}", wanted.owner),
        ("task_id like ${} || '%'", wanted.task_id),
        ("status = any(${})", list(wanted.statuses) or None),
        ("model = ${}", wanted.model),
        ("mode = ${}", wanted.mode),
        ("type = ${}", wanted.type),
        ("lane = ${}", wanted.lane),
        ("lane_mode = ${}", wanted.lane_mode),
        ("fallback_reason = ${}", wanted.fallback_reason),
        ("error_code = ${}", wanted.code),
        ("created_at >= ${}", wanted.since),
        ("created_at < ${}", wanted.until),
        ("task_id < ${}", wanted.before),
        ("strpos(lower(prompt), lower(${})) > 0", wanted.text),
    ):
        if value is not None:
            values.append(value)
            conditions.append(condition.format(len(values)))
    return conditions, values


def _task(row: Row) -> Task:
    return Task(
        task_id=row["task_id"],
        owner=row["owner"],
        type=row["type"],
        model=row["model"],
        mode=row["mode"],
        lane=row["lane"],
        job_id=row["job_id"],
        params=row["params"],
        inputs=_INPUTS.validate_python(row["inputs"]),
        output_format=row["output_format"],
        seed=row["seed"],
        correlation_id=row["correlation_id"],
        traceparent=row["traceparent"],
        created_at=row["created_at"],
        change_seq=row["change_seq"],
        state=_state(row),
    )


def _state(row: Row) -> TaskState:
    return TaskState(
        status=TaskStatus(row["status"]),
        progress=row["progress"],
        stage=Stage(row["stage"]),
        step=row["step"],
        steps=row["steps"],
        attempt=row["attempt"],
        worker=row["worker"],
        lane_mode=row["lane_mode"],
        fallback_reason=row["fallback_reason"],
        claim_seq=row["claim_seq"],
        state_seq=row["state_seq"],
        event_seq=row["event_seq"],
        live_preview_key=row["live_preview_key"],
        result=ResultRef.model_validate(row["result"]) if row["result"] else None,
        timings=Timings.model_validate(row["timings"]) if row["timings"] else None,
        error_code=row["error_code"],
        error_message=row["error_message"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def _values(state: TaskState) -> tuple[Any, ...]:
    return (
        state.status.value,
        state.progress,
        state.stage.value,
        state.step,
        state.steps,
        state.attempt,
        storable(state.worker),
        state.claim_seq,
        state.state_seq,
        state.event_seq,
        state.live_preview_key,
        state.result.model_dump() if state.result else None,
        state.timings.model_dump() if state.timings else None,
        storable(state.error_code),
        storable(state.error_message),
        state.started_at,
        state.finished_at,
        state.lane_mode,
        state.fallback_reason,
    )


def _visible(before: TaskState, after: TaskState) -> bool:
    """Say whether a client could see the difference; positions in the streams are ours alone."""
    return _values(before)[:7] + _values(before)[10:] != _values(after)[:7] + _values(after)[10:]
