import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: ["packages/*", "apps/*", "tools/*", "scripts"],
    // Of two cores vitest would leave one alone, though most of these tests wait for processes and disks.
    maxWorkers: Math.max(2, availableParallelism() - 1),
  },
});
