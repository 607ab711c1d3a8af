import { describe, expect, test } from "vitest";
import { decodeItem, LiveHttpError } from "../src/client.ts";

const seen = { session: "s", revision: 1, view: null };
const gap = {
  session: "s",
  reason: "trimmed",
  requested: "c1",
  latest: "c2",
  latestRevision: 1,
  observation: seen,
};
const event = { session: "s", revision: 1, payload: { kind: "turn_state", turn: "t", state: "done" } };

describe("decodeItem()", () => {
  test("B-7 B-8: reads events, observations and gaps, and leaves out what a newer server may have", () => {
    expect(decodeItem({ id: "c", data: JSON.stringify(event) })).toEqual({
      kind: "event",
      event: { ...event, cursor: "c" },
    });
    const observation = { ...seen, cursor: "c" };
    expect(decodeItem({ id: "c", event: "observation", data: JSON.stringify(seen) })).toEqual({
      kind: "observation",
      observation,
    });
    const { observation: _, ...facts } = gap;
    expect(decodeItem({ id: "c", event: "gap", data: JSON.stringify({ ...gap, missed: 3 }) })).toEqual({
      kind: "gap",
      gap: { ...facts, missed: 3 },
      observation,
    });
    expect(decodeItem({ event: "later", data: "?" })).toBeUndefined();
  });

  test.each<[string, string | undefined, object | string]>([
    ["without an id", undefined, event],
    ["that is no JSON", "message", "{"],
    ["that is no object", "message", "[]"],
    ["without a session", "message", { ...event, session: undefined }],
    ["without a revision", "message", { ...event, revision: -1 }],
    ["without a payload", "message", { ...event, payload: undefined }],
    ["of a payload that is not known", "message", { ...event, payload: { kind: "toString" } }],
    ["of an observation without a view", "observation", { session: "s", revision: 1 }],
    ["of a gap without an observation", "gap", { ...gap, observation: undefined }],
    ["of a gap without a reason", "gap", { ...gap, reason: "later" }],
    ["of a gap without its cursors", "gap", { ...gap, latest: "" }],
    ["of a gap that missed half an event", "gap", { ...gap, missed: 0.5 }],
  ])("refuses an event %s", (_, name, value) => {
    const data = typeof value === "string" ? value : JSON.stringify(value);
    const spoilt = name === undefined ? { data } : { id: "c", event: name, data };
    expect(() => decodeItem(spoilt)).toThrow(LiveHttpError);
    expect(() => decodeItem(spoilt)).toThrow(expect.objectContaining({ code: "SSE_MALFORMED" }));
  });
});
