import { nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  APP_COUNT_MAX,
  appOperations,
  type AppOperation,
  type AppReducer,
  checkReducer,
  FOLD_VERSION,
  MemoryColdStore,
  reduceApps,
  SessionFold,
} from "../src/index.ts";
import { carriedDigest, encodeCarried } from "../src/carried-state.ts";
import { appHistory, CLUSTER_ID, courseOf, LOGS, modelOp, type ModelOp, run, SESSIONS } from "./history.ts";
import { naiveApps } from "./naive-fold.ts";

const NAMESPACES = ["n", "other", "never"] as const;

/** Nothing commutes in it, and it tells of all that it was given. */
const diary: AppReducer<readonly string[]> = {
  version: 1,
  empty: () => [],
  reduce: (state, { bytes, stamp, session, user, effectId, position }) => [
    ...state,
    JSON.stringify([state.length, [...bytes], stamp, session, user, effectId, position]),
  ],
};

const open = (cold: boolean = false): SessionFold =>
  new SessionFold({
    hasher: nobleHasher,
    clusterId: CLUSTER_ID,
    ...(cold ? { cold: { store: new MemoryColdStore(), budgetBytes: 0 } } : {}),
  });

/** The states of every session and namespace. */
function statesOf(read: (session: string, namespace: string) => AppOperation[] | undefined): unknown[] {
  return SESSIONS.flatMap((session) =>
    NAMESPACES.map((namespace) => {
      const operations = read(session, namespace);
      return operations === undefined ? undefined : reduceApps(namespace, diary, operations);
    }),
  );
}

test("SES-7 what a reducer makes agrees with a model that sorts everything and replays, in any order, cold, and after a snapshot", () => {
  fc.assert(
    fc.property(
      appHistory.chain((past) => fc.tuple(fc.constant(past), courseOf(past), courseOf(past), fc.nat())),
      ([past, one, other, cut]) => {
        const model = statesOf((session, namespace) => naiveApps(past.ops, session, namespace));
        const folds = [open(), open(true), open()] as const;
        run(folds[0], past, one);
        run(folds[1], past, other);
        const first = open();
        const steps = cut % (one.order.length + 1);
        run(first, past, one, undefined, steps);
        folds[2].restore(first.snapshot());
        run(folds[2], past, { ...one, frontiers: one.frontiers.map(() => 7) });
        for (const fold of folds)
          expect(statesOf((session, namespace) => appOperations(fold, session, namespace))).toEqual(model);
      },
    ),
    { numRuns: 200 },
  );
});

/** Operation number `at` of the one session. */
function numbered(at: number): ModelOp {
  const stamp = { wallMs: 1000 + at, counter: 0, clockId: 1 };
  const header = { session: "s", lane: { region: 1, epoch: 7 }, seqno: at, stamp, userKey: 0 };
  const bytes = Uint8Array.of(at & 0xff, at >> 8);
  return modelOp({ ...header, kind: "app", clear: { namespace: "n" }, sealed: { bytes } });
}

test("SES-7 a reducer is given the latest 1,000, the same of what was let go and of what was kept", () => {
  const ops = Array.from({ length: APP_COUNT_MAX + 50 }, (_, at) => numbered(at + 1));
  const [settled, backwards, joined] = [open(), open(), open()];
  for (const [at, { bytes }] of ops.entries()) {
    settled.apply(bytes, LOGS[0]!, at + 1);
    settled.stable({ lsnOf: () => at + 1, foldVersionMin: FOLD_VERSION });
  }
  for (const [at, { bytes }] of ops.toReversed().entries()) backwards.apply(bytes, LOGS[1]!, at + 1);
  joined.restore(settled.snapshot());
  const numbers = (fold: SessionFold): number[] =>
    reduceApps<number[]>(
      "n",
      {
        version: 1,
        empty: () => [],
        reduce: (state, { bytes }) => [...state, bytes[0]! + 256 * bytes[1]!],
      },
      appOperations(fold, "s", "n")!,
    );
  const latest = Array.from({ length: APP_COUNT_MAX }, (_, at) => at + 51);
  for (const fold of [settled, backwards, joined]) expect(numbers(fold)).toEqual(latest);
});

test("SES-17 of what a fork brought along and what was written since a reducer is given the latest 1,000", () => {
  const clockId = 1;
  const apps = Array.from({ length: APP_COUNT_MAX }, (_, at) => ({
    stamp: { wallMs: at, counter: 0, clockId },
    bytes: Uint8Array.of(at & 0xff, at >> 8),
  }));
  const none = { signals: new Map(), hints: new Map(), annotations: [], searches: [] };
  const stamp = { wallMs: 1000, counter: 0, clockId };
  const state = encodeCarried([{ session: "p", stamp, lanes: [], ...none, apps: new Map([["n", apps]]) }]);
  const fork = modelOp({
    kind: "fork",
    ...{ session: "s", lane: { region: 1, epoch: 7 }, seqno: 1, stamp, userKey: 0 },
    clear: { policy: "", policyVersion: 0, parents: ["p"], vector: [] },
    sealed: { user: "ann", agent: "a", metadata: {}, digest: carriedDigest(nobleHasher, state), state },
  });
  const fold = open();
  for (const [at, { bytes }] of [fork, numbered(2), numbered(3)].entries())
    fold.apply(bytes, LOGS[0]!, at + 1);
  const operations = appOperations(fold, "s", "n")!;
  expect(operations).toHaveLength(APP_COUNT_MAX);
  expect(operations[0]).toEqual({ session: "p", user: "ann", ...apps[2]! });
  expect(operations.at(-1)).toMatchObject({ session: "s", user: "ann", position: { seqno: 3 } });
});

test("SES-7 a reducer that writes into what it is given changes neither the fold nor what the next one is given", () => {
  const fold = open();
  for (const at of [1, 2]) fold.apply(numbered(at).bytes, LOGS[0]!, at);
  const digest = fold.digest();
  const rude: AppReducer<number> = {
    version: 1,
    empty: () => 0,
    reduce: (sum, { bytes, stamp, position }) => {
      const before = sum + bytes[0]! + stamp.wallMs + position!.seqno;
      bytes.fill(9);
      Object.assign(stamp, { wallMs: 0 });
      Object.assign(position!, { seqno: 0 });
      return before;
    },
  };
  const sum = (): number => reduceApps("n", rude, appOperations(fold, "s", "n")!);
  expect(sum()).toBe(1 + 2 + 1001 + 1002 + 1 + 2);
  expect(sum()).toBe(1 + 2 + 1001 + 1002 + 1 + 2);
  fold.apply(numbered(3).bytes, LOGS[0]!, 3);
  const other = open();
  for (const at of [1, 2]) other.apply(numbered(at).bytes, LOGS[0]!, at);
  expect(other.digest()).toEqual(digest);
  other.apply(numbered(3).bytes, LOGS[0]!, 3);
  expect(fold.digest()).toEqual(other.digest());
});

test("reduceApps() says which reducer failed and where: by throwing, or by giving a promise", () => {
  const fold = open();
  fold.apply(numbered(1).bytes, LOGS[0]!, 1);
  const operations = appOperations(fold, "s", "n")!;
  const cause = new Error("cannot read it");
  const throwing: AppReducer<number> = {
    version: 3,
    empty: () => 0,
    reduce: () => {
      throw cause;
    },
  };
  expect(() => reduceApps("n", throwing, operations)).toThrow(
    expect.objectContaining({
      code: "REDUCER_FAILED",
      cause,
      message:
        "Cannot read the state of n: its reducer (version 3) threw at the operation r00001-e0000000007 1",
    }),
  );
  const promising: AppReducer<unknown> = { version: 1, empty: () => 0, reduce: async (state) => state };
  expect(() => reduceApps("n", promising, operations)).toThrow(
    expect.objectContaining({
      code: "REDUCER_FAILED",
      message: expect.stringContaining("promise") as string,
    }),
  );
  expect(reduceApps("n", promising, [])).toBe(0);
  expect(() => reduceApps("n", { ...promising, empty: async () => 0 }, [])).toThrow("a promise at empty()");
  expect(appOperations(fold, "nobody", "n")).toBeUndefined();
});

test("checkReducer() takes a version from 1 and two functions, for a name that an operation can carry", () => {
  checkReducer("n", diary);
  for (const version of [0, -1, 1.5, Number.NaN])
    expect(() => checkReducer("n", { ...(diary as AppReducer<unknown>), version })).toThrow(TypeError);
  expect(() => checkReducer("n", { version: 1 } as AppReducer<unknown>)).toThrow(TypeError);
  expect(() => checkReducer("", diary as AppReducer<unknown>)).toThrow(
    expect.objectContaining({ code: "INVALID_INPUT" }),
  );
});
