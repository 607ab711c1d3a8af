import { TidemarkError, type TidemarkErrorOptions } from "@tidemark/core";
import { KvError } from "@tidemark/kv";

/** Codes of `@tidemark/session-store`. Stable within a major version; messages are not. */
export type SessionStoreErrorCode =
  /** The store is bound to another session: see `bound`, `attempted`. */
  | "SESSION_BINDING_MISMATCH"
  /** No session of this id was ever made here. */
  | "SESSION_UNKNOWN"
  /** A session of this id is there, and is not the one that was to be made. */
  | "SESSION_EXISTS"
  /** The session was deleted: its id is spent. */
  | "SESSION_DELETED"
  /** The session is archived: it is read, not written. */
  | "SESSION_ARCHIVED"
  /** The store cannot serve this scope of a read: see `scope`. */
  | "UNSUPPORTED_READ_SCOPE"
  /** The head is not at the revision the commit expects: see `expected`, `actual`. */
  | "HEAD_CONFLICT"
  /** This turn was committed earlier with other content: see `session`, `turn`. */
  | "TURN_COMMIT_CONFLICT"
  /** A claim of queued work is missing or no longer owned: see `session`, `claim`. */
  | "CLAIM_EXPIRED"
  /** The execution lease is missing, stale, released or expired: see `session`. */
  | "LEASE_EXPIRED"
  /** Work was queued under this source key with other content. */
  | "SOURCE_CONFLICT"
  /** This store keeps no queued work. */
  | "WORK_UNSUPPORTED"
  /** As much work is queued as the queue holds: see `limit`, `actual`. Nothing was written. */
  | "WORK_QUEUE_FULL"
  /** A node of this id is there already, or the commit names one id twice: see `node`. */
  | "NODE_COLLISION"
  /** A node names a parent that is neither stored nor before it in the commit: see `node`. */
  | "NODE_PARENT_UNKNOWN"
  /** No node of this id is in the graph: see `node`. */
  | "LEAF_UNRESOLVABLE"
  /** A head, a fork or an anchor reaches this node: it cannot be removed. See `node`. */
  | "NODE_REACHABLE"
  /** A checkpoint names a component whose bytes are not stored: see `component`. */
  | "COMPONENT_MISSING"
  /** The session holds no attachment of this id, or its bytes are not there. */
  | "ATTACHMENT_MISSING"
  /** The bytes of an attachment are not those its id names. */
  | "ATTACHMENT_MISMATCH"
  /** The same bytes are being deleted just now: the same call will succeed. */
  | "ATTACHMENT_RETRY"
  /** The commit is over the budget of bytes or operations: see `limit`, `actual`. Nothing was written. */
  | "COMMIT_TOO_LARGE"
  /** A record was written under another schema version: see `kind`, `actual`, `expected`. */
  | "RECORD_VERSION"
  /** What is stored is damaged, or a part of it is missing. */
  | "DATA_CORRUPT"
  /** Others changed the same records each time it was tried. Nothing was written. */
  | "BUSY"
  /** The key-value store survives less than `requireDurable` asks for: see `durability`. */
  | "DURABILITY_TOO_LOW"
  /** The region does not accept an entry of this session's journal: see the message. */
  | "JOURNAL_REFUSED"
  /** Some of what another region wrote to a session is missing here, and nothing was applied over the hole: see `session`. */
  | "JOURNAL_GAP"
  /** What the cluster has committed of a session has not arrived here yet: see `session`, `expected`, `actual`. */
  | "NOT_YET_VISIBLE"
  /** The store was closed. */
  | "STORE_CLOSED"
  /** The key-value store failed, which is the cause; a write may have happened all the same. */
  | "STORAGE_FAILED";

/** Facts that go with a {@link SessionStoreError}; each code says which. */
export interface SessionStoreErrorOptions extends TidemarkErrorOptions {
  /** The session it is about. */
  readonly session?: string;
  /** The session the store belongs to. */
  readonly bound?: string;
  /** The session somebody tried to reach through it. */
  readonly attempted?: string;
  readonly scope?: string;
  /** A revision, `absent`, or a schema version. */
  readonly expected?: number | "absent";
  /** What was found: a revision, `absent`, a version, or a size. */
  readonly actual?: number | "absent";
  readonly turn?: string;
  readonly claim?: string;
  readonly node?: string;
  readonly component?: string;
  /** The kind of a record. */
  readonly kind?: string;
  /** A budget, in the unit of the message. */
  readonly limit?: number;
  readonly durability?: string;
}

const RETRYABLE: ReadonlySet<SessionStoreErrorCode> = new Set([
  "BUSY",
  "ATTACHMENT_RETRY",
  "NOT_YET_VISIBLE",
]);

/** An expected failure of `@tidemark/session-store`. Facts that its code does not name are `undefined`. */
export class SessionStoreError extends TidemarkError<SessionStoreErrorCode> {
  override readonly name = "SessionStoreError";
  readonly session: string | undefined;
  readonly bound: string | undefined;
  readonly attempted: string | undefined;
  readonly scope: string | undefined;
  readonly expected: number | "absent" | undefined;
  readonly actual: number | "absent" | undefined;
  readonly turn: string | undefined;
  readonly claim: string | undefined;
  readonly node: string | undefined;
  readonly component: string | undefined;
  readonly kind: string | undefined;
  readonly limit: number | undefined;
  readonly durability: string | undefined;

  constructor(code: SessionStoreErrorCode, message: string, options: SessionStoreErrorOptions = {}) {
    super(code, message, { ...options, retryable: options.retryable ?? RETRYABLE.has(code) });
    this.session = options.session;
    this.bound = options.bound;
    this.attempted = options.attempted;
    this.scope = options.scope;
    this.expected = options.expected;
    this.actual = options.actual;
    this.turn = options.turn;
    this.claim = options.claim;
    this.node = options.node;
    this.component = options.component;
    this.kind = options.kind;
    this.limit = options.limit;
    this.durability = options.durability;
  }
}

/**
 * What a failure of the key-value store means to a caller of this package: damage, another version, too large and
 * closed keep their meaning, everything else is `STORAGE_FAILED`. What is no `KvError`, such as the reason of a
 * signal or a wrong argument, comes back as it is.
 */
export function asSessionStoreError(cause: unknown): unknown {
  if (!(cause instanceof KvError)) return cause;
  switch (cause.code) {
    case "KV_CORRUPT":
      return new SessionStoreError("DATA_CORRUPT", cause.message, { cause });
    case "KV_RECORD_VERSION":
    case "KV_STORE_VERSION":
      return new SessionStoreError("RECORD_VERSION", cause.message, {
        cause,
        kind: cause.kind ?? "store",
        ...(cause.actual === undefined ? {} : { actual: cause.actual }),
        ...(cause.expected === undefined ? {} : { expected: cause.expected }),
      });
    case "KV_TOO_LARGE":
      return new SessionStoreError("COMMIT_TOO_LARGE", cause.message, {
        cause,
        ...(cause.limit === undefined ? {} : { limit: cause.limit }),
        ...(cause.actual === undefined ? {} : { actual: cause.actual }),
      });
    case "KV_CLOSED":
      return new SessionStoreError("STORE_CLOSED", cause.message, { cause });
    case "KV_BUSY":
      return new SessionStoreError("BUSY", cause.message, { cause });
    case "KV_UNAVAILABLE":
    case "KV_UNSUPPORTED":
      return new SessionStoreError("STORAGE_FAILED", cause.message, { cause, retryable: cause.retryable });
  }
}
