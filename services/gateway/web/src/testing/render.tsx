/** A component as the console shows it: with the queries' cache and a router around it, and answers instead of a network. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { render, screen } from "@testing-library/react";
import type { ReactNode } from "react";
import { vi } from "vitest";

export async function show(element: ReactNode): Promise<QueryClient> {
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const router = createRouter({
    routeTree: createRootRoute({ component: () => <main>{element}</main>, notFoundComponent: () => <main>{element}</main> }),
    history: createMemoryHistory({ initialEntries: ["/"] }),
  });
  render(
    <QueryClientProvider client={queries}>
      <RouterProvider router={router as never} />
    </QueryClientProvider>,
  );
  await screen.findByRole("main");
  return queries;
}

export type Answer = { status?: number; body?: unknown; headers?: Record<string, string> };

/** Answer requests by method and path; return those that were sent. */
export function answering(answer: (method: string, path: string, body: unknown) => Answer): { method: string; path: string; body: unknown }[] {
  const sent: { method: string; path: string; body: unknown }[] = [];
  vi.stubGlobal("fetch", async (input: Request | string, init?: RequestInit) => {
    const request = input instanceof Request ? input : new Request(new URL(input, window.location.origin), init);
    const path = new URL(request.url).pathname;
    const text = await request.text();
    const body: unknown = text.startsWith("{") ? JSON.parse(text) : text;
    sent.push({ method: request.method, path, body });
    const { status = 200, body: said = {}, headers = {} } = answer(request.method, path, body);
    return new Response(status === 204 ? null : JSON.stringify(said), { status, headers: { "content-type": "application/json", ...headers } });
  });
  return sent;
}
