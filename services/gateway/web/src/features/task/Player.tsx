/** A finished clip, and all that one does with it next. */
import { Link, useNavigate } from "@tanstack/react-router";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { uploadPicture, type Catalogue, type Mode, type Model, type Task } from "../../api/client";
import { modelsQuery } from "../../api/queries";
import { bytes, seconds } from "../../api/words";
import { Button, buttonLook } from "../../ui/Button";
import { Clip } from "../../ui/Clip";
import { changeDraft, draftFrom } from "../../api/draft";
import { copyText, tell } from "../../task/actions";
import { lastFrame } from "./lastframe";
import { Again } from "./TaskPage";

export function Player({ task }: { task: Task }) {
  const result = task.result;
  const navigate = useNavigate();
  const models = useQuery(modelsQuery());
  const [busy, setBusy] = useState(false);
  if (!result) return null;
  const next = continuation(models.data, task);
  const settings = async () => {
    draftFrom(task);
    await navigate({ to: "/" });
  };
  const goOn = async () => {
    if (!next) return;
    setBusy(true);
    try {
      const asset = await uploadPicture(await lastFrame(result.url));
      draftFrom(task);
      changeDraft({ model: next.model.id, mode: next.mode.id, pictures: { [next.field]: [{ asset: asset.asset_id }] } });
      await navigate({ to: "/" });
    } catch (failed) {
      tell(failed);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="flex flex-col gap-4">
      <Clip task={task} className="max-h-[65vh] w-full rounded-lg bg-raised" />
      <p className="hint">
        {result.width} × {result.height}, {result.frames} frames at {result.fps} a second, {seconds(result.duration_s)}, {bytes(result.bytes)}
      </p>
      <div className="flex flex-wrap gap-2">
        <a href={result.url} download={`${task.model}-${task.task_id}.${task.output_format}`} className={buttonLook("primary")}>
          Download
        </a>
        <Again task={task} />
        <Button onClick={() => void settings()}>Use these settings</Button>
        {next && result.content_type.startsWith("video/") && (
          <Button disabled={busy} onClick={() => void goOn()} title="The last frame becomes the first picture of a new clip">
            {busy ? "Taking the last frame…" : "Continue from the last frame"}
          </Button>
        )}
        <Button onClick={() => void copyText(JSON.stringify({ ...task.params, model: task.model, mode: task.mode, seed: task.seed }, null, 2), "Settings")}>
          Copy settings
        </Button>
        <Link to="/compare" search={{ a: task.task_id }} className={buttonLook("plain")}>
          Compare
        </Link>
      </div>
    </div>
  );
}

/** The mode that begins with one picture: of the same model where there is one, else of any. */
export function continuation(catalogue: Catalogue | undefined, task: Task): { model: Model; mode: Mode; field: string } | null {
  const models = [...(catalogue?.models ?? [])].sort((one, other) => Number(other.id === task.model) - Number(one.id === task.model));
  for (const model of models)
    for (const mode of model.modes) {
      const slot = mode.images?.[0];
      if (mode.available && mode.images?.length === 1 && slot && !slot.many) return { model, mode, field: slot.field };
    }
  return null;
}
