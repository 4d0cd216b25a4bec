import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** What a first visit may cost, in bytes of gzipped JavaScript; pages that load later are not part of it. */
const BUDGET = 250_000;

/** Fails the build when the entry and what it imports statically outgrow the budget. */
function budget(): Plugin {
  return {
    name: "budget",
    generateBundle(_, bundle) {
      const first = new Set<string>();
      const visit = (name: string) => {
        const chunk = bundle[name];
        if (chunk?.type !== "chunk" || first.has(name)) return;
        first.add(name);
        chunk.imports.forEach(visit);
      };
      for (const [name, chunk] of Object.entries(bundle)) if (chunk.type === "chunk" && chunk.isEntry) visit(name);
      const bytes = [...first]
        .map((name) => bundle[name])
        .reduce((sum, chunk) => sum + (chunk?.type === "chunk" ? gzipSync(chunk.code).length : 0), 0);
      if (bytes > BUDGET) this.error(`the first load is ${bytes} bytes of gzipped JavaScript; the budget is ${BUDGET}`);
      this.info(`first load: ${bytes} bytes of gzipped JavaScript (budget ${BUDGET})`);
    },
  };
}

export default defineConfig({
  base: "/app/",
  plugins: [react(), tailwindcss(), budget()],
  // No inline script or style leaves the build: the gateway's policy forbids them.
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false }, sourcemap: false },
  test: { environment: "jsdom", setupFiles: ["./src/testing/setup.ts"], css: false, restoreMocks: true },
});
