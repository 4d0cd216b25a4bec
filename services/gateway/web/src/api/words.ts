/** How values read to people. Units: seconds, bytes, ISO times. */
import type { Task } from "./client";

export function seconds(value: number | null | undefined): string {
  if (value == null) return "–";
  if (value > 0 && value < 0.95) return `${Math.max(1, Math.round(value * 1_000))} ms`;
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 90) return `${Math.round(value)} s`;
  if (value < 5_400) return `${Math.round(value / 60)} min`;
  return `${(value / 3_600).toFixed(1)} h`;
}

export function bytes(value: number | null | undefined): string {
  if (value == null) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = value > 0 ? Math.min(units.length - 1, Math.floor(Math.log2(value) / 10)) : 0;
  const number = value / 2 ** (10 * power);
  return `${number >= 100 || power === 0 ? Math.round(number) : number.toFixed(1)} ${units[power]}`;
}

export function clock(time: string): string {
  return new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

export function dateTime(time: string): string {
  return new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

export function ago(time: string, now = Date.now()): string {
  const passed = Math.max(0, (now - Date.parse(time)) / 1_000);
  if (passed < 45) return "just now";
  if (passed < 2_700) return `${Math.max(1, Math.round(passed / 60))} min ago`;
  if (passed < 79_200) return `${Math.max(1, Math.round(passed / 3_600))} h ago`;
  return dateTime(time);
}

const STAGES: Record<string, string> = {
  queued: "Waiting",
  claimed: "Starting",
  loading: "Loading the model",
  encoding_prompt: "Reading the prompt",
  denoising: "Forming the clip",
  decoding: "Decoding frames",
  encoding: "Encoding the video",
  uploading: "Storing",
  done: "Done",
};

export function stageName(stage: string): string {
  return STAGES[stage] ?? stage.replaceAll("_", " ");
}

const REASONS: Record<string, string> = {
  manual: "an operator sent its work to the shared workers",
  quota: "its GPU was refused by a quota",
  capacity: "its own worker is not available",
};

export function reasonName(reason: string | null | undefined): string {
  return reason ? (REASONS[reason] ?? reason) : "";
}

/** One sentence on where a task stands. */
export function standing(task: Task): string {
  switch (task.status) {
    case "pending": {
      const place = task.queue_position == null ? "" : task.queue_position === 0 ? " – next in line" : ` – ${task.queue_position} before it`;
      return `Waiting${place}${task.eta_s == null ? "" : `, about ${seconds(task.eta_s)}`}`;
    }
    case "processing":
      return task.stage === "denoising" && task.steps > 0
        ? `${stageName(task.stage)}: step ${task.step} of ${task.steps}`
        : stageName(task.stage);
    case "done":
      return "Done";
    case "cancelled":
      return "Cancelled";
    default:
      return "Failed";
  }
}
