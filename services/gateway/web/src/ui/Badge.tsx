import type { ReactNode } from "react";

const TONES = {
  plain: "text-dim border-line",
  good: "text-good border-good/40",
  warn: "text-warn border-warn/40",
  bad: "text-bad border-bad/40",
  info: "text-info border-info/40",
};
export type Tone = keyof typeof TONES;

/** A word about a state. The word itself says it; the colour only helps. */
export function Badge({ tone = "plain", children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span className={`inline-flex items-center gap-1 rounded-full border px-2 py-0.5 text-xs font-medium whitespace-nowrap ${TONES[tone]}`}>
      {children}
    </span>
  );
}
