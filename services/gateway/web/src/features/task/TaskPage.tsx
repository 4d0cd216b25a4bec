/** One task: the clip or how far it is, what can be done with it, and what became of it on the way. */
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import type { Task } from "../../api/client";
import { isRunning, useLive } from "../../api/live";
import { useNames } from "../../api/names";
import { taskQuery } from "../../api/queries";
import { dateTime, reasonName, seconds, standing } from "../../api/words";
import { Button } from "../../ui/Button";
import { Loading, ProblemNotice } from "../../ui/Notice";
import { Progress } from "../../ui/Progress";
import { copyText, rerunTask } from "../../task/actions";
import { Player } from "./Player";
import { Cancel, StatusBadge } from "../../task/TaskCard";
import { TaskTimeline } from "./Timeline";

export function TaskPage() {
  const { taskId } = useParams({ strict: false }) as { taskId: string };
  const told = useLive((state) => state.tasks.get(taskId));
  const asked = useQuery({ ...taskQuery(taskId), enabled: !told });
  const task = told ?? asked.data;
  if (!task) {
    if (asked.error)
      return (
        <div className="flex flex-col gap-6">
          <ProblemNotice error={asked.error} />
          <TaskTimeline taskId={taskId} />
        </div>
      );
    return <Loading what="the task" />;
  }
  return (
    <div className="flex flex-col gap-6">
      <div className="grid items-start gap-6 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <div className="panel">{task.result ? <Player task={task} /> : <Forming task={task} />}</div>
        <Facts task={task} />
      </div>
      <TaskTimeline taskId={taskId} />
    </div>
  );
}

function Forming({ task }: { task: Task }) {
  return (
    <div className="flex flex-col gap-4">
      {task.preview_url ? (
        <img src={task.preview_url} alt="The clip as far as it has formed" className="max-h-[60vh] w-full rounded-lg bg-raised object-contain" />
      ) : (
        <div className="flex h-56 items-center justify-center rounded-lg bg-raised text-sm text-dim">
          {isRunning(task) ? "The picture appears with the first steps" : "There is no picture"}
        </div>
      )}
      {isRunning(task) && <Progress label="Progress" value={task.progress} />}
      <div className="flex items-center justify-between gap-3">
        <p role="status" className="text-sm">
          {standing(task)}
          {isRunning(task) && <span className="text-dim"> · {task.progress} %</span>}
        </p>
        {isRunning(task) && <Cancel task={task} />}
      </div>
      {task.error && (
        <div role="alert" className="rounded-lg border border-bad/50 p-3 text-sm">
          <p className="font-medium text-bad">{task.error.message}</p>
          <p className="hint mt-1">Code: {task.error.code}</p>
        </div>
      )}
      {!isRunning(task) && <Again task={task} />}
    </div>
  );
}

export function Again({ task }: { task: Task }) {
  const navigate = useNavigate();
  const again = async (seed: "same" | "new") => {
    const id = await rerunTask(task, seed);
    if (id) await navigate({ to: "/tasks/$taskId", params: { taskId: id } });
  };
  return (
    <div className="flex flex-wrap gap-2">
      <Button onClick={() => void again("same")}>Again, same seed</Button>
      <Button onClick={() => void again("new")}>Again, new seed</Button>
    </div>
  );
}

function Facts({ task }: { task: Task }) {
  const names = useNames();
  const rows: [string, string][] = [
    ["Model", names.model(task.model)],
    ["From", names.mode(task.model, task.mode)],
    ["Seed", String(task.seed)],
    ...Object.entries(task.params)
      .filter(([name, value]) => value != null && value !== "" && !["prompt", "seed"].includes(name))
      .map(([name, value]): [string, string] => [names.parameter(task.model, name), String(value)]),
    ["Lane", task.lane],
    ...(task.worker ? [["Worker", task.worker] as [string, string]] : []),
    ["Attempts", String(task.attempt)],
    ["Asked", dateTime(task.created_at)],
    ...(task.timings ? [["Made in", seconds(task.timings.total_s)] as [string, string]] : []),
  ];
  return (
    <section aria-label="About this task" className="panel min-w-0 text-sm">
      <div className="flex items-start justify-between gap-3">
        <h1 className="min-w-0 text-lg font-semibold wrap-anywhere">{task.prompt}</h1>
        <StatusBadge task={task} />
      </div>
      {task.lane_mode === "degraded_shared" && (
        <p className="mt-2 text-warn">Made by a shared worker: {reasonName(task.fallback_reason)}.</p>
      )}
      <dl className="mt-4 grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1.5">
        {rows.map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-dim">{name}</dt>
            <dd className="break-words">{value}</dd>
          </div>
        ))}
      </dl>
      <div className="mt-4 flex flex-wrap gap-2">
        <Button small onClick={() => void copyText(task.task_id, "Task id")}>
          Copy task id
        </Button>
        <Button small onClick={() => void copyText(task.trace_id, "Trace id")}>
          Copy trace id
        </Button>
        <Link to="/gallery" className="self-center text-xs underline">
          Gallery
        </Link>
      </div>
    </section>
  );
}
