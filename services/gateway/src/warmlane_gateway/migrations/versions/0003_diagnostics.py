"""Diagnostics, the sweep of leftovers, and who may operate lanes.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None

UP = """
create table diagnostics (
    id        bigint generated always as identity primary key,
    -- Facts are delivered at least once; each is kept once.
    event_id  text not null unique,
    kind      text not null,
    task_id   text,
    model     text,
    lane      text,
    lane_mode text,
    value     double precision,
    reason    text,
    detail    jsonb not null default '{}',
    at        timestamptz not null default now()
);
create index diagnostics_of_kind on diagnostics (kind, id desc);
create index diagnostics_of_task on diagnostics (task_id, id) where task_id is not null;
create index diagnostics_of_lane on diagnostics (lane, id desc);
create index diagnostics_at on diagnostics (at);

-- Ended tasks whose folder may hold what nobody refers to: of attempts that lost, of workers that were killed.
create table leftovers (
    task_id  text primary key,
    ended_at timestamptz not null default now()
);
create index leftovers_ended on leftovers (ended_at);

create index tasks_offered on tasks (created_at) where status = 'pending' and lane_mode = 'degraded_shared';
create index tasks_begun on tasks (started_at) where status in ('processing', 'pending');

alter table api_keys add column operator boolean not null default false;
"""

DOWN = """
alter table api_keys drop column operator;
drop index tasks_begun;
drop index tasks_offered;
drop table leftovers, diagnostics;
"""


def upgrade() -> None:
    """Make everything."""
    for statement in filter(str.strip, UP.split(";\n")):
        op.execute(statement)


def downgrade() -> None:
    """Remove everything."""
    for statement in filter(str.strip, DOWN.split(";\n")):
        op.execute(statement)
