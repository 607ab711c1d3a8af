import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Model } from "../src/model.ts";
import { stateJson } from "../src/state.ts";
import { compareUtf8 } from "../src/utf8-order.ts";
import { viewOfModel } from "../src/view.ts";
import { recordingOf } from "./lines.ts";

function stateOf(lines: readonly (string | object)[]): string {
  const recording = recordingOf(lines);
  const model = new Model();
  for (let line = 1; line <= recording.lineCount; line++) model.read(recording.operation(line));
  return [...stateJson([viewOfModel("us-east", model), viewOfModel("ap-south", model)])].join("");
}

describe("APP-1 --state", () => {
  test("has every user and session, empty collections included", () => {
    const state = stateOf([
      { op: "start", session: "s", user: "u", agent: "a", metadata: { b: "2", a: "1" } },
      { op: "start", session: "t", user: "v", agent: "a" },
      { op: "signal", session: "s", entity: "e", signal: "save", weight: 0.25 },
      { op: "annotate", session: "s", text: "fine", entity: "e" },
      { op: "close", session: "t" },
    ]);
    const empty = { hints: {}, annotations: [], searches: [], signals: {} };
    const region = {
      users: { u: { hidden: [] }, v: { hidden: [] } },
      sessions: {
        s: {
          ...empty,
          user: "u",
          agent: "a",
          metadata: { a: "1", b: "2" },
          open: true,
          annotations: ["fine"],
          signals: { e: { save: { count: 1, weight: 0.25 } } },
        },
        t: { ...empty, user: "v", agent: "a", metadata: {}, open: false },
      },
    };
    expect(JSON.parse(state)).toEqual({ regions: { "us-east": region, "ap-south": region } });
    expect(state.indexOf("ap-south")).toBeLessThan(state.indexOf("us-east"));
  });

  test("is valid for an empty recording", () => {
    expect(JSON.parse(stateOf([]))).toEqual({
      regions: { "us-east": { users: {}, sessions: {} }, "ap-south": { users: {}, sessions: {} } },
    });
  });

  test("treats __proto__ as a key like any other", () => {
    const proto = "__proto__";
    const state = JSON.parse(
      stateOf([
        `{"op":"start","session":"__proto__","user":"__proto__","agent":"__proto__","metadata":{"__proto__":"x"}}`,
        { op: "prefer", session: proto, key: proto, value: proto },
        { op: "signal", session: proto, entity: proto, signal: proto, weight: 1 },
        { op: "hide", session: proto, item: proto },
      ]),
    );
    const own = (value: object, ...path: string[]): unknown =>
      path.reduce<unknown>((at, key) => Object.getOwnPropertyDescriptor(at, key)?.value, value);
    expect(own(state, "regions", "us-east", "users", proto)).toEqual({ hidden: [proto] });
    expect(own(state, "regions", "us-east", "sessions", proto, "metadata", proto)).toBe("x");
    expect(own(state, "regions", "us-east", "sessions", proto, "hints", proto)).toBe(proto);
    expect(own(state, "regions", "us-east", "sessions", proto, "signals", proto, proto)).toEqual({
      count: 1,
      weight: 1,
    });
  });

  test("sorts hidden items and keys by their UTF-8 bytes", () => {
    const items = ["\u{1f600}", "\uff21", "b", "a", "10", "2", "é"];
    const sorted = ["10", "2", "a", "b", "é", "\uff21", "\u{1f600}"];
    const state = stateOf([
      {
        op: "start",
        session: "s",
        user: "u",
        agent: "a",
        metadata: Object.fromEntries(items.map((item) => [item, ""])),
      },
      ...items.map((item) => ({ op: "hide", session: "s", item })),
    ]);
    expect(JSON.parse(state).regions["us-east"].users.u.hidden).toEqual(sorted);
    expect(state).toContain(`"metadata":{${sorted.map((item) => `${JSON.stringify(item)}:""`).join(",")}}`);
  });
});

test("compareUtf8() orders as the bytes do", () => {
  const sign = (order: number): number => Math.sign(order);
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (a, b) => {
      expect(sign(compareUtf8(a, b))).toBe(sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
    }),
  );
});
