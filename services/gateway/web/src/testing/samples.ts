/** Answers of a gateway that never ran, typed by the API's own document: what it says changes, these stop compiling. */
import type { Catalogue, Lane, Lanes, Model, Parameter, Task } from "../api/client";

export function parameter(change: Partial<Parameter> & Pick<Parameter, "name" | "kind">): Parameter {
  return {
    title: change.name,
    help: "",
    unit: "",
    default: null,
    required: false,
    locked: false,
    reason: "",
    minimum: null,
    maximum: null,
    step: null,
    offset: 0,
    max_length: null,
    choices: [],
    aliases: [],
    modes: [],
    ...change,
  };
}

export const model = {
  id: "swan",
  title: "Swan",
  summary: "Clips of swans.",
  type: "video",
  lane: "lake",
  aliases: [],
  default_mode: "words",
  modes: [
    { id: "words", title: "From words", images: [], available: true, reason: "" },
    {
      id: "pictures",
      title: "From pictures",
      images: [{ field: "keys", role: "keyframe", title: "Keys", many: true, minimum: 1, maximum: 3 }],
      available: true,
      reason: "",
    },
    { id: "dreams", title: "From dreams", images: [], available: false, reason: "nobody dreams here" },
  ],
  parameters: [
    parameter({ name: "prompt", kind: "text", title: "Prompt", required: true, max_length: 30 }),
    parameter({ name: "width", kind: "integer", title: "Width", default: 32, minimum: 16, maximum: 96, step: 16 }),
    parameter({ name: "height", kind: "integer", title: "Height", default: 32, minimum: 16, maximum: 96, step: 16 }),
    parameter({ name: "length", kind: "integer", title: "Length", default: 9, minimum: 5, maximum: 21, step: 4, offset: 1 }),
    parameter({ name: "beats", kind: "integer", title: "Beats", default: 6, locked: true, reason: "a swan beats six times" }),
  ],
  max_pixels: 4_096,
  output_formats: ["mp4", "gif"],
  presets: { aspect: [{ id: "tall", title: "Tall", values: { width: 32, height: 64 } }] },
} as unknown as Model;

export const catalogue: Catalogue = { profile: "tiny", schema_version: 1, models: [model], memory: {} };

export function task(change: Partial<Task> = {}): Task {
  return {
    task_id: "01AAAAAAAAAAAAAAAAAAAAAAAA",
    status: "pending",
    progress: 0,
    stage: "queued",
    step: 0,
    steps: 0,
    queue_position: 2,
    eta_s: 12,
    attempt: 0,
    type: "video",
    model: "swan",
    mode: "words",
    lane: "lake",
    lane_mode: "dedicated",
    fallback_reason: null,
    worker: null,
    prompt: "a swan",
    params: { prompt: "a swan", width: 32 },
    seed: 7,
    output_format: "mp4",
    error: null,
    result: null,
    preview_url: null,
    timings: null,
    trace_id: "abc",
    correlation_id: "def",
    created_at: "2026-01-01T00:00:00Z",
    started_at: null,
    finished_at: null,
    change: 1,
    ...change,
  };
}

export function lane(change: Partial<Lane> = {}): Lane {
  return {
    lane: "lake",
    availability: "ready",
    warm: true,
    mode: "dedicated",
    routing: "auto",
    fallback_reason: null,
    since: null,
    waiting: 0,
    service_s: 3,
    memory: { used_bytes: 100, peak_bytes: 150, budget_bytes: 200 },
    updated_at: null,
    workers: [],
    ...change,
  };
}

export function lanes(...all: Lane[]): Lanes {
  return {
    lanes: all.length ? all : [lane()],
    degraded: { waiting: 3, depth: 25, wait_s: 30, oldest_s: null, service_s: null, memory: null, workers: [] },
  };
}
