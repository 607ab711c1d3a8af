import { describe, expect, test } from "vitest";
import { STALL_MS_MAX } from "../src/convergence.ts";
import type { Recording } from "../src/recording.ts";
import type { Cluster } from "../src/region-driver.ts";
import { run } from "../src/run.ts";
import type { Report } from "../src/report.ts";
import { surveyRecording } from "../src/survey.ts";
import { openDouble, type Fault } from "./double.ts";
import { recordingOf, someOperations } from "./lines.ts";

interface Play {
  readonly fault?: Fault;
  readonly seed?: number;
  readonly recording?: Recording;
  /** Fails once that many operations have been played, as a kill would. */
  readonly killAfter?: number;
  readonly cluster?: Cluster;
  readonly isResumed?: boolean;
}

/** Plays generated operations through the double; its clock runs, so that a stall is over at once. */
async function play(options: Play): Promise<Report> {
  const { fault, seed = 1, killAfter, cluster, isResumed = false } = options;
  const recording = options.recording ?? recordingOf(someOperations(11, 300));
  let ms = 0;
  return run({
    recording,
    survey: surveyRecording(recording, () => {}),
    seed,
    transport: "inprocess",
    open: async () => cluster ?? openDouble(fault),
    claim: { isResumed, startedMs: 0 },
    nowMs: () => (ms += fault === "differs in digest" ? STALL_MS_MAX : 1),
    events: {
      onCut: () => {},
      onHeal: () => {},
      onKill: () => {},
      onReopened: () => {},
      onConverging: () => {},
      onPlayed: (played) => {
        if (played === killAfter) throw new Error("killed");
      },
    },
    onState: () => {},
  });
}

describe("APP-1 the player", () => {
  test.each([1, 2, 3, 4, 5])(
    "finds nothing wrong with regions that keep their promises, seed %i",
    async (seed) => {
      const report = await play({ seed });
      const { operations, refused } = report;
      expect(report).toMatchObject({
        ok: true,
        hiddenShown: 0,
        lostOps: 0,
        doubleApplied: 0,
        certificatesEqual: true,
      });
      expect(report.regions.map((region) => region.opsApplied)).toEqual(Array(3).fill(operations - refused));
      expect(report.roam.duringPartition).toBeGreaterThan(0);
      expect(report.roam.sessions).toBeGreaterThanOrEqual(report.roam.duringPartition);
      expect(report.regions.every((region) => region.duplicates > 0)).toBe(true);
    },
  );

  test("SES-14 leaves a device where it is while its ticket does not stand alone", async () => {
    // One session after the other, so that many roam, each with more behind it than a ticket of the double holds.
    const sessions = Array.from({ length: 40 }, (_, number) => `s${number}`);
    const lines = sessions.flatMap((session, number) => [
      { op: "start", session, user: `u${number % 5}`, agent: "a" },
      ...Array.from({ length: 20 }, (_, index) => ({ op: "hide", session, item: `i${index}` })),
    ]);
    const recording = recordingOf(lines);
    const reports = await Promise.all([1, 2, 3, 4, 5].map((seed) => play({ seed, recording })));
    expect(reports.some(({ roam }) => roam.deferred > 0)).toBe(true);
    expect(reports.every(({ ok }) => ok)).toBe(true);
  });

  test.each([1, 40, 150, 260, 299])("goes on where it was killed, after %i operations", async (killAfter) => {
    const cluster = openDouble();
    await expect(play({ cluster, killAfter })).rejects.toThrow("killed");
    cluster.network.heal();
    const [first, again] = [
      await play({ cluster, isResumed: true }),
      await play({ cluster, isResumed: true }),
    ];
    const { operations, refused } = first;
    for (const report of [first, again]) {
      expect(report).toMatchObject({ ok: true, operations, refused });
      expect(report.regions.map((region) => region.opsApplied)).toEqual(Array(3).fill(operations - refused));
    }
  });

  test.each<[Fault, (report: Report) => boolean]>([
    ["loses a signal", ({ lostOps }) => lostOps > 0],
    ["counts retries twice", ({ doubleApplied }) => doubleApplied > 0],
    ["shows hides while cut", ({ hiddenShown }) => hiddenShown > 0],
    ["unhides by a late hide", ({ hiddenShown }) => hiddenShown > 0],
    ["forgets tickets", ({ roam }) => roam.ownWritesMissing > 0],
    ["accepts after close", ({ doubleApplied }) => doubleApplied > 0],
    ["differs in digest", ({ certificatesEqual }) => !certificatesEqual],
  ])("finds out about a region that %s", async (fault, isFound) => {
    const report = await play({ fault });
    expect(report.ok).toBe(false);
    expect(isFound(report)).toBe(true);
  });
});
