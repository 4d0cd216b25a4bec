/** How far something is. `value` of `most`; a bar that is full of something bad says so with `tone`. */
export function Progress({ label, value, most = 100, tone = "accent" }: { label: string; value: number; most?: number; tone?: "accent" | "warn" | "bad" }) {
  const part = most > 0 ? Math.min(1, Math.max(0, value / most)) : 0;
  const colour = { accent: "text-accent", warn: "text-warn", bad: "text-bad" }[tone];
  return (
    <svg
      role="progressbar"
      aria-label={label}
      aria-valuenow={Math.round(value * 10) / 10}
      aria-valuemin={0}
      aria-valuemax={most}
      viewBox="0 0 100 4"
      preserveAspectRatio="none"
      className={`block h-1.5 w-full rounded-full bg-raised ${colour}`}
    >
      <rect width={part * 100} height="4" fill="currentColor" />
    </svg>
  );
}
