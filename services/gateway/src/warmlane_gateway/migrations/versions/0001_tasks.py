"""Tasks, outbox, idempotency keys, API keys, assets, trash.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UP = """
create sequence task_changes;

create table tasks (
    task_id          text primary key,
    owner            text not null,
    type             text not null,
    model            text not null,
    mode             text not null,
    lane             text not null,
    lane_mode        text not null default 'dedicated',
    fallback_reason  text,
    job_id           text not null unique,
    prompt           text not null,
    params           jsonb not null,
    inputs           jsonb not null,
    output_format    text not null,
    seed             bigint not null,
    correlation_id   text not null,
    traceparent      text not null,
    created_at       timestamptz not null default now(),
    -- What follows is the projection of the job's register and events (warmlane_jobs.task.TaskState).
    status           text not null default 'pending',
    progress         smallint not null default 0,
    stage            text not null default 'queued',
    step             integer not null default 0,
    steps            integer not null default 0,
    attempt          integer not null default 0,
    worker           text,
    claim_seq        bigint not null default 0,
    state_seq        bigint not null default 0,
    event_seq        bigint not null default 0,
    live_preview_key text,
    result           jsonb,
    timings          jsonb,
    error_code       text,
    error_message    text,
    started_at       timestamptz,
    finished_at      timestamptz,
    -- Grows with every visible change, over all tasks: the id of an event.
    change_seq       bigint not null default nextval('task_changes')
);
create index tasks_of_owner on tasks (owner, task_id desc);
create index tasks_done on tasks (owner, task_id desc) where status = 'done';
create index tasks_waiting on tasks (lane, task_id) where status = 'pending';
-- Rows change a dozen times while a clip is made; room on the page keeps those updates out of the indices.
alter table tasks set (fillfactor = 80);

create table outbox (
    id         bigint generated always as identity primary key,
    message_id text not null unique,
    subject    text not null,
    payload    bytea not null,
    created_at timestamptz not null default now()
);

create table idempotency (
    owner      text not null,
    key        text not null,
    body_hash  bytea not null,
    task_id    text not null,
    created_at timestamptz not null default now(),
    primary key (owner, key)
);

create table api_keys (
    key_id     text primary key,
    name       text not null,
    hash       bytea not null unique,
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);

create table assets (
    asset_id     text primary key,
    owner        text not null,
    key          text not null,
    sha256       text not null,
    content_type text not null,
    bytes        bigint not null,
    width        integer not null,
    height       integer not null,
    created_at   timestamptz not null default now()
);

create table trash (
    key      text primary key,
    added_at timestamptz not null default now()
);
"""

DOWN = """
drop table trash, assets, api_keys, idempotency, outbox, tasks;
drop sequence task_changes;
"""


def upgrade() -> None:
    """Make everything."""
    for statement in filter(str.strip, UP.split(";\n")):
        op.execute(statement)


def downgrade() -> None:
    """Remove everything."""
    for statement in filter(str.strip, DOWN.split(";\n")):
        op.execute(statement)
