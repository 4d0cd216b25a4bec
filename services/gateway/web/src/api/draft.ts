/** What somebody is composing: kept for the tab, so that a look at another page or a reload loses nothing. */
import { useSyncExternalStore } from "react";
import type { Task } from "./client";

/** What stands in the fields, by the parameter's name. */
export type Values = Record<string, string>;
export interface Picture {
  asset: string;
  /** Where in the clip a keyframe stands: 0 the first frame, 1 the last. */
  position?: number;
}
/** The pictures, by the slot's field. */
export type Pictures = Record<string, Picture[]>;

export interface Draft {
  model: string;
  mode: string;
  format: string;
  values: Values;
  pictures: Pictures;
}

const KEPT = "draft";
const BLANK: Draft = { model: "", mode: "", format: "", values: {}, pictures: {} };

function read(): Draft {
  try {
    const found = JSON.parse(window.sessionStorage.getItem(KEPT) ?? "null") as Partial<Draft> | null;
    return { ...BLANK, ...found };
  } catch {
    return BLANK;
  }
}

let draft = read();
const listeners = new Set<() => void>();

export function changeDraft(change: Partial<Draft>): void {
  draft = { ...draft, ...change };
  window.sessionStorage.setItem(KEPT, JSON.stringify(draft));
  for (const listener of listeners) listener();
}

export function useDraft(): Draft {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => draft,
  );
}

export function currentDraft(): Draft {
  return draft;
}

/** Begin with a task's settings. Pictures belong to the task and are not taken along. */
export function draftFrom(task: Task): void {
  const values: Values = {};
  for (const [name, value] of Object.entries(task.params)) if (value != null) values[name] = String(value);
  values["seed"] = String(task.seed);
  changeDraft({ model: task.model, mode: task.mode, format: task.output_format, values, pictures: {} });
}
