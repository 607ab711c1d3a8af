import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openMemoryKv } from "@tidemark/kv";
import { openRegion } from "@tidemark/region/node";
import { regionJournal } from "@tidemark/session-store";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TidemarkStore } from "../src/index.ts";
import { sessionOf } from "./store-contract.ts";

const members = { version: 1, regions: { "us-east": 1, "eu-west": 2 } };
const ID = "xV4-mXcT1bOqBSKzSg0p5tJ7m8aPh_2n";
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidemark-express-session-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test("RUN-12 RUN-13 who logs in in one region is known in another, and who logs out there is unknown in both", async () => {
  await using network = createInProcessNetwork();
  const { clusterKey } = network;
  const open = async (name: string, bootstrap: boolean) => {
    const transport = network.join(name);
    const region = await openRegion({
      name,
      members,
      bootstrap,
      dir: join(dir, name),
      transport,
      clusterKey,
    });
    const kv = openMemoryKv();
    const store = new TidemarkStore({ kv, journal: regionJournal(region, { user: "web" }) });
    const close = async (): Promise<void> => {
      await store.close();
      await region.close();
      await kv.close();
    };
    return { region, store, [Symbol.asyncDispose]: close };
  };
  await using us = await open("us-east", true);
  await using eu = await open("eu-west", false);
  await eu.region.ready();

  await us.store.set(ID, sessionOf({ user: "ada", cart: 1 }));
  const cursor = us.region.sessions.get(ID)!.cursor();
  await eu.region.sessions.resume(ID, { cursor, timeoutMs: 20_000 });
  const there = (await eu.store.get(ID))!;
  expect(there).toMatchObject({ user: "ada", cart: 1 });
  const late = (await us.store.get(ID))!;

  await eu.store.destroy(ID);
  const back = eu.region.sessions.get(ID)!.cursor();
  await us.region.sessions.resume(ID, { cursor: back, timeoutMs: 20_000 });
  expect(await us.store.set(ID, late), "a request that had it loaded").toBe("gone");
  for (const { store } of [us, eu]) expect(await store.get(ID)).toBeUndefined();
});
