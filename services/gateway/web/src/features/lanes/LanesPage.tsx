/** The machine at a glance: which lanes are warm, what waits, why something fell back, and the way to decide otherwise. */
import { useQuery } from "@tanstack/react-query";
import { sessionQuery } from "../../api/queries";
import { useLive } from "../../api/live";
import { Loading } from "../../ui/Notice";
import { DegradedCard } from "./DegradedCard";
import { Diagnostics } from "./Diagnostics";
import { LaneCard } from "./LaneCard";

export function LanesPage() {
  const lanes = useLive((state) => state.lanes);
  const session = useQuery(sessionQuery());
  const operator = session.data?.operator ?? false;
  if (!lanes) return <Loading what="the lanes" />;
  return (
    <div className="flex flex-col gap-6">
      <h1 className="text-xl font-semibold">Lanes</h1>
      <div className="grid items-start gap-4 md:grid-cols-2 xl:grid-cols-3">
        {lanes.lanes.map((lane) => (
          <LaneCard key={lane.lane} lane={lane} operator={operator} />
        ))}
        <DegradedCard degraded={lanes.degraded} />
      </div>
      {operator ? <Diagnostics lanes={lanes.lanes.map((lane) => lane.lane)} /> : <p className="text-sm text-dim">The diagnostics are for operators.</p>}
    </div>
  );
}
