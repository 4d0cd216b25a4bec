/** One query factory per resource: what to ask and under which key the answer is kept. */
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, data } from "./client";

export const sessionQuery = () =>
  queryOptions({ queryKey: ["session"], queryFn: () => data(api.GET("/auth/session")), staleTime: 60_000, retry: false });

export const modelsQuery = () =>
  queryOptions({ queryKey: ["models"], queryFn: () => data(api.GET("/models")), staleTime: 300_000 });

export const taskQuery = (id: string) =>
  queryOptions({
    queryKey: ["task", id],
    queryFn: () => data(api.GET("/status/{task_id}", { params: { path: { task_id: id } } })),
  });

export const timelineQuery = (id: string) =>
  queryOptions({
    queryKey: ["timeline", id],
    queryFn: () => data(api.GET("/tasks/{task_id}/timeline", { params: { path: { task_id: id } } })),
  });

export interface GalleryFilter {
  model?: string;
  mode?: string;
  text?: string;
  since?: string;
  until?: string;
}

export const galleryQuery = (filter: GalleryFilter) =>
  infiniteQueryOptions({
    queryKey: ["gallery", filter],
    queryFn: ({ pageParam }) =>
      data(api.GET("/gallery", { params: { query: { ...set(filter), limit: 24, ...(pageParam ? { before: pageParam } : {}) } } })),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
  });

export interface SearchFilter {
  task_id?: string;
  lane?: string;
  mode?: string;
  status?: string;
  lane_mode?: string;
  fallback_reason?: string;
  code?: string;
  text?: string;
  since?: string;
  until?: string;
}

export const searchQuery = (filter: SearchFilter, everyones: boolean) =>
  infiniteQueryOptions({
    queryKey: ["search", filter, everyones],
    queryFn: ({ pageParam }) =>
      data(
        api.GET("/tasks", {
          params: { query: { ...(set(filter) as object), everyones, limit: 50, ...(pageParam ? { before: pageParam } : {}) } },
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
  });

export interface DiagnosticsFilter {
  kind?: string;
  lane?: string;
  reason?: string;
}

export const diagnosticsQuery = (filter: DiagnosticsFilter) =>
  infiniteQueryOptions({
    queryKey: ["diagnostics", filter],
    queryFn: ({ pageParam }) => {
      const { kind, ...rest } = set(filter);
      const query = { ...rest, ...(kind ? { kind: [kind] } : {}), ...(pageParam ? { before: pageParam } : {}), limit: 50 };
      return data(api.GET("/admin/diagnostics", { params: { query } }));
    },
    initialPageParam: null as number | null,
    getNextPageParam: (page) => page.next,
  });

/** Leave out what is not set: an empty filter is no filter. */
function set<T extends object>(filter: T): T {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined && value !== "")) as T;
}
