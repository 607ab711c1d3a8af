import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startNats } from "@tidemark/servers";
import { expect, test } from "vitest";
import { fencesOf, printedBy } from "../../../scripts/lib/fences.mjs";
import { createSandbox, runFile } from "../../../scripts/lib/sandbox.mjs";
import { haveNats } from "./helpers.ts";

test.skipIf(!(await haveNats()))("the quick start has 20 lines at most, and does what it says", async () => {
  await using server = await startNats();
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const { code } = fencesOf(readme).find(({ file }: { file?: string }) => file === "quick-start.mjs")!;
  expect(code.trim().split("\n").length).toBeLessThanOrEqual(20);
  const sandbox = createSandbox();
  try {
    writeFileSync(
      join(sandbox.dir, "quick-start.mjs"),
      code.replace("process.env.NATS_URL", JSON.stringify(server.url)),
    );
    const { status, output } = await runFile(sandbox.dir, "quick-start.mjs");
    expect(status, output).toBe(0);
    for (const printed of printedBy(code)) expect(output.split("\n")).toContain(printed);
  } finally {
    sandbox.remove();
  }
});
