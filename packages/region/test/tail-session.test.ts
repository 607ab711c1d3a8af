import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nobleHasher as hasher } from "@tidemark/core";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { nodeFs } from "@tidemark/wal/node";
import { expect, onTestFinished, test } from "vitest";
import { readSessionRows, type SessionRowsOptions } from "../src/index.ts";
import { openRegion } from "../src/node.ts";

test("CLI-2 the rows of a session come from every log, in order, and what cannot be opened any more is left out", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-tail-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const network = createInProcessNetwork();
  onTestFinished(() => network.close());
  const members = { version: 1, regions: { us: 1, eu: 2 } };
  const open = async (name: "us" | "eu", bootstrap: boolean) => {
    const { clusterKey } = network;
    const settings = { name, members, clusterKey, bootstrap, encryption: true };
    const region = await openRegion({ dir: join(dir, name), transport: network.join(name), ...settings });
    onTestFinished(() => region.close());
    return region;
  };
  const [us, eu] = [await open("us", true), await open("eu", false)];
  await Promise.all([us.ready(), eu.ready()]);
  const session = await us.sessions.start({ id: "s", user: "ada", agent: "guide" });
  await session.hide("here", { ack: "all" });
  await eu.sessions.get("s")!.hide("there", { ack: "all" });
  const read = (options: Partial<SessionRowsOptions> = {}) =>
    readSessionRows(
      { fs: nodeFs(), dir: join(dir, "us"), hasher },
      { session: "s", content: true, ...options },
    );
  const { rows, malformed } = await read();
  expect(malformed).toBe(0);
  expect(rows.map(({ kind, content }) => [kind, content?.["item"]])).toEqual([
    ["start", undefined],
    ["hide", "here"],
    ["hide", "there"],
  ]);
  expect(new Set(rows.map(({ log }) => log)).size).toBe(2);
  expect((await read({ after: rows[0]!.cursor! })).rows).toEqual(rows.slice(1));
  expect((await read({ after: String(us.sessions.get("s")!.cursor()) })).rows).toEqual([]);
  expect((await read({ content: false })).rows.map(({ content }) => content)).toEqual([null, null, null]);
  await us.users.erase("ada", { ack: "all" });
  expect((await read()).rows.slice(0, 3).map(({ content }) => content)).toEqual([null, null, null]);
});
