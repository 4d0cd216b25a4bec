import { useId } from "react";

export interface Option {
  value: string;
  label: string;
  disabled?: boolean;
  title?: string;
}

/** One of a few, shown side by side: radio buttons that look like a switch. */
export function Choice({ legend, options, value, onChange }: { legend: string; options: Option[]; value: string; onChange: (value: string) => void }) {
  const name = useId();
  return (
    <fieldset className="min-w-0">
      <legend className="label mb-1.5">{legend}</legend>
      <div className="flex flex-wrap gap-1.5">
        {options.map((option) => (
          <label
            key={option.value}
            title={option.title}
            className={`rounded-lg border px-3 py-1.5 text-sm has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent ${
              option.value === value ? "border-accent bg-soft font-medium text-ink" : "border-line bg-card text-ink hover:bg-raised"
            } ${option.disabled ? "cursor-not-allowed border-dashed text-dim" : "cursor-pointer"}`}
          >
            <input
              type="radio"
              className="sr-only"
              name={name}
              value={option.value}
              checked={option.value === value}
              disabled={option.disabled ?? false}
              onChange={() => onChange(option.value)}
            />
            {option.label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** One of many: the browser's own list. */
export function Select({ label, options, value, onChange, hidden = false }: { label: string; options: Option[]; value: string; onChange: (value: string) => void; hidden?: boolean }) {
  const id = useId();
  return (
    <div className="min-w-0">
      <label htmlFor={id} className={hidden ? "sr-only" : "label mb-1 block"}>
        {label}
      </label>
      <select id={id} className="field" value={value} onChange={(event) => onChange(event.target.value)}>
        {options.map((option) => (
          <option key={option.value} value={option.value} disabled={option.disabled ?? false}>
            {option.label}
          </option>
        ))}
      </select>
    </div>
  );
}
