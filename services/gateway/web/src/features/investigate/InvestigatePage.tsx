/** Finding tasks by what is known of them; each leads to its timeline. The search stands in the address. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState, type FormEvent } from "react";
import { useLive } from "../../api/live";
import { searchQuery, sessionQuery, type SearchFilter } from "../../api/queries";
import { ago, seconds } from "../../api/words";
import { Badge, type Tone } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { Select } from "../../ui/Choice";
import { Empty, Loading, ProblemNotice } from "../../ui/Notice";
import { Table } from "../../ui/Table";

const STATUS = ["pending", "processing", "done", "failed", "cancelled"];
const CAUSES = ["capacity", "quota", "manual"];
const TONES: Record<string, Tone> = { pending: "info", processing: "info", done: "good", failed: "bad", cancelled: "plain" };
const any = (values: string[]) => [{ value: "", label: "Any" }, ...values.map((value) => ({ value, label: value.replaceAll("_", " ") }))];

export function InvestigatePage() {
  const filter = useSearch({ strict: false }) as SearchFilter;
  const session = useQuery(sessionQuery());
  const operator = session.data?.operator ?? false;
  const found = useInfiniteQuery(searchQuery(filter, operator));
  const tasks = found.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <div className="flex flex-col gap-4">
      <div>
        <h1 className="text-xl font-semibold">Investigate</h1>
        <p className="text-sm text-dim">{operator ? "Everybody's tasks." : "Your tasks."} Open one to see what became of it, step by step.</p>
      </div>
      <Search filter={filter} />
      {found.isPending ? (
        <Loading what="the tasks" />
      ) : found.error ? (
        <ProblemNotice error={found.error} />
      ) : tasks.length === 0 ? (
        <Empty title="No task fits this search">
          <Link to="/investigate" className="underline">
            Show all
          </Link>
        </Empty>
      ) : (
        <div className="panel">
          <Table label="Tasks found" columns={["Task", "Prompt", "Lane", "Status", "Route", "Attempts", "Took", "Asked"]}>
            {tasks.map((task) => (
              <tr key={task.task_id} className="border-t border-line">
                <td className="whitespace-nowrap">
                  <Link to="/tasks/$taskId" params={{ taskId: task.task_id }} className="font-mono text-xs underline">
                    …{task.task_id.slice(-8)}
                  </Link>
                </td>
                <td className="max-w-64 truncate" title={task.prompt}>
                  {task.prompt}
                </td>
                <td className="whitespace-nowrap">
                  {task.lane} <span className="text-dim">{task.mode}</span>
                </td>
                <td className="whitespace-nowrap">
                  <Badge tone={TONES[task.status] ?? "plain"}>{task.status}</Badge> {task.error && <span className="text-xs text-bad">{task.error.code}</span>}
                </td>
                <td className="whitespace-nowrap">{task.lane_mode === "degraded_shared" ? <span className="text-warn">shared: {task.fallback_reason}</span> : "dedicated"}</td>
                <td className="tabular-nums">{task.attempt}</td>
                <td className="whitespace-nowrap tabular-nums">{task.finished_at ? seconds((Date.parse(task.finished_at) - Date.parse(task.created_at)) / 1_000) : ""}</td>
                <td className="whitespace-nowrap text-dim">{ago(task.created_at)}</td>
              </tr>
            ))}
          </Table>
        </div>
      )}
      {found.hasNextPage && (
        <Button className="self-center" disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
          Older
        </Button>
      )}
    </div>
  );
}

function Search({ filter }: { filter: SearchFilter }) {
  const navigate = useNavigate();
  const lanes = useLive((state) => state.lanes);
  const [typed, setTyped] = useState<SearchFilter>(filter);
  useEffect(() => setTyped(filter), [filter]);
  const go = (change: SearchFilter) => {
    const next = Object.fromEntries(Object.entries({ ...typed, ...change }).filter(([, value]) => value));
    void navigate({ to: "/investigate", search: next, replace: true });
  };
  const text = (name: "task_id" | "text" | "code", label: string) => (
    <div className="min-w-0">
      <label htmlFor={name} className="label mb-1 block">
        {label}
      </label>
      <input id={name} type="search" className="field" value={typed[name] ?? ""} onChange={(event) => setTyped({ ...typed, [name]: event.target.value.trimStart() })} />
    </div>
  );
  const time = (name: "since" | "until", label: string) => (
    <div className="min-w-0">
      <label htmlFor={name} className="label mb-1 block">
        {label}
      </label>
      <input
        id={name}
        type="datetime-local"
        className="field"
        value={typed[name] ? local(typed[name]) : ""}
        onChange={(event) => go({ [name]: event.target.value ? new Date(event.target.value).toISOString() : "" })}
      />
    </div>
  );
  return (
    <search>
      <form
        className="grid grid-cols-2 items-end gap-3 md:grid-cols-4"
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          go({});
        }}
      >
        {text("task_id", "Task id begins with")}
        {text("text", "Words of the prompt")}
        {text("code", "Error code")}
        <Select label="Status" value={filter.status ?? ""} onChange={(status) => go({ status })} options={any(STATUS)} />
        <Select label="Lane" value={filter.lane ?? ""} onChange={(lane) => go({ lane })} options={any(lanes?.lanes.map((one) => one.lane) ?? [])} />
        <Select label="Route" value={filter.lane_mode ?? ""} onChange={(lane_mode) => go({ lane_mode })} options={any(["dedicated", "degraded_shared"])} />
        <Select label="Fallback cause" value={filter.fallback_reason ?? ""} onChange={(fallback_reason) => go({ fallback_reason })} options={any(CAUSES)} />
        <Button type="submit" kind="primary">
          Search
        </Button>
        {time("since", "Since")}
        {time("until", "Until")}
      </form>
    </search>
  );
}

/** An ISO time as the field for local times wants it. */
function local(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return "";
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
