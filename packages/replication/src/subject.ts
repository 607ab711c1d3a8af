import type { Channel, RegionId, ShardId } from "@tidemark/core";

/** Where the batches of one region, shard and channel are published. */
export function frameSubject(channel: Channel, region: RegionId, shard: ShardId): string {
  return `${channel}.${region}.${shard}`;
}

/** Where a region publishes what it holds. */
export function ackSubject(region: RegionId): string {
  return `ack.${region}`;
}

/** Where a region answers questions. */
export function inboxSubject(region: RegionId): string {
  return `inbox.${region}`;
}
