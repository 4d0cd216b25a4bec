/** A lane's memory as its meter reads it, over the last minutes that this page has seen: the device's, or without one the engine's own. */
import { useId } from "react";
import type { Lane } from "../../api/client";
import { useLive, type Reading } from "../../api/live";
import { bytes } from "../../api/words";

const NONE: readonly Reading[] = [];
const WIDTH = 300;
const HEIGHT = 64;

/** The line through readings, for a chart that is `most` bytes high. */
export function lineOf(readings: readonly Reading[], most: number): string {
  const first = readings[0];
  const last = readings.at(-1);
  if (!first || !last) return "";
  const time = Math.max(1, last.at - first.at);
  // A single reading has held as long as the page is open.
  return (first === last ? [first, { ...first, at: first.at + 1 }] : readings)
    .map((one) => `${(((one.at - first.at) / time) * WIDTH).toFixed(1)},${(HEIGHT - (one.used / Math.max(1, most)) * (HEIGHT - 4)).toFixed(1)}`)
    .join(" ");
}

export function MemoryChart({ lane, memory }: { lane: string; memory: Lane["memory"] }) {
  const readings = useLive((state) => state.memory.get(lane)) ?? NONE;
  const title = useId();
  if (!memory) return <p className="text-sm text-dim">Its memory has not been measured yet.</p>;
  const most = Math.max(memory.budget_bytes ?? 0, memory.peak_bytes ?? 0, ...readings.map((one) => one.used));
  const line = lineOf(readings, most);
  return (
    <figure className="min-w-0">
      <figcaption id={title} className="mb-1 flex flex-wrap justify-between gap-x-3 text-xs text-dim">
        <span>
          Memory: <strong className="text-ink">{bytes(memory.used_bytes)}</strong>
          {memory.budget_bytes != null && <> of {bytes(memory.budget_bytes)}</>}
        </span>
        {memory.peak_bytes != null && <span>peak {bytes(memory.peak_bytes)}</span>}
      </figcaption>
      <svg role="img" aria-labelledby={title} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" className="h-16 w-full rounded-md bg-raised text-accent">
        <polygon points={line ? `0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}` : ""} fill="currentColor" opacity="0.2" />
        <polyline points={line} fill="none" stroke="currentColor" strokeWidth="1.5" vectorEffect="non-scaling-stroke" />
      </svg>
    </figure>
  );
}
