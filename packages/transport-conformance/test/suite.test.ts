import { describe, expect, test } from "vitest";
import { TransportError } from "@tidemark/transport";
import {
  describeTransport,
  missingRequirements,
  runTransportCheck,
  TRANSPORT_CHECKS,
  TransportCheckError,
} from "../src/index.ts";
import type { TransportConformanceOptions, TransportHook } from "../src/index.ts";
import { DEFECTS } from "./defects.ts";
import { openMemoryMesh } from "./memory-mesh.ts";

const claims = { frameBytesMax: 4_096, ordered: true, replay: true, persistent: true };
const hooks: readonly TransportHook[] = ["cut", "cutOneWay", "restartBroker"];

describeTransport("a transport in memory", { claims, hooks, openMesh: openMemoryMesh });

test("TRN-2 every check has a double that breaks what it checks, and no other double is left", () => {
  const names = TRANSPORT_CHECKS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(25);
  expect(Object.keys(DEFECTS)).toEqual(names);
});

describe("TRN-2 the check fails a transport that breaks it", () => {
  test.each(TRANSPORT_CHECKS.map((check) => [check.name, check] as const))("%s", async (name, check) => {
    const planted = DEFECTS[name]!();
    const error = await runTransportCheck(check, {
      claims,
      hooks,
      openMesh: (peerCount) => openMemoryMesh(peerCount, planted),
      deadlineMs: 120,
    }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    // Anything else would be a bug of the double, not a finding of the check.
    expect(error instanceof TransportCheckError || error instanceof TransportError, String(error)).toBe(true);
  });
});

describe("TRN-2 what a transport does not claim is skipped, and nothing else", () => {
  const skippedWith = (options: Partial<TransportConformanceOptions>): string[] =>
    TRANSPORT_CHECKS.flatMap((check) =>
      missingRequirements(check, { claims, hooks, openMesh: openMemoryMesh, ...options }),
    );

  test("nothing with every claim and hook", () => {
    expect(skippedWith({})).toEqual([]);
  });
  test("by claim", () => {
    expect(skippedWith({ claims: { ...claims, ordered: false } })).toEqual(["ordered"]);
    expect(skippedWith({ claims: { ...claims, replay: false, persistent: false } })).toEqual([
      "replay",
      "replay",
      "persistent",
    ]);
  });
  test("by hook", () => {
    expect(skippedWith({ hooks: [] })).toEqual(["restartBroker", "cut", "cutOneWay", "restartBroker"]);
  });
});

test("TRN-2 a mesh is closed after a check that failed", async () => {
  const mesh = await openMemoryMesh(2);
  let closed = 0;
  const running = runTransportCheck(
    { name: "fails", run: () => Promise.reject(new TransportCheckError("as it should")) },
    { claims, openMesh: async () => ({ ...mesh, close: async () => void closed++ }) },
  );
  await expect(running).rejects.toThrow("as it should");
  expect(closed).toBe(1);
});
