import { beforeAll, describe, expect, test } from "vitest";
import { checkHistory, parseHistory } from "../src/index.ts";
import type { FinalState, HistoryEvent, Invariant, ShownSession } from "../src/index.ts";
import { type PlantedRecord, rewriteLog } from "./planted-log.ts";
import { brokenBy, hasher, type RecordedRun, recordRun } from "./recorded.ts";

let run: RecordedRun;
beforeAll(async () => {
  run = await recordRun();
});

test("TST-1 a correct history passes every check, also read back from lines", () => {
  expect(checkHistory(run.history, run.finals, { hasher })).toEqual([]);
  const lines = run.history.map((event) => JSON.stringify(event)).join("\n");
  expect(checkHistory(parseHistory(lines), run.finals, { hasher })).toEqual([]);
  expect(brokenBy({ history: run.history, finals: [] })).toEqual([]);
});

test("TST-1 a region need not know what its disk has lost, until it is told again", () => {
  const planted = structuredClone(run) as unknown as Planted;
  const read = readInWest(planted);
  read.visible.push("gone");
  expect(brokenBy(planted as unknown as RecordedRun)).toEqual(["E", "client"]);
  const rot = { type: "fault", index: 9_000, at: 0, name: "rot", target: "west", damages: true } as const;
  const life = { type: "life", index: 9_001, at: 0, region: "west", id: 2, life: 2, observed: true } as const;
  planted.history.splice(planted.history.indexOf(read), 0, rot, life);
  expect(brokenBy(planted as unknown as RecordedRun)).toEqual([]);
});

type Deep<T> = { -readonly [Key in keyof T]: T[Key] extends Uint8Array ? T[Key] : Deep<T[Key]> };
interface Planted {
  history: Deep<HistoryEvent>[];
  finals: Deep<FinalState>[];
}
type Plant = (run: Planted) => void;

const shown = (edit: (session: Deep<ShownSession>) => void): Plant => {
  return ({ finals }) => edit(finals[1]!.sessions["s"]!);
};
/** The events of a type, in order. */
function events<Type extends HistoryEvent["type"]>(
  { history }: Planted,
  type: Type,
): Deep<Extract<HistoryEvent, { type: Type }>>[] {
  return history.filter((event) => event.type === type) as Deep<Extract<HistoryEvent, { type: Type }>>[];
}
/** The log of sessions that a region writes. */
function ownLog({ finals }: Planted, region: number): string {
  return Object.keys(finals[0]!.certificate.vector).find((log) => log.startsWith(`sessions:r0000${region}`))!;
}
/** Writes the log of the east anew in every directory, or only in one of them. */
const logOfEast = (edit: (records: PlantedRecord[]) => readonly PlantedRecord[], only?: number): Plant => {
  return (planted) => {
    const log = ownLog(planted, 1);
    for (const [index, final] of planted.finals.entries())
      if (only === undefined || only === index) final.files = rewriteLog(final.files, log, edit);
  };
};
const without = (list: string[], text: string): string[] => list.filter((one) => one !== text);
/** A read of the client in the west, after its roam. */
const readInWest = (planted: Planted) => events(planted, "read").find(({ region }) => region === "west")!;

const PLANTS: readonly (readonly [Invariant, string, Plant])[] = [
  ["A", "an annotation is lost", shown((one) => (one.annotations = without(one.annotations, "one")))],
  ["A", "a query is lost", shown((one) => (one.searches = []))],
  ["A", "an operation of the application is lost", shown((one) => (one.apps = {}))],
  ["A", "a hint is lost", shown((one) => (one.hints = {}))],
  ["A", "a signal is lost", shown((one) => (one.signals["book save"]!.count = 1))],
  ["A", "a session is lost", ({ finals }) => delete finals[1]!.sessions["s"]],
  [
    "A",
    "no log holds what was acknowledged",
    ({ history }) => {
      for (const event of history)
        if (event.type === "write" && event.text === "one" && event.outcome?.kind === "applied")
          event.outcome.position!.seqno = 99;
    },
  ],
  [
    "A",
    "a close is lost",
    (planted) => {
      const [write] = events(planted, "write");
      planted.history.push({ ...write!, index: 9_000, operation: "close", outcome: { kind: "applied" } });
    },
  ],
  ["B", "an annotation shows twice", shown((one) => one.annotations.push("twice"))],
  ["B", "a signal counts twice", shown((one) => (one.signals["book save"] = { count: 3, weight: 6 }))],
  ["B", "a signal is added twice", shown((one) => (one.signals["book save"]!.weight = 6))],
  ["B", "something shows that nobody wrote", shown((one) => one.annotations.push("forged"))],
  [
    "B",
    "what was refused shows",
    ({ history }) => {
      for (const event of history)
        if (event.type === "write" && event.text === "films") event.outcome = { kind: "refused", code: "NO" };
    },
  ],
  ["C", "annotations are in the order of arrival", shown((one) => one.annotations.reverse())],
  ["C", "an older value of a hint won", shown((one) => (one.hints["mood"] = "other"))],
  ["C", "a session is closed that nobody closed", shown((one) => (one.open = false))],
  ["C", "a lane has a hole", logOfEast((records) => records.toSpliced(3, 1))],
  [
    "C",
    "a lane's numbers are out of order",
    logOfEast((records) => [...records.slice(0, 3), records[4]!, records[3]!, ...records.slice(5)]),
  ],
  [
    "C",
    "two operations claim a number",
    logOfEast((records) => {
      const twin = { ...records[2]!, body: records[2]!.body.slice() };
      twin.body[twin.body.length - 1]! ^= 1;
      return [...records, twin];
    }),
  ],
  [
    "D",
    "a stored batch is damaged",
    ({ finals, ...planted }) => {
      const path = Object.keys(finals[1]!.files).find((name) =>
        name.includes(ownLog({ finals, ...planted }, 1).slice(9)),
      )!;
      const bytes = finals[1]!.files[path]!.slice();
      bytes[200]! ^= 1;
      finals[1]!.files[path] = bytes;
    },
  ],
  [
    "D",
    "a region stores other bytes than the writer",
    logOfEast((records) => {
      const other = { ...records[2]!, body: records[2]!.body.slice() };
      other.body[other.body.length - 1]! ^= 1;
      return records.with(2, other);
    }, 1),
  ],
  [
    "D",
    "more was applied than is stored",
    (planted) => {
      const log = ownLog(planted, 1);
      for (const { certificate } of planted.finals) certificate.vector[log]! += 1;
    },
  ],
  [
    "D",
    "a log is applied backwards",
    (planted) => {
      const [first, second] = events(planted, "applied").filter(({ region }) => region === "west");
      [first!.lsn, second!.lsn] = [second!.lsn, first!.lsn];
    },
  ],
  [
    "D",
    "a log is applied over a hole",
    (planted) => {
      const inWest = events(planted, "applied").filter(
        ({ region, log }) => region === "west" && log === ownLog(planted, 1),
      );
      // The second comes at last, by a log of its own.
      inWest[1]!.index = 8_000;
      inWest[1]!.log = "sessions:r00009-s00000-e0000000001";
    },
  ],
  ["E", "a hidden item is shown", (planted) => readInWest(planted).visible.push("gone")],
  [
    "E",
    "an unhide works before everybody knows it",
    (planted) => {
      events(planted, "read")
        .findLast(({ region }) => region === "east")!
        .visible.push("back");
    },
  ],
  ["E", "a hidden item is shown in the end", ({ finals }) => (finals[1]!.users["ada"]!.hidden = [])],
  [
    "E",
    "an item is hidden in the end that was unhidden",
    ({ finals }) => finals[1]!.users["ada"]!.hidden.push("back"),
  ],
  ["E", "an item is hidden that nobody hid", ({ finals }) => finals[1]!.users["ada"]!.hidden.push("never")],
  [
    "F",
    "one vector has two digests on the way",
    (planted) => (events(planted, "certificate")[1]!.digest = "00"),
  ],
  ["F", "one vector has two digests in the end", ({ finals }) => (finals[1]!.certificate.digest = "00")],
  [
    "F",
    "a region lacks operations in the end",
    (planted) => (planted.finals[1]!.certificate.vector[ownLog(planted, 1)]! -= 1),
  ],
  ["G", "stamps go back along a lane", logOfEast((records) => records.with(3, stampedBack(records[3]!)))],
  [
    "G",
    "a clock leads its highest reading",
    (planted) => {
      for (const event of events(planted, "applied")) event.wallMs! -= 600_000;
    },
  ],
  [
    "G",
    "an operation is stamped below what its region had applied",
    (planted) => {
      const log = ownLog(planted, 2);
      for (const final of planted.finals)
        final.files = rewriteLog(final.files, log, (records) =>
          records.map((record, index) => (index === records.length - 3 ? stampedBack(record) : record)),
        );
    },
  ],
  [
    "H",
    "a queue is longer than its limit",
    (planted) => (events(planted, "sample")[0]!.queueRecords = 65_537),
  ],
  [
    "H",
    "more is kept ahead than the limit",
    (planted) => (events(planted, "sample")[0]!.receiveAheadBytes = 2 ** 31),
  ],
  ["H", "a queue does not become empty", ({ finals }) => (finals[0]!.queueRecords = 1)],
  [
    "I",
    "a ticket is honoured without what its bearer saw",
    (planted) => {
      const { must } = events(planted, "roam")[0]!;
      const write = events(planted, "write").find(
        ({ index, text }) => must.includes(index) && text === "cut",
      )!;
      const position = write.outcome?.kind === "applied" ? write.outcome.position! : undefined;
      planted.history = planted.history.filter(
        (event) => event.type !== "applied" || event.region !== "west" || event.seqno < position!.seqno,
      );
    },
  ],
  [
    "I",
    "a refusal has no type",
    (planted) => (events(planted, "roam")[0]!.outcome = { failed: "TypeError" }),
  ],
  [
    "I",
    "a refusal has a type of its own",
    (planted) => (events(planted, "roam")[0]!.outcome = { refused: "OOPS" }),
  ],
  [
    "I",
    "an answer comes long after the deadline",
    (planted) => (events(planted, "roam")[0]!.calledAt = -70_000),
  ],
  ["J", "regions never have everything", (planted) => delete events(planted, "converged")[0]!.convergedAt],
  ["J", "regions take too long", (planted) => (events(planted, "converged")[0]!.boundMs = -1)],
  ["J", "an unhide never settles", ({ finals }) => (finals[1]!.users["ada"]!.withheld = 1)],
  [
    "client",
    "a client does not read its own write",
    (planted) => {
      const state = events(planted, "state").at(-1)!;
      state.shown.searches = [];
    },
  ],
  [
    "client",
    "a client does not read again what it had read",
    (planted) => {
      const state = events(planted, "state").at(-1)!;
      state.shown.annotations = without(state.shown.annotations, "one");
    },
  ],
  [
    "client",
    "a count goes back",
    (planted) => (events(planted, "state").at(-1)!.shown.signals["book save"]!.count = 1),
  ],
  [
    "client",
    "a hidden item is shown again to who hid it",
    (planted) => readInWest(planted).visible.push("gone"),
  ],
  [
    "client",
    "a write is ordered before what its client had read",
    (planted) => {
      for (const final of planted.finals)
        final.files = rewriteLog(final.files, ownLog(planted, 2), (records) => records.map(stampedBack));
    },
  ],
];

/** An operation stamped an hour earlier. */
function stampedBack(record: PlantedRecord): PlantedRecord {
  if (record.type !== 2) return record;
  const body = record.body.slice();
  // Version, kind, flags, the session's name "s", lane of a region, number, then the stamp.
  new DataView(body.buffer).setUint32(3 + 2 + 7 + 1, 0, false);
  return { ...record, body };
}

describe("TST-1 a check fails where", () => {
  test.each(PLANTS)("%s: %s", (invariant, _, plant) => {
    const planted = structuredClone(run) as unknown as Planted;
    plant(planted);
    expect(brokenBy(planted as unknown as RecordedRun)).toContain(invariant);
  });
});
