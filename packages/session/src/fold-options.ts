import type { Hasher, LogId, SignalDecay } from "@tidemark/core";
import type { Erasure } from "./erasure.ts";
import type { OpKind } from "./op-kinds.ts";
import type { ColdOptions } from "./session-table.ts";
import type { UserSeals } from "./user-seal.ts";

/** What a session needs to know of a signal schema; `SignalSchema` of `@tidemark/signals` is one. */
export interface SignalRules {
  /** 32 bytes: part of every start, and of the state digest. */
  readonly digest: Uint8Array;
  /** How a signal decays, or `undefined` if it is not in the schema. */
  decayOf(signal: string): SignalDecay | undefined;
}

/** Where the contribution of every signal goes, once, whatever becomes of its session. */
export interface SignalSink {
  add(entity: string, signal: string, weight: number, eventTimeMs: number): void;
  /** Told instead while no schema is in force, where nothing is folded. @defaultValue `add` */
  leave?(): void;
}

/** What a fold needs. */
export interface SessionFoldOptions {
  readonly hasher: Hasher;
  /** 8 bytes that every region of the cluster shares: part of every tag and request digest. */
  readonly clusterId: Uint8Array;
  /** How signals decay, and which there are; what it does not name folds as without a schema. @defaultValue none */
  readonly schema?: SignalRules | undefined;
  /** The ledger: what a fork or merge carries was added when it was signalled. @defaultValue none */
  readonly ledger?: SignalSink | undefined;
  /** How a signal decays that no schema names. @defaultValue 7 days */
  readonly halfLifeMs?: number;
  /** Bytes of one user's unstable operations kept for tickets. @defaultValue 65,536 */
  readonly unstableBytesMax?: number;
  /** Opens what is under users' keys, in a cluster that encrypts. @defaultValue nothing is under any */
  readonly seals?: UserSeals;
  /** Called when a user was erased, or is erased up to a later generation. */
  readonly erased?: (erasure: Erasure) => void;
  /** The kinds it folds: fewer make it behave as an older version, for tests of version skew. @defaultValue all */
  readonly kinds?: ReadonlySet<OpKind>;
  /** Where sessions go that nobody touches, once there are more than fit. @defaultValue all stay in memory */
  readonly cold?: ColdOptions | undefined;
}

/** How far every member has come: what is at or below it will never be seen for the first time again. */
export interface StableFrontier {
  lsnOf(log: LogId): number;
  /** The smallest fold version of any member: an unhide waits until every member knows its kind. */
  readonly foldVersionMin: number;
}
