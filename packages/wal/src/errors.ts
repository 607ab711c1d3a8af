import { TidemarkError, type LogId, type TidemarkErrorOptions } from "@tidemark/core";

/** Codes of `@tidemark/wal`. Stable within a major version; messages are not. */
export type WalErrorCode =
  /** Bytes are not a batch: see `offset`. */
  | "WAL_BAD_BATCH"
  /** Bytes were written by a newer version, or carry flags this one does not know: see `version`. */
  | "WAL_VERSION_UNSUPPORTED"
  /** Damage that is not a torn tail: see `segment`, `offset`, `lsn`. Nothing was cut. */
  | "WAL_CORRUPT"
  /** Batches do not continue the log they were given to: see `lsn`. */
  | "WAL_NOT_CONTIGUOUS"
  /** The LSN asked for is older than anything held here: see `lsn`. */
  | "WAL_NOT_HELD"
  /** One record alone is larger than a batch may be. */
  | "WAL_RECORD_TOO_LARGE"
  /** The queue stayed full until the caller's deadline. Nothing was written. */
  | "WAL_QUEUE_FULL"
  /** A sync failed: the batch is not acknowledged and the log is poisoned. */
  | "WAL_SYNC_FAILED"
  /** The disk is full: the batch was not written whole and the log is failed. */
  | "WAL_NO_SPACE"
  /** A write failed or stayed short: the log is failed. */
  | "WAL_WRITE_FAILED"
  /** The log had failed before this record was written. Nothing of it is on disk. */
  | "WAL_LOG_FAILED"
  /** The epoch has ended (torn tail cut, weak run not closed cleanly): open a new one. */
  | "WAL_EPOCH_ENDED"
  /** The directory, or a log, holds what was to be created. */
  | "WAL_LOG_EXISTS"
  /** Another process holds the directory: see `holder`. */
  | "WAL_LOCKED"
  /** A checkpoint, watermark or vector cannot be read. */
  | "WAL_BAD_FILE"
  /** The log or the whole WAL was closed. */
  | "WAL_CLOSED";

/** Facts that go with a {@link WalError}. */
export interface WalErrorOptions extends TidemarkErrorOptions {
  /** The log concerned. */
  readonly log?: LogId;
  /** The name of the segment file. */
  readonly segment?: string;
  /** Bytes from the start of the segment, or of the input. */
  readonly offset?: number;
  /** The LSN concerned. */
  readonly lsn?: number;
  /** Where good batches go on after the damage, if they do. */
  readonly nextLsn?: number;
  /** The version found, for `WAL_VERSION_UNSUPPORTED`. */
  readonly version?: number;
  /** Who holds the lock, for `WAL_LOCKED`. */
  readonly holder?: string;
}

/** An expected failure of `@tidemark/wal`. */
export class WalError extends TidemarkError<WalErrorCode> {
  override readonly name = "WalError";
  /** The log concerned. */
  readonly log: LogId | undefined;
  /** The name of the segment file. */
  readonly segment: string | undefined;
  /** Bytes from the start of the segment, or of the input. */
  readonly offset: number | undefined;
  /** The LSN concerned. */
  readonly lsn: number | undefined;
  /** Where good batches go on after the damage, if they do. */
  readonly nextLsn: number | undefined;
  /** The version found, for `WAL_VERSION_UNSUPPORTED`. */
  readonly version: number | undefined;
  /** Who holds the lock, for `WAL_LOCKED`. */
  readonly holder: string | undefined;

  constructor(code: WalErrorCode, message: string, options: WalErrorOptions = {}) {
    super(code, message, options);
    this.log = options.log;
    this.segment = options.segment;
    this.offset = options.offset;
    this.lsn = options.lsn;
    this.nextLsn = options.nextLsn;
    this.version = options.version;
    this.holder = options.holder;
  }
}
