/** Shapes and lengths people ask for, one press each. What they are stands in the catalogue. */
import type { Model } from "../../api/client";
import { Button } from "../../ui/Button";
import type { Values } from "../../api/draft";
import { valueOf } from "./rules";

export function Presets({ model, values, onChange }: { model: Model; values: Values; onChange: (values: Values) => void }) {
  return Object.entries(model.presets ?? {}).map(([kind, presets]) => (
    <div key={kind} role="group" aria-label={`Presets: ${kind}`} className="flex flex-wrap items-center gap-1.5">
      <span className="label mr-1 w-20 capitalize">{kind}</span>
      {presets.map((preset) => {
        const chosen = Object.entries(preset.values).every(([name, value]) => valueOf(model, values, name) === String(value));
        return (
          <Button
            key={preset.id}
            small
            aria-pressed={chosen}
            className={chosen ? "border-accent bg-soft" : ""}
            onClick={() => onChange({ ...values, ...Object.fromEntries(Object.entries(preset.values).map(([name, value]) => [name, String(value)])) })}
          >
            {preset.title}
          </Button>
        );
      })}
    </div>
  ));
}
