/**
 * Following the gateway: one event stream for all tabs of a browser.
 *
 * A browser opens six connections to a host, and a stream holds one for good: a seventh tab would never load. So the tab
 * that holds a lock listens and passes everything on to the others; when it closes, the next one gets the lock. One that
 * was put to sleep passes nothing on, so whoever hears nothing for a while takes the lock away from it. A browser without
 * locks (a page that is not https, say) gets a stream for each tab.
 *
 * After a broken connection the browser reconnects by itself and names the last event it saw; after a refusal it does
 * not, so the stream is opened again here.
 */
import type { QueryClient } from "@tanstack/react-query";
import { live, type EventName } from "./live";
import type { ConsoleEvents } from "./client";

const NAME = "warmlane-events";
const EVENTS: readonly EventName[] = ["snapshot", "task", "task_deleted", "lanes", "diagnostic"];
const AGAIN_MS = 3_000;
const BEAT_MS = 5_000;
const SILENCE_MS = 20_000;

type Said =
  | { kind: "event"; name: EventName; data: ConsoleEvents[EventName] }
  | { kind: "connected"; connected: boolean }
  | { kind: "who leads?" }
  | { kind: "beat" };

/** Follow the gateway until the returned function is called. */
export function follow(queries: QueryClient): () => void {
  const hear = (said: Said) => {
    if (said.kind === "event") live.apply(said.name, said.data, queries);
    else if (said.kind === "connected") live.connected(said.connected);
  };
  const refused = () => void queries.invalidateQueries({ queryKey: ["session"] });
  const stop = "locks" in navigator && "BroadcastChannel" in window ? together(hear, refused) : listen(hear, refused);
  return () => {
    stop();
    live.connected(false);
  };
}

/** The stream itself. */
function listen(tell: (said: Said) => void, refused: () => void): () => void {
  let source: EventSource | null = null;
  let timer = 0;
  const open = () => {
    const opened = new EventSource("/events");
    source = opened;
    for (const name of EVENTS)
      opened.addEventListener(name, (event: MessageEvent<string>) => {
        tell({ kind: "event", name, data: JSON.parse(event.data) as ConsoleEvents[EventName] });
        if (name === "snapshot") tell({ kind: "connected", connected: true });
      });
    opened.onerror = () => {
      tell({ kind: "connected", connected: false });
      if (opened.readyState !== EventSource.CLOSED) return;
      refused();
      window.clearTimeout(timer);
      timer = window.setTimeout(open, AGAIN_MS);
    };
  };
  open();
  return () => {
    window.clearTimeout(timer);
    source?.close();
  };
}

/** One tab listens, the others hear of it. */
function together(hear: (said: Said) => void, refused: () => void): () => void {
  const channel = new BroadcastChannel(NAME);
  let leads = false;
  let over = false;
  let heard = Date.now();
  let resign = () => undefined as void;

  const tell = (said: Said) => {
    hear(said);
    channel.postMessage(said);
  };
  const lead = () =>
    new Promise<void>((done) => {
      if (over) return done();
      leads = true;
      const close = listen(tell, refused);
      resign = () => {
        leads = false;
        close();
        done();
      };
    });
  const wait = (options: LockOptions) =>
    navigator.locks.request(NAME, options, lead).catch(() => {
      // Somebody took it: we slept. Stand in line again.
      resign();
      if (!over) void wait({});
    });

  channel.onmessage = ({ data: said }: MessageEvent<Said>) => {
    heard = Date.now();
    if (said.kind !== "who leads?") hear(said);
    else if (leads) {
      const data = live.snapshot();
      if (data) channel.postMessage({ kind: "event", name: "snapshot", data } satisfies Said);
      channel.postMessage({ kind: "connected", connected: live.get().connected } satisfies Said);
    }
  };
  const beat = window.setInterval(() => {
    if (leads) channel.postMessage({ kind: "beat" } satisfies Said);
    else if (Date.now() - heard > SILENCE_MS && document.visibilityState === "visible") {
      heard = Date.now();
      void wait({ steal: true });
    }
  }, BEAT_MS);
  void wait({});
  channel.postMessage({ kind: "who leads?" } satisfies Said);
  return () => {
    over = true;
    window.clearInterval(beat);
    resign();
    channel.close();
  };
}
