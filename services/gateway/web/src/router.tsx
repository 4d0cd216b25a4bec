/** The pages and their addresses. Each page is loaded when it is first visited. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Link, Outlet } from "@tanstack/react-router";
import { CreatePage } from "./features/create/CreatePage";
import { SignInPage } from "./features/signin/SignInPage";
import { Shell } from "./layout/Shell";
import { Empty, ProblemNotice } from "./ui/Notice";

const root = createRootRoute({
  component: Outlet,
  notFoundComponent: () => (
    <div className="p-6">
      <Empty title="There is no such page">
        <Link to="/" className="underline">
          To the start
        </Link>
      </Empty>
    </div>
  ),
});

const signIn = createRoute({ getParentRoute: () => root, path: "/sign-in", component: SignInPage });
const shell = createRoute({ getParentRoute: () => root, id: "shell", component: Shell });

const create = createRoute({ getParentRoute: () => shell, path: "/", component: CreatePage });

const texts = (search: Record<string, unknown>, names: readonly string[]) =>
  Object.fromEntries(names.flatMap((name) => (typeof search[name] === "string" || typeof search[name] === "number" ? [[name, String(search[name])]] : [])));

export const GALLERY_FILTERS = ["model", "mode", "text", "since", "until"] as const;
const gallery = createRoute({
  getParentRoute: () => shell,
  path: "/gallery",
  validateSearch: (search): Partial<Record<(typeof GALLERY_FILTERS)[number], string>> => texts(search, GALLERY_FILTERS),
  component: lazyRouteComponent(() => import("./features/gallery/GalleryPage"), "GalleryPage"),
});

const compare = createRoute({
  getParentRoute: () => shell,
  path: "/compare",
  validateSearch: (search): { a?: string; b?: string } => texts(search, ["a", "b"]),
  component: lazyRouteComponent(() => import("./features/compare/ComparePage"), "ComparePage"),
});

const task = createRoute({
  getParentRoute: () => shell,
  path: "/tasks/$taskId",
  component: lazyRouteComponent(() => import("./features/task/TaskPage"), "TaskPage"),
});

const lanes = createRoute({
  getParentRoute: () => shell,
  path: "/lanes",
  component: lazyRouteComponent(() => import("./features/lanes/LanesPage"), "LanesPage"),
});

export const SEARCH_FILTERS = ["task_id", "lane", "mode", "status", "lane_mode", "fallback_reason", "code", "text", "since", "until"] as const;
const investigate = createRoute({
  getParentRoute: () => shell,
  path: "/investigate",
  validateSearch: (search): Partial<Record<(typeof SEARCH_FILTERS)[number], string>> => texts(search, SEARCH_FILTERS),
  component: lazyRouteComponent(() => import("./features/investigate/InvestigatePage"), "InvestigatePage"),
});

const tree = root.addChildren([signIn, shell.addChildren([create, gallery, compare, task, lanes, investigate])]);

export function makeRouter() {
  return createRouter({
    routeTree: tree,
    basepath: "/app",
    defaultPreload: "intent",
    scrollRestoration: true,
    defaultErrorComponent: ({ error }) => (
      <div className="p-6">
        <ProblemNotice error={error} />
      </div>
    ),
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
