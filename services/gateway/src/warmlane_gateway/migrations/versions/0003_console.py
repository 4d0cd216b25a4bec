"""Sessions and sign-in links, the history of each task, and what the console's event stream needs to resume.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UP = (
    """
create table sign_in_links (
    hash       bytea primary key,
    key_id     text not null references api_keys on delete cascade,
    expires_at timestamptz not null
)""",
    """
create table sessions (
    hash       bytea primary key,
    key_id     text not null references api_keys on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
)""",
    """
create table task_history (
    event_id text primary key,
    task_id  text not null references tasks on delete cascade,
    at       timestamptz not null,
    kind     text not null,
    attempt  integer,
    worker   text,
    detail   jsonb not null default '{}'
)""",
    "create index task_history_of_task on task_history (task_id, at)",
    # Gone for good, but a console that was away must learn of it. Kept as long as a resume may reach back.
    """
create table deleted_tasks (
    change_seq bigint primary key default nextval('task_changes'),
    task_id    text not null,
    owner      text not null,
    at         timestamptz not null default now()
)""",
    "create index deleted_tasks_by_id on deleted_tasks (task_id)",
    "create index tasks_unfinished on tasks (owner, task_id desc) where status in ('pending', 'processing')",
    # Whoever inserts or deletes tasks, those who watch learn of it with the commit.
    """
create function tell_new_tasks() returns trigger language plpgsql as $$
begin
    perform pg_notify('task_changes', task_id) from added;
    return null;
end $$""",
    """
create trigger tell_new_tasks after insert on tasks
    referencing new table as added for each statement execute function tell_new_tasks()""",
    """
create function tell_deleted_tasks() returns trigger language plpgsql as $$
begin
    insert into deleted_tasks (task_id, owner) select task_id, owner from removed;
    perform pg_notify('task_changes', task_id) from removed;
    return null;
end $$""",
    """
create trigger tell_deleted_tasks after delete on tasks
    referencing old table as removed for each statement execute function tell_deleted_tasks()""",
)

DOWN = (
    "drop trigger tell_new_tasks on tasks",
    "drop trigger tell_deleted_tasks on tasks",
    "drop function tell_new_tasks, tell_deleted_tasks",
    "drop index tasks_unfinished",
    "drop table deleted_tasks, task_history, sessions, sign_in_links",
)


def upgrade() -> None:
    """Make everything."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Remove everything."""
    for statement in DOWN:
        op.execute(statement)
