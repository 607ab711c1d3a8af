import { ByteWriter, nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import {
  decodeOp,
  encodeOp,
  erasureSession,
  type Lane,
  type Op,
  type OpContent,
  SessionFold,
  UserKeys,
  UserSeals,
} from "../src/index.ts";
import { CLUSTER_ID, type History, hex, ids, type ModelOp, SESSIONS, USERS } from "./history.ts";

const LANES: readonly Lane[] = [
  { region: 1, epoch: 7 },
  { region: 2, epoch: 7 },
];
const HIDES = ["hide", "mute"] as const;

/** Keys of users from which nothing was erased yet: each region's own. */
export function freshSeals(erased?: () => void): UserSeals {
  return new UserSeals({
    hasher: nobleHasher,
    seed: new Uint8Array(16).fill(9),
    keys: UserKeys.create(nobleHasher, new Uint8Array(16).fill(1)),
    ...(erased === undefined ? {} : { erased }),
  });
}

export function sealedFold(seals: UserSeals = freshSeals()): SessionFold {
  return new SessionFold({ hasher: nobleHasher, clusterId: CLUSTER_ID, seals });
}

/** Opens and makes everything, whatever was erased where. */
const ALL: UserSeals = freshSeals();

/** An operation under a user's key, or in the clear, as a model knows it. */
export interface SealedOp extends ModelOp {
  readonly user: string;
  /** 0: in the clear. */
  readonly generation: number;
  /** It cannot be opened. */
  readonly broken: boolean;
  /** Generations that it erases. */
  readonly upTo: number;
}

/** What a user's operations say: nothing of it is anybody else's. */
function contentsOf(user: string): OpContent[] {
  return [
    {
      kind: "start",
      clear: { policy: "", policyVersion: 0 },
      sealed: { user, agent: `agent of ${user}`, metadata: { k: user } },
    },
    { kind: "signal", clear: { entity: "e", signal: "like", weight: 1.25, eventTimeMs: 1000 }, sealed: {} },
    {
      kind: "signal",
      clear: { entity: "f", signal: "like", weight: -0.5, eventTimeMs: 9e8 },
      sealed: { annotation: `note of ${user}` },
    },
    { kind: "prefer", clear: {}, sealed: { key: "size", value: `size of ${user}` } },
    { kind: "prefer", clear: {}, sealed: { key: `own ${user}`, value: "x" } },
    { kind: "annotate", clear: {}, sealed: { text: `text of ${user}`, entity: "e" } },
    ...HIDES.map((kind): OpContent => ({ kind, clear: {}, sealed: { user, item: `item of ${user}` } })),
    { kind: "unhide", clear: { dots: [] }, sealed: { user, item: `item of ${user}` } },
    { kind: "unmute", clear: { dots: [] }, sealed: { user, item: `item of ${user}` } },
    { kind: "search", clear: {}, sealed: { query: `query of ${user}` } },
    { kind: "app", clear: { namespace: "n" }, sealed: { bytes: Buffer.from(`bytes of ${user}`) } },
    { kind: "close", clear: { reason: 0 }, sealed: {} },
  ];
}

const draw = fc.record({
  session: fc.nat(3).map((number) => (number === 3 ? 1 : 0)),
  lane: fc.nat(1),
  seqno: fc.integer({ min: 1, max: 8 }),
  stamp: fc.record({
    wallMs: fc.nat(5),
    counter: fc.nat(1),
    clockId: fc.integer({ min: 1, max: 2 }),
  }),
  tag: fc.nat(6).map((tag) => Math.max(0, tag - 3)),
  user: fc.nat(4).map((number) => (number === 4 ? 1 : 0)),
  generation: fc.nat(7).map((number) => (number < 5 ? 1 : number - 4)),
  content: fc.nat(contentsOf("").length - 1),
  dots: fc.array(fc.nat(), { maxLength: 2 }),
  broken: fc.nat(9).map((number) => number === 9),
  erases: fc.nat(7).map((number) => (number === 7 ? 1 : number === 6 ? 2 : 0)),
  logs: fc.uniqueArray(fc.nat(2), { minLength: 1, maxLength: 3 }),
});

/** A set of operations under users' keys, some of which erase users. */
export interface SealedHistory extends History {
  readonly ops: readonly SealedOp[];
}

export const sealedHistory: fc.Arbitrary<SealedHistory> = fc
  .array(draw, { minLength: 1, maxLength: 24 })
  .map((draws) => {
    const ops: SealedOp[] = [];
    const records: { log: number; op: number }[] = [];
    for (const { session, lane, seqno, stamp, tag, user: who, content, dots, logs, ...drawn } of draws) {
      const user = USERS[who];
      const upTo = drawn.erases;
      const pseudonym = ALL.pseudonymOf(user);
      const known: OpContent =
        upTo > 0 ? { kind: "erase", clear: { pseudonym, upTo }, sealed: {} } : contentsOf(user)[content]!;
      const clear = upTo > 0 || known.kind === "close";
      const generation = clear ? 0 : drawn.generation;
      const hides = ops.filter(({ op }) => op.kind === "hide" || op.kind === "mute");
      const named =
        "dots" in known.clear && hides.length > 0 ? dots.map((dot) => hides[dot % hides.length]!.effect) : [];
      const filled =
        "dots" in known.clear
          ? {
              ...known,
              clear: {
                dots: [...new Set(named)].sort().map((dot) => Uint8Array.from(Buffer.from(dot, "hex"))),
              },
            }
          : known;
      const operation =
        tag === 0 || upTo > 0
          ? {}
          : {
              operation: {
                tag: Uint8Array.of(session, tag, 0, 0, 0, 0, 0, 0),
                digest: Uint8Array.of(content, clear ? 9 : who, generation, 0, 0, 0, 0, 0),
              },
            };
      const header = {
        session: upTo > 0 ? erasureSession(pseudonym) : SESSIONS[session],
        lane: LANES[lane]!,
        seqno,
        stamp,
        userKey: generation,
        ...operation,
      };
      const one = sealedOp({ ...header, ...filled } as Op, {
        user,
        generation,
        upTo,
        broken: drawn.broken && !clear && tag === 0,
      });
      if (ops.some((other) => other.key === one.key)) continue;
      ops.push(one);
      for (const log of logs) records.push({ log, op: ops.length - 1 });
    }
    return { ops, records };
  });

/** An operation with everything a model needs to know of it. */
export function sealedOp(
  op: Op,
  { user, generation, upTo = 0, broken = false }: Pick<SealedOp, "user" | "generation"> & Partial<SealedOp>,
): SealedOp {
  const writer = new ByteWriter();
  encodeOp(writer, op, generation === 0 ? undefined : ALL.find(ALL.pseudonymOf(user), generation)!);
  const bytes = writer.take();
  // Of a bare signal there is only the pseudonym: it becomes too short to be one.
  if (broken) {
    const { sealedAt } = decodeOp(bytes);
    bytes[bytes.length - 1]! ^= 1;
    if (bytes.length - sealedAt === 16) return sealedOp(op, { user, generation });
  }
  const view = decodeOp(bytes);
  const key = hex(ids.keyOf(view));
  const effect = op.operation === undefined ? key : hex(op.operation.tag) + hex(op.operation.digest);
  return { op, bytes, key, effect, lane: view.laneText, unknown: false, user, generation, upTo, broken };
}

/** Up to which generation a user is erased by a set of operations. */
export function erasedUpTo(ops: readonly SealedOp[], user: string): number {
  return Math.max(
    0,
    ...ops
      .filter((one) => one.user === user && !one.broken)
      .map((one) => Math.max(one.upTo, one.generation - 1)),
  );
}

/** Whether what an operation says is gone. */
export function isGone(ops: readonly SealedOp[], one: SealedOp): boolean {
  return one.generation > 0 && one.generation <= erasedUpTo(ops, one.user);
}
