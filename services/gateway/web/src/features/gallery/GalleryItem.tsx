/** One clip of the gallery: its poster, which plays while it is pointed at or focused. */
import { Link } from "@tanstack/react-router";
import { useRef } from "react";
import type { Task } from "../../api/client";
import { useNames } from "../../api/names";
import { ago } from "../../api/words";
import { Clip } from "../../ui/Clip";

export function GalleryItem({ task, chosen, onChoose }: { task: Task; chosen: boolean; onChoose: () => void }) {
  const names = useNames();
  const frame = useRef<HTMLDivElement>(null);
  const play = () => {
    const video = frame.current?.querySelector("video");
    if (!video || !task.result || window.matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    if (!video.src) video.src = task.result.url;
    // Refused when the pointer has left before the clip has begun.
    void video.play().catch(() => undefined);
  };
  const rest = () => frame.current?.querySelector("video")?.pause();
  return (
    <li className={`overflow-hidden rounded-xl border bg-card ${chosen ? "border-accent" : "border-line"}`} data-task={task.task_id}>
      <div ref={frame} onMouseEnter={play} onMouseLeave={rest} onFocus={play} onBlur={rest} className="relative">
        <Link to="/tasks/$taskId" params={{ taskId: task.task_id }} aria-label={`Open ${task.prompt}`}>
          <Clip task={task} hover className="aspect-video w-full bg-raised object-cover" />
        </Link>
        <label className="absolute top-2 left-2 flex size-8 items-center justify-center rounded-md bg-card/90">
          <input type="checkbox" checked={chosen} onChange={onChoose} className="size-4 accent-(--accent)" aria-label={`Choose ${task.prompt}`} />
        </label>
      </div>
      <div className="p-2.5">
        <p className="line-clamp-1 text-sm" title={task.prompt}>
          {task.prompt}
        </p>
        <p className="hint flex justify-between gap-2">
          <span className="truncate">
            {names.model(task.model)} · {names.mode(task.model, task.mode)}
          </span>
          <span className="whitespace-nowrap">{ago(task.created_at)}</span>
        </p>
      </div>
    </li>
  );
}
