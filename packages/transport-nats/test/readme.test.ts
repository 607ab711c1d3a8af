import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startNats } from "@tidemark/servers";
import { describe, expect, test } from "vitest";
import { createSandbox, runFile } from "../../../scripts/lib/sandbox.mjs";
import { hasServer } from "./broker.ts";

describe.skipIf(!(await hasServer()))("TRN-6 the quick start of the README", () => {
  test("has at most 20 lines, and runs against a server", { timeout: 60_000 }, async () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const code = /^```mjs quick-start\.mjs\n(.*?)^```$/ms.exec(readme)![1]!;
    expect(code.trimEnd().split("\n").length).toBeLessThanOrEqual(20);
    await using server = await startNats();
    const sandbox = createSandbox();
    try {
      writeFileSync(
        join(sandbox.dir, "quick-start.mjs"),
        code.replace("process.env.NATS_URL", JSON.stringify(server.url)),
      );
      const { status, output } = await runFile(sandbox.dir, "quick-start.mjs");
      expect({ status, output }).toEqual({ status: 0, output: "[ 'Metropolis' ]\n" });
    } finally {
      sandbox.remove();
    }
  });
});
