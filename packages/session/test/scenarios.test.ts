import { compareHlc } from "@tidemark/core";
import { expect, test } from "vitest";
import { decodeOp, type OpRequest } from "../src/index.ts";
import { hex, opBytes } from "./history.ts";
import { SAMPLES } from "./ops.ts";
import { exchange, settle, started, TestRegion } from "./region.ts";

const like: OpRequest = {
  kind: "signal",
  entity: "e",
  signal: "like",
  weight: 1,
  eventTimeMs: 1_790_000_000_000,
};
const digests = (regions: readonly TestRegion[]): Set<string> =>
  new Set(regions.map(({ fold }) => hex(fold.digest())));

test("SES-6 same lane and number, different bytes: both fold, in one order, and the fork shows on both sides (scenario 15)", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  started([a, b]);
  const lane = { producer: "00112233445566778899aabbccddeeff", epoch: 1 };
  const sample = SAMPLES["search, number above 2^32"]!;
  const fork = (query: string) =>
    opBytes({ ...sample, session: "s", lane, seqno: 1, kind: "search", clear: {}, sealed: { query } });
  a.append(fork("one"));
  b.append(fork("two"));
  exchange([a, b]);
  for (const { fold } of [a, b]) {
    expect(fold.session("s")?.conflicts.forks).toEqual([
      { lane: "w00112233445566778899aabbccddeeff-e0000000001", seqno: 1 },
    ]);
    expect(fold.session("s")?.searches.length).toBe(2);
    expect(fold.stats().forks).toBe(1);
  }
  expect(a.fold.session("s")?.searches).toEqual(b.fold.session("s")?.searches);
  expect(digests([a, b]).size).toBe(1);
});

test("SES-9 hide in A, like in B, unhide in C that has not seen the hide: hidden wherever known, and everywhere after heal (scenario 23)", () => {
  const regions = [1, 2, 3].map((id) => new TestRegion(id));
  const [a, b, c] = regions as [TestRegion, TestRegion, TestRegion];
  started(regions);
  a.write("s", { kind: "hide", item: "e" });
  b.write("s", like);
  c.write("s", { kind: "unhide", item: "e" });
  expect(a.fold.user("ann").hidden()).toEqual(["e"]);
  b.receive(c);
  b.receive(a);
  expect(b.fold.user("ann").filterVisible(["d", "e"])).toEqual(["d"]);
  settle(regions);
  settle(regions);
  for (const { fold } of regions) expect(fold.user("ann").hidden()).toEqual(["e"]);
  expect(digests(regions).size).toBe(1);
  // Now it has been seen, and a legitimate unhide lifts it, everywhere, once stable.
  c.write("s", { kind: "unhide", item: "e" });
  exchange(regions);
  for (const { fold } of regions)
    expect([fold.user("ann").hidden(), fold.user("ann").withheld()]).toEqual([["e"], 1]);
  settle(regions);
  for (const { fold } of regions)
    expect([fold.user("ann").hidden(), fold.user("ann").withheld()]).toEqual([[], 0]);
});

test("SES-9 an unhide waits until every member's fold version knows its kind", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  started([a, b]);
  a.write("s", { kind: "hide", item: "e" });
  a.write("s", { kind: "unhide", item: "e" });
  settle([a, b], 0);
  expect(a.fold.user("ann").hidden()).toEqual(["e"]);
  expect(a.fold.stats().unhidesPending).toBe(1);
  const restored = new TestRegion(1);
  restored.fold.restore(a.fold.snapshot());
  for (const region of [a, b, restored]) {
    region.fold.stable({ lsnOf: () => 0, foldVersionMin: 1 });
    expect(region.fold.user("ann").hidden()).toEqual([]);
    expect(region.fold.stats().unhidesPending).toBe(0);
  }
});

test("CORE-7 an unhide and a hide stamped ten years ahead are refused at ingest; a later legitimate unhide still works (scenario 24)", () => {
  const region = new TestRegion(1);
  started([region]);
  region.write("s", { kind: "hide", item: "e" });
  const lane = { producer: "00112233445566778899aabbccddeeff", epoch: 1 };
  const stamp = { wallMs: region.nowMs + 315_360_000_000, counter: 0, clockId: 9 };
  for (const name of ["hide", "unhide"]) {
    const bytes = opBytes({ ...SAMPLES[name]!, session: "s", lane, seqno: 1, stamp });
    expect(() => region.admission.submitSealed(bytes)).toThrow(
      expect.objectContaining({ code: "HLC_DRIFT_EXCEEDED", aheadMs: 315_360_000_000 }),
    );
  }
  // A region with a bad clock cannot be refused: its hide holds, and an unhide that has seen it lifts it all the same.
  const bad = new TestRegion(2, stamp.wallMs);
  bad.receive(region);
  bad.write("s", { kind: "hide", item: "e" });
  region.receive(bad);
  region.write("s", { kind: "unhide", item: "e" });
  expect(region.clock.last.wallMs).toBeLessThan(region.nowMs + 500);
  settle([region, bad]);
  for (const { fold } of [region, bad]) expect(fold.user("ann").hidden()).toEqual([]);
});

test("SES-1 roam A, B, A, writing in each while partitioned: no fork, every lane without a hole (scenario 29)", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  started([a, b]);
  for (let round = 0; round < 3; round++)
    for (const region of [a, b]) for (let count = 0; count < 5; count++) region.write("s", like);
  exchange([a, b]);
  for (const { fold } of [a, b]) {
    expect(fold.session("s")?.signals.get("e")?.get("like")).toMatchObject({ count: 30, weight: 30 });
    expect(fold.stats()).toMatchObject({ forks: 0, conflicts: 0 });
    expect(
      fold.sessions
        .get("s")
        ?.lanes.map(({ hwm, ahead }) => [hwm, ahead])
        .sort(),
    ).toEqual([
      [15, undefined],
      [16, undefined],
    ]);
  }
  expect(digests([a, b]).size).toBe(1);
});

test("SES-5 retry by operationId in two regions while cut, of every kind: one effect each, no false conflict (scenario 44)", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2, 1_790_000_000_400)];
  started([a, b]);
  a.write("s", { kind: "hide", item: "old" });
  exchange([a, b]);
  // Each side also has a hide that the other has not: the copies of the unhide name different dots.
  a.write("s", { kind: "hide", item: "old" });
  b.write("s", { kind: "hide", item: "old" });
  const requests: readonly OpRequest[] = [
    like,
    { kind: "prefer", key: "size", value: "m" },
    { kind: "annotate", text: "t", entity: "e" },
    { kind: "hide", item: "x" },
    { kind: "mute", item: "x" },
    { kind: "block", item: "x" },
    { kind: "unhide", item: "old" },
    { kind: "unmute", item: "old" },
    { kind: "unblock", item: "old" },
    { kind: "search", query: "q" },
    { kind: "app", namespace: "n", bytes: Uint8Array.of(1) },
    { kind: "close" },
  ];
  const effects = [a, b].map((region) =>
    requests.map((request, at) => {
      const answer = region.write("s", request, `op-${at}`);
      if (answer.type !== "accepted") throw new Error(`${request.kind} ${answer.type}`);
      return answer.draft.effectId;
    }),
  );
  expect(effects[0]).toEqual(effects[1]);
  const before = a.fold.stats().effects;
  settle([a, b]);
  for (const { fold } of [a, b]) {
    // The start, three hides of "old", and each request once.
    expect(fold.stats().effects).toBe(requests.length + 4);
    expect(fold.session("s")).toMatchObject({
      searches: ["q"],
      annotations: [{ text: "t", entity: "e" }],
      conflicts: { starts: 0, operations: [], forks: [] },
    });
    expect(fold.session("s")?.signals.get("e")?.get("like")?.count).toBe(1);
    expect(fold.user("ann").hidden()).toEqual(["x"]);
  }
  expect(before).toBe(requests.length + 3);
  expect(digests([a, b]).size).toBe(1);
  expect(a.write("s", like, "op-0").type).toBe("duplicate");
});

test("SES-5 a hide retried in two regions while cut is one hide: an unhide that saw one copy lifts it for good (scenario 44)", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  started([a, b]);
  for (const region of [a, b]) region.write("s", { kind: "hide", item: "x" }, "hide-x");
  // Written where the other copy is not known.
  a.write("s", { kind: "unhide", item: "x" }, "unhide-x");
  settle([a, b]);
  settle([a, b]);
  for (const { fold } of [a, b]) expect(fold.user("ann").hidden()).toEqual([]);
  // A copy that comes late, in whatever log, does not hide it again.
  for (const bytes of b.records) a.append(bytes);
  settle([a, b]);
  for (const { fold } of [a, b]) expect(fold.user("ann").hidden()).toEqual([]);
  expect(digests([a, b]).size).toBe(1);
});

test("SES-5 one operationId with other request bytes, found by replication: both fold and the conflict shows", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  started([a, b]);
  a.write("s", { kind: "search", query: "one" }, "once");
  b.write("s", { kind: "search", query: "two" }, "once");
  exchange([a, b]);
  for (const { fold } of [a, b]) {
    expect(fold.session("s")?.searches.toSorted()).toEqual(["one", "two"]);
    expect(fold.session("s")?.conflicts.operations).toEqual([hex(fold.ids.operationTag("s", "once"))]);
  }
  expect(digests([a, b]).size).toBe(1);
});

test("SES-8 of two starts the smallest position counts; the other shows, and its hides stay its user's", () => {
  const [a, b] = [new TestRegion(1, 2_000_000_000_000), new TestRegion(2, 1_999_999_999_000)];
  a.write("s", { kind: "start", user: "ann", agent: "a" });
  a.write("s", { kind: "hide", item: "x" });
  b.write("s", { kind: "start", user: "bob", agent: "b" });
  b.write("s", { kind: "hide", item: "y" });
  exchange([a, b]);
  for (const { fold } of [a, b]) {
    expect(fold.session("s")).toMatchObject({ user: "bob", agent: "b", conflicts: { starts: 1 } });
    expect([fold.user("ann").hidden(), fold.user("bob").hidden()]).toEqual([["x"], ["y"]]);
    expect([fold.user("ann").sessions(), fold.user("bob").sessions()]).toEqual([[], ["s"]]);
  }
});

test("CORE-7 a region's clock ten minutes ahead; write there, roam, overwrite: the later write wins (scenario 46)", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  started([a, b]);
  a.nowMs += 600_000;
  a.write("s", { kind: "prefer", key: "size", value: "early" });
  exchange([a, b]);
  b.write("s", { kind: "prefer", key: "size", value: "late" });
  exchange([a, b]);
  for (const { fold } of [a, b]) expect(fold.session("s")?.hints.get("size")).toBe("late");
  const [early, late] = [a.records.at(-1)!, b.records.at(-1)!].map((bytes) => decodeOp(bytes).stamp);
  expect(compareHlc(early!, late!)).toBeLessThan(0);
  expect(b.clock.last.wallMs).toBeLessThan(b.nowMs + 500);
});

test("SES-16 a close gates acceptance only: an op acknowledged elsewhere folds after it", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  started([a, b]);
  a.write("s", { kind: "close" });
  b.write("s", like);
  exchange([a, b]);
  expect(a.fold.session("s")).toMatchObject({ open: false });
  expect(a.fold.session("s")?.signals.get("e")?.get("like")?.count).toBe(1);
});

test("SES-11 withheld items are counted, and an item is asked for once", () => {
  const region = new TestRegion(1);
  started([region]);
  for (const item of ["x", "y"]) region.write("s", { kind: "hide", item });
  region.write("s", { kind: "unhide", item: "x" });
  const view = region.fold.user("ann");
  let asked = 0;
  const items = [{ id: "w" }, { id: "x" }, { id: "y" }];
  expect(view.filterVisible(items, ({ id }) => (asked++, id))).toEqual([{ id: "w" }]);
  expect(asked).toBe(items.length);
  expect([view.withheld(), region.fold.stats().withheld]).toEqual([1, 1]);
  expect(region.fold.user("nobody").filterVisible(["x"])).toEqual(["x"]);
});

test("SES-7a a user's sessions are listed in order, by page, open or closed", () => {
  const region = new TestRegion(1);
  for (const id of ["c", "a", "b"]) region.write(id, { kind: "start", user: "ann", agent: "a" });
  region.write("b", { kind: "close" });
  const view = region.fold.user("ann");
  expect(view.sessions()).toEqual(["a", "b", "c"]);
  expect(view.sessions({ limit: 1, after: "a" })).toEqual(["b"]);
  expect(view.sessions({ open: true })).toEqual(["a", "c"]);
  expect(view.sessions({ open: false })).toEqual(["b"]);
});

test("SES-7a changes come once per operation, in order, and what was read does not change", () => {
  const region = new TestRegion(1);
  const seen: unknown[] = [];
  const stop = region.fold.onChange(({ session, user, kind, lsn }) => seen.push([session, user, kind, lsn]));
  started([region]);
  region.write("s", like);
  const state = region.fold.session("s");
  region.write("s", like);
  region.fold.apply(region.records[1]!, region.log, 9);
  stop();
  region.write("s", like);
  expect(seen).toEqual([
    ["s", "ann", "start", 1],
    ["s", "ann", "signal", 2],
    ["s", "ann", "signal", 3],
  ]);
  expect(state?.signals.get("e")?.get("like")).toMatchObject({ count: 1, weight: 1 });
  expect(
    state?.signals
      .get("e")
      ?.get("like")
      ?.score(like.kind === "signal" ? like.eventTimeMs : 0),
  ).toBeCloseTo(1, 9);
});

test("SES-14 the operations above the frontier: all of a user's sessions, once each, until they are stable", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  started([a, b]);
  settle([a, b]);
  a.write("s", like);
  a.write("t", { kind: "start", user: "ann", agent: "a" });
  a.write("other", { kind: "start", user: "bob", agent: "a" });
  a.write("other", { kind: "hide", item: "x", user: "ann" });
  // A copy in another log does not double it.
  b.append(a.records[1]!);
  a.receive(b);
  const { ops, complete } = a.fold.unstableOps("ann");
  expect(complete).toBe(true);
  expect(ops.map(({ lsn, bytes }) => [lsn, decodeOp(bytes).session])).toEqual([
    [2, "s"],
    [3, "t"],
    [5, "other"],
  ]);
  expect(a.fold.lastUserPositions("ann").map(({ log, lsn }) => [log.region, lsn])).toEqual([
    [1, 5],
    [2, 1],
  ]);
  expect(a.fold.lastPositions("other").map(({ log, lsn }) => [log.region, lsn])).toEqual([[1, 5]]);
  settle([a, b]);
  expect(a.fold.unstableOps("ann")).toEqual({ ops: [], complete: true });
});

test("SES-14 more unstable bytes than a ticket holds are not kept, and it says so until they are stable", () => {
  const region = new TestRegion(1);
  region.write("s", { kind: "start", user: "ann", agent: "a" });
  for (let count = 0; count < 10; count++)
    region.write("s", { kind: "app", namespace: "n", bytes: new Uint8Array(10_000) });
  expect(region.fold.unstableOps("ann")).toEqual({ ops: [], complete: false });
  region.fold.stable({ lsnOf: () => region.records.length, foldVersionMin: 1 });
  expect(region.fold.unstableOps("ann")).toEqual({ ops: [], complete: true });
});

test("REP-13 operations of an unknown kind are kept whole, through a snapshot, and fold to nothing", () => {
  const region = new TestRegion(1);
  started([region]);
  const bytes = opBytes({ ...SAMPLES["signal"]!, session: "s", seqno: 1, lane: { region: 7, epoch: 7 } });
  bytes[1] = 200;
  region.append(bytes);
  region.append(Uint8Array.of(9, 9));
  expect(region.fold.session("s")).toMatchObject({ unknown: 1 });
  expect(region.fold.stats()).toMatchObject({ unknown: 1, malformed: 1 });
  const restored = new TestRegion(1);
  restored.fold.restore(region.fold.snapshot());
  expect([...restored.fold.sessions.get("s")!.unknown.values()]).toEqual([bytes]);
  expect(digests([region, restored]).size).toBe(1);
});

test("SES-7 ops of a session whose start comes later show under the session and the user once it does", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  a.write("s", { kind: "start", user: "ann", agent: "a" });
  a.write("s", { kind: "search", query: "q" });
  b.fold.apply(a.records[1]!, a.log, 2);
  expect(b.fold.session("s")).toMatchObject({ searches: ["q"], open: true });
  expect(b.fold.session("s")?.user).toBeUndefined();
  b.fold.apply(a.records[0]!, a.log, 1);
  expect(b.fold.session("s")).toMatchObject({ user: "ann", searches: ["q"] });
  expect(b.fold.unstableOps("ann").ops.length).toBe(2);
  expect(digests([a, b]).size).toBe(1);
});
