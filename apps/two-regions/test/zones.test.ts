import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLmdbKv } from "@tidemark/kv-lmdb";
import { regionJournal } from "@tidemark/session-store";
import { Zones } from "@tidemark/zones";
import { afterEach, expect, test } from "vitest";
import { NAMES, type Name, SwitchedCluster } from "./switched-cluster.ts";

const opened: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** The zones of one region, over its region and a store of its own. */
async function openZones(cluster: SwitchedCluster, name: Name, dir: string): Promise<Zones> {
  const kv = await openLmdbKv({ dir: join(dir, name) });
  opened.push(() => kv.close());
  return new Zones({
    kv,
    journal: regionJournal(cluster.region(name), { user: "ada", agent: "scout" }),
    clockId: NAMES.indexOf(name) + 1,
  });
}

const stateOf = (...said: readonly string[]): string =>
  JSON.stringify({ nodes: said.map((text) => ({ type: "user_message", text })) });

test("ZON-8 A-28 an agent's current zone is read and continued in another region, and what that archives is current in none", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-zones-"));
  opened.push(() => rmSync(dir, { recursive: true, force: true }));
  await using cluster = new SwitchedCluster({ urlOf: () => "", prefix: "" });
  await cluster.moveAll("inprocess");
  const [us, eu] = [await openZones(cluster, "us-east", dir), await openZones(cluster, "eu-west", dir)];

  const { end } = await us.appendSessionOutput("scout", [{ said: "where to?" }]);
  // More than one operation of a session holds.
  const large = stateOf("Find me a quiet beach", "x".repeat(600_000));
  await us.writeSessionState("scout", large, { revision: 1, logOffset: end, session: "trip" });
  await us.appendSessionOutput("scout", [{ said: "looking" }]);
  await cluster.converged();
  expect(await eu.recoverSession("scout")).toEqual(await us.recoverSession("scout"));
  expect(await eu.currentSession("scout")).toMatchObject({
    session: "trip",
    preview: "Find me a quiet beach",
  });

  await eu.appendSessionOutput("scout", [{ said: "found three" }]);
  const archived = (await eu.archiveSession("scout"))!;
  await eu.writeSessionState("scout", stateOf("Another one"), { revision: 1, logOffset: 0 });
  // A screen in the other region has not heard, and writes once more.
  await us.appendSessionOutput("scout", [{ said: "too late" }]);
  await cluster.converged();
  for (const zones of [us, eu]) {
    expect((await zones.readSessionState("scout"))?.text).toBe(stateOf("Another one"));
    expect(await zones.listArchives("scout")).toMatchObject([
      { archivedAtMs: archived.archivedAtMs, preview: "Find me a quiet beach", nodeCount: 2 },
    ]);
    expect((await zones.readArchive("scout", archived.archivedAtMs)).state?.text).toBe(large);
  }

  // A region that was closed meanwhile takes what it missed when it is asked.
  await us.restoreArchive("scout", archived.archivedAtMs);
  await cluster.move("eu-west", "inprocess");
  await cluster.region("eu-west").ready({ timeoutMs: 20_000 });
  await cluster.converged();
  const again = new Zones({
    kv: eu.context.kv,
    journal: regionJournal(cluster.region("eu-west"), { user: "ada", agent: "scout" }),
    clockId: 2,
  });
  expect((await again.readSessionState("scout"))?.text).toBe(large);
  expect((await again.listArchives("scout")).map(({ preview }) => preview)).toEqual(["Another one"]);
});
