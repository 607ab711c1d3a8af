import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeLiveEvent,
  decodeLiveGap,
  decodeLivePayload,
  encodeLiveEvent,
  encodeLiveGap,
  encodeLivePayload,
  LiveCursor,
  type LiveEvent,
  type LivePayload,
} from "../src/index.ts";

const cursor = LiveCursor.parse("tml1:a1:3:9::trip");
const payloads: readonly LivePayload[] = [
  { kind: "turn_activity", activity: { text: "Hel" } },
  { kind: "turn_activity", turn: "t1", activity: null },
  { kind: "turn_state", turn: "t1", state: "pending", ttlMs: 30_000 },
  { kind: "turn_state", turn: "t1", state: "error", message: "no credit" },
  { kind: "committed", view: { items: [1, 2] } },
  { kind: "agent_frame_switched", frame: "planner" },
  { kind: "queue_changed", change: "enqueued", batches: ["b1", "b2"] },
  { kind: "queue_changed", change: "cancelled", batches: [] },
  { kind: "process_changed", change: "started", processes: ["p1"] },
  { kind: "process_changed", change: "cancelled", processes: ["p1"] },
];

describe("LIV-2 B-7 every kind of event has one form", () => {
  test.each(payloads)("$kind", (payload) => {
    const event: LiveEvent = { session: "trip", revision: 3, cursor, payload };
    const text = encodeLiveEvent(event);
    expect(JSON.parse(text)).toEqual({
      session: "trip",
      revision: 3,
      cursor: "tml1:a1:3:9::trip",
      payload: JSON.parse(JSON.stringify(payload)),
    });
    expect(decodeLiveEvent(text, "trip")).toEqual(event);
    expect(decodeLivePayload(encodeLivePayload(payload))).toEqual(payload);
  });
});

test("LIV-2 B-7 views and activities of any JSON value round-trip", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const view = JSON.parse(JSON.stringify(value)) as unknown;
      expect(decodeLivePayload(encodeLivePayload({ kind: "committed", view }))).toEqual({
        kind: "committed",
        view,
      });
    }),
  );
});

describe("LIV-2 what is no event is refused with a reason", () => {
  const good = {
    session: "trip",
    revision: 3,
    cursor: "tml1:a1:3:9::trip",
    payload: { kind: "committed", view: 1 },
  };
  test.each([
    ["{", "no JSON"],
    ["[]", "no object"],
    [JSON.stringify({ ...good, cursor: undefined }), "no text"],
    [JSON.stringify({ ...good, session: "other" }), "session"],
    [JSON.stringify({ ...good, revision: "3" }), "revision"],
    [JSON.stringify({ ...good, more: 1 }), "more"],
    [JSON.stringify({ ...good, payload: null }), "no object"],
    [JSON.stringify({ ...good, payload: { kind: "hello" } }), "kind"],
    [JSON.stringify({ ...good, payload: { kind: "toString" } }), "kind"],
    [JSON.stringify({ ...good, payload: { kind: "committed" } }), "view"],
    [JSON.stringify({ ...good, payload: { kind: "committed", view: 1, more: 1 } }), "more"],
    [JSON.stringify({ ...good, payload: { kind: "turn_state", turn: "t", state: "finished" } }), "state"],
    [JSON.stringify({ ...good, payload: { kind: "turn_activity", turn: 1, activity: 1 } }), "turn"],
    [JSON.stringify({ ...good, payload: { kind: "queue_changed", change: "lost", batches: [] } }), "change"],
    [
      JSON.stringify({ ...good, payload: { kind: "queue_changed", change: "enqueued", batches: [1] } }),
      "batches",
    ],
  ])("%s", (text, reason) => {
    expect(() => decodeLiveEvent(text)).toThrow(
      expect.objectContaining({ code: "MALFORMED", reason: expect.stringContaining(reason) }),
    );
  });
});

test("decodeLiveEvent() refuses an event of another session", () => {
  const event: LiveEvent = { session: "trip", revision: 3, cursor, payload: payloads[0]! };
  expect(() => decodeLiveEvent(encodeLiveEvent(event), "other")).toThrow(
    expect.objectContaining({ code: "WRONG_SESSION", expected: "other", actual: "trip" }),
  );
});

test("encodeLivePayload() refuses what is too large, and what is no JSON value", () => {
  const payload: LivePayload = { kind: "committed", view: "é".repeat(100) };
  expect(() => encodeLivePayload(payload, { bytesMax: 200 })).toThrow(
    expect.objectContaining({ code: "EVENT_TOO_LARGE", limit: 200, actual: 230 }),
  );
  expect(encodeLivePayload(payload, { bytesMax: 230 })).toContain("é");
  expect(() => encodeLivePayload({ kind: "committed", view: undefined })).toThrow(TypeError);
  expect(() => encodeLivePayload({ kind: "turn_activity", activity: () => 1 })).toThrow(TypeError);
});

describe("LIV-5 B-8 a gap is serialisable", () => {
  const gap = {
    session: "trip",
    requested: cursor,
    latest: LiveCursor.parse("tml1:a2:5:1::trip"),
    latestRevision: 5,
  };
  test.each(["trimmed", "unavailable", "lagged"] as const)("%s", (reason) => {
    const text = encodeLiveGap({ ...gap, reason });
    expect(JSON.parse(text)).toEqual({
      session: "trip",
      requested: "tml1:a1:3:9::trip",
      latest: "tml1:a2:5:1::trip",
      latestRevision: 5,
      reason,
    });
    expect(decodeLiveGap(text, "trip")).toEqual({ ...gap, reason });
    expect(decodeLiveGap(encodeLiveGap({ ...gap, reason, missed: 7 }))).toEqual({
      ...gap,
      reason,
      missed: 7,
    });
  });
  test.each([
    [{ reason: "other" }],
    [{ reason: "lagged", missed: -1 }],
    [{ reason: "lagged", latestRevision: "5" }],
    [{ reason: "lagged", session: "x" }],
    [{ reason: "lagged", more: 1 }],
    [{ reason: "lagged", latest: "x" }],
  ])("not %j", (fields) => {
    const text = JSON.stringify({ ...gap, ...fields });
    expect(() => decodeLiveGap(text)).toThrow(expect.objectContaining({ code: "MALFORMED" }));
  });
});
