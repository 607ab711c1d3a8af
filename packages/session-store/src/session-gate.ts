import { SessionStoreError } from "./errors.ts";
import { recordCodec, type RecordCodec } from "./records.ts";

/**
 * The register every step of a session checks: whether it may be written at all. It is there from the session's making,
 * and for ever: what remains of a deleted session is this, so that its id is never used again.
 */
export interface SessionGate {
  /** `making`: it is being made from another one, and is not there yet. */
  readonly state: "making" | "open" | "archived" | "deleted";
  /** When it came to be so, in Unix ms of the store's clock. */
  readonly sinceMs: number;
  /** Who makes it, so that of two that do one finds out. */
  readonly maker?: string;
}

/** How the gate is stored. */
export const sessionGateRecord: RecordCodec<SessionGate> = recordCodec("session-gate", 1);

/** Returns the gate of a session that can be read. @throws {@link SessionStoreError} `SESSION_UNKNOWN` or `SESSION_DELETED` */
export function requireReadable(gate: SessionGate | undefined, session: string): SessionGate {
  if (gate === undefined || gate.state === "making") {
    throw new SessionStoreError("SESSION_UNKNOWN", `No session ${session} was ever made here`, { session });
  }
  if (gate.state === "deleted") throw sessionDeleted(session);
  return gate;
}

/** As {@link requireReadable}, of one that can be written. @throws {@link SessionStoreError} `SESSION_ARCHIVED` as well */
export function requireOpen(gate: SessionGate | undefined, session: string): SessionGate {
  const readable = requireReadable(gate, session);
  if (readable.state === "archived") {
    throw new SessionStoreError(
      "SESSION_ARCHIVED",
      `Cannot write to session ${session}: it is archived, and only read`,
      { session },
    );
  }
  return readable;
}

/** The error of a session whose id is spent. */
export function sessionDeleted(session: string): SessionStoreError {
  return new SessionStoreError("SESSION_DELETED", `Session ${session} was deleted: its id is spent`, {
    session,
  });
}
