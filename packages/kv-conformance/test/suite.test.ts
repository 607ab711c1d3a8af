import { type KvCapabilities, KvError } from "@tidemark/kv";
import { describe, expect, test } from "vitest";
import {
  describeKv,
  KV_CHECKS,
  KvCheckError,
  type KvConformanceOptions,
  type KvHook,
  missingRequirements,
  runKvCheck,
} from "../src/index.ts";
import { DEFECTS } from "./defects.ts";
import { openMemoryFixture } from "./memory-fixture.ts";

const claims: KvCapabilities = {
  name: "memory",
  durability: "disk",
  sharedBy: "instance",
  keysPerCommitMax: 101,
  valueBytesMax: 1_024 * 1_024,
  commitBytesMax: 2 * 1_024 * 1_024,
  scan: true,
  watch: true,
};
const hooks: readonly KvHook[] = ["second", "reopen", "version", "processes"];

describeKv("a store in memory", { claims, hooks, open: () => openMemoryFixture(claims) });

const single = { ...claims, keysPerCommitMax: 1, scan: false, watch: false };
describeKv("a store of one key a commit", { claims: single, open: () => openMemoryFixture(single) });

test("RUN-11 every check has a double that breaks what it checks, and no other double is left", () => {
  const names = KV_CHECKS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(50);
  expect(Object.keys(DEFECTS)).toEqual(names);
});

describe("RUN-11 the check fails a store that breaks it", () => {
  test.each(KV_CHECKS.map((check) => [check.name, check] as const))("%s", async (name, check) => {
    const told = name === "what is not claimed is KV_UNSUPPORTED" ? single : claims;
    const planted = DEFECTS[name]!();
    const error = await runKvCheck(check, {
      claims: told,
      hooks,
      open: () => openMemoryFixture(told, planted),
      deadlineMs: 200,
      // Which histories are drawn must not decide whether the double is seen.
      seed: 1,
    }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    // Anything else would be a bug of the double, not a finding of the check.
    expect(error instanceof KvCheckError || error instanceof KvError, String(error)).toBe(true);
  });
});

describe("RUN-11 what a store does not claim is skipped, and nothing else", () => {
  const skippedWith = (options: Partial<KvConformanceOptions>): Record<string, number> => {
    const all = { claims, hooks, open: () => openMemoryFixture(claims), ...options };
    const counts: Record<string, number> = {};
    for (const one of KV_CHECKS.flatMap((check) => missingRequirements(check, all))) {
      counts[one] = (counts[one] ?? 0) + 1;
    }
    return counts;
  };

  test("nothing with every claim and hook", () => {
    expect(skippedWith({})).toEqual({});
  });
  test("by claim", () => {
    expect(skippedWith({ claims: { ...claims, scan: false } })).toEqual({ scan: 9 });
    expect(skippedWith({ claims: { ...claims, watch: false } })).toEqual({ watch: 7 });
    expect(skippedWith({ claims: { ...claims, keysPerCommitMax: 1 } })).toEqual({ keys: 5 });
    expect(skippedWith({ claims: { ...claims, durability: "memory" } })).toEqual({ durable: 3 });
  });
  test("by hook", () => {
    expect(skippedWith({ hooks: [] })).toEqual({ second: 1, reopen: 2, version: 1, processes: 2 });
  });
});

test("a store is closed after a check that failed", async () => {
  const fixture = await openMemoryFixture(claims);
  let closed = 0;
  const running = runKvCheck(
    { name: "fails", run: () => Promise.reject(new KvCheckError("as it should")) },
    { claims, open: async () => ({ ...fixture, kv: fixture.kv, close: async () => void closed++ }) },
  );
  await expect(running).rejects.toThrow("as it should");
  expect(closed).toBe(1);
});
