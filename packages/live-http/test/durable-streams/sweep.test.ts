import { decodeKey, KvError, type MemoryKv, openMemoryKv } from "@tidemark/kv";
import { interruptingKv } from "@tidemark/kv-conformance";
import { expect, test } from "vitest";
import { durableStreams, sweepDurableStreams } from "../../src/durable-streams/index.ts";
import { NO_HASHER, openStreams, producer, readAll, send, TEXT } from "./support.ts";

const SHARDS = "0123456789abcdef";
const HOUR_MS = 3_600_000;

/** A store with its own clock, and streams in it: some that last, some for an hour. */
async function openFilled(): Promise<{ readonly kv: MemoryKv; readonly pass: (ms: number) => void }> {
  let nowMs = 1_000_000;
  const kv = openMemoryKv({ nowMs: () => nowMs });
  const handle = openStreams({ kv, hasher: NO_HASHER });
  const hour = { ...TEXT, "stream-ttl": "3600" };
  await send(handle, "PUT", "/lasting", { headers: TEXT, body: "kept" });
  await send(handle, "PUT", "/read", { headers: hour, body: "kept" });
  await send(handle, "PUT", "/idle", {
    headers: { ...TEXT, "stream-expires-at": new Date(nowMs + 1).toISOString() },
  });
  await send(handle, "PUT", "/source", { headers: hour, body: "kept" });
  await send(handle, "PUT", "/fork", { headers: { "stream-forked-from": "/source" } });
  await send(handle, "POST", "/fork", { headers: { ...TEXT, ...producer("p", 0, 0) }, body: "x" });
  await send(handle, "PUT", "/leaf", {
    headers: { "stream-forked-from": "/source", "stream-expires-at": "2100-01-01T00:00:00Z" },
  });
  return { kv, pass: (ms) => (nowMs += ms) };
}

test("sweepDurableStreams() LIV-10 removes all that has expired and nothing else, also where a call of an earlier one failed", async () => {
  let calls = 0;
  for (const when of ["before", "after"] as const) {
    // Every second call, and the others the other way: all of them are tried.
    for (let at = when === "before" ? 1 : 2; ; at += 2) {
      const { kv, pass } = await openFilled();
      pass(HOUR_MS);
      const handle = openStreams({ kv, hasher: NO_HASHER });
      expect(await readAll(handle, "/read")).toBe("kept");
      pass(HOUR_MS / 8);
      const failing = interruptingKv(kv.handle(), { at, when });
      const first = await sweepDurableStreams({ kv: failing, hasher: NO_HASHER }).catch((error: unknown) => {
        expect(error).toBeInstanceOf(KvError);
        return 0;
      });
      const second = await sweepDurableStreams({ kv, hasher: NO_HASHER });
      if (!failing.interrupted) expect([first, second]).toEqual([4, 0]);
      for (const path of ["/idle", "/fork"])
        expect(await rowsOf(kv, `durable-streams/${path}`), path).toEqual([]);
      // The source is kept for the fork that lasts, and looked at no more: it goes with that.
      expect((await send(handle, "GET", "/source")).status).toBe(410);
      expect(await readAll(handle, "/leaf")).toBe("kept");
      expect(await readAll(handle, "/lasting")).toBe("kept");
      expect(await readAll(handle, "/read")).toBe("kept");
      expect(await dueOf(kv)).toEqual(["/leaf", "/read"]);
      await send(handle, "DELETE", "/leaf");
      expect(await rowsOf(kv, "durable-streams//source")).toEqual([]);
      pass(2 * HOUR_MS);
      await sweepDurableStreams({ kv, hasher: NO_HASHER });
      expect(await dueOf(kv)).toEqual(["/leaf"]);
      if (!failing.interrupted) break;
      calls += 1;
    }
  }
  expect(calls).toBeGreaterThan(20);
});

test("sweepDurableStreams() LIV-10 looks at so many at most, and forgets a life that never began", async () => {
  const { kv, pass } = await openFilled();
  const failing = interruptingKv(kv.handle(), { at: 3, when: "before" });
  const handle = durableStreams({ kv: failing, authorize: () => true, hasher: NO_HASHER });
  expect((await send(handle, "PUT", "/never", { headers: { ...TEXT, "stream-ttl": "1" } })).status).toBe(503);
  expect(await dueOf(kv)).toContain("/never");
  pass(2 * HOUR_MS);
  const counts = [];
  for (let round = 0; round < 5; round++)
    counts.push(await sweepDurableStreams({ kv, limit: 1, hasher: NO_HASHER }));
  expect(counts).toEqual([1, 1, 1, 1, 1]);
  expect(await dueOf(kv)).toEqual(["/leaf"]);
});

async function rowsOf(kv: MemoryKv, partition: string): Promise<unknown[]> {
  const { items } = await kv.scan(partition, {});
  return items.map(({ key }) => decodeKey(key)[0]);
}

/** The paths that are to be looked at. */
async function dueOf(kv: MemoryKv): Promise<unknown[]> {
  const paths = await Promise.all(
    [...SHARDS].map(async (shard) => {
      const { items } = await kv.scan(`durable-streams.expiry/${shard}`, {});
      return items.map(({ key }) => decodeKey(key)[2]);
    }),
  );
  return paths.flat().toSorted();
}
