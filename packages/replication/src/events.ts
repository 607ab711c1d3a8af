import type { LogId } from "@tidemark/core";
import type { TransportStatus } from "@tidemark/transport";
import type { WalBatch } from "@tidemark/wal";

/** What replication tells as it happens: once a batch, a frame or a change, never once a record. Keep it short. */
export interface ReplicationEvents {
  /** A batch, own or foreign, is durable and applied. Not told for what is replayed at the start. */
  applied?(batch: WalBatch): void;
  /** The medium took a frame that ends at `lastLsn` of an own log. */
  published?(log: LogId, lastLsn: number, bytes: number): void;
  /** A frame could not be used. */
  refused?(subject: string, reason: string, bytes: number): void;
  /** The medium changed its state. */
  medium?(status: TransportStatus): void;
}
