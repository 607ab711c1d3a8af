import { readFileSync } from "node:fs";
import { type Kv, openMemoryKv } from "@tidemark/kv";
import { expect, test } from "vitest";
import { exportZones, MemoryZoneFiles, Zones } from "../src/index.ts";
import { zonePartition } from "../src/zone-keys.ts";
import { allFiles } from "./failing-files.ts";
import { stateText } from "./zones-on-memory.ts";

/** What version 1 wrote: rows as hexadecimal digits, and files as text. It is never written anew. */
const golden = JSON.parse(readFileSync(new URL("golden/zones-v1.json", import.meta.url), "utf8")) as {
  readonly rows: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, string>>;
};

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

async function written(): Promise<Kv> {
  let nowMs = 1_790_000_000_000;
  let minted = 0;
  const kv = openMemoryKv({ nowMs: () => (nowMs += 10) });
  const zones = new Zones({
    kv,
    clockId: 7,
    randomBytes: (count) => new Uint8Array(count).fill((minted += 1)),
  });
  const { end } = await zones.appendSessionOutput("Scout", [{ said: "hello" }]);
  const fence = { session: "s", generation: 3 };
  await zones.writeSessionState("Scout", stateText("one"), {
    revision: 2,
    logOffset: end,
    session: "s",
    fence,
  });
  await zones.archiveSession("Scout");
  await zones.appendSessionOutput("Scout", ["é", 1], { fence });
  return kv;
}

test("ZON-3a the rows and files of version 1 are written as they were, and read", async () => {
  const kv = await written();
  const { items } = await kv.scan(zonePartition("Scout"), {});
  expect(Object.fromEntries(items.map(({ key, value }) => [hex(key), hex(value)]))).toEqual(golden.rows);
  const files = new MemoryZoneFiles();
  await exportZones(new Zones({ kv }), files);
  expect(await allFiles(files)).toEqual(golden.files);

  const read = openMemoryKv();
  const puts = Object.entries(golden.rows).map(([key, value]) => ({ key: unhex(key), value: unhex(value) }));
  await read.commit(zonePartition("Scout"), { puts });
  const zones = new Zones({ kv: read });
  expect((await zones.recoverSession("Scout"))?.entries.map(({ value }) => value)).toEqual(["é", 1]);
  const [row] = await zones.listArchives("Scout");
  expect(await zones.readArchive("Scout", row!.archivedAtMs)).toMatchObject({
    state: { text: stateText("one"), revision: 2, session: "s" },
    entries: [],
  });
});
