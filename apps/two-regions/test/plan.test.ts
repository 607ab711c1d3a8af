import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MARK, planRun, type Plan } from "../src/plan.ts";
import type { Recording } from "../src/recording.ts";
import { progressOf } from "../src/schedule.ts";
import { LINE, surveyRecording, type Survey } from "../src/survey.ts";
import { recordingOf, someOperations } from "./lines.ts";

interface Planned {
  readonly recording: Recording;
  readonly survey: Survey;
  readonly plan: Plan;
}

function planOf(lines: readonly (string | object)[], seed: number): Planned {
  const recording = recordingOf(lines);
  const survey = surveyRecording(recording, () => {});
  return { recording, survey, plan: planRun(recording, survey, seed) };
}

function linesWith(plan: Plan, mark: number): number[] {
  return [...plan.marks.keys()].filter((line) => (plan.marks[line]! & mark) !== 0);
}

const recordings = fc.record({
  seed: fc.maxSafeInteger(),
  inputSeed: fc.nat(),
  count: fc.integer({ min: 0, max: 300 }),
});
const start = (session: string, user: string): object => ({ op: "start", session, user, agent: "a" });

describe("surveyRecording()", () => {
  test("APP-1 counts operations, refusals and malformed lines, and reports these", () => {
    const reports: string[] = [];
    const recording = recordingOf([
      start("s", "u"),
      "",
      "{",
      { op: "close", session: "t" },
      "\t",
      { op: "close", session: "s" },
    ]);
    const survey = surveyRecording(recording, (line, expected) => reports.push(`${line}: ${expected}`));
    expect(survey).toMatchObject({ operations: 3, refused: 1, malformed: 1, accepted: 2 });
    expect(reports).toEqual(["3: one JSON object"]);
  });

  test("APP-1 groups a user's sessions and the users who share a session id, in the order of the recording", () => {
    const { survey } = planOf(
      [
        start("a", "ann"),
        start("b", "bob"),
        start("c", "cid"),
        start("d", "ann"),
        start("b", "ann"),
        { op: "close", session: "x" },
        { op: "close", session: "b" },
        { op: "close", session: "x" },
      ],
      1,
    );
    const groups = [...survey.heads].map((head) => {
      const lines = [];
      for (let line = head; line !== 0; line = survey.next[line]!) lines.push(line);
      return lines;
    });
    expect(groups).toEqual([[1, 2, 4, 5, 7], [3], [6, 8]]);
  });
});

describe("planRun()", () => {
  test("APP-3 is the same for the same seed, and another for another", () => {
    const lines = someOperations(3, 300);
    expect(planOf(lines, 7).plan).toEqual(planOf(lines, 7).plan);
    expect(planOf(lines, 7).plan).not.toEqual(planOf(lines, 8).plan);
    expect(planOf(lines, 7 + 2 ** 40).plan.marks).not.toEqual(planOf(lines, 7).plan.marks);
  });

  test("APP-1 roams each session at most once, after its first operation and before its last", () => {
    fc.assert(
      fc.property(recordings, ({ seed, inputSeed, count }) => {
        const { survey, plan } = planOf(someOperations(inputSeed, count), seed);
        const moves = new Map<number, number>();
        for (const roam of linesWith(plan, MARK.roam)) {
          const session = survey.sessionOf[roam]!;
          const group = survey.groupOf[session];
          // Whatever the device takes along is continued on the other side.
          for (let other = 0; other < survey.acceptedOf.length; other++) {
            if (survey.groupOf[other] !== group) continue;
            if (survey.firstOf[other]! < roam && survey.lastOf[other]! >= roam)
              moves.set(other, (moves.get(other) ?? 0) + 1);
          }
          expect(moves.has(session)).toBe(true);
        }
        expect([...moves.values()].every((count) => count === 1)).toBe(true);
      }),
    );
  });

  test("APP-1 SES-14 cuts the link before a roam whenever one session has two accepted operations", () => {
    fc.assert(
      fc.property(recordings, ({ seed, inputSeed, count }) => {
        const { recording, survey, plan } = planOf(someOperations(inputSeed, count), seed);
        const canRoam = survey.acceptedOf.some((accepted) => accepted >= 2);
        expect(plan.cuts.length > 0).toBe(canRoam);
        if (!canRoam) return;
        // The witness: the first roam of the group at or behind the cut, with little written in between.
        let bytes = 0;
        let line = plan.cuts[0]!.line;
        while (line !== 0 && (plan.marks[line]! & MARK.roam) === 0) {
          bytes += recording.byteLength(line);
          line = survey.next[line]!;
        }
        expect(line).not.toBe(0);
        expect(bytes).toBeLessThan(24 * 1024);
        expect(plan.cuts.slice(1).every((cut) => cut.line === 0 && cut.after > 0)).toBe(true);
      }),
    );
  });

  test("APP-1 finds room for the roam in a session of two operations, however large they are", () => {
    const big = { op: "annotate", session: "s", text: "x".repeat(16_000) };
    for (let seed = 0; seed < 20; seed++) {
      const { plan } = planOf(
        [{ ...start("s", "u"), metadata: { a: "x".repeat(16_000), b: "x".repeat(16_000) } }, big],
        seed,
      );
      expect(linesWith(plan, MARK.roam)).toEqual([2]);
      expect(plan.cuts[0]).toMatchObject({ line: 2 });
      expect(linesWith(plan, MARK.settle)).toEqual([1]);
    }
  });

  test("APP-1 retries a share of the accepted operations, at least one of them in the other region", () => {
    const { survey, plan } = planOf(someOperations(5, 3000), 1);
    const [there, here] = [linesWith(plan, MARK.retryThere), linesWith(plan, MARK.retryHere)];
    expect([...there, ...here].every((line) => survey.status[line] === LINE.accepted)).toBe(true);
    expect(there.length / survey.accepted).toBeCloseTo(0.1, 1);
    expect(here.length / survey.accepted).toBeCloseTo(0.05, 1);
    expect(linesWith(planOf([start("s", "u")], 1).plan, MARK.retryThere)).toEqual([1]);
  });

  test("APP-1 begins on both sides", () => {
    const lines = Array.from({ length: 100 }, (_, index) => start(`s${index}`, `u${index}`));
    const { plan } = planOf(lines, 1);
    const east = plan.homes.filter((home) => home === 0).length;
    expect(east).toBeGreaterThan(30);
    expect(east).toBeLessThan(70);
  });
});

test("progressOf() follows groups that begin in order and advance together", () => {
  const lines = [
    start("a", "ann"),
    start("b", "bob"),
    ...Array.from({ length: 3 }, () => ({ op: "close", session: "a" })),
  ];
  const survey = surveyRecording(recordingOf(lines), () => {});
  expect([...progressOf(survey)].slice(1)).toEqual([0, 0, 0.4, 0.6, 0.8]);
});
