import { compareHlc, compareUtf8 } from "@tidemark/core";
import type { AppOperation, OpContent, SessionFold } from "../src/index.ts";
import { isActivity, latestOf, type ModelOp } from "./history.ts";

const HIDE = ["hide", "mute", "block"] as const;
const UNHIDE = ["unhide", "unmute", "unblock"] as const;

/** One effect: the smallest of its operations gives it its place. */
interface NaiveEffect {
  readonly first: ModelOp;
  readonly all: readonly ModelOp[];
}

/** Sorts everything by position, groups it by effect, and replays. */
function effectsOf(ops: readonly ModelOp[]): NaiveEffect[] {
  const sorted = ops.toSorted(
    (a, b) =>
      a.op.stamp.wallMs - b.op.stamp.wallMs ||
      a.op.stamp.counter - b.op.stamp.counter ||
      a.op.stamp.clockId - b.op.stamp.clockId ||
      (a.lane === b.lane ? 0 : a.lane < b.lane ? -1 : 1) ||
      a.op.seqno - b.op.seqno ||
      (a.key < b.key ? -1 : 1),
  );
  const effects = new Map<string, ModelOp[]>();
  for (const one of sorted) effects.set(one.effect, [...(effects.get(one.effect) ?? []), one]);
  return [...effects.values()].map((all) => ({ first: all[0]!, all }));
}

/** The state of a session, by replaying everything that was ever applied. */
export function naiveSession(all: readonly ModelOp[], id: string): unknown {
  const ops = all.filter(({ op }) => op.session === id);
  if (ops.length === 0 || ops.some(({ op }) => op.kind === "purge")) return undefined;
  const effects = effectsOf(ops.filter(({ unknown }) => !unknown));
  const of = <Kind extends OpContent["kind"]>(kind: Kind) =>
    effects
      .filter(({ first }) => first.op.kind === kind)
      .map(({ first }) => first.op as Extract<ModelOp["op"], { kind: Kind }>);
  const start = of("start")[0];
  const signals: Record<string, Record<string, { count: number; weight: number }>> = {};
  for (const { clear } of of("signal")) {
    const sum = ((signals[clear.entity] ??= {})[clear.signal] ??= { count: 0, weight: 0 });
    sum.count += 1;
    sum.weight += clear.weight;
  }
  const places = new Map<string, number>();
  for (const { lane, op } of ops)
    places.set(`${lane} ${op.seqno}`, (places.get(`${lane} ${op.seqno}`) ?? 0) + 1);
  const digests = new Map<string, Set<string>>();
  for (const { op, effect } of ops) {
    if (op.operation === undefined) continue;
    const tag = effect.slice(0, 16);
    digests.set(tag, (digests.get(tag) ?? new Set()).add(effect));
  }
  return {
    user: start?.sealed.user,
    agent: start?.sealed.agent,
    metadata: { ...start?.sealed.metadata },
    open: !ops.some((one) => one.op.kind === "close" && holds(one, ops)),
    signals,
    hints: Object.fromEntries(of("prefer").map(({ sealed }) => [sealed.key, sealed.value])),
    annotations: of("annotate").map(({ sealed }) => sealed),
    searches: of("search").map(({ sealed }) => sealed.query),
    apps: of("app").map(({ clear, sealed }) => [clear.namespace, ...sealed.bytes]),
    starts: Math.max(0, of("start").length - 1),
    operations: [...digests]
      .filter(([, found]) => found.size > 1)
      .map(([tag]) => tag)
      .sort(),
    forks: [...places]
      .filter(([, count]) => count > 1)
      .map(([place]) => place)
      .sort(),
    unknown: ops.filter(({ unknown }) => unknown).length,
  };
}

/** What a reducer is given of a session, by sorting everything that was ever applied. */
export function naiveApps(
  all: readonly ModelOp[],
  id: string,
  namespace: string,
): AppOperation[] | undefined {
  const ops = all.filter(({ op }) => op.session === id);
  if (ops.length === 0 || ops.some(({ op }) => op.kind === "purge")) return undefined;
  const effects = effectsOf(ops.filter(({ unknown }) => !unknown));
  const start = effects.find(({ first }) => first.op.kind === "start")?.first.op;
  return effects.flatMap(({ first: { op, effect, lane } }) =>
    op.kind !== "app" || op.clear.namespace !== namespace
      ? []
      : [
          {
            bytes: op.sealed.bytes,
            stamp: op.stamp,
            session: id,
            ...(start?.kind === "start" ? { user: start.sealed.user } : {}),
            effectId: effect,
            position: { session: id, lane, seqno: op.seqno },
          },
        ],
  );
}

/** Whether a close is in force: an idle one is void if somebody was active whom its writer had not seen. */
function holds(close: ModelOp, ops: readonly ModelOp[]): boolean {
  const latest = latestOf(close);
  return (
    latest === undefined ||
    !ops.some(
      (one) =>
        isActivity(one) &&
        compareHlc(latest, one.op.stamp) < 0 &&
        compareHlc(one.op.stamp, close.op.stamp) < 0,
    )
  );
}

/** The same of a fold. */
export function readSession(fold: SessionFold, id: string): unknown {
  const state = fold.session(id);
  if (state === undefined) return undefined;
  const signals = [...state.signals].map(
    ([entity, sums]) =>
      [
        entity,
        Object.fromEntries([...sums].map(([signal, { count, weight }]) => [signal, { count, weight }])),
      ] as const,
  );
  return {
    user: state.user,
    agent: state.agent,
    metadata: state.metadata,
    open: state.open,
    signals: Object.fromEntries(signals),
    hints: Object.fromEntries(state.hints),
    annotations: state.annotations,
    searches: state.searches,
    apps: [...state.apps].flatMap(([namespace, list]) => list.map((bytes) => [namespace, ...bytes])),
    starts: state.conflicts.starts,
    operations: state.conflicts.operations,
    forks: state.conflicts.forks.map(({ lane, seqno }) => `${lane} ${seqno}`).sort(),
    unknown: state.unknown,
  };
}

/** Which items of a user are hidden, and which of them only for want of stability. */
export function naiveHides(
  all: readonly ModelOp[],
  stable: ReadonlySet<string>,
  user: string,
): { hidden: string[]; withheld: number } {
  const hidden = new Set<string>();
  const firm = new Set<string>();
  for (const { op, effect, unknown } of all) {
    const kind = HIDE.findIndex((one) => one === op.kind);
    if (unknown || kind < 0 || !("item" in op.sealed) || op.sealed.user !== user) continue;
    const { item } = op.sealed;
    const naming = all.filter(
      (other) =>
        other.op.kind === UNHIDE[kind] &&
        "dots" in other.op.clear &&
        other.op.sealed.user === user &&
        other.op.sealed.item === item &&
        other.op.clear.dots.some((dot) => Buffer.from(dot).toString("hex") === effect),
    );
    if (naming.some((other) => stable.has(other.key))) continue;
    hidden.add(item);
    if (naming.length === 0) firm.add(item);
  }
  return {
    hidden: [...hidden].sort(compareUtf8),
    withheld: [...hidden].filter((item) => !firm.has(item)).length,
  };
}
