import type { Task } from "../api/client";

/** A finished clip as the browser can show it: a video, or a picture that moves. */
export function Clip({ task, hover = false, className = "" }: { task: Task; hover?: boolean; className?: string }) {
  if (!task.result) return null;
  const label = `Clip: ${task.prompt}`;
  if (task.result.content_type.startsWith("image/")) return <img src={task.result.url} alt={label} className={className} />;
  return (
    <video
      src={hover ? undefined : task.result.url}
      poster={task.preview_url ?? undefined}
      aria-label={label}
      muted
      loop
      playsInline
      controls={!hover}
      autoPlay={!hover}
      preload={hover ? "none" : "metadata"}
      className={className}
    />
  );
}
