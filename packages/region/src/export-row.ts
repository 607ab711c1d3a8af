import type { HideKind } from "@tidemark/core";

/** One signal, as it counts in the ledger. */
export interface SignalRow {
  readonly kind: "signal";
  readonly entity: string;
  readonly signal: string;
  readonly weight: number;
  /** When it happened, Unix milliseconds. */
  readonly timeMs: number;
  /** Of an explored item: how likely it was to be shown. */
  readonly propensity?: number;
  /** Whose session it was signalled in; absent, like `session`, for one without a session. */
  readonly user?: string;
  readonly session?: string;
}

/** A hard negative in force at the end: one for each time that the item was hidden and not lifted. */
export interface HideRow {
  readonly kind: HideKind;
  readonly user: string;
  readonly item: string;
  /** When it was hidden, Unix milliseconds. */
  readonly timeMs: number;
}

/** What {@link exportSignals} gives. */
export type ExportRow = SignalRow | HideRow;

/** What was exported, and what was left out. */
export interface ExportSummary {
  readonly signals: number;
  readonly hides: number;
  /** Rows that the filter refused. */
  readonly filtered: number;
  readonly leftOut: {
    /** Operations under a key that is gone: their user was erased; or that nobody here has. */
    readonly unreadable: number;
    /** Signals of sessions that were purged. */
    readonly purged: number;
    /** Signals of sessions whose start is not in these logs. */
    readonly unknownUser: number;
    /** Records that are damaged or of a kind this version does not know. */
    readonly malformed: number;
  };
}

/**
 * A row as a line of JSON, without the line break: `kind` first, then the fields in the order of their type; nothing is
 * written for what is absent.
 */
export function exportLine(row: ExportRow): string {
  if (row.kind !== "signal") {
    const { kind, user, item, timeMs } = row;
    return JSON.stringify({ kind, user, item, timeMs });
  }
  const { kind, entity, signal, weight, timeMs, propensity, user, session } = row;
  return JSON.stringify({ kind, entity, signal, weight, timeMs, propensity, user, session });
}
