/** The form, made from the catalogue: whatever model, mode or parameter is added there appears here by itself. */
import { useRef, useState, type FormEvent, type KeyboardEvent } from "react";
import { api, data, Problem, type Catalogue, type Mode, type Model, type Parameter } from "../../api/client";
import { live, useLive } from "../../api/live";
import { reasonName } from "../../api/words";
import { Button } from "../../ui/Button";
import { Choice } from "../../ui/Choice";
import { ProblemNotice } from "../../ui/Notice";
import { say } from "../../ui/toasts";
import { changeDraft, currentDraft, useDraft } from "../../api/draft";
import { Overload } from "./Overload";
import { ParameterField } from "./ParameterField";
import { PictureField } from "./PictureField";
import { Presets } from "./Presets";
import { bodyOf, defaultText, faults, parametersOf, valueOf, type Wrong } from "./rules";

export function CreateForm({ catalogue }: { catalogue: Catalogue }) {
  const draft = useDraft();
  const model = catalogue.models.find((one) => one.id === draft.model) ?? catalogue.models.find(needsNoPicture) ?? catalogue.models[0];
  if (!model) return <p>No model is installed on this machine.</p>;
  const modes = model.modes;
  const mode = modes.find((one) => one.id === draft.mode && one.available) ?? modes.find((one) => one.id === model.default_mode) ?? modes[0];
  if (!mode) return <p>{model.title} has no mode.</p>;
  return <Form key={`${model.id}/${mode.id}`} catalogue={catalogue} model={model} mode={mode} />;
}

/** Whether words alone are enough: where somebody who is new here begins. */
function needsNoPicture(model: Model): boolean {
  const mode = model.modes.find((one) => one.id === model.default_mode);
  return mode?.available === true && !mode.images?.length;
}

function Form({ catalogue, model, mode }: { catalogue: Catalogue; model: Model; mode: Mode }) {
  const draft = useDraft();
  const [told, setTold] = useState<Wrong>({});
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const form = useRef<HTMLFormElement>(null);
  const wrong: Wrong = tried ? { ...faults(model, mode, draft.values, draft.pictures), ...told } : told;
  const aspect = Number(valueOf(model, draft.values, "width")) / Number(valueOf(model, draft.values, "height")) || 1;
  const change = (name: string, value: string) => {
    setTold(except(name));
    changeDraft({ values: { ...currentDraft().values, [name]: value } });
  };
  const send = async () => {
    const { values, pictures, format } = currentDraft();
    setTried(true);
    setError(null);
    if (Object.keys(faults(model, mode, values, pictures)).length) {
      window.setTimeout(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"], .border-bad')?.focus());
      return;
    }
    setBusy(true);
    try {
      const body = bodyOf(model, mode, values, pictures, format);
      const made = await data(
        api.POST("/generate", {
          body: body as never,
          params: { header: { "idempotency-key": crypto.randomUUID(), prefer: "respond-async" } },
        }),
      );
      const task = await data(api.GET("/status/{task_id}", { params: { path: { task_id: (made as { task_id: string }).task_id } } }));
      live.add(task);
      setTried(false);
      say("Your clip is on its way.");
    } catch (refused) {
      setError(refused);
      if (refused instanceof Problem) setTold(Object.fromEntries(refused.fields.map((one) => [one.field.split(/[.[]/)[0] ?? one.field, one.message])));
    } finally {
      setBusy(false);
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void send();
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void send();
    }
  };
  const [prompts, others] = [true, false].map((text) => parametersOf(model, mode).filter((one) => (one.kind === "text") === text));
  const field = (parameter: Parameter) => (
    <ParameterField
      key={parameter.name}
      parameter={parameter}
      value={draft.values[parameter.name] ?? defaultText(parameter)}
      wrong={wrong[parameter.name]}
      onChange={(value) => change(parameter.name, value)}
    />
  );
  const overloaded = error instanceof Problem && error.code === "queue_overloaded" ? error : null;
  return (
    <form ref={form} onSubmit={submit} onKeyDown={press} noValidate className="flex flex-col gap-5">
      <Choice
        legend="Model"
        value={model.id}
        onChange={(id) => changeDraft({ model: id, mode: "" })}
        options={catalogue.models.map((one) => ({ value: one.id, label: one.title, title: one.summary }))}
      />
      <p className="-mt-3 text-sm text-dim">{model.summary}</p>
      <FallbackNote lane={model.lane} />
      <Choice
        legend="From"
        value={mode.id}
        onChange={(id) => changeDraft({ model: model.id, mode: id })}
        options={model.modes.map((one) => ({ value: one.id, label: one.title, disabled: !one.available, title: one.reason }))}
      />
      {model.modes
        .filter((one) => !one.available)
        .map((one) => (
          <p key={one.id} className="hint -mt-3">
            {one.title} is not available: {one.reason}.
          </p>
        ))}
      {prompts?.map(field)}
      {(mode.images ?? []).map((slot) => (
        <PictureField
          key={slot.field}
          slot={slot}
          aspect={aspect}
          pictures={draft.pictures[slot.field] ?? []}
          wrong={wrong[slot.field]}
          onChange={(change) => {
            const { pictures } = currentDraft();
            setTold(except(slot.field));
            changeDraft({ pictures: { ...pictures, [slot.field]: change(pictures[slot.field] ?? []) } });
          }}
        />
      ))}
      <div className="flex flex-col gap-2">
        <Presets model={model} values={draft.values} onChange={(values) => changeDraft({ values })} />
      </div>
      <div className="grid grid-cols-2 gap-4 sm:grid-cols-3">
        {others?.map(field)}
        <div>
          <label htmlFor="format" className="label mb-1 block">
            File
          </label>
          <select id="format" className="field" value={draft.format || model.output_formats[0]} onChange={(event) => changeDraft({ format: event.target.value })}>
            {model.output_formats.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </div>
      </div>
      {overloaded ? (
        <Overload key={overloaded.correlationId} problem={overloaded} onRetry={() => void send()} onClose={() => setError(null)} />
      ) : (
        error !== null && <ProblemNotice error={error} />
      )}
      <div className="flex items-center gap-3">
        <Button kind="primary" type="submit" disabled={busy} className="min-w-36">
          {busy ? "Sending…" : "Make the clip"}
        </Button>
        <span className="hint hidden sm:inline">Ctrl + Enter</span>
        <Button kind="quiet" small className="ml-auto" onClick={() => changeDraft({ values: {}, pictures: {}, format: "" })}>
          Start over
        </Button>
      </div>
    </form>
  );
}

const except = (name: string) => (told: Wrong) => Object.fromEntries(Object.entries(told).filter(([field]) => field !== name));

/** Says beforehand that a clip will be made by a shared worker, and what that means. */
function FallbackNote({ lane }: { lane: string }) {
  const found = useLive((state) => state.lanes?.lanes.find((one) => one.lane === lane));
  const degraded = useLive((state) => state.lanes?.degraded);
  if (!found || found.mode === "dedicated") return null;
  return (
    <p role="status" className="-mt-2 rounded-lg border border-warn/50 p-3 text-sm">
      <strong className="text-warn">Shared worker.</strong> This model's own lane is not used now: {reasonName(found.fallback_reason)}. A shared worker makes the
      clip with the same model; it may have to load it first. {degraded ? `${degraded.waiting} of ${degraded.depth} places are taken.` : ""}
    </p>
  );
}
