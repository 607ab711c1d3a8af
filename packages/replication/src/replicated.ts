import type { Channel } from "@tidemark/core";
import type { WalBatch } from "@tidemark/wal";
import type { DigestObjectEntry } from "./digest-parts.ts";
import type { Frontier } from "./frontier.ts";

// Whoever implements the interface names its argument without depending on the log.
export type { WalBatch } from "@tidemark/wal";

/** What replication drives: the state of one channel. It knows ops; replication does not. */
export interface Replicated {
  readonly channel: Channel;
  /** The newest op format its fold knows, from 1. */
  readonly foldVersion: number;
  /**
   * What has to be done before a batch can be applied; `undefined` when nothing has. The log waits for it, and with it
   * its acks: asked again behind the wait, until it answers `undefined`.
   */
  prepare?(batch: WalBatch): Promise<void> | undefined;
  /** Folds a durable batch: every record of every log once, in LSN order per log, own logs too. */
  apply(batch: WalBatch): void;
  /** The stability frontier moved. */
  stable(frontier: Frontier): void;
  /** All of the state at the vector of this moment. */
  snapshot(): Uint8Array;
  /** Replaces the state. */
  restore(bytes: Uint8Array): void;
  /** 32 bytes that depend on the set of applied ops and on nothing else. */
  digest(): Uint8Array;
  /** The digest of one of 4,096 slots, 32 bytes, zeros while it is empty; without it a divergence is not narrowed down. */
  slotDigest?(slot: number): Uint8Array;
  /** The objects of a slot with their digests. */
  objects?(slot: number): readonly DigestObjectEntry[];
  /** Forgets everything, so that all ops can be applied again; without it a divergence is not mended by a replay. */
  reset?(): void;
}
