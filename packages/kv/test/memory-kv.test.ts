import { expect, test } from "vitest";
import { encodeKey, type Kv, openMemoryKv } from "../src/index.ts";

const key = encodeKey(["count"]);

/** Adds one, as often as it takes. */
async function increment(kv: Kv): Promise<void> {
  for (;;) {
    const [value] = await kv.get("counters", [key]);
    const next = Uint8Array.of((value?.[0] ?? 0) + 1);
    const result = await kv.commit("counters", { checks: [{ key, value }], puts: [{ key, value: next }] });
    if (result.committed) return;
  }
}

test("openMemoryKv() gives handles of one store, each closed on its own", async () => {
  const first = openMemoryKv();
  const second = first.handle();
  await Promise.all(Array.from({ length: 40 }, (_, index) => increment(index % 2 === 0 ? first : second)));
  await first.close();
  await expect(first.get("counters", [key])).rejects.toMatchObject({ code: "KV_CLOSED" });
  expect(await second.get("counters", [key])).toEqual([Uint8Array.of(40)]);
  await second.close();
});

test("openMemoryKv() tells the time it was given, and the limits it was lowered to", async () => {
  await using kv = openMemoryKv({ nowMs: () => 17, keysPerCommitMax: 1, scan: false, watch: false });
  expect(await kv.nowMs()).toBe(17);
  expect(kv.capabilities).toMatchObject({ name: "memory", durability: "memory", keysPerCommitMax: 1 });
  expect(kv.watch).toBe(undefined);
  await expect(kv.scan("p", {})).rejects.toMatchObject({ code: "KV_UNSUPPORTED" });
});
