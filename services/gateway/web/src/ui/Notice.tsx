import type { ReactNode } from "react";
import { Problem } from "../api/client";

/** What went wrong and what to do about it. */
export function ProblemNotice({ error, children }: { error: unknown; children?: ReactNode }) {
  const problem = error instanceof Problem ? error : null;
  return (
    <div role="alert" className="rounded-lg border border-bad/50 bg-card p-3 text-sm">
      <p className="font-medium text-bad">{problem?.message ?? (error instanceof Error ? error.message : "Something failed.")}</p>
      {problem && <p className="mt-1">{problem.action}</p>}
      {problem?.correlationId && <p className="hint mt-1">Reference: {problem.correlationId}</p>}
      {children && <div className="mt-2 flex flex-wrap gap-2">{children}</div>}
    </div>
  );
}

/** Nothing is here, and what to do so that something will be. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="rounded-xl border border-dashed border-line p-8 text-center">
      <p className="font-medium">{title}</p>
      {children && <div className="mt-2 text-sm text-dim">{children}</div>}
    </div>
  );
}

export function Loading({ what }: { what: string }) {
  return (
    <p role="status" className="py-8 text-center text-sm text-dim">
      Loading {what}…
    </p>
  );
}
