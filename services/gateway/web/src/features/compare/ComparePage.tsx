/** Two clips side by side, played as one, and what was different about them. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useRef, useState } from "react";
import type { Task } from "../../api/client";
import { useNames } from "../../api/names";
import { galleryQuery, taskQuery } from "../../api/queries";
import { Button } from "../../ui/Button";
import { Clip } from "../../ui/Clip";
import { Select } from "../../ui/Choice";
import { Empty, Loading, ProblemNotice } from "../../ui/Notice";

/** What differs between two tasks' settings: name, first, second. */
export function differences(a: Task, b: Task): [string, string, string][] {
  const all = (task: Task): Record<string, unknown> => ({ model: task.model, mode: task.mode, ...task.params, seed: task.seed });
  const [left, right] = [all(a), all(b)];
  return [...new Set([...Object.keys(left), ...Object.keys(right)])]
    .map((name): [string, string, string] => [name, String(left[name] ?? "–"), String(right[name] ?? "–")])
    .filter(([, one, other]) => one !== other);
}

export function ComparePage() {
  const { a = "", b = "" } = useSearch({ strict: false }) as { a?: string; b?: string };
  const first = useQuery({ ...taskQuery(a), enabled: a !== "" });
  const second = useQuery({ ...taskQuery(b), enabled: b !== "" });
  const clips = useInfiniteQuery(galleryQuery({}));
  const navigate = useNavigate();
  const grid = useRef<HTMLDivElement>(null);
  const [playing, setPlaying] = useState(true);
  const videos = () => [...(grid.current?.querySelectorAll("video") ?? [])];
  const turn = () => {
    for (const video of videos()) if (playing) video.pause(); else void video.play();
    setPlaying(!playing);
  };
  const start = () => {
    for (const video of videos()) video.currentTime = 0;
  };
  /** One frame on or back, by each clip's own rate. */
  const step = (by: 1 | -1) => {
    setPlaying(false);
    videos().forEach((video, index) => {
      video.pause();
      if (!Number.isFinite(video.duration)) return;
      const fps = [first.data, second.data][index]?.result?.fps ?? 1;
      video.currentTime = Math.min(video.duration, Math.max(0, video.currentTime + by / fps));
    });
  };
  const options = [
    { value: "", label: "Choose a clip" },
    ...(clips.data?.pages.flatMap((page) => page.items) ?? []).map((task) => ({ value: task.task_id, label: `${task.prompt.slice(0, 50)} (${task.model}, seed ${task.seed})` })),
  ];
  return (
    <div className="flex flex-col gap-4">
      <h1 className="text-xl font-semibold">Compare</h1>
      <div className="grid gap-3 sm:grid-cols-2">
        <Select label="Left" value={a} options={options} onChange={(id) => void navigate({ to: "/compare", search: { a: id, b }, replace: true })} />
        <Select label="Right" value={b} options={options} onChange={(id) => void navigate({ to: "/compare", search: { a, b: id }, replace: true })} />
      </div>
      {!a || !b ? (
        <Empty title="Choose two clips">
          Or mark two in the{" "}
          <Link to="/gallery" className="underline">
            gallery
          </Link>
          .
        </Empty>
      ) : first.error || second.error ? (
        <ProblemNotice error={first.error ?? second.error} />
      ) : !first.data || !second.data ? (
        <Loading what="the clips" />
      ) : (
        <>
          <div ref={grid} className="grid gap-3 sm:grid-cols-2">
            {[first.data, second.data].map((task, index) => (
              <figure key={index} className="panel min-w-0 !p-2">
                {task.result?.content_type.startsWith("image/") ? (
                  <Clip task={task} className="w-full rounded-lg bg-raised" />
                ) : task.result ? (
                  <video src={task.result.url} muted loop playsInline autoPlay aria-label={`Clip: ${task.prompt}`} className="w-full rounded-lg bg-raised" />
                ) : (
                  <Empty title="This one has no clip" />
                )}
                <figcaption className="mt-2 line-clamp-2 text-sm wrap-anywhere">{task.prompt}</figcaption>
              </figure>
            ))}
          </div>
          <div role="toolbar" aria-label="Both clips" className="flex flex-wrap gap-2">
            <Button kind="primary" onClick={turn}>
              {playing ? "Pause" : "Play"}
            </Button>
            <Button onClick={start}>From the start</Button>
            <Button onClick={() => step(-1)}>One frame back</Button>
            <Button onClick={() => step(1)}>One frame on</Button>
          </div>
          <Differences a={first.data} b={second.data} />
        </>
      )}
    </div>
  );
}

function Differences({ a, b }: { a: Task; b: Task }) {
  const names = useNames();
  const rows = differences(a, b);
  if (!rows.length) return <p className="text-sm text-dim">The settings are the same.</p>;
  return (
    <table className="panel text-sm">
      <caption className="label mb-2 text-left">What differs</caption>
      <thead className="text-left text-xs text-dim">
        <tr>
          <th className="pr-6 font-medium">Setting</th>
          <th className="pr-6 font-medium">Left</th>
          <th className="font-medium">Right</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, left, right]) => (
          <tr key={name} className="border-t border-line align-top">
            <th scope="row" className="py-1 pr-6 text-left font-normal text-dim">
              {names.parameter(a.model, name)}
            </th>
            <td className="pr-6 break-words">{left}</td>
            <td className="break-words">{right}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
