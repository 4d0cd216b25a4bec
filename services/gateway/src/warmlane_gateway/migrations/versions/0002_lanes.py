"""Diagnostics, the sweep of leftovers, turns in a lane's queue, and who may operate lanes.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
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

-- A lane's own queue at the broker is kept short; what comes after waits here and leaves in turns (view fair_queue).
alter table tasks add column priority smallint not null default 5;
alter table outbox add column lane text;
alter table outbox add column held boolean not null default false;
create index outbox_held on outbox (lane) where held;
create index tasks_of_lane on tasks (lane, owner) where status in ('pending', 'processing');

-- Round robin between owners: the n-th task of each owner has turn n, and whoever has work under way begins later.
create view fair_queue as
select message_id, lane, row_number() over (partition by lane order by turn, id) as place
from (
    select waiting.message_id, waiting.lane, waiting.id,
           row_number() over (partition by waiting.lane, task.owner order by task.priority desc, waiting.id)
           + coalesce(busy.jobs, 0) as turn
    from outbox waiting
    join tasks task on task.job_id = waiting.message_id
    left join (
        select lane, owner, count(*) as jobs from tasks
        where lane_mode = 'dedicated' and (status = 'processing' or status = 'pending' and not exists (
            select 1 from outbox held where held.message_id = tasks.job_id and held.held))
        group by lane, owner
    ) busy on busy.lane = waiting.lane and busy.owner = task.owner
    where waiting.held
) ranked;

alter table api_keys add column operator boolean not null default false;
"""

DOWN = """
drop view fair_queue;
drop index tasks_of_lane;
drop index outbox_held;
alter table outbox drop column held;
alter table outbox drop column lane;
alter table tasks drop column priority;
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
