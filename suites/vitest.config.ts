import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { SUITES } from "./suites.mjs";

const conditions = ["@tidemark/source", "module", "node", "development|production"];
const pathOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// One project a suite. A suite and the package it judges get one copy of the interface, the one the suite names.
export default defineConfig({
  test: {
    projects: SUITES.map(({ name, folder, use = {} }) => ({
      root: pathOf("."),
      ssr: { resolve: { conditions } },
      resolve: {
        alias: Object.entries(use).map(([module, path]) => ({
          find: new RegExp(`^${module}$`),
          replacement: pathOf(path),
        })),
      },
      test: {
        name,
        globals: true,
        include: [`${folder}/*.suite.mjs`],
        testTimeout: 60_000,
        hookTimeout: 60_000,
        server: { deps: { inline: [/langgraph-checkpoint-validation/, /server-conformance-tests/] } },
      },
    })),
  },
});
