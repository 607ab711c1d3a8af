import type { Hasher, LogId } from "@tidemark/core";
import { BATCH_DIGEST_BYTES } from "./batch-header.ts";
import { WalError } from "./errors.ts";
import type { Extent } from "./extent.ts";
import { writeFully, type WalFs } from "./file-system.ts";
import {
  garbageBytes,
  holeOf,
  scanLog,
  type FoundDamage,
  type ScannedTail,
  type StoredLog,
} from "./log-scan.ts";
import type { LogPosition } from "./log.ts";
import { dropRunIntent, readRunIntent } from "./run-intent.ts";
import type { Vector } from "./vector.ts";
import { DURABILITY_CODE, type Watermark, type WatermarkEntry } from "./watermark.ts";

/** A torn tail that was cut. */
export interface TornTail {
  readonly segment: string;
  /** Where the cut was made. */
  readonly offset: number;
  /** Bytes that were no whole batch (up to the last that was not zero). */
  readonly bytes: number;
}

/** Damage that is not a torn tail. Nothing was changed. */
export interface Corruption {
  readonly segment: string;
  readonly offset: number;
  /** The first LSN that is damaged or missing. */
  readonly lsn: number;
  /** Where good batches go on, if they do. */
  readonly nextLsn?: number;
}

/** Why an epoch cannot be continued by its owner. */
export type NotResumableReason =
  | "tail-cut"
  | "corrupt"
  | "unsupported-version"
  | "weak-durability"
  | "watermark-lost"
  | "ended"
  | "legacy";

/** What opening found of one log. */
export interface LogRecovery {
  readonly id: LogId;
  readonly first: number;
  readonly durable: LogPosition;
  readonly cut?: TornTail;
  readonly corrupt?: Corruption;
  /** Whether the owner may go on in this epoch. A foreign log is continued by fetching, whatever this says. */
  readonly resumable: boolean;
  readonly reason?: NotResumableReason;
}

/** What is known about the run before. */
export interface RecoveryContext {
  readonly fs: WalFs;
  readonly hasher: Hasher;
  readonly watermark: WatermarkEntry | undefined;
  /** The last run was weaker than `always` and did not close: its last writes may be gone in any order. */
  readonly weak: boolean;
  readonly watermarkLost: boolean;
  /** What a checkpoint covers need not be scanned. */
  readonly scanFrom: Vector | undefined;
  /** Called with the bytes scanned since the last call; what it throws ends the scan. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** What the watermark says about the run before. */
export function lastRun(
  watermark: Watermark | "damaged" | undefined,
): Pick<RecoveryContext, "weak" | "watermarkLost"> {
  if (watermark === undefined || watermark === "damaged") return { weak: false, watermarkLost: true };
  const weak = !watermark.clean && watermark.durability !== DURABILITY_CODE.always;
  return { weak, watermarkLost: false };
}

/** A log as it stands after recovery. */
export interface RecoveredLog {
  readonly recovery: LogRecovery;
  readonly extents: Extent[];
  readonly failed: WalError | undefined;
  /** Every place that is not as it should be, a torn tail among them. */
  readonly damages: readonly FoundDamage[];
  /** The last segment file, where writing goes on. */
  readonly tail: ScannedTail | undefined;
  /** What has to happen on disk before anything is readable, after the end of the epoch was noted. */
  readonly settle: () => Promise<void>;
}

/** Verifies one log and tells a torn tail from corruption. Changes nothing until `settle` is called. */
export async function recoverLog(stored: StoredLog, context: RecoveryContext): Promise<RecoveredLog> {
  const { fs, hasher, watermark, onBytes } = context;
  const covered = context.scanFrom?.lsnOf(stored.id) ?? 0;
  const { first, extents, damages, tail } = await scanLog(stored, { fs, hasher, covered, onBytes });
  const damage = damages[0];
  // Without a batch the base is what the watermark remembers of it (a log that begins after a snapshot).
  const base: LogPosition = {
    lsn: first - 1,
    digest:
      (watermark?.lsn === first - 1 ? watermark.digest : undefined) ?? new Uint8Array(BATCH_DIGEST_BYTES),
  };
  const hole = holeOf(extents, first);
  const sound = hole === undefined ? extents : extents.slice(0, hole);
  const last = sound.at(-1);
  const durable: LogPosition =
    last === undefined
      ? base
      : { lsn: last.lastLsn, digest: last.digest ?? new Uint8Array(BATCH_DIGEST_BYTES) };
  const intent = await readRunIntent(fs, stored.dir, stored.id, hasher);
  // A segment is begun behind the sync of what it continues, so its name is a watermark too.
  const below = Math.max(watermark?.lsn ?? 0, (tail?.firstLsn ?? 1) - 1) > durable.lsn;
  const lastKnown = extents.at(-1)?.lastLsn ?? first - 1;
  // Only the last write can be torn. It is one batch, but for a fetched run and for the weaker modes.
  const withinRun = intent !== undefined && intent.from <= durable.lsn + 1 && lastKnown <= intent.to;
  const inTail = damage !== undefined && damage.segment === tail?.name;
  const torn = !below && inTail && (hole === undefined || withinRun || context.weak);
  const legacy = stored.segments.some((segment) => segment.legacy);

  if (!torn && (hole !== undefined || below || inTail)) {
    const place = damage ?? { segment: tail?.name ?? "", offset: tail?.end ?? 0, error: undefined };
    const nextLsn = hole === undefined ? undefined : (extents[hole] as Extent).firstLsn;
    return refused(stored, { extents, damages, durable, first, place, nextLsn, tail });
  }
  if (torn && damage.error.code === "WAL_VERSION_UNSUPPORTED" && hole === undefined) {
    return refused(stored, { extents, damages, durable, first, place: damage, nextLsn: undefined, tail });
  }
  const cutAt = torn ? damage.offset : undefined;
  const kept = torn ? sound : extents;
  const cut =
    torn && tail !== undefined
      ? {
          segment: tail.name,
          offset: damage.offset,
          bytes: await garbageBytes(fs, `${stored.dir}/${tail.name}`, damage.offset),
        }
      : undefined;
  const reason = cut
    ? "tail-cut"
    : context.weak
      ? "weak-durability"
      : context.watermarkLost
        ? "watermark-lost"
        : watermark?.ended
          ? "ended"
          : legacy
            ? "legacy"
            : undefined;
  const keptEnd = tail && cutAt === undefined ? tail.end : (cutAt ?? 0);
  return {
    recovery: {
      id: stored.id,
      first,
      durable,
      ...(cut && { cut }),
      resumable: reason === undefined,
      ...(reason && { reason }),
    },
    extents: kept,
    failed: undefined,
    damages,
    tail: tail && { ...tail, end: keptEnd, size: cutAt ?? tail.size },
    settle: async () => {
      const wide = context.weak || (intent !== undefined && intent.to >= durable.lsn);
      if (tail)
        await settleTail(context.fs, `${stored.dir}/${tail.name}`, tail.name, kept.at(-1), wide, cutAt);
      // What is kept is on disk now: the note must not excuse damage that comes later.
      if (intent !== undefined) await dropRunIntent(fs, stored.dir, stored.id);
    },
  };
}

interface Refusal {
  readonly extents: Extent[];
  readonly damages: readonly FoundDamage[];
  readonly durable: LogPosition;
  readonly first: number;
  readonly place: { readonly segment: string; readonly offset: number; readonly error: WalError | undefined };
  readonly nextLsn: number | undefined;
  readonly tail: ScannedTail | undefined;
}

function refused(stored: StoredLog, refusal: Refusal): RecoveredLog {
  const { extents, damages, durable, first, place, nextLsn, tail } = refusal;
  const lsn = durable.lsn + 1;
  const unsupported = place.error?.code === "WAL_VERSION_UNSUPPORTED" && nextLsn === undefined;
  const where = { log: stored.id, segment: place.segment, offset: place.offset, lsn };
  const failed = unsupported
    ? new WalError(
        "WAL_VERSION_UNSUPPORTED",
        `${place.error?.message}: ${place.segment} at ${place.offset}`,
        {
          ...where,
          ...(place.error?.version !== undefined && { version: place.error.version }),
        },
      )
    : new WalError(
        "WAL_CORRUPT",
        `Cannot trust ${place.segment} at ${place.offset}: LSN ${lsn} is damaged or missing`,
        {
          ...where,
          ...(nextLsn !== undefined && { nextLsn }),
          ...(place.error && { cause: place.error }),
        },
      );
  const corrupt = {
    segment: place.segment,
    offset: place.offset,
    lsn,
    ...(nextLsn !== undefined && { nextLsn }),
  };
  return {
    recovery: {
      id: stored.id,
      first,
      durable,
      corrupt,
      resumable: false,
      reason: unsupported ? "unsupported-version" : "corrupt",
    },
    extents,
    failed,
    damages,
    tail,
    settle: async () => {},
  };
}

/**
 * Cuts, and makes sure of what is kept. After a failed sync the page cache may hold bytes that the disk does not,
 * and call them clean: what the last write stored is therefore written once more before the sync.
 */
async function settleTail(
  fs: WalFs,
  path: string,
  segment: string,
  extent: Extent | undefined,
  wide: boolean,
  cutAt: number | undefined,
): Promise<void> {
  const file = await fs.open(path, "write");
  try {
    if (cutAt !== undefined) await file.truncate(cutAt);
    if (extent?.segment === segment) {
      const from = wide ? extent.start : extent.lastStart;
      const block = new Uint8Array(Math.min(extent.end - from, 1024 * 1024));
      for (let at = from; at < extent.end;) {
        const read = await file.read(block.subarray(0, Math.min(block.length, extent.end - at)), at);
        if (read === 0) break;
        writeFully(file, block.subarray(0, read), at);
        at += read;
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
}
