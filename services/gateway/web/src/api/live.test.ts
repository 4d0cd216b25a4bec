import { QueryClient } from "@tanstack/react-query";
import { describe, expect, it, vi } from "vitest";
import { lanes, task } from "../testing/samples";
import { live } from "./live";

const queries = new QueryClient();
const snapshot = { tasks: [task()], deleted: [], lanes: lanes(), diagnostics: [] };

describe("the store", () => {
  it("begins with the snapshot", () => {
    live.apply("snapshot", snapshot, queries);
    expect([live.get().known, live.get().tasks.size, live.get().lanes?.degraded.depth]).toEqual([true, 1, 25]);
  });

  it("takes whole states, whichever comes twice or late", () => {
    live.apply("snapshot", snapshot, queries);
    live.apply("task", task({ change: 5, status: "processing", progress: 50 }), queries);
    live.apply("task", task({ change: 4, status: "pending" }), queries);
    live.apply("task", task({ change: 5, status: "processing", progress: 50 }), queries);
    expect(live.get().tasks.get(task().task_id)).toMatchObject({ status: "processing", progress: 50 });
  });

  it("has lists asked anew when a task changes its status, not at every step", () => {
    live.apply("snapshot", snapshot, queries);
    const asked = vi.spyOn(queries, "invalidateQueries");
    const lists = () => asked.mock.calls.map(([filter]) => filter?.queryKey?.[0]).filter((key) => key !== "timeline");
    live.apply("task", task({ change: 2, status: "processing" }), queries);
    live.apply("task", task({ change: 3, status: "processing", progress: 50 }), queries);
    live.apply("task", task({ change: 4, status: "done", progress: 100 }), queries);
    expect(lists()).toEqual(["search", "search", "gallery"]);
  });

  it("forgets what was deleted, also while it was away", () => {
    live.apply("snapshot", snapshot, queries);
    live.apply("task_deleted", { task_id: task().task_id }, queries);
    expect(live.get().tasks.size).toBe(0);
    live.apply("snapshot", snapshot, queries);
    live.apply("snapshot", { ...snapshot, tasks: [] }, queries);
    expect(live.get().tasks.size).toBe(0);
  });

  it("collects readings of memory by lane", () => {
    for (let count = 0; count < 300; count++) live.apply("lanes", lanes(), queries);
    const readings = live.get().memory.get("lake") ?? [];
    expect(readings.length).toBe(180);
    expect(readings[0]?.used).toBe(100);
  });

  it("keeps the newest diagnostics first", () => {
    const one = { kind: "cold_start", task_id: null, model: null, lane: "lake", lane_mode: null, value: 1, reason: null, timestamp: "2026-01-01T00:00:00Z", detail: {} };
    live.apply("diagnostic", { ...one, id: 1 }, queries);
    live.apply("diagnostic", { ...one, id: 2 }, queries);
    expect(live.get().diagnostics.map((found) => found.id)).toEqual([2, 1]);
  });
});
