/** Dark, light, or as the system is. A look, not a secret: it may live in the browser's storage. */
import { useState } from "react";
import { Button } from "../ui/Button";

const KEPT = "light";
const NEXT: Record<string, string> = { system: "light", light: "dark", dark: "system" };
const SHAPES: Record<string, string> = {
  system: "M8 1a7 7 0 0 0 0 14z",
  light: "M8 4.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M8 0v2M8 14v2M0 8h2M14 8h2M2.3 2.3l1.5 1.5M12.2 12.2l1.5 1.5M2.3 13.7l1.5-1.5M12.2 3.8l1.5-1.5",
  dark: "M11 1.5A7 7 0 1 0 14.5 11 6 6 0 0 1 11 1.5",
};

function show(light: string): void {
  if (light === "system") delete document.documentElement.dataset["light"];
  else document.documentElement.dataset["light"] = light;
}

export function kept(): string {
  const light = window.localStorage.getItem(KEPT) ?? "system";
  return light in NEXT ? light : "system";
}

/** Before the first paint. */
export function showKept(): void {
  show(kept());
}

export function LightSwitch() {
  const [light, setLight] = useState(kept);
  const turn = () => {
    const next = NEXT[light] ?? "system";
    window.localStorage.setItem(KEPT, next);
    show(next);
    setLight(next);
  };
  return (
    <Button small kind="quiet" onClick={turn} aria-label={`Colours: ${light}. Change`} title={`Colours: ${light}`}>
      <svg viewBox="0 0 16 16" className={`size-4 stroke-current ${light === "light" ? "fill-none" : "fill-current"}`} strokeWidth={1.3} strokeLinecap="round" aria-hidden>
        <path d={SHAPES[light]} />
        {light === "system" && <circle cx={8} cy={8} r={7} fill="none" />}
      </svg>
    </Button>
  );
}
