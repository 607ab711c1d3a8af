import { TidemarkError } from "@tidemark/core";
import type { TidemarkErrorOptions } from "@tidemark/core";

/** Codes of `@tidemark/region`. Stable within a major version; messages are not. */
export type RegionErrorCode =
  /** The region was closed; open it again. */
  | "REGION_CLOSED"
  /** A new directory has not reached the head of a member yet: wait with `ready()`. */
  | "REGION_NOT_READY"
  /** This region only follows: write in a member that accepts writes. */
  | "READ_ONLY"
  /** The directory belongs to another region or cluster. */
  | "REGION_FOREIGN_DIR"
  /** The list of members here is another one than in a region that answered: the message has both. */
  | "MEMBERSHIP_MISMATCH"
  /** A list of members does not follow the one in force: the message says why. */
  | "MEMBERSHIP_REFUSED"
  /** This region was away for too long: it ships what it has, then takes the state of a member; wait with `ready()`. */
  | "REGION_FENCED"
  /** The region was closed and is a member still: it could not drain, or too few members agreed. */
  | "LEAVE_FAILED"
  /** This region is no member any more, and everything it wrote is at one: use another. */
  | "REGION_REMOVED"
  /** The region was opened without a schema of signals. */
  | "SCHEMA_MISSING"
  /** Signals were folded under another schema, and the logs to fold them anew are not all here any more. */
  | "SCHEMA_CHANGED"
  /** An export names neither its first time nor its last. */
  | "EXPORT_UNBOUNDED"
  /** `shards` is another number than this directory or its cluster was made with: the message has both. */
  | "SHARDS_MISMATCH"
  /** The region's own description on disk is lost or cannot be read, or its logs lack what no checkpoint covers. */
  | "REGION_DAMAGED"
  /** A new directory cannot be written, so that the region does not join: it is tried again. */
  | "DIRECTORY_UNWRITABLE"
  /** What a cursor or ticket covers has not arrived here before the deadline: `missing` says what. */
  | "NOT_YET_VISIBLE"
  /** A cursor or ticket names a position that this cluster never wrote. */
  | "POSITION_UNKNOWN"
  /** The cluster does not encrypt: there is no key to destroy. */
  | "ENCRYPTION_OFF"
  /** The cluster encrypts and this region was told that it does not, or the other way round. */
  | "ENCRYPTION_MISMATCH"
  /** What a member gave as the keys of users cannot be opened here. */
  | "KEYS_REFUSED"
  /** What a cursor or ticket covers was lost with a disk and is nowhere: `missing` says from where to go on. */
  | "POSITION_LOST";

/** A position that a bearer has seen and this region has not. */
export interface MissingPosition {
  readonly region: number;
  readonly epoch: number;
  /** The LSN asked for. */
  readonly lsn: number;
  /** The LSN this region has reached. */
  readonly reached: number;
}

/** What goes with a {@link RegionError}. */
export interface RegionErrorOptions extends TidemarkErrorOptions {
  readonly missing?: readonly MissingPosition[];
}

/** An expected failure of `@tidemark/region`. */
export class RegionError extends TidemarkError<RegionErrorCode> {
  override readonly name = "RegionError";
  /** What has not arrived, for `NOT_YET_VISIBLE`, or never will, for `POSITION_LOST`. */
  readonly missing: readonly MissingPosition[];

  constructor(code: RegionErrorCode, message: string, options: RegionErrorOptions = {}) {
    super(code, message, options);
    this.missing = options.missing ?? [];
  }
}
