import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { SHIPPED_RECORDING } from "../src/cli.ts";
import { openCluster } from "../src/main.ts";
import { Model } from "../src/model.ts";
import { Recording } from "../src/recording.ts";
import type { Report } from "../src/report.ts";
import { run } from "../src/run.ts";
import { stateJson } from "../src/state.ts";
import { surveyRecording } from "../src/survey.ts";
import { viewOfModel } from "../src/view.ts";
import { recordingOf, someOperations } from "./lines.ts";

interface Played {
  readonly report: Report;
  readonly state: unknown;
}

/** Plays a recording through real regions in a directory of their own. */
async function play(recording: Recording, seed: number): Promise<Played> {
  const dir = mkdtempSync(join(tmpdir(), "two-regions-test-"));
  let state: unknown;
  try {
    const report = await run({
      recording,
      survey: surveyRecording(recording, () => {}),
      seed,
      transport: "inprocess",
      open: () => openCluster(dir, { transport: "inprocess", processes: false }),
      claim: { isResumed: false, startedMs: Date.now() },
      nowMs: () => performance.now(),
      events: {
        onCut: () => {},
        onHeal: () => {},
        onKill: () => {},
        onReopened: () => {},
        onPlayed: () => {},
        onConverging: () => {},
      },
      onState: (views) => (state = parse(stateJson(views))),
    });
    return { report, state };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function modelState(recording: Recording): unknown {
  const model = new Model();
  for (let line = 1; line <= recording.lineCount; line++) model.read(recording.operation(line));
  return parse(stateJson(["us-east", "eu-west", "ap-south"].map((name) => viewOfModel(name, model))));
}

/** Weights to six digits: sums in another order differ in their last ones. */
function parse(pieces: Iterable<string>): unknown {
  return JSON.parse([...pieces].join(""), (key, value) =>
    key === "weight" ? Math.round(value * 1e6) / 1e6 : value,
  );
}

describe(
  "APP-1 SES-15 whatever the seed, the final state is the recording read in order",
  { timeout: 60_000 },
  () => {
    const shipped = new Recording(readFileSync(SHIPPED_RECORDING));
    const shippedState = modelState(shipped);

    test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])("seed %i of the shipped recording", async (seed) => {
      const { report, state } = await play(shipped, seed);
      expect(report).toMatchObject({ ok: true, certificatesEqual: true });
      expect(report.roam.duringPartition).toBeGreaterThan(0);
      expect(state).toEqual(shippedState);
    });

    test.each([1, 2, 3])("seed %i of an odd recording", async (seed) => {
      const recording = recordingOf(someOperations(seed, 300, 3));
      const { report, state } = await play(recording, seed);
      expect(report).toMatchObject({ ok: true, certificatesEqual: true });
      expect(state).toEqual(modelState(recording));
    });
  },
);
