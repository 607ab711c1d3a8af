import { defineConfig } from "vitest/config";
import { mutantPlugins } from "./tools/mutants/src/mutant-plugin.ts";

// The ssr condition is the one that counts: packages are tested from source, nothing is built first.
export default defineConfig({
  plugins: mutantPlugins(),
  ssr: { resolve: { conditions: ["@tidemark/source", "module", "node", "development|production"] } },
  // A hang guard, not a measurement: a shared machine may be slow.
  test: { testTimeout: 60_000, hookTimeout: 60_000, include: ["test/**/*.test.ts"] },
});
