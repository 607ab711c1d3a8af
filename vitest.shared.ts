import { defineConfig } from "vitest/config";

// The ssr condition is the one that counts: packages are tested from source, nothing is built first.
export default defineConfig({
  ssr: { resolve: { conditions: ["@tidemark/source", "module", "node", "development|production"] } },
  // A hang guard, not a measurement: a shared machine may be slow.
  test: { testTimeout: 60_000, hookTimeout: 60_000, include: ["test/**/*.test.ts"] },
});
