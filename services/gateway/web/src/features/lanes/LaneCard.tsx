import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, data, type Lane } from "../../api/client";
import { useLive } from "../../api/live";
import { ago, reasonName, seconds } from "../../api/words";
import { Badge, type Tone } from "../../ui/Badge";
import { Choice } from "../../ui/Choice";
import { ProblemNotice } from "../../ui/Notice";
import { say } from "../../ui/toasts";
import { MemoryChart } from "./MemoryChart";

const TONES: Record<Lane["availability"], Tone> = { ready: "good", cold: "warn", unavailable: "bad" };
const ROUTING = [
  { value: "auto", label: "Auto", title: "The lane's own state decides" },
  { value: "dedicated", label: "Dedicated", title: "Always to the lane, whatever its state" },
  { value: "degraded", label: "Degraded", title: "Always to the shared workers" },
];

/** A worker's record, of which the page shows these parts. */
interface Worker {
  worker: string;
  availability: string;
  warm: boolean;
  model: string;
  current_task: string | null;
}

export function LaneCard({ lane, operator }: { lane: Lane; operator: boolean }) {
  const coldStart = useLive((state) => state.diagnostics.find((one) => one.kind === "cold_start" && one.lane === lane.lane));
  return (
    <section aria-label={`Lane ${lane.lane}`} className="panel flex min-w-0 flex-col gap-4" data-lane={lane.lane}>
      <div className="flex flex-wrap items-center gap-2">
        <h2 className="mr-auto text-lg font-semibold">{lane.lane}</h2>
        <Badge tone={TONES[lane.availability]}>{lane.availability}</Badge>
        <Badge tone={lane.warm ? "good" : "warn"}>{lane.warm ? "warm" : "cold"}</Badge>
        <Badge tone={lane.mode === "dedicated" ? "plain" : "warn"}>{lane.mode === "dedicated" ? "dedicated" : "degraded"}</Badge>
      </div>
      {lane.fallback_reason && (
        <p className="rounded-lg border border-warn/50 p-2.5 text-sm">
          <strong className="text-warn">{lane.fallback_reason}</strong>: {reasonName(lane.fallback_reason)}
          {lane.since && <span className="text-dim"> · since {ago(lane.since)}</span>}
        </p>
      )}
      <dl className="grid grid-cols-3 gap-3 text-sm">
        <Fact name="Waiting" value={String(lane.waiting)} />
        <Fact name="A clip takes" value={seconds(lane.service_s)} />
        <Fact name="Last cold start" value={seconds(coldStart?.value)} />
      </dl>
      <Workers workers={lane.workers as unknown as Worker[]} />
      <MemoryChart lane={lane.lane} memory={lane.memory ?? null} />
      {operator && <Routing lane={lane} />}
    </section>
  );
}

export function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div className="min-w-0">
      <dt className="text-xs text-dim">{name}</dt>
      <dd className="truncate text-lg font-semibold tabular-nums">{value}</dd>
    </div>
  );
}

export function Workers({ workers }: { workers: Worker[] }) {
  if (!workers.length) return <p className="text-sm text-dim">No worker is alive.</p>;
  return (
    <ul className="flex flex-col gap-1 text-sm">
      {workers.map((one) => (
        <li key={one.worker} className="flex flex-wrap items-center gap-x-2">
          <span className="truncate font-medium">{one.worker}</span>
          <span className="text-dim">{one.model ? `holds ${one.model}` : "holds no model"}</span>
          {one.current_task ? (
            <Link to="/tasks/$taskId" params={{ taskId: one.current_task }} className="ml-auto underline">
              at work
            </Link>
          ) : (
            <span className="ml-auto text-dim">{one.availability === "ready" ? "idle" : one.availability}</span>
          )}
        </li>
      ))}
    </ul>
  );
}

function Routing({ lane }: { lane: Lane }) {
  const [error, setError] = useState<unknown>(null);
  const [asked, setAsked] = useState<string | null>(null);
  const decide = async (mode: string) => {
    setAsked(mode);
    setError(null);
    try {
      await data(
        api.POST("/lanes/{lane}/mode", {
          params: { path: { lane: lane.lane } },
          body: { mode: mode as "auto", ...(mode === "degraded" ? { reason: "manual" as const } : {}) },
        }),
      );
      say(`${lane.lane}: ${mode}.`);
    } catch (refused) {
      setError(refused);
    } finally {
      setAsked(null);
    }
  };
  return (
    <>
      <Choice legend="Where its requests go" options={ROUTING} value={asked ?? lane.routing} onChange={(mode) => void decide(mode)} />
      {error !== null && <ProblemNotice error={error} />}
    </>
  );
}
