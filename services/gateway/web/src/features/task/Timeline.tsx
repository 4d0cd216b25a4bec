/** A task's life as a waterfall: what it waited for, each attempt with its stages, what cut it off, how it ended. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Span, Timeline } from "../../api/client";
import { timelineQuery } from "../../api/queries";
import { clock, seconds, stageName } from "../../api/words";
import { Badge, type Tone } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { Loading, ProblemNotice } from "../../ui/Notice";
import { copyText } from "../../task/actions";

const TONES: Record<Span["status"], Tone> = { ok: "good", failed: "bad", lost: "bad", running: "info" };
const COLOURS: Record<Span["status"], string> = { ok: "text-good", failed: "text-bad", lost: "text-bad", running: "text-info" };
const NAMES: Record<string, string> = {
  accepted: "HTTP: accepted",
  admission: "Admission: waiting for a shared worker",
  queue: "Queue: waiting for the lane",
  done: "Accepted result",
};

export function spanName(span: Span): string {
  return NAMES[span.name] ?? (span.depth === 1 ? stageName(span.name) : span.name.charAt(0).toUpperCase() + span.name.slice(1));
}

/** Where a span lies in the whole, in percent. `now` ends what has not ended. */
export function placed(span: Span, from: number, to: number): { left: number; width: number } {
  const whole = Math.max(1, to - from);
  const start = Date.parse(span.start);
  const end = span.end ? Date.parse(span.end) : to;
  return { left: ((start - from) / whole) * 100, width: Math.max(0.4, ((end - start) / whole) * 100) };
}

export function TaskTimeline({ taskId }: { taskId: string }) {
  const timeline = useQuery(timelineQuery(taskId));
  return (
    <section aria-labelledby="timeline" className="panel">
      <h2 id="timeline" className="mb-3 text-lg font-semibold">
        What became of it
      </h2>
      {timeline.isPending ? <Loading what="the timeline" /> : timeline.error ? <ProblemNotice error={timeline.error} /> : <Waterfall told={timeline.data} />}
    </section>
  );
}

function Waterfall({ told }: { told: Timeline }) {
  const [open, setOpen] = useState<number | null>(null);
  const times = told.spans.flatMap((span) => [Date.parse(span.start), ...(span.end ? [Date.parse(span.end)] : [])]);
  const running = told.spans.some((span) => span.status === "running");
  const from = Math.min(...times);
  const to = running ? Date.now() : Math.max(...times);
  return (
    <>
      <div className="mb-3 flex flex-wrap items-center gap-2 text-sm text-dim">
        <span>
          {seconds((to - from) / 1_000)} from request to {running ? "now" : "end"}
        </span>
        <span className="break-all">· trace {told.task.trace_id}</span>
        <Button small onClick={() => void copyText(told.task.trace_id, "Trace id")}>
          Copy trace id
        </Button>
      </div>
      <div className="overflow-x-auto">
        <table className="w-full min-w-[38rem] text-sm">
          <caption className="sr-only">The task's spans in the order in which they happened</caption>
          <thead className="text-left text-xs text-dim">
            <tr>
              <th className="w-64 py-1 font-medium">Span</th>
              <th className="w-20 font-medium">Took</th>
              <th className="w-20 font-medium">State</th>
              <th className="font-medium">When</th>
            </tr>
          </thead>
          <tbody>
            {told.spans.map((span, index) => {
              const at = placed(span, from, to);
              const took = ((span.end ? Date.parse(span.end) : to) - Date.parse(span.start)) / 1_000;
              const said = Object.entries(span.detail);
              return [
                <tr key={index} className="border-t border-line align-middle">
                  <td className={`py-1.5 ${span.depth ? "pl-6 text-dim" : "font-medium"}`}>
                    {said.length ? (
                      <button type="button" aria-expanded={open === index} className="text-left hover:underline" onClick={() => setOpen(open === index ? null : index)}>
                        {open === index ? "▾ " : "▸ "}
                        {spanName(span)}
                      </button>
                    ) : (
                      spanName(span)
                    )}
                  </td>
                  <td className="tabular-nums">{span.start === span.end ? "" : seconds(took)}</td>
                  <td>
                    <Badge tone={TONES[span.status]}>{span.status}</Badge>
                  </td>
                  <td className="w-1/2">
                    <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden className={`h-3 w-full ${COLOURS[span.status]}`}>
                      <rect x={at.left} y={span.depth ? 1.5 : 0} width={at.width} height={span.depth ? 3 : 6} fill="currentColor" />
                    </svg>
                  </td>
                </tr>,
                open === index && (
                  <tr key={`${index}-detail`}>
                    <td colSpan={4} className="bg-raised px-6 py-2 text-xs">
                      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1">
                        <dt className="text-dim">at</dt>
                        <dd>{clock(span.start)}</dd>
                        {said.map(([name, value]) => (
                          <div key={name} className="contents">
                            <dt className="text-dim">{name.replaceAll("_", " ")}</dt>
                            <dd className="break-words">{String(value)}</dd>
                          </div>
                        ))}
                      </dl>
                    </td>
                  </tr>
                ),
              ];
            })}
          </tbody>
        </table>
      </div>
      {told.diagnostics.length > 0 && (
        <details className="mt-4">
          <summary className="label">What its lane and memory did meanwhile ({told.diagnostics.length})</summary>
          <ul className="mt-2 flex flex-col gap-1 text-sm">
            {told.diagnostics.map((one) => (
              <li key={one.id} className="flex flex-wrap gap-x-3">
                <span className="text-dim tabular-nums">{clock(one.timestamp)}</span>
                <span className="font-medium">{one.kind.replaceAll("_", " ")}</span>
                <span className="text-dim">{[one.lane, one.reason].filter(Boolean).join(" · ")}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}
