/**
 * What changes by itself, in one store. `follow` fills it from the gateway's event stream.
 *
 * Events hold whole states, so applying one twice does no harm, and a snapshot mends whatever was missed.
 */
import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import type { ConsoleEvents, Diagnostic, Lanes, Task } from "./client";

/** One reading of a lane's memory, in bytes, and when (milliseconds since 1970). */
export interface Reading {
  at: number;
  used: number;
}

export interface Live {
  connected: boolean;
  /** Whether a snapshot has been seen since the page was opened. */
  known: boolean;
  tasks: ReadonlyMap<string, Task>;
  lanes: Lanes | null;
  diagnostics: readonly Diagnostic[];
  memory: ReadonlyMap<string, readonly Reading[]>;
}

const NOTHING: Live = { connected: false, known: false, tasks: new Map(), lanes: null, diagnostics: [], memory: new Map() };
const READINGS = 180;
const DIAGNOSTICS = 300;

let state: Live = NOTHING;
const listeners = new Set<() => void>();

function put(next: Partial<Live>): void {
  state = { ...state, ...next };
  for (const listener of listeners) listener();
}

/** Read the store; `choose` must return the same object while nothing it depends on has changed. */
export function useLive<T>(choose: (live: Live) => T): T {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => choose(state),
  );
}

export const live = {
  get: (): Live => state,
  /** Take in a task that an answer brought, before the stream tells of it. */
  add: (task: Task): void => put({ tasks: withTask(state.tasks, task) }),
  remove: (id: string): void => put({ tasks: without(state.tasks, id) }),
  forget: (): void => put(NOTHING),
  connected: (connected: boolean): void => put({ connected }),
  /** What somebody needs who begins to listen now. */
  snapshot: (): ConsoleEvents["snapshot"] | null =>
    state.known && state.lanes
      ? { tasks: [...state.tasks.values()], deleted: [], lanes: state.lanes, diagnostics: [...state.diagnostics] }
      : null,
  apply,
};

/** Unfinished or waiting: it will change by itself. */
export function isRunning(task: Task): boolean {
  return task.status === "pending" || task.status === "processing";
}

export type EventName = keyof ConsoleEvents;

function apply<N extends EventName>(name: N, said: ConsoleEvents[N], queries: QueryClient): void {
  switch (name) {
    case "snapshot":
      return applySnapshot(said as ConsoleEvents["snapshot"], queries);
    case "task":
      return applyTask(said as Task, queries);
    case "task_deleted": {
      const { task_id } = said as ConsoleEvents["task_deleted"];
      put({ tasks: without(state.tasks, task_id) });
      void queries.invalidateQueries({ queryKey: ["gallery"] });
      return;
    }
    case "lanes":
      return put({ lanes: said as Lanes, memory: withReadings(state.memory, said as Lanes) });
    case "diagnostic":
      return put({ diagnostics: [said as Diagnostic, ...state.diagnostics].slice(0, DIAGNOSTICS) });
  }
}

function applySnapshot(said: ConsoleEvents["snapshot"], queries: QueryClient): void {
  const tasks = new Map(said.tasks.map((task) => [task.task_id, task]));
  const again = state.known;
  put({
    known: true,
    connected: true,
    tasks,
    lanes: said.lanes,
    diagnostics: said.diagnostics,
    memory: withReadings(state.memory, said.lanes),
  });
  for (const id of said.deleted) queries.removeQueries({ queryKey: ["task", id] });
  if (again) void queries.invalidateQueries({ predicate: (query) => ["gallery", "task", "search"].includes(String(query.queryKey[0])) });
}

function applyTask(task: Task, queries: QueryClient): void {
  const before = state.tasks.get(task.task_id);
  put({ tasks: withTask(state.tasks, task) });
  queries.setQueryData(["task", task.task_id], task);
  void queries.invalidateQueries({ queryKey: ["timeline", task.task_id] });
  if (task.status === before?.status) return;
  void queries.invalidateQueries({ queryKey: ["search"] });
  if (task.status === "done") void queries.invalidateQueries({ queryKey: ["gallery"] });
}

function withTask(tasks: ReadonlyMap<string, Task>, task: Task): ReadonlyMap<string, Task> {
  const known = tasks.get(task.task_id);
  if (known && known.change > task.change) return tasks;
  return new Map(tasks).set(task.task_id, task);
}

function without(tasks: ReadonlyMap<string, Task>, id: string): ReadonlyMap<string, Task> {
  const next = new Map(tasks);
  next.delete(id);
  return next;
}

function withReadings(memory: Live["memory"], lanes: Lanes): Live["memory"] {
  const next = new Map(memory);
  const at = Date.now();
  for (const [name, used] of [
    ...lanes.lanes.map((lane) => [lane.lane, lane.memory?.used_bytes] as const),
    ["", lanes.degraded.memory?.used_bytes] as const,
  ])
    if (used != null) next.set(name, [...(next.get(name) ?? []), { at, used }].slice(-READINGS));
  return next;
}
