import { openMemoryKv } from "@tidemark/kv";
import { expect, test } from "vitest";
import { interruptingKv } from "../src/index.ts";

const key = Uint8Array.of(1);
const write = { puts: [{ key, value: key }] };

test("interruptingKv() fails one call before it took effect, and no other", async () => {
  const store = openMemoryKv();
  const kv = interruptingKv(store, { at: 2, when: "before" });
  expect(await kv.get("p", [key])).toEqual([undefined]);
  expect(kv.interrupted).toBe(false);
  await expect(kv.commit("p", write)).rejects.toMatchObject({
    code: "KV_UNAVAILABLE",
    committed: "no",
    retryable: true,
  });
  expect(kv.interrupted).toBe(true);
  expect(await store.get("p", [key])).toEqual([undefined]);
  expect(await kv.commit("p", write)).toEqual({ committed: true });
  expect(await kv.scan("p", {})).toEqual({ items: [{ key, value: key }] });
  expect(kv.callCount).toBe(4);
});

test("interruptingKv() loses the answer of one call after it took effect", async () => {
  const store = openMemoryKv();
  const kv = interruptingKv(store, { at: 1, when: "after" });
  await expect(kv.commit("p", write)).rejects.toMatchObject({ code: "KV_UNAVAILABLE", committed: "unknown" });
  expect(await store.get("p", [key])).toEqual([key]);
});

test("interruptingKv() passes on everything else", async () => {
  const kv = interruptingKv(openMemoryKv({ nowMs: () => 5 }), { at: 9, when: "before" });
  expect(kv.capabilities.name).toBe("memory");
  expect(await kv.nowMs()).toBe(5);
  for await (const _ of kv.watch!("p", key)) break;
  await kv.close();
  await expect(kv.get("p", [key])).rejects.toMatchObject({ code: "KV_CLOSED" });
  expect(interruptingKv(openMemoryKv({ watch: false }), { at: 1, when: "after" }).watch).toBe(undefined);
});
