/** What lanes, memory and queues did: live at the top, as far back as one asks below. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Diagnostic } from "../../api/client";
import { useLive } from "../../api/live";
import { diagnosticsQuery } from "../../api/queries";
import { bytes, clock, dateTime, seconds } from "../../api/words";
import { Button } from "../../ui/Button";
import { Select } from "../../ui/Choice";
import { Empty, Loading, ProblemNotice } from "../../ui/Notice";
import { Table } from "../../ui/Table";

const KINDS = [
  "fallback_activated",
  "fallback_ended",
  "lane_ready",
  "lane_cold",
  "lane_unavailable",
  "cold_start",
  "queue_overloaded",
  "queue_timeout",
  "memory_cleanup",
  "memory_post_generation",
  "memory_loaded",
  "memory_evicted",
  "model_ensured",
  "model_failed",
];

/** A diagnostic's number in its unit. */
export function measured(one: Diagnostic): string {
  if (one.value == null) return "";
  if (one.kind.startsWith("memory_")) return bytes(one.value);
  return one.kind === "queue_overloaded" ? `${one.value} waiting` : seconds(one.value);
}

export function Diagnostics({ lanes }: { lanes: string[] }) {
  const [kind, setKind] = useState("");
  const [lane, setLane] = useState("");
  const fresh = useLive((state) => state.diagnostics);
  const older = useInfiniteQuery(diagnosticsQuery({ kind, lane }));
  const known = new Map<number, Diagnostic>();
  for (const one of [...(older.data?.pages.flatMap((page) => page.items) ?? []), ...fresh])
    if ((!kind || one.kind === kind) && (!lane || one.lane === lane)) known.set(one.id, one);
  const rows = [...known.values()].sort((one, other) => other.id - one.id);
  const today = new Date().toDateString();
  return (
    <section aria-labelledby="diagnostics" className="panel min-w-0">
      <div className="mb-3 flex flex-wrap items-end gap-3">
        <h2 id="diagnostics" className="mr-auto text-lg font-semibold">
          Diagnostics
        </h2>
        <div className="w-52">
          <Select label="Kind" value={kind} onChange={setKind} options={[{ value: "", label: "All" }, ...KINDS.map((one) => ({ value: one, label: one.replaceAll("_", " ") }))]} />
        </div>
        <div className="w-40">
          <Select label="Lane" value={lane} onChange={setLane} options={[{ value: "", label: "All" }, ...lanes.map((one) => ({ value: one, label: one }))]} />
        </div>
      </div>
      {older.isPending && <Loading what="the diagnostics" />}
      {older.error && <ProblemNotice error={older.error} />}
      {!older.isPending && rows.length === 0 && <Empty title="Nothing of this kind has happened" />}
      {rows.length > 0 && (
        <Table label="Diagnostics table" columns={["When", "What", "Lane", "Value", "Why", "Task"]}>
          {rows.map((one) => (
            <tr key={one.id} className="border-t border-line">
              <td className="whitespace-nowrap text-dim tabular-nums">{new Date(one.timestamp).toDateString() === today ? clock(one.timestamp) : dateTime(one.timestamp)}</td>
              <td className="font-medium whitespace-nowrap">{one.kind.replaceAll("_", " ")}</td>
              <td>{one.lane ?? ""}</td>
              <td className="whitespace-nowrap tabular-nums">{measured(one)}</td>
              <td className="max-w-72 truncate text-dim" title={one.reason ?? undefined}>
                {one.reason ?? ""}
              </td>
              <td>
                {one.task_id && (
                  <Link to="/tasks/$taskId" params={{ taskId: one.task_id }} className="underline">
                    …{one.task_id.slice(-6)}
                  </Link>
                )}
              </td>
            </tr>
          ))}
        </Table>
      )}
      {older.hasNextPage && (
        <Button small className="mt-3" disabled={older.isFetchingNextPage} onClick={() => void older.fetchNextPage()}>
          Older
        </Button>
      )}
    </section>
  );
}
