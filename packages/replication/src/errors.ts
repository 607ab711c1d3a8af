import { TidemarkError, type LogId, type TidemarkErrorOptions } from "@tidemark/core";

/** Codes of `@tidemark/replication`. Stable within a major version; messages are not. */
export type ReplicationErrorCode =
  /** Bytes of an ack, request, reply, membership or router are not what their format says. */
  | "MESSAGE_MALFORMED"
  /** Two holders of one log hold different bytes at one LSN. */
  | "LOG_FORKED"
  /** A stored log begins above what the restored state covers. */
  | "LOG_TRIMMED"
  /** The log of this region ended while the write waited: judge it again and write it again. */
  | "EPOCH_ROLLED"
  /** The role is `follower`: this member applies, and refuses every write. */
  | "READ_ONLY"
  /** A new directory has not reached the head of a member yet. */
  | "NOT_READY"
  /** Two lists of members disagree. */
  | "MEMBERSHIP_MISMATCH"
  /** A list of members does not follow the one in force: its version, a reused id, a forgotten one. */
  | "MEMBERSHIP_REFUSED"
  /** This region was away for too long or was removed: it ships what it has, and serves nothing until it is back. */
  | "FENCED"
  /** No member answered a question within its time. */
  | "NO_MEMBER_ANSWERED"
  /** A position names a region nobody knows, or more of this region's own log than was ever written. */
  | "POSITION_UNKNOWN"
  /** A position is beyond the end of an epoch that is over, and no member has it: it is gone. */
  | "POSITION_LOST"
  /** A peer answered, and its answer is a refusal. */
  | "REQUEST_REFUSED"
  /** No member gave a snapshot that can be used here. */
  | "SNAPSHOT_UNAVAILABLE"
  /** The replication was closed. */
  | "REPLICATION_CLOSED";

/** What goes with a {@link ReplicationError}. */
export interface ReplicationErrorOptions extends TidemarkErrorOptions {
  /** The log it is about. */
  readonly log?: LogId;
  /** Bytes from the start of the input, for `MESSAGE_MALFORMED`. */
  readonly offset?: number;
}

/** An expected failure of `@tidemark/replication`. */
export class ReplicationError extends TidemarkError<ReplicationErrorCode> {
  override readonly name: string = "ReplicationError";
  /** The log it is about, if it is about one. */
  readonly log: LogId | undefined;
  /** Bytes from the start of the input, for `MESSAGE_MALFORMED`. */
  readonly offset: number | undefined;

  constructor(code: ReplicationErrorCode, message: string, options: ReplicationErrorOptions = {}) {
    super(code, message, options);
    this.log = options.log;
    this.offset = options.offset;
  }
}
