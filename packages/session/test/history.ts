import { ByteWriter, compareHlc, type Hlc, type LogId, logId, nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { EffectIds } from "../src/effect-id.ts";
import {
  decodeOp,
  encodeOp,
  FOLD_VERSION,
  type Lane,
  type Op,
  type OpContent,
  type SessionFold,
} from "../src/index.ts";

export const CLUSTER_ID: Uint8Array = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
export const ids: EffectIds = new EffectIds(nobleHasher, CLUSTER_ID);
export const LOGS: readonly LogId[] = [1, 2, 3].map((region) => logId(region, 0, 7, "sessions"));
export const USERS = ["ann", "bob"] as const;
export const SESSIONS = ["s", "0b7e4c1e-5a0c-4f2e-9a44-6f1f3f9d2a10"] as const;

const LANES: readonly Lane[] = [
  { region: 1, epoch: 7 },
  { region: 2, epoch: 7 },
  { producer: "00112233445566778899aabbccddeeff", epoch: 1 },
];

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export function opBytes(op: Op): Uint8Array {
  const writer = new ByteWriter();
  encodeOp(writer, op);
  return writer.take();
}

/** An operation with everything a model needs to know of it. */
export interface ModelOp {
  readonly op: Op;
  readonly bytes: Uint8Array;
  readonly key: string;
  readonly effect: string;
  readonly lane: string;
  /** Not a kind this version folds. */
  readonly unknown: boolean;
}

export function modelOp(op: Op, unknown: boolean = false): ModelOp {
  const bytes = opBytes(op);
  if (unknown) bytes[1] = 200;
  const view = decodeOp(bytes);
  const key = hex(ids.keyOf(view));
  const effect = op.operation === undefined ? key : hex(op.operation.tag) + hex(op.operation.digest);
  return { op, bytes, key, effect, lane: view.laneText, unknown };
}

/** What operations ask for: one operationId always asks for the same, so its content is of this list. */
const CONTENTS: readonly OpContent[] = [
  {
    kind: "start",
    clear: { policy: "", policyVersion: 0 },
    sealed: { user: "ann", agent: "a1", metadata: { k: "v" } },
  },
  {
    kind: "start",
    clear: { policy: "p", policyVersion: 2, parent: "s0" },
    sealed: { user: "bob", agent: "a2", metadata: {} },
  },
  { kind: "signal", clear: { entity: "e", signal: "like", weight: 1.25, eventTimeMs: 1000 }, sealed: {} },
  {
    kind: "signal",
    clear: { entity: "e", signal: "like", weight: -0.125, eventTimeMs: 9e8 },
    sealed: { annotation: "n" },
  },
  { kind: "prefer", clear: {}, sealed: { key: "k1", value: "v1" } },
  { kind: "prefer", clear: {}, sealed: { key: "k1", value: "v2" } },
  { kind: "annotate", clear: {}, sealed: { text: "t1" } },
  { kind: "annotate", clear: {}, sealed: { text: "t2", entity: "e" } },
  ...(["hide", "mute", "block"] as const).flatMap((kind): OpContent[] => [
    { kind, clear: {}, sealed: { user: "ann", item: "x" } },
    { kind, clear: {}, sealed: { user: "bob", item: "y" } },
  ]),
  { kind: "unhide", clear: { dots: [] }, sealed: { user: "ann", item: "x" } },
  { kind: "unmute", clear: { dots: [] }, sealed: { user: "ann", item: "x" } },
  { kind: "unblock", clear: { dots: [] }, sealed: { user: "bob", item: "y" } },
  { kind: "search", clear: {}, sealed: { query: "q1" } },
  { kind: "search", clear: {}, sealed: { query: "q2" } },
  { kind: "close", clear: { reason: 0 }, sealed: {} },
  // What it had seen is filled in.
  { kind: "close", clear: { reason: 1 }, sealed: {} },
  { kind: "app", clear: { namespace: "n" }, sealed: { bytes: Uint8Array.of(1) } },
  { kind: "app", clear: { namespace: "n" }, sealed: { bytes: Uint8Array.of(2) } },
];

const PURGE: OpContent = { kind: "purge", clear: {}, sealed: {} };

interface Draw {
  readonly session: number;
  readonly lane: number;
  readonly seqno: number;
  readonly stamp: Hlc;
  /** 0: without an operationId. */
  readonly tag: number;
  readonly content: number;
  /** Asks for something else than its operationId did before: a conflict. */
  readonly other: boolean;
  readonly dots: readonly number[];
  readonly unknown: boolean;
  readonly purges: boolean;
  /** What an idle close had seen. */
  readonly latest: Hlc;
  readonly logs: readonly number[];
}

const stamp: fc.Arbitrary<Hlc> = fc.record({
  wallMs: fc.integer({ min: 0, max: 5 }),
  counter: fc.integer({ min: 0, max: 1 }),
  clockId: fc.integer({ min: 1, max: 2 }),
});

const draw: fc.Arbitrary<Draw> = fc.record({
  session: fc.nat(3).map((number) => (number === 3 ? 1 : 0)),
  lane: fc.integer({ min: 0, max: 2 }),
  seqno: fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 1, max: 6 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 900 }) },
  ),
  stamp,
  tag: fc.integer({ min: 0, max: 6 }).map((tag) => Math.max(0, tag - 2)),
  content: fc.nat(CONTENTS.length - 1),
  other: fc.nat(9).map((number) => number === 9),
  dots: fc.array(fc.nat(), { maxLength: 2 }),
  unknown: fc.boolean(),
  purges: fc.nat(29).map((number) => number === 29),
  latest: stamp,
  logs: fc.uniqueArray(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 3 }),
});

/** A set of operations, and the records that carry them: each in at least one log. */
export interface History {
  readonly ops: readonly ModelOp[];
  /** In each log, which operations. */
  readonly records: readonly { readonly log: number; readonly op: number }[];
}

export const history: fc.Arbitrary<History> = fc
  .tuple(
    fc.array(draw, { minLength: 1, maxLength: 24 }),
    fc.array(fc.nat(CONTENTS.length - 1), { minLength: 5, maxLength: 5 }),
  )
  .map(([draws, asked]) => historyOf(draws, asked, CONTENTS));

/** Hides of one item and their removals, nearly nothing else: many copies of few effects. */
export const hideHistory: fc.Arbitrary<History> = fc
  .tuple(
    fc.array(draw, { minLength: 2, maxLength: 24 }),
    fc.array(fc.nat(CONTENTS.length - 1), { minLength: 5, maxLength: 5 }),
  )
  .map(([draws, asked]) =>
    historyOf(
      draws,
      asked,
      CONTENTS.filter(
        ({ kind, sealed }) =>
          (kind === "hide" || kind === "unhide" || kind === "search") &&
          (!("user" in sealed) || sealed.user === "ann"),
      ),
    ),
  );

/** Operations of two namespaces, and what gives their session a user: many copies of few effects. */
export const appHistory: fc.Arbitrary<History> = fc
  .tuple(
    fc.array(draw, { minLength: 2, maxLength: 24 }),
    fc.array(fc.nat(99), { minLength: 5, maxLength: 5 }),
  )
  .map(([draws, asked]) =>
    historyOf(draws, asked, [
      ...CONTENTS.filter(({ kind }) => kind === "start" || kind === "app"),
      { kind: "app", clear: { namespace: "n" }, sealed: { bytes: Uint8Array.of(3) } },
      { kind: "app", clear: { namespace: "other" }, sealed: { bytes: Uint8Array.of(4) } },
    ]),
  );

/** @param asked - What each operationId asks for. */
function historyOf(
  draws: readonly Draw[],
  asked: readonly number[],
  contents: readonly OpContent[],
): History {
  const ops: ModelOp[] = [];
  const records: { log: number; op: number }[] = [];
  for (const one of draws) {
    const { session, lane, seqno, stamp, content: drawn, other, dots, unknown, purges, latest, logs } = one;
    const tag = purges ? 0 : one.tag;
    const content = tag === 0 || other ? drawn : asked[tag]!;
    const known = purges ? PURGE : contents[content % contents.length]!;
    const operation =
      tag === 0
        ? {}
        : {
            operation: {
              tag: Uint8Array.of(session, tag, 0, 0, 0, 0, 0, 0),
              digest: Uint8Array.of(content % contents.length, 0, 0, 0, 0, 0, 0, 0),
            },
          };
    const header = {
      session: SESSIONS[session]!,
      lane: LANES[lane]!,
      seqno,
      stamp,
      userKey: 0,
      ...operation,
    };
    const hides = ops.filter(({ op }) => op.kind === "hide" || op.kind === "mute" || op.kind === "block");
    const named =
      "dots" in known.clear && hides.length > 0
        ? [...new Set(dots.map((dot) => hides[dot % hides.length]!.effect))].sort()
        : [];
    const filled =
      "dots" in known.clear
        ? { ...known, clear: { dots: named.map((dot) => Uint8Array.from(Buffer.from(dot, "hex"))) } }
        : known.kind === "close" && known.clear.reason === 1
          ? { ...known, clear: { reason: 1, latest } }
          : known;
    // Few are unknown, and never with an operationId: what it asks for cannot be both known and not.
    const made = modelOp({ ...header, ...filled } as Op, unknown && tag === 0 && known.kind === "search");
    // The key leaves out the operationId: of two operations that differ in nothing else only one exists.
    if (!ops.some((other) => other.key === made.key)) {
      ops.push(made);
      for (const log of logs) records.push({ log, op: ops.length - 1 });
    }
  }
  return { ops, records };
}

/** What one region goes through: records in an order, and how far it hears that all is stable. */
export interface Course {
  readonly order: readonly number[];
  /** At each step, a number that chooses whether and how far the frontier moves. */
  readonly frontiers: readonly number[];
}

export function courseOf(past: History): fc.Arbitrary<Course> {
  const count = past.records.length;
  return fc.record({
    order: fc.shuffledSubarray([...past.records.keys()], { minLength: count, maxLength: count }),
    frontiers: fc.array(fc.nat(7), { minLength: count, maxLength: count }),
  });
}

/** Whether it shows that somebody was active. */
export function isActivity({ op, unknown }: ModelOp): boolean {
  return unknown || (op.kind !== "close" && op.kind !== "purge");
}

/** What an idle close had seen. */
export function latestOf({ op }: ModelOp): Hlc | undefined {
  return op.kind === "close" ? op.clear.latest : undefined;
}

/** Whether one operation was accepted without knowing another of its session, going by what they say. */
function unaware(other: ModelOp, of: ModelOp): boolean {
  if (other.effect === of.effect || (other.lane === of.lane && other.op.seqno === of.op.seqno)) return true;
  // Nothing is accepted where a purge is known, or a close.
  if (of.op.kind === "purge") return true;
  const latest = latestOf(of);
  if (latest !== undefined && isActivity(other))
    return compareHlc(latest, other.op.stamp) < 0 && compareHlc(other.op.stamp, of.op.stamp) < 0;
  // A close is stamped above everything its writer knew.
  return latestOf(other) !== undefined && compareHlc(other.op.stamp, of.op.stamp) <= 0;
}

/**
 * Applies a course. The frontier obeys the law of stability: once an operation is stable, everything that was accepted
 * without knowing it has arrived, so neither a copy of its effect nor a fork of its number arrives any more.
 *
 * @param steps - How many of its steps are taken; what is stable by then is judged by the whole of it.
 * @returns Keys of the stable operations.
 */
export function run(
  fold: SessionFold,
  past: History,
  course: Course,
  each?: (stable: ReadonlySet<string>) => void,
  steps: number = Number.POSITIVE_INFINITY,
): Set<string> {
  const lsns = [0, 0, 0];
  const applied: { log: number; lsn: number; op: ModelOp }[] = [];
  const frontier = [0, 0, 0];
  const stable = new Set<string>();
  const left = new Set(course.order);
  for (const [step, record] of course.order.entries()) {
    if (step >= steps) break;
    const { log, op } = past.records[record]!;
    left.delete(record);
    fold.apply(past.ops[op]!.bytes, LOGS[log]!, ++lsns[log]!);
    applied.push({ log, lsn: lsns[log]!, op: past.ops[op]! });
    const choice = course.frontiers[step]!;
    if (choice < 4) {
      const waiting = [...left]
        .map((one) => past.ops[past.records[one]!.op]!)
        .filter(({ key }) => !applied.some((one) => one.op.key === key));
      const safe = (one: ModelOp): boolean =>
        !waiting.some(
          (other) => other.key !== one.key && other.op.session === one.op.session && unaware(other, one),
        );
      for (const one of applied) {
        if (one.log !== choice % 3 || one.lsn !== frontier[one.log]! + 1 || !safe(one.op)) continue;
        frontier[one.log] = one.lsn;
        stable.add(one.op.key);
      }
      fold.stable({
        lsnOf: (id) => frontier[LOGS.findIndex((other) => other.region === id.region)] ?? 0,
        foldVersionMin: FOLD_VERSION,
      });
    }
    each?.(stable);
  }
  return stable;
}
