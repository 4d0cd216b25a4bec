/** The reserve: shared workers that hold one model at a time, and the short queue before them. */
import { useEffect, useState } from "react";
import type { Lanes } from "../../api/client";
import { seconds } from "../../api/words";
import { Progress } from "../../ui/Progress";
import { Fact, Workers } from "./LaneCard";
import { MemoryChart } from "./MemoryChart";

type Degraded = Lanes["degraded"];

export function DegradedCard({ degraded }: { degraded: Degraded }) {
  const oldest = useGrowing(degraded.oldest_s ?? null);
  return (
    <section aria-label="Shared workers" className="panel flex min-w-0 flex-col gap-4">
      <h2 className="text-lg font-semibold">Shared workers</h2>
      <Gauge name="Places taken" value={degraded.waiting} most={degraded.depth} shown={`${degraded.waiting} of ${degraded.depth}`} />
      <Gauge name="Longest wait" value={oldest ?? 0} most={degraded.wait_s} shown={`${seconds(oldest ?? 0)} of ${seconds(degraded.wait_s)}`} />
      <dl className="grid grid-cols-2 gap-3 text-sm">
        <Fact name="A clip takes" value={seconds(degraded.service_s)} />
        <Fact name="Workers" value={String(degraded.workers.length)} />
      </dl>
      <Workers workers={degraded.workers as never} />
      <MemoryChart lane="" memory={degraded.memory ?? null} />
      <p className="hint">Past either limit a request is refused at once with queue_overloaded; nothing is ever dropped silently.</p>
    </section>
  );
}

function Gauge({ name, value, most, shown }: { name: string; value: number; most: number; shown: string }) {
  return (
    <div>
      <div className="mb-1 flex justify-between text-sm">
        <span>{name}</span>
        <span className="tabular-nums">{shown}</span>
      </div>
      <Progress label={name} value={value} most={most} tone={value >= most ? "bad" : value >= most * 0.7 ? "warn" : "accent"} />
    </div>
  );
}

/** A time that grows by itself until the next event corrects it. */
function useGrowing(value: number | null): number | null {
  const [grown, setGrown] = useState(0);
  useEffect(() => {
    setGrown(0);
    if (value == null) return undefined;
    const began = Date.now();
    const timer = window.setInterval(() => setGrown((Date.now() - began) / 1_000), 500);
    return () => window.clearInterval(timer);
  }, [value]);
  return value == null ? null : value + grown;
}
