import { LiveError } from "@tidemark/live";
import { describe, expect, test } from "vitest";
import {
  describeLiveStore,
  LIVE_CHECKS,
  LiveCheckError,
  type LiveStoreClaims,
  type LiveStoreHook,
  missingHooks,
  runLiveCheck,
} from "../src/index.ts";
import { DEFECTS } from "./defects.ts";
import { openMemoryFixture } from "./memory-fixture.ts";

const claims: LiveStoreClaims = { name: "memory", sharedBy: "instance" };
const hooks: readonly LiveStoreHook[] = ["second", "clock", "wallClock", "forget", "evict", "cut"];

describeLiveStore("handles of a store in memory", { claims, hooks, open: openMemoryFixture });
describeLiveStore("one store in memory", { claims, open: openMemoryFixture });

test("LIV-7 every check has a double that breaks what it checks, and no other double is left", () => {
  const names = LIVE_CHECKS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(30);
  expect(Object.keys(DEFECTS)).toEqual(names);
});

describe("LIV-7 the check fails a store that breaks it", () => {
  test.each(LIVE_CHECKS.map((check) => [check.name, check] as const))("%s", async (name, check) => {
    const planted = DEFECTS[name]!();
    const error = await runLiveCheck(check, {
      claims,
      hooks,
      open: (bounds) => openMemoryFixture(bounds, planted),
      deadlineMs: 100,
    }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    // Anything else would be a bug of the double, not a finding of the check.
    expect(error instanceof LiveCheckError || error instanceof LiveError, String(error)).toBe(true);
  });
});

test("LIV-7 what the tests of a store cannot do is skipped, and nothing else", () => {
  const counts: Record<string, number> = {};
  for (const hook of LIVE_CHECKS.flatMap((check) => missingHooks(check, { claims, open: openMemoryFixture })))
    counts[hook] = (counts[hook] ?? 0) + 1;
  expect(counts).toEqual({ second: 2, clock: 3, wallClock: 1, forget: 2, evict: 1, cut: 1 });
});

test("a store is closed after a check that failed", async () => {
  let closed = 0;
  const open: typeof openMemoryFixture = async (bounds) => {
    const fixture = await openMemoryFixture(bounds);
    return { ...fixture, store: fixture.store, close: async () => void closed++ };
  };
  const failing = { name: "fails", run: () => Promise.reject(new LiveCheckError("as it should")) };
  await expect(runLiveCheck(failing, { claims, open })).rejects.toThrow("as it should");
  expect(closed).toBe(1);
});
