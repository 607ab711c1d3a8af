import type { SignalWindow, WindowSum } from "@tidemark/core";
import type { RankedEntity, SignalSchema, Velocity } from "@tidemark/signals";
import type { ExportRow, ExportSummary } from "./export-row.ts";
import type { ExportOptions } from "./export-signals.ts";
import type { WriteOptions, WriteResult } from "./region.ts";

/** Options of a signal. */
export interface SignalOptions extends WriteOptions {
  /** When it happened, Unix milliseconds; a retry gives that of the first attempt. @defaultValue now */
  readonly eventTimeMs?: number;
  /** Of an explored item: how likely it was to be shown, above 0 and at most 1. Kept for training, without effect on scores. */
  readonly propensity?: number;
}

/** The outcome of a signal without a session. */
export type SignalResult = Omit<WriteResult, "position">;

/**
 * The ledger: what was signalled anywhere in the cluster, in sessions and without one, each contribution once. Times are
 * this region's now unless given. Everything but `schema` and `export` throws `SCHEMA_MISSING` in a region without a schema.
 */
export interface RegionSignals<Name extends string = string> {
  readonly schema: SignalSchema<Name> | undefined;
  /**
   * A signal that belongs to no session. `weight` is below 2^40 in magnitude, else `INVALID_WEIGHT`.
   *
   * @throws SignalError `SIGNAL_UNKNOWN`, `SIGNAL_INVALID`. @throws CoreError `INVALID_WEIGHT`, `HLC_DRIFT_EXCEEDED`.
   */
  record(entity: string, signal: Name, weight: number, options?: SignalOptions): Promise<SignalResult>;
  /** What is left of all weights, 0 where there were none. */
  score(entity: string, signal: Name, nowMs?: number): number;
  /** @throws SignalError `WINDOW_UNKNOWN` for a window that the schema does not keep. */
  window(entity: string, signal: Name, window: SignalWindow, nowMs?: number): WindowSum;
  /** @throws SignalError `WINDOW_UNKNOWN` if the schema keeps none. */
  velocity(entity: string, signal: Name, nowMs?: number): Velocity;
  /**
   * What was signalled, row by row, straight from this region's logs: see `exportDirectory`. Needs no schema.
   *
   * @throws RegionError `EXPORT_UNBOUNDED` without `sinceMs` and `untilMs`.
   */
  export(options: ExportOptions): AsyncGenerator<ExportRow, ExportSummary, undefined>;
  /** The candidates by score, the highest first; equal ones by the bytes of their names. */
  rank(entities: readonly string[], signal: Name, nowMs?: number): RankedEntity[];
}
