import type { Hasher, LogId } from "@tidemark/core";
import type { OpKind } from "./op-kinds.ts";

/** What a fold needs. */
export interface SessionFoldOptions {
  readonly hasher: Hasher;
  /** 8 bytes that every region of the cluster shares: part of every tag and request digest. */
  readonly clusterId: Uint8Array;
  /** How a signal decays. @defaultValue 7 days */
  readonly halfLifeMs?: number;
  /** Bytes of one user's unstable operations kept for tickets. @defaultValue 65,536 */
  readonly unstableBytesMax?: number;
  /** The kinds it folds: fewer make it behave as an older version, for tests of version skew. @defaultValue all */
  readonly kinds?: ReadonlySet<OpKind>;
}

/** How far every member has come: what is at or below it will never be seen for the first time again. */
export interface StableFrontier {
  lsnOf(log: LogId): number;
  /** The smallest fold version of any member: an unhide waits until every member knows its kind. */
  readonly foldVersionMin: number;
}
