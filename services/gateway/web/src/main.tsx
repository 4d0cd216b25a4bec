import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Problem } from "./api/client";
import { showKept } from "./layout/light";
import { makeRouter } from "./router";
import "./styles.css";
import { Toasts } from "./ui/toasts";

const ONCE_MORE = 2;

const queries: QueryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // What changes is told by the event stream; a refusal does not get better by asking again.
      staleTime: 15_000,
      refetchOnWindowFocus: false,
      retry: (count, error) => count < ONCE_MORE && !(error instanceof Problem && error.status >= 400 && error.status < 500),
    },
  },
});

showKept();
const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <RouterProvider router={makeRouter()} />
        <Toasts />
      </QueryClientProvider>
    </StrictMode>,
  );
