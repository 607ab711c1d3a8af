import { defineConfig } from "vitest/config";

// The ssr condition is the one that counts: packages are tested from source, nothing is built first.
export default defineConfig({
  ssr: { resolve: { conditions: ["@tidemark/source", "module", "node", "development|production"] } },
  test: { include: ["test/**/*.test.ts"] },
});
