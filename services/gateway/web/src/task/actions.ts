/** What can be done with a task. Each tells what came of it; none throws. */
import { api, data, Problem, type Task } from "../api/client";
import { live } from "../api/live";
import { say } from "../ui/toasts";

const path = (task: Task) => ({ path: { task_id: task.task_id } });

export async function cancelTask(task: Task): Promise<void> {
  try {
    live.add(await data(api.POST("/tasks/{task_id}/cancel", { params: path(task) })));
  } catch (refused) {
    // It ended before it could be stopped: its own state says how.
    if (!(refused instanceof Problem) || refused.code !== "task_finished") tell(refused);
  }
}

/** Make it again; with the same seed the clip is the same. Return the new task's id. */
export async function rerunTask(task: Task, seed: "same" | "new"): Promise<string | null> {
  try {
    const made = await data(
      api.POST("/tasks/{task_id}/rerun", {
        params: { ...path(task), header: { prefer: "respond-async" } },
        body: seed === "new" ? { seed: -1 } : {},
      }),
    );
    say(seed === "new" ? "Making it again with a new seed." : "Making it again with the same seed.");
    return made.task_id;
  } catch (refused) {
    tell(refused);
    return null;
  }
}

export async function copyText(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied.`);
  } catch {
    say(`The browser does not allow copying. ${what}: ${text}`);
  }
}

export function tell(refused: unknown): void {
  say(refused instanceof Problem ? `${refused.message} ${refused.action}` : "Something failed; try again.", { ms: 8_000 });
}
