/** Finished clips, newest first, as far back as one scrolls. The filter stands in the address. */
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { galleryQuery, modelsQuery, type GalleryFilter } from "../../api/queries";
import { Button, buttonLook } from "../../ui/Button";
import { Select } from "../../ui/Choice";
import { Empty, Loading, ProblemNotice } from "../../ui/Notice";
import { GalleryItem } from "./GalleryItem";
import { deleteWithUndo, useDeleting } from "./deleting";

export function GalleryPage() {
  const filter = useSearch({ strict: false }) as GalleryFilter;
  const gallery = useInfiniteQuery(galleryQuery(filter));
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const deleting = useDeleting();
  const queries = useQueryClient();
  const tasks = gallery.data?.pages.flatMap((page) => page.items).filter((task) => !deleting.has(task.task_id)) ?? [];
  const end = useRef<HTMLDivElement>(null);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = gallery;
  useEffect(() => {
    const watcher = new IntersectionObserver(
      ([entry]) => {
        if (entry?.isIntersecting && hasNextPage && !isFetchingNextPage) void fetchNextPage();
      },
      { rootMargin: "600px" },
    );
    if (end.current) watcher.observe(end.current);
    return () => watcher.disconnect();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const remove = () => {
    deleteWithUndo([...chosen], queries);
    setChosen(new Set());
  };
  const [a, b] = [...chosen];
  const filtered = Object.values(filter).some(Boolean);
  return (
    <div className="flex flex-col gap-4">
      <h1 className="text-xl font-semibold">Gallery</h1>
      <Filters filter={filter} />
      {chosen.size > 0 && (
        <div role="toolbar" aria-label="Chosen clips" className="sticky top-14 z-10 flex flex-wrap items-center gap-2 rounded-lg border border-line bg-card p-2 text-sm">
          <span className="px-2">{chosen.size} chosen</span>
          <Button small kind="danger" onClick={remove}>
            Delete
          </Button>
          {chosen.size === 2 && a && b && (
            <Link to="/compare" search={{ a, b }} className={buttonLook("plain", true)}>
              Compare
            </Link>
          )}
          <Button small kind="quiet" onClick={() => setChosen(new Set())}>
            Choose none
          </Button>
        </div>
      )}
      {gallery.isPending ? (
        <Loading what="the gallery" />
      ) : gallery.error ? (
        <ProblemNotice error={gallery.error}>
          <Button small onClick={() => void gallery.refetch()}>
            Try again
          </Button>
        </ProblemNotice>
      ) : tasks.length === 0 ? (
        <Empty title={filtered ? "No clip fits this filter" : "No finished clips yet"}>
          {filtered ? (
            <Link to="/gallery" className="underline">
              Show all
            </Link>
          ) : (
            <Link to="/" className="underline">
              Make the first one
            </Link>
          )}
        </Empty>
      ) : (
        <ul className="grid grid-cols-2 gap-3 md:grid-cols-3 xl:grid-cols-4">
          {tasks.map((task) => (
            <GalleryItem key={task.task_id} task={task} chosen={chosen.has(task.task_id)} onChoose={() => toggle(task.task_id)} />
          ))}
        </ul>
      )}
      <div ref={end} />
      {isFetchingNextPage && <Loading what="older clips" />}
    </div>
  );
}

function Filters({ filter }: { filter: GalleryFilter }) {
  const models = useQuery(modelsQuery());
  const navigate = useNavigate();
  const [text, setText] = useState(filter.text ?? "");
  const put = (change: Partial<GalleryFilter>) => {
    const next = Object.fromEntries(Object.entries({ ...filter, ...change }).filter(([, value]) => value));
    void navigate({ to: "/gallery", search: next, replace: true });
  };
  const all = models.data?.models ?? [];
  const modes = new Map(all.filter((one) => !filter.model || one.id === filter.model).flatMap((one) => one.modes.map((mode) => [mode.id, mode.title])));
  return (
    <search className="grid grid-cols-2 items-end gap-3 md:grid-cols-5">
      <form
        className="col-span-2"
        onSubmit={(event) => {
          event.preventDefault();
          put({ text });
        }}
      >
        <label htmlFor="text" className="label mb-1 block">
          Words of the prompt
        </label>
        <input id="text" type="search" className="field" value={text} onChange={(event) => setText(event.target.value)} onBlur={() => text !== (filter.text ?? "") && put({ text })} />
      </form>
      <Select label="Model" value={filter.model ?? ""} onChange={(model) => put({ model, mode: "" })} options={[{ value: "", label: "All" }, ...all.map((one) => ({ value: one.id, label: one.title }))]} />
      <Select label="From" value={filter.mode ?? ""} onChange={(mode) => put({ mode })} options={[{ value: "", label: "All" }, ...[...modes].map(([value, label]) => ({ value, label }))]} />
      <div>
        <label htmlFor="since" className="label mb-1 block">
          Since
        </label>
        <input
          id="since"
          type="date"
          className="field"
          value={filter.since?.slice(0, 10) ?? ""}
          onChange={(event) => put({ since: event.target.value ? new Date(`${event.target.value}T00:00`).toISOString() : "" })}
        />
      </div>
    </search>
  );
}
