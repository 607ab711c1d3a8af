import type { LogId, SignalSums } from "@tidemark/core";
import { type CarriedPart, decodeCarried, inOrder } from "./carried-state.ts";
import { APP_COUNT_MAX, SEARCH_COUNT_MAX } from "./limits.ts";
import type { ForkedNumber, SessionEntry } from "./session-entry.ts";
import type { OpPlace } from "./op-draft.ts";
import type { OpKind } from "./op-kinds.ts";
import type { OpView } from "./op-view.ts";

/** One signal of one entity. */
export interface SignalState {
  readonly count: number;
  /** The plain sum of the weights. */
  readonly weight: number;
  /** The decayed sum at a time, Unix milliseconds. */
  score(nowMs: number): number;
}

/** Text about an entity, or about the session. */
export interface Annotation {
  readonly text: string;
  readonly entity?: string;
}

/** What two regions or a client disagreed about: kept and visible, never picked in silence. */
export interface SessionConflicts {
  /** Starts of this id beyond the one that counts. */
  readonly starts: number;
  /** Tags (hexadecimal) of operationIds that were used for two requests. */
  readonly operations: readonly string[];
  /** Numbers that two operations of one lane claim. */
  readonly forks: readonly ForkedNumber[];
}

/** A session as plain data: a copy that nothing changes. */
export interface SessionState {
  readonly id: string;
  /** Absent until the start is known. */
  readonly user?: string;
  readonly agent?: string;
  /** The policy it is bound to, by id and version. */
  readonly policy?: { readonly id: string; readonly version: number };
  /** The sessions it was forked from, or merged of; absent for one that began empty. */
  readonly parents?: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly open: boolean;
  /** By entity, then by signal. */
  readonly signals: ReadonlyMap<string, ReadonlyMap<string, SignalState>>;
  readonly hints: ReadonlyMap<string, string>;
  /** In the order of their stamps. */
  readonly annotations: readonly Annotation[];
  /** The latest 100, oldest first. */
  readonly searches: readonly string[];
  /** By namespace: the latest 1,000, oldest first. */
  readonly apps: ReadonlyMap<string, readonly Uint8Array[]>;
  readonly conflicts: SessionConflicts;
  /** Operations this version cannot fold; kept for one that can. */
  readonly unknown: number;
}

/** An operation as it was applied. */
export interface SessionChange {
  readonly session: string;
  /** Absent until the start is known. */
  readonly user?: string;
  readonly kind: OpKind | "unknown";
  readonly position: OpPlace;
  readonly log: LogId;
  readonly lsn: number;
}

/** What is told of an operation that was applied. */
export function changeOf(op: OpView, session: SessionEntry, log: LogId, lsn: number): SessionChange {
  const user = session.user?.id;
  return {
    session: session.id,
    ...(user === undefined ? {} : { user }),
    kind: op.kind ?? "unknown",
    position: { session: session.id, lane: op.laneText, seqno: op.seqno },
    log,
    lsn,
  };
}

/** A copy of what the fold holds of a session: what it carries from its parents below what was written in it. */
export function sessionStateOf(entry: SessionEntry): SessionState {
  const { start } = entry;
  const known = start === undefined ? {} : { user: start.sealed.user, agent: start.sealed.agent };
  const { carried } = start ?? {};
  const parents = carried?.parents ?? (start?.clear.parent === undefined ? [] : [start.clear.parent]);
  const base = carried === undefined ? [] : decodeCarried(carried.state);
  return {
    id: entry.id,
    ...known,
    ...(start === undefined || start.clear.policy === ""
      ? {}
      : { policy: { id: start.clear.policy, version: start.clear.policyVersion } }),
    ...(parents.length === 0 ? {} : { parents }),
    metadata: { ...start?.sealed.metadata },
    open: entry.closes === 0,
    signals: signalsOf([...base, entry]),
    hints: hintsOf(base, entry),
    annotations: [
      ...inOrder(base.map(({ annotations }) => annotations)),
      ...(entry.annotations?.latest() ?? []),
    ].map(({ text, about }) => (about === undefined ? { text } : { text, entity: about })),
    searches: [...inOrder(base.map(({ searches }) => searches)), ...(entry.searches?.latest() ?? [])]
      .slice(-SEARCH_COUNT_MAX)
      .map(({ text }) => text),
    apps: appsOf(base, entry),
    conflicts: {
      starts: Math.max(0, entry.starts.length - 1),
      operations: [...entry.conflicts].sort(),
      forks: [...entry.forks.values()].sort((a, b) =>
        a.lane === b.lane ? a.seqno - b.seqno : a.lane < b.lane ? -1 : 1,
      ),
    },
    unknown: entry.unknown.size,
  };
}

function hintsOf(base: readonly CarriedPart[], entry: SessionEntry): Map<string, string> {
  const hints = new Map<string, string>();
  const carried = base.flatMap((part) =>
    [...part.hints].map(([key, { stamp, text }]) => ({ key, stamp, text })),
  );
  for (const { key, text } of inOrder([carried])) hints.set(key, text);
  for (const [key, list] of entry.hints) hints.set(key, list.effects.at(-1)?.text ?? "");
  return hints;
}

function appsOf(base: readonly CarriedPart[], entry: SessionEntry): Map<string, Uint8Array[]> {
  const apps = new Map<string, Uint8Array[]>();
  for (const namespace of new Set([...base, entry].flatMap((part) => [...part.apps.keys()]))) {
    const carried = inOrder(base.map((part) => part.apps.get(namespace) ?? []));
    const own = entry.apps.get(namespace)?.latest() ?? [];
    apps.set(
      namespace,
      [...carried, ...own].slice(-APP_COUNT_MAX).map(({ bytes }) => bytes?.slice() ?? new Uint8Array(0)),
    );
  }
  return apps;
}

function signalsOf(parts: readonly Pick<CarriedPart, "signals">[]): Map<string, Map<string, SignalState>> {
  const total = new Map<string, Map<string, SignalSums>>();
  for (const [entity, sums] of parts.flatMap(({ signals }) => [...signals])) {
    const copies = total.get(entity) ?? new Map<string, SignalSums>();
    total.set(entity, copies);
    for (const [signal, sum] of sums) {
      const copy = copies.get(signal);
      if (copy === undefined) copies.set(signal, sum.copy());
      else copy.addAll(sum);
    }
  }
  return new Map(
    [...total].map(([entity, sums]) => [
      entity,
      new Map(
        [...sums].map(([signal, sum]) => [
          signal,
          { count: sum.count, weight: sum.weight, score: (nowMs: number) => sum.score(nowMs) },
        ]),
      ),
    ]),
  );
}
