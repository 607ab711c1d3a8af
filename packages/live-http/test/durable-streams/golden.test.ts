import { readFileSync } from "node:fs";
import { type MemoryKv, openMemoryKv } from "@tidemark/kv";
import { expect, test } from "vitest";
import { openStreams, producer, readAll, send, TEXT } from "./support.ts";

/** Rows by partition, key and value as hexadecimal text: what version 1 has written. */
type Rows = Readonly<Record<string, readonly (readonly [string, string])[]>>;

const NOW_MS = 1_800_000_000_000;
const GOLDEN = new URL("../golden/durable-streams-v1.json", import.meta.url);
const golden = JSON.parse(readFileSync(GOLDEN, "utf8")) as Rows;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

test("durableStreams() LIV-10 writes the rows of version 1", async () => {
  const kv = openMemoryKv({ nowMs: () => NOW_MS });
  let lives = 0;
  const handle = openStreams({ kv, randomBytes: (count) => new Uint8Array(count).fill((lives += 1)) });
  await send(handle, "PUT", "/text", { headers: { ...TEXT, "stream-ttl": "60" }, body: "Hello" });
  const closing = { ...TEXT, ...producer("p", 1, 0), "stream-seq": "1", "stream-closed": "true" };
  await send(handle, "POST", "/text", { headers: closing, body: ", é" });
  await send(handle, "PUT", "/json", { headers: { "content-type": "application/json" }, body: "[1, {}]" });
  const fork = { "content-type": "application/json", "stream-forked-from": "/json" };
  await send(handle, "PUT", "/fork", { headers: fork, body: "[3]" });
  const rows = Object.fromEntries(
    await Promise.all(
      Object.keys(golden).map(async (partition) => [partition, await rowsOf(kv, partition)] as const),
    ),
  );
  expect(rows).toEqual(golden);
});

test("durableStreams() LIV-10 reads the rows of version 1", async () => {
  const kv = openMemoryKv({ nowMs: () => NOW_MS });
  for (const [partition, rows] of Object.entries(golden)) {
    await kv.commit(partition, {
      puts: rows.map(([key, value]) => ({ key: bytesOf(key), value: bytesOf(value) })),
    });
  }
  const handle = openStreams({ kv });
  expect(await readAll(handle, "/text")).toBe("Hello, é");
  expect(await readAll(handle, "/fork")).toBe("[1,{},3]");
  const repeated = await send(handle, "POST", "/text", {
    headers: { ...TEXT, ...producer("p", 1, 0) },
    body: "x",
  });
  expect(repeated.status).toBe(204);
  await send(handle, "DELETE", "/json");
  expect((await send(handle, "GET", "/json")).status).toBe(410);
});

async function rowsOf(kv: MemoryKv, partition: string): Promise<[string, string][]> {
  const { items } = await kv.scan(partition, {});
  return items.map(({ key, value }) => [hex(key), hex(value)]);
}
