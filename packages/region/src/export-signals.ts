import { CoreError, type Hasher } from "@tidemark/core";
import { EffectIds, type OpView, type SignalClear, type SignalSealed } from "@tidemark/session";
import { RECORD_SESSION_OP } from "@tidemark/session-bridge";
import { RECORD_SIGNAL } from "@tidemark/signals";
import { forEachRecord, readStoredLogs, type WalBatch, type WalFs } from "@tidemark/wal";
import { RegionError } from "./errors.ts";
import { OnceFilter } from "./export-effects.ts";
import { ExportIndex, openOp, openSignal } from "./export-index.ts";
import type { ExportRow, ExportSummary, SignalRow } from "./export-row.ts";
import { unsealOf } from "./unseal.ts";

/** What is exported. Times are of the events, Unix milliseconds; at least one is given. */
export interface ExportOptions {
  /** The first time that is exported. */
  readonly sinceMs?: number;
  /** The first time that is not exported any more; what is hidden then is. */
  readonly untilMs?: number;
  /** What may leave: rows it refuses are counted. @defaultValue every row */
  readonly filter?: (row: ExportRow) => boolean;
  /** Bytes of the filter that finds effects which are in several logs. @defaultValue 67,108,864 */
  readonly filterBytesMax?: number;
  readonly signal?: AbortSignal;
}

/** Where the logs of an export are. */
export interface ExportSource {
  /** Each as it is now; it is read twice. */
  readonly logs: readonly {
    readonly bytes: number;
    read(options: { readonly signal?: AbortSignal }): AsyncIterable<WalBatch>;
  }[];
  readonly hasher: Hasher;
  /** Opens an operation under a user's key; false: it cannot be read. @defaultValue none can */
  readonly unseal?: ((op: OpView) => boolean) | undefined;
  /** Whose session it is where its start is in no log any more. @defaultValue unknown */
  readonly userOf?: ((session: string) => string | undefined) | undefined;
}

/** A directory that need not be open. */
export interface ExportDirectory {
  readonly fs: WalFs;
  readonly dir: string;
  readonly hasher: Hasher;
  /** See {@link ExportSource.unseal}. @defaultValue with the keys that are in the directory */
  readonly unseal?: (op: OpView) => boolean;
}

const FILTER_BYTES_MAX: number = 64 * 1024 * 1024;
const NO_CLUSTER = new Uint8Array(8);

/**
 * What was signalled, row by row, straight from the logs of a directory, for training: each effect once, whatever logs
 * hold it, and at the end every hide that is in force. Users who were erased, and sessions that were purged, are left
 * out. Returns what it gave and left out.
 *
 * It is read-only and needs no lock: a region may run on the directory meanwhile. The logs are verified, then read twice. Memory
 * grows with sessions (about 300 bytes each), with hides in force, and with effects that are in several logs, not with
 * the logs.
 *
 * @throws RegionError `EXPORT_UNBOUNDED` without `sinceMs` and `untilMs`.
 * @throws WalError `WAL_NOT_HELD` if there are no logs, `WAL_CORRUPT` at damage; the signal's reason.
 */
export async function* exportDirectory(
  { fs, dir, hasher, unseal }: ExportDirectory,
  options: ExportOptions,
): AsyncGenerator<ExportRow, ExportSummary, undefined> {
  requireRange(options);
  const { signal } = options;
  const logs = await readStoredLogs(fs, dir, { hasher, ...(signal === undefined ? {} : { signal }) });
  return yield* exportLogs({ logs, hasher, unseal: unseal ?? (await unsealOf(fs, dir, hasher)) }, options);
}

/** The same of logs that somebody reads already. */
export async function* exportLogs(
  { logs, hasher, unseal = () => false, userOf = () => undefined }: ExportSource,
  options: ExportOptions,
): AsyncGenerator<ExportRow, ExportSummary, undefined> {
  const range = requireRange(options);
  const { filter = () => true, filterBytesMax = FILTER_BYTES_MAX, signal } = options;
  const reading = signal === undefined ? {} : { signal };
  const ids = new EffectIds(hasher, NO_CLUSTER);
  const once = new OnceFilter(
    logs.reduce((sum, { bytes }) => sum + bytes, 0),
    filterBytesMax,
  );
  const index = new ExportIndex({ range, ids, unseal, once });
  for (const log of logs) for await (const batch of log.read(reading)) index.add(batch);

  const leftOut = { unreadable: index.unreadable, purged: 0, unknownUser: 0, malformed: index.malformed };
  const counts = { signals: 0, hides: 0, filtered: 0 };
  const rowsOf = new SignalRows({ index, once, ids, unseal, userOf, leftOut });
  for (const log of logs) {
    for await (const batch of log.read(reading)) {
      for (const row of rowsOf.batch(batch)) {
        if (!filter(row)) counts.filtered += 1;
        else {
          counts.signals += 1;
          yield row;
        }
      }
    }
  }
  for (const row of index.hides()) {
    signal?.throwIfAborted();
    if (!filter(row)) counts.filtered += 1;
    else {
      counts.hides += 1;
      yield row;
    }
  }
  return { ...counts, leftOut };
}

interface SignalRowsParts {
  readonly index: ExportIndex;
  readonly once: OnceFilter;
  readonly ids: EffectIds;
  readonly unseal: (op: OpView) => boolean;
  readonly userOf: (session: string) => string | undefined;
  readonly leftOut: { -readonly [Key in keyof ExportSummary["leftOut"]]: number };
}

/** The signals of a batch in the second pass. */
class SignalRows {
  readonly #parts: SignalRowsParts;

  constructor(parts: SignalRowsParts) {
    this.#parts = parts;
  }

  batch(batch: WalBatch): SignalRow[] {
    const rows: SignalRow[] = [];
    forEachRecord(batch, (type, bytes, start, end) => {
      const row =
        type === RECORD_SESSION_OP
          ? this.#ofSession(bytes.subarray(start, end))
          : type === RECORD_SIGNAL
            ? this.#alone(bytes, start, end)
            : undefined;
      if (row !== undefined) rows.push(row);
    });
    return rows;
  }

  #alone(bytes: Uint8Array, start: number, end: number): SignalRow | undefined {
    const { index, once } = this.#parts;
    const record = openSignal(bytes, start, end);
    if (record === undefined || !index.covers(record.eventTimeMs)) return undefined;
    const { effectId, entity, signal, weight, eventTimeMs: timeMs, propensity } = record;
    if (effectId !== undefined && !once.first(effectId)) return undefined;
    return {
      kind: "signal",
      entity,
      signal,
      weight,
      timeMs,
      ...(propensity !== undefined && { propensity }),
    };
  }

  #ofSession(bytes: Uint8Array): SignalRow | undefined {
    const { index, once, ids, unseal, userOf, leftOut } = this.#parts;
    const op = openOp(bytes);
    if (op?.kind !== "signal") return undefined;
    try {
      const { entity, signal, weight, eventTimeMs: timeMs } = op.clear as SignalClear;
      if (!index.covers(timeMs)) return undefined;
      if (op.hasOperation) {
        if (!once.first(op.bytes, op.operationAt)) return undefined;
      } else if (!once.firstUnnamed(op.stamp.wallMs, () => ids.keyOf(op))) return undefined;
      if (op.userKey !== 0 && !unseal(op)) {
        leftOut.unreadable += 1;
        return undefined;
      }
      const { session } = op;
      if (index.purged.has(session)) {
        leftOut.purged += 1;
        return undefined;
      }
      const user = index.userOf(session) ?? (index.knows(session) ? undefined : userOf(session));
      if (user === undefined) {
        leftOut[index.knows(session) ? "unreadable" : "unknownUser"] += 1;
        return undefined;
      }
      const { propensity } = op.sealed as SignalSealed;
      const row = { kind: "signal", entity, signal, weight, timeMs, user, session } as const;
      return propensity === undefined ? row : { ...row, propensity };
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      leftOut.malformed += 1;
      return undefined;
    }
  }
}

function requireRange({ sinceMs, untilMs }: ExportOptions): {
  readonly sinceMs: number;
  readonly untilMs: number;
} {
  if (sinceMs === undefined && untilMs === undefined) {
    throw new RegionError(
      "EXPORT_UNBOUNDED",
      "Cannot export everything there will ever be: give sinceMs, untilMs or both",
    );
  }
  for (const [time, what] of [
    [sinceMs, "sinceMs"],
    [untilMs, "untilMs"],
  ] as const) {
    if (time !== undefined && !Number.isFinite(time)) throw new RangeError(`${what} must be a time: ${time}`);
  }
  const range = {
    sinceMs: sinceMs ?? Number.NEGATIVE_INFINITY,
    untilMs: untilMs ?? Number.POSITIVE_INFINITY,
  };
  if (range.sinceMs > range.untilMs)
    throw new RangeError(`sinceMs must not be after untilMs: ${sinceMs} and ${untilMs}`);
  return range;
}
