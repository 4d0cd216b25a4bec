/** One task in a list: what was asked, how far it is, the picture that is forming, and the way to stop it. */
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Task } from "../api/client";
import { isRunning } from "../api/live";
import { reasonName, standing } from "../api/words";
import { Badge, type Tone } from "../ui/Badge";
import { Button } from "../ui/Button";
import { Progress } from "../ui/Progress";
import { cancelTask } from "./actions";

const TONES: Record<Task["status"], Tone> = { pending: "info", processing: "info", done: "good", failed: "bad", cancelled: "plain" };

const SAID: Record<Task["status"], string> = { pending: "text-dim", processing: "text-dim", done: "text-good", failed: "text-bad", cancelled: "text-dim" };

export function StatusBadge({ task }: { task: Task }) {
  return <Badge tone={TONES[task.status]}>{task.status}</Badge>;
}

export function TaskCard({ task, small = false }: { task: Task; small?: boolean }) {
  return (
    <article aria-label={task.prompt} className="panel flex flex-col gap-2 !p-3" data-task={task.task_id} data-status={task.status}>
      <div className="flex items-start gap-3">
        {task.preview_url && (
          <Link to="/tasks/$taskId" params={{ taskId: task.task_id }} tabIndex={-1} aria-hidden className="shrink-0">
            <img src={task.preview_url} alt="" className={`${small ? "size-16" : "size-28"} rounded-lg bg-raised object-cover`} />
          </Link>
        )}
        <div className="min-w-0 flex-1">
          <Link to="/tasks/$taskId" params={{ taskId: task.task_id }} className="line-clamp-2 text-sm font-medium break-words hover:underline">
            {task.prompt}
          </Link>
          <p className={`mt-1 text-xs ${SAID[task.status]}`}>{standing(task)}</p>
          {task.lane_mode === "degraded_shared" && (
            <p className="mt-1 text-xs text-warn">On a shared worker: {reasonName(task.fallback_reason)}.</p>
          )}
          {task.attempt > 1 && isRunning(task) && <p className="mt-1 text-xs text-warn">Attempt {task.attempt}: the one before was cut off.</p>}
          {task.error && <p className="mt-1 text-xs text-bad">{task.error.message}</p>}
        </div>
      </div>
      {isRunning(task) && (
        <div className="flex items-center gap-3">
          <Progress label={`Progress of ${task.prompt}`} value={task.progress} />
          <span className="text-right text-xs whitespace-nowrap tabular-nums">{task.progress} %</span>
          <Cancel task={task} />
        </div>
      )}
    </article>
  );
}

export function Cancel({ task }: { task: Task }) {
  const [asked, setAsked] = useState(false);
  const cancel = async () => {
    setAsked(true);
    await cancelTask(task);
    setAsked(false);
  };
  return (
    <Button small disabled={asked} onClick={() => void cancel()} aria-label={`Cancel ${task.prompt}`}>
      {asked ? "Stopping…" : "Cancel"}
    </Button>
  );
}
