import { expect, test } from "vitest";
import { checkHistory, History } from "../src/index.ts";
import type { FinalState, Invariant, ShownSession } from "../src/index.ts";

/** A region where somebody wrote, was erased, and wrote again, and which shows some of that, on the way and in the end. */
function brokenBy(shownAfter: readonly string[], shownInTheEnd: readonly string[]): Invariant[] {
  const history = new History({ now: () => 0 });
  const at = { client: "c", region: "east", life: 1, user: "ada" } as const;
  const lane = "r00001-e0000000001";
  const log = "sessions:r00001-s00000-e0000000001";
  history.events.push({ type: "life", index: -1, at: 0, region: "east", id: 1, life: 1, observed: true });
  // What is on its disk is not what this is about.
  history.fault("rot", "east", { damages: true });
  const write = (session: string, seqno: number, text?: string): void => {
    const operation = text === undefined ? "erase" : "annotate";
    const called = history.write({ ...at, session, operation, ...(text === undefined ? {} : { text }) });
    history.returned(called, { kind: "applied", position: { session, lane, seqno } });
    const kind = operation;
    const index = history.events.length + 1_000;
    const applied = { index, at: 0, region: "east", life: 1, session, kind, lane, seqno, log, lsn: index };
    history.events.push({ type: "applied", ...applied });
  };
  const shown = (annotations: readonly string[]): ShownSession => ({
    open: true,
    annotations,
    hints: {},
    searches: [],
    apps: {},
    signals: {},
    parents: [],
    conflicts: 0,
  });
  write("s", 1, "old");
  write("erase.00", 1);
  write("s", 2, "new");
  history.state({ client: "d", region: "east", life: 1, session: "s", shown: shown(shownAfter) });
  const final: FinalState = {
    region: "east",
    id: 1,
    certificate: { vector: { [log]: 9 }, digest: "" },
    sessions: { s: shown(shownInTheEnd) },
    users: { ada: { hidden: [], withheld: 0 } },
    queueRecords: 0,
    files: {},
  };
  return checkHistory(history.events, [final]).map(({ invariant }) => invariant);
}

test("SES-18 a check fails where something shows that was erased, or what was written afterwards is lost", () => {
  expect(brokenBy(["new"], ["new"])).toEqual([]);
  expect(brokenBy(["old", "new"], ["new"])).toEqual(["E"]);
  expect(brokenBy(["new"], ["old", "new"])).toEqual(["E"]);
  expect(brokenBy(["new"], [])).toEqual(["A"]);
});
