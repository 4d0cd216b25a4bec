/** The end of a sign-in link, or what to do without one. The link's secret stands after the `#` and is used up here. */
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState, type FormEvent } from "react";
import { api } from "../../api/client";
import { Button } from "../../ui/Button";
import { ProblemNotice } from "../../ui/Notice";

/** The link's token in what somebody pasted: a whole link, its end, or the token alone. */
export function tokenOf(text: string): string {
  return text.trim().replace(/^.*#/, "");
}

export function SignInPage() {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [pasted, setPasted] = useState("");
  const navigate = useNavigate();
  const queries = useQueryClient();
  const signIn = async (token: string) => {
    if (!token) return;
    setBusy(true);
    setError(null);
    try {
      await api.POST("/auth/session", { body: { link: token } });
      await queries.resetQueries({ queryKey: ["session"] });
      await navigate({ to: "/", replace: true });
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  useEffect(() => {
    const enter = () => {
      const token = tokenOf(window.location.hash);
      if (!token) return;
      // Out of the address before anything else can see it.
      window.history.replaceState(null, "", window.location.pathname);
      void signIn(token);
    };
    enter();
    // A link opened in a tab that shows this page already changes only what stands after the `#`.
    window.addEventListener("hashchange", enter);
    return () => window.removeEventListener("hashchange", enter);
    // A link is used once, when it is opened.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void signIn(tokenOf(pasted));
  };
  return (
    <main className="mx-auto flex min-h-dvh max-w-md flex-col justify-center gap-4 p-6">
      <h1 className="flex items-center gap-3 text-2xl font-semibold">
        <img src="/app/icon.svg" alt="" className="size-9" /> Sign in to Warmlane
      </h1>
      {error !== null && <ProblemNotice error={error} />}
      {busy ? (
        <p role="status">Signing in…</p>
      ) : (
        <form onSubmit={submit} className="panel flex flex-col gap-3">
          <p className="text-sm">
            <code>make up</code> prints a sign-in link. For another one, run <code>.venv/bin/warmlane sign-in</code> on that machine.
          </p>
          <label htmlFor="link" className="label">
            Or paste the link here
          </label>
          <input id="link" className="field" value={pasted} onChange={(event) => setPasted(event.target.value)} autoComplete="off" />
          <Button kind="primary" type="submit" disabled={!tokenOf(pasted)}>
            Sign in
          </Button>
          <p className="hint">A link works once and for 15 minutes. The session then lasts two weeks.</p>
        </form>
      )}
    </main>
  );
}
