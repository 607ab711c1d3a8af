import type { LogId } from "@tidemark/core";
import type { ForkedNumber, SessionEntry } from "./session-entry.ts";
import type { OpPlace } from "./op-draft.ts";
import type { OpKind } from "./op-kinds.ts";

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

/** A copy of what the fold holds of a session. */
export function sessionStateOf(entry: SessionEntry): SessionState {
  const { start } = entry;
  const known = start === undefined ? {} : { user: start.sealed.user, agent: start.sealed.agent };
  return {
    id: entry.id,
    ...known,
    metadata: { ...start?.sealed.metadata },
    open: entry.closes === 0,
    signals: signalsOf(entry),
    hints: new Map([...entry.hints].map(([key, list]) => [key, list.effects.at(-1)?.text ?? ""])),
    annotations: (entry.annotations?.latest() ?? []).map(({ text, about }) =>
      about === undefined ? { text } : { text, entity: about },
    ),
    searches: (entry.searches?.latest() ?? []).map(({ text }) => text),
    apps: new Map(
      [...entry.apps].map(([namespace, list]) => [
        namespace,
        list.latest().map(({ bytes }) => bytes?.slice() ?? new Uint8Array(0)),
      ]),
    ),
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

function signalsOf(entry: SessionEntry): Map<string, Map<string, SignalState>> {
  const signals = new Map<string, Map<string, SignalState>>();
  for (const [entity, sums] of entry.signals) {
    const states = new Map<string, SignalState>();
    for (const [signal, sum] of sums) {
      const copy = sum.copy();
      states.set(signal, { count: copy.count, weight: copy.weight, score: (nowMs) => copy.score(nowMs) });
    }
    signals.set(entity, states);
  }
  return signals;
}
