/** The keyboard map: `?` shows it. */
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";

const MAP = [
  ["Ctrl Enter", "Make the clip (on Create)"],
  ["g c", "Create"],
  ["g g", "Gallery"],
  ["g l", "Lanes"],
  ["g i", "Investigate"],
  ["p", "To the prompt"],
  ["?", "This list"],
] as const;

const GO = { c: "/", g: "/gallery", l: "/lanes", i: "/investigate" } as const;
const FOLLOWS_MS = 1_200;

export function Keys() {
  const [shown, setShown] = useState(false);
  const navigate = useNavigate();
  useEffect(() => {
    let went = -Infinity;
    const press = (event: KeyboardEvent) => {
      const into = event.target as HTMLElement | null;
      if (event.ctrlKey || event.metaKey || event.altKey || into?.closest("input, textarea, select, dialog")) return;
      const place = GO[event.key as keyof typeof GO];
      if (event.timeStamp - went < FOLLOWS_MS && place) {
        went = -Infinity;
        void navigate({ to: place });
      } else if (event.key === "g") went = event.timeStamp;
      else if (event.key === "?") setShown(true);
      else if (event.key === "p") {
        event.preventDefault();
        document.getElementById("prompt")?.focus();
      }
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [navigate]);
  return (
    <>
      <Button small kind="quiet" onClick={() => setShown(true)} aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)">
        ?
      </Button>
      {shown && (
        <Dialog title="Keyboard" onClose={() => setShown(false)}>
          <dl className="grid grid-cols-[auto_1fr] gap-x-6 gap-y-2 text-sm">
            {MAP.map(([keys, what]) => (
              <div key={keys} className="contents">
                <dt>
                  {keys.split(" ").map((key) => (
                    <kbd key={key} className="mr-1 rounded border border-line bg-raised px-1.5 py-0.5 text-xs">
                      {key}
                    </kbd>
                  ))}
                </dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
        </Dialog>
      )}
    </>
  );
}
