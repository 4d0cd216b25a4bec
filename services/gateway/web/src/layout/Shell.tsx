/** What surrounds every page: where one can go, who is signed in, whether the page still hears the gateway. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { api, mustSignIn } from "../api/client";
import { follow } from "../api/follow";
import { isRunning, live, useLive } from "../api/live";
import { sessionQuery } from "../api/queries";
import { Button } from "../ui/Button";
import { Loading, ProblemNotice } from "../ui/Notice";
import { Keys } from "./Keys";
import { LightSwitch } from "./light";

const PLACES = [
  { to: "/", label: "Create" },
  { to: "/gallery", label: "Gallery" },
  { to: "/lanes", label: "Lanes" },
  { to: "/investigate", label: "Investigate" },
] as const;

export function Shell() {
  const session = useQuery(sessionQuery());
  const navigate = useNavigate();
  const out = mustSignIn(session.error);
  useEffect(() => {
    if (out) void navigate({ to: "/sign-in" });
  }, [out, navigate]);
  if (session.isPending || out) return <Loading what="the console" />;
  if (session.error)
    return (
      <div className="mx-auto max-w-xl p-6">
        <ProblemNotice error={session.error}>
          <Button onClick={() => void session.refetch()}>Try again</Button>
        </ProblemNotice>
      </div>
    );
  return <SignedIn name={session.data.name} />;
}

function SignedIn({ name }: { name: string }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const connected = useLive((state) => state.connected);
  const known = useLive((state) => state.known);
  const running = useLive((state) => [...state.tasks.values()].filter(isRunning).length);
  useEffect(() => follow(queries), [queries]);
  useTitle();
  const signOut = async () => {
    await api.DELETE("/auth/session");
    await navigate({ to: "/sign-in" });
    // Nothing of what was seen stays for whoever comes next.
    live.forget();
    queries.clear();
  };
  return (
    <div className="flex min-h-dvh flex-col">
      <a href="#main" className="sr-only focus:not-sr-only focus:absolute focus:z-40 focus:m-2 focus:rounded-lg focus:bg-card focus:p-3">
        Skip to the content
      </a>
      <header className="sticky top-0 z-20 border-b border-line bg-card">
        <div className="mx-auto flex max-w-7xl flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2">
          <Link to="/" className="flex items-center gap-2 font-semibold">
            <img src="/app/icon.svg" alt="" className="size-7" />
            Warmlane
          </Link>
          <nav aria-label="Pages" className="order-last -mx-1 flex w-full gap-1 overflow-x-auto sm:order-none sm:w-auto">
            {PLACES.map((place) => (
              <Link
                key={place.to}
                to={place.to}
                activeOptions={{ exact: place.to === "/" }}
                className="rounded-lg px-3 py-1.5 text-sm text-dim hover:bg-raised"
                activeProps={{ className: "bg-soft text-ink font-medium", "aria-current": "page" }}
              >
                {place.label}
                {place.to === "/" && running > 0 && <span className="ml-1.5 rounded-full bg-accent px-1.5 text-xs text-on-accent">{running}<span className="sr-only"> running</span></span>}
              </Link>
            ))}
          </nav>
          <div className="ml-auto flex items-center gap-1 text-sm">
            <Keys />
            <LightSwitch />
            <Button small kind="quiet" onClick={() => void signOut()} title={`Signed in as ${name}`}>
              Sign out
            </Button>
          </div>
        </div>
        {known && !connected && (
          <p role="status" className="bg-raised px-4 py-1.5 text-center text-sm text-warn">
            The connection to the gateway is lost. Reconnecting; nothing you submitted is lost.
          </p>
        )}
      </header>
      <main id="main" tabIndex={-1} className="mx-auto w-full max-w-7xl flex-1 p-4 outline-none sm:p-6">
        <Outlet />
      </main>
    </div>
  );
}

/** The tab's title tells how far the clip is that will be ready next. */
function useTitle(): void {
  const [page] = useState("Warmlane");
  const progress = useLive((state) => {
    const running = [...state.tasks.values()].filter((task) => task.status === "processing");
    return running.length ? Math.max(...running.map((task) => task.progress)) : -1;
  });
  useEffect(() => {
    document.title = progress >= 0 ? `${progress} % – ${page}` : page;
  }, [progress, page]);
}
