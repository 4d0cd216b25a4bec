/** The agreed refusal: nothing was queued, and when to try again. Counts down and then sends the request once more. */
import { useEffect, useState } from "react";
import type { Problem } from "../../api/client";
import { Button } from "../../ui/Button";

interface Props {
  problem: Problem;
  onRetry: () => void;
  onClose: () => void;
}

export function Overload({ problem, onRetry, onClose }: Props) {
  const [left, setLeft] = useState(problem.retryAfter ?? 5);
  useEffect(() => {
    if (left <= 0) {
      onRetry();
      return;
    }
    const timer = window.setTimeout(() => setLeft(left - 1), 1_000);
    return () => window.clearTimeout(timer);
    // One second after the other; what to do at the end is asked only then.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [left]);
  return (
    <div role="alert" className="rounded-lg border border-warn/60 bg-card p-3 text-sm">
      <p className="font-medium text-warn">The queue is full. Your request was not taken; nothing was started.</p>
      <p className="mt-1">
        {problem.message} It is sent again in <strong>{left} s</strong>.
      </p>
      <div className="mt-2 flex gap-2">
        <Button small onClick={onRetry}>
          Try now
        </Button>
        <Button small kind="quiet" onClick={onClose}>
          Do not try again
        </Button>
      </div>
    </div>
  );
}
