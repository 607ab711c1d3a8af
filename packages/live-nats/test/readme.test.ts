import { startNats } from "@tidemark/servers";
import { expect, test } from "vitest";
import { runQuickStart } from "../../../scripts/lib/quick-start.mjs";
import { haveNats } from "./helpers.ts";

test.skipIf(!(await haveNats()))("the quick start has 20 lines at most, and does what it says", async () => {
  await using server = await startNats();
  const readme = new URL("../README.md", import.meta.url);
  const { status, output, lineCount, absent } = await runQuickStart(readme, "NATS_URL", server.url);
  expect(lineCount).toBeLessThanOrEqual(20);
  expect({ status, absent }, output).toEqual({ status: 0, absent: [] });
});
