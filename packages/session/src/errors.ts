import { TidemarkError, type TidemarkErrorOptions } from "@tidemark/core";

/** Codes of `@tidemark/session`. Stable within a major version; messages are not. */
export type SessionErrorCode =
  /** An argument is not what an operation can carry: too long, empty, or not Unicode. */
  | "INVALID_INPUT"
  /** No start of this session is known here. */
  | "SESSION_UNKNOWN"
  /** A close of this session is known here. */
  | "SESSION_CLOSED"
  /** This session was purged: nothing of that id is accepted any more. */
  | "SESSION_PURGED"
  /** A start names a policy that is not held here. */
  | "POLICY_UNKNOWN"
  /** The session's policy does not allow operations of this kind. */
  | "POLICY_KIND"
  /** The session's policy does not allow this signal. */
  | "POLICY_SIGNAL"
  /** The session has lasted as long as its policy allows. */
  | "POLICY_DURATION"
  /** This region has accepted as many operations in the session as its policy allows. */
  | "POLICY_COUNT"
  /** Operations of this session come faster than its policy allows. */
  | "POLICY_RATE"
  /** A start of this session is known here. */
  | "SESSION_EXISTS"
  /** Sessions of different users are not merged, nor one forked that holds something of several under their keys. */
  | "SESSION_USERS_DIFFER"
  /** What a fork or merge would carry is more than an operation holds. */
  | "SESSION_TOO_LARGE"
  /** Two sessions carry states of a third of which neither has all of the other. */
  | "SESSION_STATES_CROSSED"
  /** A lane's number was used twice for different operations. */
  | "SESSION_FORKED"
  /** One operationId was used for two different requests. */
  | "OPERATION_CONFLICT"
  /** A client's number is too far above what is known of its lane. */
  | "LANE_AHEAD"
  /** The signal schema in force names no such signal. */
  | "SIGNAL_UNKNOWN"
  /** The reducer of a namespace threw, or gave a promise: its operations are as they were. */
  | "REDUCER_FAILED"
  /** As many users were erased as the table of keys can tell of. */
  | "KEYS_FULL"
  /** A cursor is not what `session.cursor()` gives: cut, too long, or of another version. */
  | "CURSOR_MALFORMED"
  /** A cursor of another cluster. */
  | "CURSOR_FOREIGN"
  /** A cursor of another session. */
  | "CURSOR_WRONG_SESSION"
  /** A cursor this cluster has not signed, or one that was changed. */
  | "CURSOR_FORGED"
  /** A position names more logs than a cursor holds. */
  | "CURSOR_TOO_WIDE"
  /** A ticket is not what `ticket()` gives: cut, too long, or of another version. */
  | "TICKET_MALFORMED"
  /** A ticket of another cluster. */
  | "TICKET_FOREIGN"
  /** A ticket of another user. */
  | "TICKET_WRONG_USER"
  /** A ticket this cluster has not signed, or one that was changed. */
  | "TICKET_FORGED"
  /** A ticket past its expiry. */
  | "TICKET_EXPIRED"
  /** A ticket carries operations nobody signed, and nobody said to trust them. */
  | "TICKET_UNTRUSTED";

/** An expected failure of `@tidemark/session`. */
export class SessionError extends TidemarkError<SessionErrorCode> {
  override readonly name = "SessionError";

  constructor(code: SessionErrorCode, message: string, options: TidemarkErrorOptions = {}) {
    super(code, message, options);
  }
}
