/** Short words about what just happened, with a way back where there is one. */
import { useSyncExternalStore } from "react";
import { Button } from "./Button";

interface Toast {
  id: number;
  text: string;
  undo?: (() => void) | undefined;
}

let toasts: readonly Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function put(list: readonly Toast[]): void {
  toasts = list;
  for (const listener of listeners) listener();
}

/** Say something for `ms`; return how to take it away earlier. */
export function say(text: string, options: { undo?: () => void; ms?: number } = {}): () => void {
  const id = next++;
  const away = () => put(toasts.filter((toast) => toast.id !== id));
  put([...toasts, { id, text, undo: options.undo }]);
  window.setTimeout(away, options.ms ?? 5_000);
  return away;
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div aria-live="polite" role="status" className="fixed inset-x-3 bottom-3 z-30 flex flex-col items-center gap-2 sm:items-end">
      {shown.map((toast) => (
        <div key={toast.id} className="flex items-center gap-3 rounded-lg border border-line bg-card px-4 py-2.5 text-sm shadow-lg">
          {toast.text}
          {toast.undo && (
            <Button
              small
              onClick={() => {
                toast.undo?.();
                put(toasts.filter((one) => one.id !== toast.id));
              }}
            >
              Undo
            </Button>
          )}
        </div>
      ))}
    </div>
  );
}
