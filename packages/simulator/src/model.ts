import type { ShownSession } from "./history-events.ts";
import { REMOVAL_OF } from "./evidence.ts";
import type { StoredOp } from "./op-reader.ts";

/** Queries that a session keeps, and operations of one namespace of an application. */
export const SEARCHES_KEPT = 100;
export const APPS_KEPT = 1_000;

/** The naive model of a session: sort every operation that was ever written, let each effect count once, replay. */
export function modelSession(ops: readonly StoredOp[]): ShownSession | undefined {
  if (ops.length === 0 || ops.some(({ kind }) => kind === "purge")) return undefined;
  const known = ops.filter(({ kind }) => kind !== "unknown");
  const effects = firstOfEach(known);
  const of = (kind: string): StoredOp[] => effects.filter((op) => op.kind === kind);
  const starts = effects.filter(({ kind }) => kind === "start" || kind === "fork" || kind === "merge");
  const { user, agent, parents = [] } = starts[0]?.content ?? {};
  const signals: Record<string, { count: number; weight: number }> = {};
  for (const { content = {} } of of("signal")) {
    const sum = (signals[`${content.entity} ${content.key}`] ??= { count: 0, weight: 0 });
    sum.count += 1;
    sum.weight += content.weight ?? 0;
  }
  const apps: Record<string, string[]> = {};
  for (const { content = {} } of of("app")) (apps[content.key ?? ""] ??= []).push(content.text ?? "");
  return {
    ...(user === undefined ? {} : { user }),
    ...(agent === undefined ? {} : { agent }),
    open: !known.some((op) => op.kind === "close" && isInForce(op, known)),
    annotations: of("annotate").map(({ content }) => content?.text ?? ""),
    hints: Object.fromEntries(of("prefer").map(({ content }) => [content?.key, content?.value ?? ""])),
    searches: of("search")
      .map(({ content }) => content?.text ?? "")
      .slice(-SEARCHES_KEPT),
    apps: Object.fromEntries(Object.entries(apps).map(([name, list]) => [name, list.slice(-APPS_KEPT)])),
    signals,
    parents,
    conflicts:
      Math.max(0, starts.length - 1) + crossedIds(known) + forkedNumbers(ops) + (ops.length - known.length),
  };
}

/** The naive model of a user's hides: an item is hidden if a hide exists that no removal had seen. All is stable. */
export function modelHidden(ops: readonly StoredOp[], user: string): Set<string> {
  const seen = new Set<string>();
  for (const { kind, content } of ops)
    if (content?.user === user && REMOVAL_OF[kind] !== undefined)
      for (const dot of content.dots ?? []) seen.add(`${REMOVAL_OF[kind]}\n${content.item}\n${dot}`);
  const hidden = new Set<string>();
  for (const { kind, content, effect } of ops) {
    if (kind !== "hide" && kind !== "mute" && kind !== "block") continue;
    if (content?.user !== user || content.item === undefined) continue;
    if (!seen.has(`${kind}\n${content.item}\n${effect}`)) hidden.add(content.item);
  }
  return hidden;
}

/** Each effect at the smallest of its operations, in order. */
function firstOfEach(ops: readonly StoredOp[]): StoredOp[] {
  const seen = new Set<string>();
  return [...ops].sort(compareOps).filter(({ effect }) => !seen.has(effect) && seen.add(effect));
}

function compareOps(a: StoredOp, b: StoredOp): number {
  return (
    compareText(a.stamp, b.stamp) ||
    compareText(a.lane, b.lane) ||
    a.seqno - b.seqno ||
    compareText(a.effect, b.effect)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** An idle close is void if somebody was active whom its writer had not seen. */
function isInForce(close: StoredOp, ops: readonly StoredOp[]): boolean {
  const seen = close.content?.seen;
  return (
    seen === undefined ||
    !ops.some(
      ({ kind, stamp }) => kind !== "close" && kind !== "purge" && stamp > seen && stamp < close.stamp,
    )
  );
}

/** Operation ids that were used for two requests. */
function crossedIds(ops: readonly StoredOp[]): number {
  const effects = new Map<string, Set<string>>();
  for (const { tag, effect } of ops)
    if (tag !== undefined) effects.set(tag, (effects.get(tag) ?? new Set()).add(effect));
  return [...effects.values()].filter(({ size }) => size > 1).length;
}

/** Numbers that two operations of one lane claim. */
function forkedNumbers(ops: readonly StoredOp[]): number {
  const claims = new Map<string, number>();
  for (const { lane, seqno } of ops) {
    const number = `${lane} ${seqno}`;
    claims.set(number, (claims.get(number) ?? 0) + 1);
  }
  return [...claims.values()].filter((count) => count > 1).length;
}
