import { formatLogId, logId } from "@tidemark/core";
import { Vector } from "@tidemark/wal";
import fc from "fast-check";
import { expect, test } from "vitest";
import { planReconciliation, planRetention, type RetainedLog } from "../src/index.ts";
import { anyVector } from "./arbitrary.ts";

const LOG = logId(1, 0, 7, "sessions");
const at = (lsn: number, fill = lsn, log = LOG): Vector =>
  Vector.of([{ log, lsn, digest: new Uint8Array(8).fill(fill) }]);

test("REP-11 a plan is what a naive comparison finds, the same every time, and mirrored on the other side", () => {
  fc.assert(
    fc.property(anyVector, anyVector, (local, remote) => {
      const plan = planReconciliation({ vector: local }, { vector: remote });
      expect(planReconciliation({ vector: local }, { vector: remote })).toEqual(plan);
      const naive = remote
        .entries()
        .filter(({ log, lsn }) => lsn > local.lsnOf(log))
        .map(({ log, lsn }) => ({ log, from: local.lsnOf(log) + 1, to: lsn }));
      expect(plan.missing).toEqual(naive);
      const mirrored = planReconciliation({ vector: remote }, { vector: local });
      expect(mirrored.missing).toEqual(plan.lacking);
      expect(mirrored.lacking).toEqual(plan.missing);
      // Whoever has fetched what was missing plans nothing more.
      const after = local.builder();
      for (const entry of remote.entries()) if (entry.lsn > local.lsnOf(entry.log)) after.set(entry);
      expect(planReconciliation({ vector: after.build() }, { vector: remote }).missing).toEqual([]);
    }),
  );
});

test("REP-11 the verdict: equal, behind, ahead, apart, diverged, forked", () => {
  const other = logId(2, 0, 7, "sessions");
  const verdict = (a: Vector, b: Vector, da?: number, db?: number): string =>
    planReconciliation(
      { vector: a, ...(da !== undefined && { digest: new Uint8Array(32).fill(da) }) },
      { vector: b, ...(db !== undefined && { digest: new Uint8Array(32).fill(db) }) },
    ).verdict;
  expect(verdict(at(5), at(5))).toBe("equal");
  expect(verdict(at(5), at(5), 1, 1)).toBe("equal");
  expect(verdict(at(5), at(5), 1, 2)).toBe("diverged");
  expect(verdict(at(5), at(6), 1, 2)).toBe("behind");
  expect(verdict(at(6), at(5), 1, 2)).toBe("ahead");
  expect(verdict(at(6), at(5, 5, other))).toBe("apart");
  expect(verdict(at(5), at(5, 9), 1, 2)).toBe("forked");
});

const segments = (sizes: readonly number[]): RetainedLog["segments"] =>
  sizes.map((bytes, index) => ({ firstLsn: index * 10 + 1, lastLsn: index * 10 + 10, bytes }));
const stored = (sizes: readonly number[], log = LOG): RetainedLog => ({
  log,
  durable: { log, lsn: sizes.length * 10, digest: new Uint8Array(8) },
  segments: segments(sizes),
});

test("WAL-14 nothing goes before two checkpoints cover it, every member has acked it and enough newer bytes are kept", () => {
  const evidence = {
    logs: [stored([100, 100, 100, 100])],
    checkpoint: at(35),
    acked: new Map([[2, at(30)]] as const),
    keepBytes: 100,
    capBytes: 10_000,
  } as never as Parameters<typeof planRetention>[0];
  const floor = (change: object): number => planRetention({ ...evidence, ...change }).floor.lsnOf(LOG);
  expect(floor({})).toBe(30);
  expect(floor({ checkpoint: undefined })).toBe(0);
  expect(floor({ checkpoint: at(12) })).toBe(12);
  expect(floor({ keepBytes: 250 })).toBe(10);
  expect(
    floor({
      acked: new Map([
        [2, at(30)],
        [3, Vector.empty],
      ] as never),
    }),
  ).toBe(0);
  expect(floor({ serving: at(17) })).toBe(17);
  // An epoch that is over keeps nothing for its own sake.
  const over = stored([100], logId(1, 0, 6, "sessions"));
  const plan = planRetention({
    ...evidence,
    logs: [over, ...evidence.logs],
    checkpoint: at(10, 1, over.log),
    acked: new Map(),
  });
  expect(plan.floor.lsnOf(over.log)).toBe(10);
});

test("WAL-14 past the cap a member that lags is left behind, and named", () => {
  const logs = [stored([100, 100, 100, 100])];
  const acked = new Map([
    [2, at(40)],
    [3, at(5)],
  ] as never) as never;
  const evidence = { logs, checkpoint: at(40), acked, keepBytes: 0, capBytes: 399 };
  expect(planRetention(evidence)).toMatchObject({ needSnapshot: [3] });
  expect(planRetention(evidence).floor.lsnOf(LOG)).toBe(40);
  expect(planRetention({ ...evidence, capBytes: 400 })).toMatchObject({ needSnapshot: [] });
  expect(planRetention({ ...evidence, capBytes: 400 }).floor.lsnOf(LOG)).toBe(5);
});

test("WAL-14 whatever happens, a floor never passes what a counted member, a checkpoint or a served snapshot needs", () => {
  const logs = [stored([50, 60, 70, 80, 90]), stored([10, 10, 10], logId(2, 0, 9, "signals"))];
  const vector = fc
    .tuple(fc.nat(50), fc.nat(30))
    .map(([a, b]) =>
      Vector.of([a, b].map((lsn, index) => ({ log: logs[index]!.log, lsn, digest: new Uint8Array(8) }))),
    );
  fc.assert(
    fc.property(
      vector,
      fc.array(vector, { maxLength: 3 }),
      fc.option(vector, { nil: undefined }),
      fc.nat(500),
      fc.nat(500),
      (checkpoint, acks, serving, keepBytes, capBytes) => {
        const acked = new Map(acks.map((ack, index) => [index + 2, ack])) as never as ReadonlyMap<
          never,
          Vector
        >;
        const { floor, needSnapshot } = planRetention({
          logs,
          checkpoint,
          acked,
          serving,
          keepBytes,
          capBytes,
        });
        for (const { log, lsn } of floor.entries()) {
          expect(lsn, formatLogId(log)).toBeLessThanOrEqual(checkpoint.lsnOf(log));
          if (serving !== undefined) expect(lsn).toBeLessThanOrEqual(serving.lsnOf(log));
          for (const [region, ack] of acked) {
            if (!needSnapshot.includes(region)) expect(lsn).toBeLessThanOrEqual(ack.lsnOf(log));
          }
        }
      },
    ),
  );
});
