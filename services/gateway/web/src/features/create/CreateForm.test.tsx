import { act, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { live } from "../../api/live";
import { answering, show, type Answer } from "../../testing/render";
import { catalogue, lane, lanes, task } from "../../testing/samples";
import { CreateForm } from "./CreateForm";
import { changeDraft } from "../../api/draft";

const made: Answer = { status: 202, body: { task_id: task().task_id, status: "pending" } };
const refused = (status: number, code: string, more: object = {}, headers = {}): Answer => ({
  status,
  headers,
  body: { type: "", title: "", status, code, detail: `It is ${code}.`, user_action: "Do so.", correlation_id: "c-1", errors: [], ...more },
});

async function form(answer: (method: string, path: string) => Answer) {
  const sent = answering((method, path) => (method === "POST" ? answer(method, path) : { body: task() }));
  changeDraft({ model: "", mode: "", format: "", values: {}, pictures: {} });
  await show(<CreateForm catalogue={catalogue} />);
  return sent;
}

const press = () => userEvent.click(screen.getByRole("button", { name: "Make the clip" }));

describe("the form", () => {
  it("is made from the catalogue, with locks and reasons", async () => {
    await form(() => made);
    expect(screen.getByRole<HTMLInputElement>("textbox", { name: /Beats/ }).readOnly).toBe(true);
    expect(screen.getByText("a swan beats six times")).toBeTruthy();
    expect(screen.getByRole<HTMLInputElement>("radio", { name: "From dreams" }).disabled).toBe(true);
    expect(screen.getByText(/nobody dreams here/)).toBeTruthy();
  });

  it("sends nothing that is wrong, and says where it is", async () => {
    const sent = await form(() => made);
    await press();
    expect(await screen.findByText("Write something here.")).toBeTruthy();
    expect(sent).toEqual([]);
  });

  it("sends what was chosen, and the task is there at once", async () => {
    const sent = await form(() => made);
    await userEvent.type(screen.getByLabelText("Prompt"), "a swan");
    await userEvent.click(screen.getByRole("button", { name: "Tall" }));
    await press();
    await waitFor(() => expect(live.get().tasks.size).toBe(1));
    expect(sent[0]).toMatchObject({ path: "/generate", body: { model: "swan", mode: "words", prompt: "a swan", width: 32, height: 64 } });
  });

  it("puts a refusal beside the field that is meant", async () => {
    await form(() => refused(422, "validation_error", { errors: [{ field: "length", message: "9 is not allowed" }] }));
    await userEvent.type(screen.getByLabelText("Prompt"), "a swan");
    await press();
    expect(await screen.findByText("9 is not allowed")).toBeTruthy();
    expect(screen.getByLabelText("Length").getAttribute("aria-invalid")).toBe("true");
    expect(screen.getByText("Reference: c-1")).toBeTruthy();
  });

  it("counts down after an overload and sends the same again", async () => {
    let asked = 0;
    const sent = await form(() => (++asked === 1 ? refused(503, "queue_overloaded", {}, { "retry-after": "1" }) : made));
    await userEvent.type(screen.getByLabelText("Prompt"), "a swan");
    await press();
    expect(await screen.findByText("1 s")).toBeTruthy();
    await waitFor(() => expect(live.get().tasks.size).toBe(1), { timeout: 5_000 });
    expect(sent.filter((one) => one.method === "POST")).toHaveLength(2);
    expect(screen.queryByText(/queue is full/)).toBeNull();
  });

  it("says beforehand that a shared worker will make it, and why", async () => {
    await form(() => made);
    act(() => live.apply("lanes", lanes(lane({ mode: "degraded_shared", fallback_reason: "quota" })), null as never));
    expect(await screen.findByText("Shared worker.")).toBeTruthy();
    expect(screen.getByText(/refused by a quota/)).toBeTruthy();
  });
});
