import { ByteWriter, CoreError } from "@tidemark/core";
import { expect, test } from "vitest";
import {
  decodeOp,
  encodeOp,
  IdempotencyStore,
  type Op,
  type OpRequest,
  SessionAdmission,
  SessionError,
} from "../src/index.ts";
import { hex } from "./history.ts";
import { started, TestRegion } from "./region.ts";

const like: OpRequest = {
  kind: "signal",
  entity: "e",
  signal: "like",
  weight: 1,
  eventTimeMs: 1_790_000_000_000,
};

test("SES-5 the answers come in the documented order", () => {
  const region = new TestRegion(1);
  expect(region.write("s", like)).toMatchObject({ type: "refused", code: "SESSION_UNKNOWN" });
  expect(region.write("s", { kind: "start", user: "ann", agent: "a" }, "begin").type).toBe("accepted");
  expect(region.write("s", { kind: "start", user: "ann", agent: "a" }, "begin").type).toBe("duplicate");
  expect(region.write("s", { kind: "start", user: "ann", agent: "a" })).toMatchObject({
    code: "SESSION_EXISTS",
  });
  expect(region.write("s", like, "once").type).toBe("accepted");
  expect(region.write("s", { ...like, weight: 2 }, "once")).toMatchObject({ code: "OPERATION_CONFLICT" });
  // A conflict is found before the weight is looked at, and a weight before the time.
  expect(region.write("s", { ...like, weight: Number.NaN }, "once")).toMatchObject({
    code: "OPERATION_CONFLICT",
  });
  const ahead = like.eventTimeMs + 3_600_000;
  expect(() => region.write("s", { ...like, weight: 2 ** 40, eventTimeMs: ahead })).toThrow(
    expect.objectContaining({ code: "INVALID_WEIGHT" }),
  );
  expect(() => region.write("s", { ...like, eventTimeMs: ahead })).toThrow(
    expect.objectContaining({ code: "HLC_DRIFT_EXCEEDED", aheadMs: 3_600_000, driftMsMax: 500 }),
  );
  region.write("s", { kind: "close" }, "end");
  expect(region.write("s", like)).toMatchObject({ code: "SESSION_CLOSED" });
  expect(region.write("s", { ...like, weight: 2 }, "once")).toMatchObject({ code: "SESSION_CLOSED" });
});

test("SES-5 a retry of an applied operation is its duplicate although the session was closed since", () => {
  const region = new TestRegion(1);
  started([region]);
  const first = region.write("s", like, "once");
  region.write("s", { kind: "close" }, "end");
  if (first.type !== "accepted") throw new Error(first.type);
  const { effectId, position } = first.draft;
  expect(region.write("s", like, "once")).toEqual({ type: "duplicate", effectId, position });
  expect(region.write("s", { kind: "close" }, "end").type).toBe("duplicate");
});

test("WAL-7 admission sees what is queued: a duplicate shares, a conflict and a queued close refuse", () => {
  const region = new TestRegion(1);
  const start = region.admission.admit("s", { kind: "start", user: "ann", agent: "a" }, "begin");
  if (start.type !== "accepted") throw new Error(start.type);
  start.draft.outcome = "pending";
  expect(region.admission.admit("s", { kind: "start", user: "ann", agent: "a" }, "begin")).toEqual({
    type: "shared",
    entry: start.draft,
  });
  expect(region.admission.admit("s", { kind: "start", user: "bob", agent: "a" }, "other")).toMatchObject({
    code: "SESSION_EXISTS",
  });
  const signal = region.admission.admit("s", like, "once");
  if (signal.type !== "accepted") throw new Error(signal.type);
  expect(region.admission.admit("s", { ...like, weight: 3 }, "once")).toMatchObject({
    code: "OPERATION_CONFLICT",
  });
  const close = region.admission.admit("s", { kind: "close" });
  if (close.type !== "accepted") throw new Error(close.type);
  expect(region.admission.admit("s", like)).toMatchObject({ code: "SESSION_CLOSED" });
  expect(region.admission.admit("s", like, "once")).toEqual({ type: "shared", entry: signal.draft });
  region.commit([start.draft, signal.draft, close.draft]);
  expect(region.admission.admit("s", like, "once").type).toBe("duplicate");
  expect(region.fold.session("s")).toMatchObject({ user: "ann", open: false });
});

test("SES-1 a failed batch gives its numbers back, and what was admitted on the strength of it is judged again", () => {
  const region = new TestRegion(1);
  started([region]);
  const drafts = [1, 2, 3].map(() => {
    const answer = region.admission.admit("s", like);
    if (answer.type !== "accepted") throw new Error(answer.type);
    return answer.draft;
  });
  region.encode(drafts.slice(0, 2));
  expect(drafts.slice(0, 2).map(({ position }) => position.seqno)).toEqual([2, 3]);
  for (const draft of drafts.slice(0, 2)) draft.settle(false);
  region.commit(drafts.slice(2));
  expect(drafts[2]!.position.seqno).toBe(2);

  const close = region.admission.admit("s", { kind: "close" });
  if (close.type !== "accepted") throw new Error(close.type);
  region.encode([close.draft]);
  expect(region.admission.admit("s", like)).toMatchObject({ code: "SESSION_CLOSED" });
  close.draft.settle(false);
  expect(region.admission.admit("s", like).type).toBe("accepted");
});

test("SES-1 a new epoch is a new lane: its numbers begin at 1, and no number of a lane is issued twice", () => {
  const region = new TestRegion(1);
  started([region]);
  const places = new Set<string>();
  for (const epoch of [1, 2]) {
    region.log = { ...region.log, epoch };
    for (let count = 0; count < 3; count++) {
      const answer = region.write("s", like);
      if (answer.type !== "accepted") throw new Error(answer.type);
      places.add(`${answer.draft.position.lane} ${answer.draft.position.seqno}`);
    }
  }
  expect([...places]).toEqual(
    [2, 3, 4]
      .map((seqno) => `r00001-e0000000001 ${seqno}`)
      .concat([1, 2, 3].map((seqno) => `r00001-e0000000002 ${seqno}`)),
  );
});

test("SES-9 an unhide names what was folded and the hides in its own batch before it", () => {
  const region = new TestRegion(1);
  started([region]);
  region.write("s", { kind: "hide", item: "x" });
  const drafts = (["hide", "unhide"] as const).map((kind) => {
    const answer = region.admission.admit("s", { kind, item: "x" });
    if (answer.type !== "accepted") throw new Error(answer.type);
    return answer.draft;
  });
  region.commit(drafts);
  const [, unhide] = drafts;
  expect(unhide!.op?.clear).toMatchObject({ dots: { length: 2 } });
  expect(region.fold.user("ann").hidden()).toEqual(["x"]);
  region.fold.stable({ lsnOf: () => region.records.length, foldVersionMin: 1 });
  expect(region.fold.user("ann").hidden()).toEqual([]);
});

test("SES-4 evicting every key of the store changes no answer (scenario 16)", () => {
  const region = new TestRegion(1);
  started([region]);
  region.write("s", like, "once");
  region.write("s", { kind: "search", query: "q" }, "twice");
  for (const store of [new IdempotencyStore(), new IdempotencyStore({ entriesMax: 1 })]) {
    const admission = new SessionAdmission({ fold: region.fold, clock: region.clock, store });
    const judge = () => [
      admission.admit("s", like, "once"),
      admission.admit("s", { kind: "search", query: "q" }, "twice"),
      admission.admit("s", { ...like, weight: 2 }, "once"),
    ];
    const answers = judge();
    expect(answers.map(({ type }) => type)).toEqual(["duplicate", "duplicate", "refused"]);
    store.clear();
    expect(judge()).toEqual(answers);
    // A restored fold numbers its effects anew: what the store says of them is checked.
    region.fold.restore(region.fold.snapshot());
    expect(judge()).toEqual(answers);
  }
});

test("invalid input is refused before anything else, with a type", () => {
  const region = new TestRegion(1);
  started([region]);
  const bad: readonly OpRequest[] = [
    { kind: "hide", item: "" },
    { kind: "hide", item: "x".repeat(129) },
    { kind: "hide", item: "é".repeat(65) },
    { kind: "prefer", key: "k", value: "\ud800" },
    { kind: "search", query: "x".repeat(16 * 1024 + 1) },
    { kind: "app", namespace: "n", bytes: new Uint8Array(256 * 1024 + 1) },
    { ...like, eventTimeMs: 0.5 },
    { kind: "teleport" } as unknown as OpRequest,
  ];
  for (const request of bad)
    expect(() => region.write("s", request)).toThrow(
      expect.objectContaining({ name: "SessionError", code: "INVALID_INPUT" }),
    );
  expect(() => region.write("\ud800", like)).toThrow(SessionError);
  expect(() => region.write("s", like, "")).toThrow(SessionError);
});

const PRODUCER = "00112233445566778899aabbccddeeff";

function clientOp(seqno: number, more: Partial<Op> = {}): Uint8Array {
  const writer = new ByteWriter();
  encodeOp(writer, {
    session: "s",
    lane: { producer: PRODUCER, epoch: 1 },
    seqno,
    stamp: { wallMs: 1_790_000_000_100, counter: seqno % 60_000, clockId: 9 },
    userKey: 0,
    kind: "search",
    clear: {},
    sealed: { query: `q${seqno}` },
    ...more,
  } as Op);
  return writer.take();
}

test("SES-1 a client's own operation is written as it is; too far above the high-water mark it is refused", () => {
  const region = new TestRegion(1);
  started([region]);
  expect(region.admission.submitSealed(clientOp(1025))).toMatchObject({ code: "LANE_AHEAD" });
  const answer = region.admission.submitSealed(clientOp(1024));
  if (answer.type !== "accepted") throw new Error(answer.type);
  const [bytes] = region.encode([answer.draft]);
  expect(hex(bytes!)).toBe(hex(clientOp(1024)));
  region.append(bytes!);
  answer.draft.settle(true);
  expect(region.admission.submitSealed(clientOp(1024))).toMatchObject({
    type: "duplicate",
    position: { seqno: 1024, lane: `w${PRODUCER}-e0000000001` },
  });
  const ahead = clientOp(1, { stamp: { wallMs: 1_790_000_010_000, counter: 0, clockId: 9 } });
  expect(() => region.admission.submitSealed(ahead)).toThrow(
    expect.objectContaining({ code: "HLC_DRIFT_EXCEEDED" }),
  );
  expect(() => region.admission.submitSealed(Uint8Array.of(1, 2))).toThrow(CoreError);
});

test("SES-6 the same lane and number with other bytes is refused at ingest, folded or queued (scenario 15)", () => {
  const region = new TestRegion(1);
  started([region]);
  const other = clientOp(1, { sealed: { query: "another" } });
  const answer = region.admission.submitSealed(clientOp(1));
  if (answer.type !== "accepted") throw new Error(answer.type);
  expect(region.admission.submitSealed(other)).toMatchObject({ code: "SESSION_FORKED" });
  expect(region.admission.submitSealed(clientOp(1))).toEqual({ type: "shared", entry: answer.draft });
  region.commit([answer.draft]);
  expect(region.admission.submitSealed(other)).toMatchObject({ code: "SESSION_FORKED" });
  expect(region.admission.submitSealed(clientOp(1)).type).toBe("duplicate");
});

test("SES-14 a relayed operation that is known is not written again", () => {
  const [from, to] = [new TestRegion(1), new TestRegion(2)];
  started([from]);
  for (const bytes of from.records) {
    expect(to.admission.relay(bytes)).toBe(bytes);
    to.append(bytes);
    expect(to.admission.relay(bytes)).toBe("known");
  }
  expect(decodeOp(to.records[0]!).lane).toEqual({ region: 1, epoch: 1 });
});
