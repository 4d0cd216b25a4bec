/** What is on its way, and what was finished last: live, in every tab the same. */
import { Link } from "@tanstack/react-router";
import { isRunning, useLive } from "../api/live";
import { Empty, Loading } from "../ui/Notice";
import { TaskCard } from "./TaskCard";

const FINISHED = 6;

export function Now() {
  const known = useLive((state) => state.known);
  const all = useLive((state) => state.tasks);
  const tasks = [...all.values()].sort((one, other) => (one.task_id < other.task_id ? 1 : -1));
  const running = tasks.filter(isRunning);
  const finished = tasks.filter((task) => !isRunning(task)).slice(0, FINISHED);
  return (
    <section aria-labelledby="now" className="flex min-w-0 flex-col gap-3">
      <h2 id="now" className="text-lg font-semibold">
        Your clips
      </h2>
      {!known && tasks.length === 0 && <Loading what="your clips" />}
      {known && tasks.length === 0 && <Empty title="Nothing here yet">Describe a clip and press “Make the clip”. It forms here while you watch.</Empty>}
      {running.map((task) => (
        <TaskCard key={task.task_id} task={task} />
      ))}
      {finished.length > 0 && (
        <>
          <h3 className="label mt-2 text-dim">Finished last</h3>
          <div className="grid gap-3 sm:grid-cols-2 lg:grid-cols-1 xl:grid-cols-2">
            {finished.map((task) => (
              <TaskCard key={task.task_id} task={task} small />
            ))}
          </div>
          <Link to="/gallery" className="text-sm underline">
            All finished clips
          </Link>
        </>
      )}
    </section>
  );
}
