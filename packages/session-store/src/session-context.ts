import type { Kv, KvCheck, KvKey } from "@tidemark/kv";
import { SessionStoreError } from "./errors.ts";
import { hex } from "./hex.ts";
import { sessionKeys } from "./keys.ts";
import type { LeaseFence } from "./lease.ts";
import type { RecordContext } from "./records.ts";
import { requireOpen, sessionGateRecord } from "./session-gate.ts";

/** What the calls on one session share. */
export interface SessionContext {
  readonly session: string;
  readonly kv: Kv;
  readonly records: RecordContext;
  /** Unpredictable bytes, for ids and nonces. */
  readonly randomBytes: (count: number) => Uint8Array;
}

/** An id nobody else makes: 128 bits as 32 hexadecimal digits. */
export function mintId(context: SessionContext): string {
  return hex(context.randomBytes(16));
}

/** Throws what the session's gate refuses a write with: `SESSION_UNKNOWN`, `SESSION_DELETED` or `SESSION_ARCHIVED`. */
export function requireOpenGate(gate: Uint8Array | undefined, { session, records }: SessionContext): void {
  requireOpen(sessionGateRecord.read(gate, sessionKeys.gate, records), session);
}

/** Throws `SESSION_BINDING_MISMATCH` for a fence of another session than the one a handle is bound to. */
export function requireBound({ session: attempted }: LeaseFence, { session: bound }: SessionContext): void {
  if (attempted === bound) return;
  throw new SessionStoreError(
    "SESSION_BINDING_MISMATCH",
    `Cannot use a lease of session ${attempted} for session ${bound}`,
    { bound, attempted },
  );
}

/** The checks that what was read under some keys is still there. */
export function unchanged(
  keys: readonly KvKey[],
  values: readonly (Uint8Array | undefined)[],
): readonly KvCheck[] {
  return keys.map((key, index) => ({ key, value: values[index] }));
}
