/** Deleting with a way back: clips disappear at once and are really deleted when the time to undo has passed, or the page goes. */
import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { api, Problem } from "../../api/client";
import { live } from "../../api/live";
import { say } from "../../ui/toasts";

export const UNDO_MS = 6_000;

let hidden: ReadonlySet<string> = new Set();

window.addEventListener("pagehide", () => {
  for (const id of hidden) void fetch(`/gallery/${id}`, { method: "DELETE", keepalive: true });
});
const listeners = new Set<() => void>();

function put(next: ReadonlySet<string>): void {
  hidden = next;
  for (const listener of listeners) listener();
}

/** The clips that are being deleted and shall not be shown. */
export function useDeleting(): ReadonlySet<string> {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => hidden,
  );
}

export function deleteWithUndo(ids: string[], queries: QueryClient): void {
  put(new Set([...hidden, ...ids]));
  const back = () => put(new Set([...hidden].filter((id) => !ids.includes(id))));
  const timer = window.setTimeout(() => void remove(ids, queries).finally(back), UNDO_MS);
  say(ids.length === 1 ? "Clip deleted." : `${ids.length} clips deleted.`, {
    ms: UNDO_MS,
    undo: () => {
      window.clearTimeout(timer);
      back();
    },
  });
}

async function remove(ids: string[], queries: QueryClient): Promise<void> {
  let kept = 0;
  for (const id of ids)
    try {
      await api.DELETE("/gallery/{task_id}", { params: { path: { task_id: id } } });
      live.remove(id);
    } catch (refused) {
      // Somebody else deleted it: that is what was wanted.
      if (!(refused instanceof Problem && refused.status === 404)) kept += 1;
    }
  if (kept) say(`${kept} could not be deleted and are still there. Try again.`);
  await queries.invalidateQueries({ queryKey: ["gallery"] });
}
