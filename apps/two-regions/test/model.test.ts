import { describe, expect, test } from "vitest";
import { compareState, Difference } from "../src/compare.ts";
import { Model } from "../src/model.ts";
import type { Operation } from "../src/operation.ts";
import { viewOfModel } from "../src/view.ts";

const start = (session: string, user = "u"): Operation => ({
  op: "start",
  session,
  user,
  agent: "a",
  metadata: new Map(),
});
const signal = (weight: number): Operation => ({
  op: "signal",
  session: "s",
  entity: "e",
  signal: "x",
  weight,
});
const close: Operation = { op: "close", session: "s" };

function read(operations: readonly Operation[]): Model {
  const model = new Model();
  for (const operation of operations) model.read(operation);
  return model;
}

describe("APP-1 the recording, read in order,", () => {
  test("refuses what is not started, started twice, closed, or too heavy", () => {
    const model = new Model();
    const outcomes = [
      signal(1),
      start("s"),
      start("s", "other"),
      signal(2 ** 40),
      signal(-(2 ** 40)),
      signal(2 ** 40 - 1),
      close,
      close,
      signal(1),
      start("s"),
    ];
    expect(outcomes.map((operation) => model.read(operation))).toEqual([
      "not-started",
      undefined,
      "already-started",
      "weight",
      "weight",
      undefined,
      undefined,
      "closed",
      "closed",
      "already-started",
    ]);
    expect([...model.hidden.keys()]).toEqual(["u"]);
    expect(model.sessions.get("s")).toMatchObject({ user: "u", open: false });
  });

  test("hides for the user across sessions, and an unhide of nothing changes nothing", () => {
    const model = read([
      start("s"),
      start("t"),
      { op: "unhide", session: "s", item: "c" },
      { op: "hide", session: "s", item: "a" },
      { op: "hide", session: "t", item: "b" },
      { op: "unhide", session: "t", item: "a" },
      { op: "hide", session: "t", item: "__proto__" },
    ]);
    expect([...model.hidden.get("u")!]).toEqual(["b", "__proto__"]);
  });

  test("adds signals, keeps the last hint, every annotation and the last 100 searches", () => {
    const searches = Array.from({ length: 150 }, (_, n): Operation => ({
      op: "search",
      session: "s",
      query: `q${n}`,
    }));
    const model = read([
      start("s"),
      signal(1.5),
      signal(-0.5),
      { op: "prefer", session: "s", key: "k", value: "1" },
      { op: "prefer", session: "s", key: "k", value: "2" },
      { op: "annotate", session: "s", text: "same" },
      { op: "annotate", session: "s", text: "same", entity: "e" },
      ...searches,
    ]);
    const session = model.sessions.get("s")!;
    expect(session.signals.get("e")!.get("x")).toEqual({ count: 2, weight: 1, magnitude: 2 });
    expect(session.hints).toEqual(new Map([["k", "2"]]));
    expect(session.annotations).toEqual(["same", "same"]);
    expect([session.searches.length, session.searches[0], session.searches.at(-1)]).toEqual([
      100,
      "q50",
      "q149",
    ]);
  });
});

function compared(actual: Model, expected: Model): Difference {
  const difference = new Difference();
  compareState(viewOfModel("r", actual), expected, difference);
  return difference;
}

describe("APP-1 comparing a region with the recording", () => {
  const annotate = (text: string): Operation => ({ op: "annotate", session: "s", text });
  const hide: Operation = { op: "hide", session: "s", item: "i" };
  const base = [start("s"), signal(1), annotate("a"), annotate("b"), hide];

  test.each<[string, readonly Operation[], number, number]>([
    ["nothing", base, 0, 0],
    ["a lost signal", [start("s"), annotate("a"), annotate("b"), hide], 1, 0],
    ["a signal counted twice", [...base, signal(1)], 0, 1],
    ["another weight", [start("s"), signal(1 + 1e-9), annotate("a"), annotate("b"), hide], 1, 0],
    ["a lost annotation", [start("s"), signal(1), annotate("b"), hide], 1, 0],
    ["an annotation twice", [...base, annotate("a")], 0, 1],
    ["annotations in another order", [start("s"), signal(1), annotate("b"), annotate("a"), hide], 1, 0],
    ["a lost hide", [start("s"), signal(1), annotate("a"), annotate("b")], 1, 0],
    ["a lost unhide", [...base, { op: "hide", session: "s", item: "j" }], 1, 0],
    ["a lost close", [...base, close], 1, 0],
    ["a session too many", [...base, start("t")], 0, 1],
    ["a hint too many", [...base, { op: "prefer", session: "s", key: "k", value: "v" }], 0, 1],
  ])("finds %s", (_, actual, lost, doubled) => {
    expect(compared(read(actual), read(base))).toMatchObject({ lost, doubled });
  });

  test("counts everything of a session that is missing", () => {
    expect(compared(new Model(), read(base)).lost).toBe(6);
  });
});
