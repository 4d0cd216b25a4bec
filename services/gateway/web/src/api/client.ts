/** The gateway's API, typed from its OpenAPI document. Failures are thrown as `Problem`. */
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type Task = Schemas["TaskView"];
export type Lane = Schemas["LaneView"];
export type Lanes = Schemas["LanesView"];
export type Diagnostic = Schemas["DiagnosticView"];
export type Timeline = Schemas["TimelineView"];
export type Span = Schemas["SpanView"];
export type Session = Schemas["SessionView"];
export type Catalogue = Schemas["ModelsView"];
export type Model = Schemas["Model"];
export type Mode = Schemas["Mode"];
export type Parameter = Schemas["Parameter"];
export type ImageSlot = Schemas["ImageSlot"];
export type Preset = Schemas["Preset"];
export type Asset = Schemas["AssetView"];
export type ConsoleEvents = Schemas["ConsoleEvents"];
type ProblemBody = Schemas["Problem"];

/** Why a request was refused. `retryAfter` in seconds, where the gateway named a time. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly action: string,
    readonly fields: { field: string; message: string; allowed?: unknown }[] = [],
    readonly retryAfter: number | null = null,
    readonly correlationId: string | null = null,
  ) {
    super(detail);
  }

  static async of(response: Response): Promise<Problem> {
    const retry = Number(response.headers.get("retry-after"));
    const body = (await response.json().catch(() => null)) as ProblemBody | null;
    return new Problem(
      response.status,
      body?.code ?? "unreadable",
      body?.detail ?? `The gateway answered ${response.status}.`,
      body?.user_action ?? "Try again.",
      body?.errors ?? [],
      retry > 0 ? retry : null,
      body?.correlation_id ?? response.headers.get("x-correlation-id"),
    );
  }
}

/** True when the answer says that whoever asks must sign in. */
export function mustSignIn(error: unknown): boolean {
  return error instanceof Problem && error.status === 401;
}

export const api = createClient<paths>({
  baseUrl: window.location.origin,
  fetch: (request) => globalThis.fetch(request),
  querySerializer: { array: { style: "form", explode: true } },
});

api.use({
  async onResponse({ response }) {
    if (!response.ok) throw await Problem.of(response);
  },
  onError({ error }) {
    if (error instanceof Problem || (error instanceof Error && error.name === "AbortError")) return error;
    return new Problem(0, "offline", "The gateway cannot be reached.", "Nothing was sent or lost. Check that it runs, then try again.");
  },
});

/** The data of an answer that was not refused. */
export async function data<T>(answer: Promise<{ data?: T }>): Promise<T> {
  return (await answer).data as T;
}

/** Store a picture and return how requests name it. */
export async function uploadPicture(file: Blob): Promise<Asset> {
  const form = new FormData();
  form.append("file", file, "picture");
  const response = await fetch("/api/v2/upload-asset", { method: "POST", body: form });
  if (!response.ok) throw await Problem.of(response);
  return (await response.json()) as Asset;
}
