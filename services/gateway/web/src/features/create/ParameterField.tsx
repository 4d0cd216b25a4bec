/** One parameter of the catalogue as a field. A locked one shows its value and the reason, and cannot be changed. */
import { useId } from "react";
import type { Parameter } from "../../api/client";
import { defaultText, nearest } from "./rules";

interface Props {
  parameter: Parameter;
  value: string;
  wrong: string | undefined;
  onChange: (value: string) => void;
}

export function ParameterField({ parameter, value, wrong, onChange }: Props) {
  // The prompt alone has a name one can jump to.
  const made = useId();
  const id = parameter.required && parameter.kind === "text" ? parameter.name : made;
  const says = `${made}-says`;
  const common = {
    id,
    className: "field",
    "aria-invalid": wrong ? true : undefined,
    "aria-describedby": wrong || parameter.help || parameter.locked ? says : undefined,
  } as const;
  return (
    <div className="min-w-0">
      <label htmlFor={id} className="label mb-1 flex items-baseline justify-between gap-2">
        <span>
          {parameter.title}
          {parameter.locked && (
            <span className="hint ml-1.5 inline-flex items-center gap-1 font-normal">
              <Lock /> fixed
            </span>
          )}
        </span>
        {parameter.unit && <span className="hint font-normal">{parameter.unit}</span>}
        {parameter.kind === "text" && parameter.max_length != null && value.length > parameter.max_length * 0.8 && (
          <span className="hint font-normal">
            {value.length} / {parameter.max_length}
          </span>
        )}
      </label>
      {parameter.locked ? (
        <input {...common} value={defaultText(parameter)} readOnly className="field border-dashed text-dim" />
      ) : parameter.kind === "text" ? (
        <textarea {...common} rows={parameter.required ? 3 : 2} value={value} required={parameter.required} onChange={(event) => onChange(event.target.value)} />
      ) : parameter.kind === "choice" ? (
        <select {...common} value={value} onChange={(event) => onChange(event.target.value)}>
          {(parameter.choices ?? []).map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      ) : (
        <input
          {...common}
          type="number"
          inputMode={parameter.kind === "integer" ? "numeric" : "decimal"}
          value={value}
          min={parameter.minimum ?? undefined}
          max={parameter.maximum ?? undefined}
          step={parameter.kind === "integer" ? (parameter.step ?? 1) : "any"}
          onChange={(event) => onChange(event.target.value)}
          onBlur={() => {
            // Between two allowed numbers the nearest one is meant; outside the bounds nobody knows what is.
            const number = Number(value);
            const inside = number >= (parameter.minimum ?? number) && number <= (parameter.maximum ?? number);
            if (parameter.kind === "integer" && parameter.step && value.trim() && Number.isFinite(number) && inside) onChange(String(nearest(parameter, number)));
          }}
        />
      )}
      <p id={says} className={wrong ? "wrong mt-1" : "hint mt-1"}>
        {wrong ?? (parameter.locked ? parameter.reason : parameter.help)}
      </p>
    </div>
  );
}

function Lock() {
  return (
    <svg viewBox="0 0 16 16" className="size-3 fill-current" aria-hidden>
      <path d="M4 7V5a4 4 0 0 1 8 0v2h1v7H3V7zm2 0h4V5a2 2 0 0 0-4 0z" />
    </svg>
  );
}
