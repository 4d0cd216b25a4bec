import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { Span } from "../../api/client";
import { live } from "../../api/live";
import { answering, show } from "../../testing/render";
import { catalogue, task } from "../../testing/samples";
import { Now } from "../../task/Now";
import { continuation } from "./Player";
import { placed, spanName } from "./Timeline";

describe("what is on its way", () => {
  it("is empty at first and says what to do", async () => {
    live.apply("snapshot", { tasks: [], deleted: [], lanes: { lanes: [], degraded: {} as never }, diagnostics: [] }, null as never);
    await show(<Now />);
    expect(screen.getByText("Nothing here yet")).toBeTruthy();
  });

  it("shows place, fallback and attempt, and can be cancelled", async () => {
    const sent = answering(() => ({ body: task({ status: "cancelled", change: 9 }) }));
    live.add(task({ status: "processing", progress: 40, attempt: 2, lane_mode: "degraded_shared", fallback_reason: "manual" }));
    await show(<Now />);
    expect(screen.getByRole("progressbar").getAttribute("aria-valuenow")).toBe("40");
    expect(screen.getByText(/On a shared worker: an operator/)).toBeTruthy();
    expect(screen.getByText(/Attempt 2/)).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "Cancel a swan" }));
    await waitFor(() => expect(screen.getByRole("article").dataset["status"]).toBe("cancelled"));
    expect(sent[0]?.path).toBe(`/tasks/${task().task_id}/cancel`);
  });

  it("says why a task failed", async () => {
    live.add(task({ status: "failed", error: { code: "gpu_out_of_memory", message: "The device is full. Ask for less." } }));
    await show(<Now />);
    expect(screen.getByText("The device is full. Ask for less.")).toBeTruthy();
  });
});

describe("the timeline", () => {
  const span = (change: Partial<Span>): Span => ({ name: "queue", start: "2026-01-01T00:00:00Z", end: "2026-01-01T00:00:05Z", status: "ok", depth: 0, attempt: null, detail: {}, ...change });
  const from = Date.parse("2026-01-01T00:00:00Z");
  it("places spans in the whole", () => expect(placed(span({ start: "2026-01-01T00:00:05Z", end: "2026-01-01T00:00:10Z" }), from, from + 10_000)).toEqual({ left: 50, width: 50 }));
  it("lets what lasts last until now", () => expect(placed(span({ end: null }), from, from + 10_000)).toEqual({ left: 0, width: 100 }));
  it("keeps a moment visible", () => expect(placed(span({ end: "2026-01-01T00:00:00Z" }), from, from + 10_000).width).toBeGreaterThan(0));
  it("names them for people", () => expect([spanName(span({})), spanName(span({ name: "attempt 2" })), spanName(span({ name: "denoising", depth: 1 }))]).toEqual(["Queue: waiting for the lane", "Attempt 2", "Forming the clip"]));
});

describe("small parts", () => {
  it("finds no continuation where no mode begins with one picture", () => expect(continuation(catalogue, task())).toBeNull());
});
